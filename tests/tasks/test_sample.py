"""Samples for those who ask for them: files, a grid, a class, and sentences for what cannot be."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import PIL.Image
import pytest
import torch

from tasks.common.errors import Error
from tasks.export import export
from tasks.learning import weights
from tasks.profile import Profile
from tasks.sample import sample
from tasks.train import train
from tests.tasks.kinds.generate.conftest import SMALL, make

__all__ = ["make"]


@pytest.fixture
def profile(make: Callable[..., Profile]) -> Profile:
    made = make(asked={"architecture": {**SMALL, "conditional": True}}, plain={})
    for name in ("asked", "plain"):
        train(made, name)
    return made


def opened(path: Path) -> np.ndarray:
    with PIL.Image.open(path) as image:
        return np.asarray(image)


def test_samples_are_files_that_a_seed_decides(profile: Profile, tmp_path: Path) -> None:
    first = sample(profile, "plain", tmp_path / "out", 5)
    assert [path.name for path in first] == ["0000.png", "0001.png", "0002.png", "0003.png", "0004.png"]
    pixels = [opened(path) for path in first]
    assert pixels[0].shape == (16, 16)
    again = [opened(path) for path in sample(profile, "plain", tmp_path / "out", 5)]
    assert np.array_equal(pixels, again)
    other = [opened(path) for path in sample(profile, "plain", tmp_path / "other", 5, seed=1)]
    assert not np.array_equal(pixels, other)


def test_a_grid_is_one_picture_of_the_class_asked_for(profile: Profile, tmp_path: Path) -> None:
    (path,) = sample(profile, "asked", tmp_path / "large.png", 9, asked="large", grid=True)
    assert opened(path).shape == (48, 48)
    sample(profile, "asked", tmp_path / "small.png", 9, asked="small", grid=True)
    assert (tmp_path / "small.png").read_bytes() != path.read_bytes()


@pytest.mark.filterwarnings("ignore:.*type hint.*:UserWarning:mlflow")
def test_a_model_in_mlflow_takes_a_seed_and_a_class(profile: Profile, tmp_path: Path) -> None:
    from mlflow import pyfunc
    from mlflow.models import get_model_info

    run = json.loads((profile.results("asked") / "training.json").read_text())["mlflow_runs"]["0"]
    found = get_model_info(f"runs:/{run}/model").signature.to_dict()
    inputs, outputs = (json.loads(found[side])[0]["tensor-spec"] for side in ("inputs", "outputs"))
    assert (inputs["dtype"], inputs["shape"], outputs["dtype"]) == ("int64", [-1, 2], "uint8")

    model = pyfunc.load_model(f"runs:/{run}/model")
    pictures = model.predict(np.array([[7, 1], [8, 1], [7, 1], [7, -1]]))
    sample(profile, "asked", tmp_path / "one.png", count=1, seed=7, asked="middle", grid=True)
    assert np.array_equal(pictures[0, :, :, 0], opened(tmp_path / "one.png"))
    assert np.array_equal(pictures[0], pictures[2])
    assert not np.array_equal(pictures[0], pictures[1])
    for wrong, said in (([[7, 3]], "small, middle, large"), ([[-1, 0]], "a seed from 0 on")):
        with pytest.raises(Error, match=said):
            model.predict(np.array(wrong))


def test_what_cannot_be_is_a_sentence(profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    with pytest.raises(Error, match="unknown class 'larg'; did you mean large"):
        sample(profile, "asked", out, asked="larg")
    with pytest.raises(Error, match="class: plain makes images of whatever class"):
        sample(profile, "plain", out, asked="large")
    with pytest.raises(Error, match=r"count: 1,000,000,000,000 samples take 3072000\.0 GB"):
        sample(profile, "plain", out, 10**12)
    with pytest.raises(Error, match="count: 1,000,000,000,000 samples take"):
        sample(profile, "asked", out, 10**12, asked="large")
    with pytest.raises(Error, match=r"seed: 1\d*, but allowed are 0 to"):
        sample(profile, "plain", out, seed=10**30)
    with pytest.raises(Error, match=r"a grid is one picture; give a name that ends in \.png"):
        sample(profile, "plain", out, grid=True)
    with pytest.raises(Error, match="samples are written into a folder"):
        sample(profile, "plain", tmp_path / "out.png")
    with pytest.raises(Error, match="weights of asked, not of plain"):
        sample(profile, "plain", out, weights=profile.weights("asked"))
    assert not out.exists()
    out.mkdir()
    (out / "letter.txt").write_text("mine")
    with pytest.raises(Error, match="holds other files than samples"):
        sample(profile, "plain", out)
    (out / "letter.txt").rename(out / "00001.png")
    with pytest.raises(Error, match="holds other files than samples"):
        sample(profile, "plain", out)
    assert (out / "00001.png").read_text() == "mine"
    train(profile, "sizes")
    with pytest.raises(Error, match="a network of the task classify makes no samples; allowed: generate"):
        sample(profile, "sizes", tmp_path / "new")


@pytest.mark.slow
def test_the_exported_decoder_makes_the_same_images(profile: Profile, tmp_path: Path) -> None:
    for name in ("plain", "asked"):
        path = export(profile, name, tmp_path / f"{name}.onnx")
        network, _ = weights.load(profile.weights(name))
        session = onnxruntime.InferenceSession(str(path))
        noise, classes = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32), np.array([0, 1, 2, 0, 1])
        given = {"noise": noise, "classes": classes} if name == "asked" else {"noise": noise}
        (images,) = session.run(None, given)
        with torch.inference_mode():
            expected = network.decode(torch.from_numpy(noise), torch.from_numpy(classes))  # type: ignore[operator]
        assert np.allclose(images, expected, atol=1e-5)
