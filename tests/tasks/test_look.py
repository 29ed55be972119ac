"""`tasks.look`: a map of one's own photograph, or a sentence."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from torchvision.models import vgg19

from tasks.common.errors import Error
from tasks.common.files import sha256
from tasks.imaging.images import center_square
from tasks.inside import backbones, maps, sanity, work
from tasks.learning import weights
from tasks.learning.pretrained import SOURCES
from tasks.looks import adversarial, painting, saliency, visualisation
from tasks.params.study import EMBEDDED
from tasks.profile import Profile
from tests.conftest import ROOT
from tests.tasks.studies.conftest import make_study

__all__ = ["make_study"]


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    path = tmp_path / "chelsea.png"
    Image.fromarray(skimage.data.chelsea()).save(path)
    return path


def test_a_map_of_the_embedded_network(make_profile: Callable[..., Profile], photograph: Path, tmp_path: Path) -> None:
    profile, out = make_profile(), tmp_path / "new" / "map.png"
    done = saliency.saliency(profile, "squeezenet", photograph, out, size=128, settings=maps.Settings(2))
    assert done == json.loads(out.with_suffix(".json").read_bytes())
    assert done["class"] == next(iter(done["top"]))
    assert "cat" in done["class"].lower() or done["class"] in ("tabby", "lynx")
    with Image.open(out) as image:
        first = np.asarray(image)
    assert first.shape == (300, 300, 3), "the photograph's middle square"
    assert first.std() > 5
    assert done["method"] in saliency.PASSES, "by default it is a method that passes the check"
    with Image.open(tmp_path / "new" / "map-lit.png") as image:
        bright = np.asarray(image)
    square = center_square(skimage.data.chelsea(), 300)
    assert np.array_equal(bright[first[..., 0] == 255], square[first[..., 0] == 255])
    little = first[..., 0] <= np.quantile(first[..., 0], 0.2)
    assert bright[little].mean() < 0.7 * square[little].mean(), "what does not count is in the dark"
    saliency.saliency(profile, "squeezenet", photograph, out, "ESPRESSO", size=128)
    assert json.loads(out.with_suffix(".json").read_bytes())["class"] == "espresso"
    with Image.open(out) as image:
        assert not np.array_equal(first, np.asarray(image)), "another class counts other pixels"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"network": "squeezent"}, "did you mean squeezenet"),
        ({"network": "classes"}, "classes is not trained; train it: dvc repro train@classes"),
        ({"label": "egyptian kat"}, "nearest of its 1000 are Egyptian cat"),
        ({"label": "cat"}, "no class of squeezenet; the nearest .* tiger cat"),
        ({"method": "gradients"}, "did you mean gradient"),
        ({"size": 8}, "allowed are 16 to 1024"),
        ({"size": 16}, "takes no images of 16 x 16 pixels; its own are of 224"),
        ({"network": "pairs"}, "pairs: no classifier"),
        ({"network": "stylegan-modulated"}, "stylegan-modulated: no classifier"),
        ({"out": "map.jpg"}, "ends in .png"),
        ({"out": "chelsea.png"}, "would replace the photograph"),
        ({"photograph_": "nothing.png"}, "no such file"),
        ({"photograph_": "words.png"}, "no picture in a format"),
        ({"photograph_": "pipe.png"}, "pipe.png: no regular file"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    make_profile: Callable[..., Profile], photograph: Path, tmp_path: Path, change: dict[str, object], says: str
) -> None:
    (tmp_path / "words.png").write_text("no picture")
    os.mkfifo(tmp_path / "pipe.png")
    given = {"network": "squeezenet", "photograph_": photograph.name, "out": "map.png", **change}
    given |= {key: tmp_path / str(given[key]) for key in ("photograph_", "out")}
    with pytest.raises(Error, match=says):
        saliency.saliency(make_profile(), **given)  # type: ignore[arg-type]
    assert not (tmp_path / "map.png").exists()


def test_what_is_recommended_is_what_passes_the_check_in_the_full_profile() -> None:
    metrics = json.loads((ROOT / "full/results/saliency-squeezenet/metrics.json").read_bytes())["metrics"]
    ranks = {method: abs(metrics[f"rank_{method.replace('-', '_')}"]) for method in maps.METHODS}
    assert set(saliency.PASSES) == {method for method, rank in ranks.items() if rank < sanity.PASSES}


def test_a_network_without_convolutions_gets_the_plain_gradient(
    make_study: Callable[..., Profile], photograph: Path, tmp_path: Path
) -> None:
    profile = make_study(study="saliency")
    path = profile.weights("classes")
    configuration = weights.configuration(path).model_copy(update={"network": "linear", "architecture": {}})
    torch.manual_seed(0)
    weights.save(path, configuration.build(), configuration)
    assert saliency.saliency(profile, "classes", photograph, tmp_path / "map.png")["method"] == "gradient"
    with pytest.raises(Error, match="no convolutions, so its features have no place; take another method"):
        saliency.saliency(profile, "classes", photograph, tmp_path / "map.png", method="grad-cam")


@pytest.mark.parametrize(
    ("name", "look"),
    [
        ("cat-lit.png", saliency.saliency),
        ("cat-change.png", adversarial.adversarial),
        ("cat.json", saliency.saliency),
        ("cat.json", adversarial.adversarial),
    ],
)
def test_what_comes_beside_a_picture_replaces_no_photograph(
    make_profile: Callable[..., Profile], tmp_path: Path, name: str, look: Callable[..., object]
) -> None:
    path = tmp_path / name
    Image.fromarray(skimage.data.chelsea()).save(path, "PNG")
    before = path.read_bytes()
    with pytest.raises(Error, match=f"{name}: would replace the photograph.* another name than cat.png"):
        look(make_profile(), "squeezenet", path, tmp_path / "cat.png")
    assert path.read_bytes() == before
    assert [*tmp_path.glob("cat*")] == [path]


@pytest.mark.parametrize("name", ["painting.json", ".painting.part"])
def test_what_comes_beside_a_painting_replaces_neither_content_nor_style(
    make_profile: Callable[..., Profile], photograph: Path, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    Image.fromarray(skimage.data.coffee()).save(path, "PNG")
    before = path.read_bytes()
    for content, styled in ((path, photograph), (photograph, path)):
        with pytest.raises(Error, match="would replace the photograph"):
            painting.paint(make_profile(), content, [styled], tmp_path / "painting.png", painting.settings(steps=1))
    assert path.read_bytes() == before


@pytest.fixture
def style(tmp_path: Path) -> Path:
    path = tmp_path / "style.png"
    Image.fromarray(skimage.data.coffee()[:200, :240]).save(path)
    return path


def test_a_photograph_is_taken_for_another_class(make_profile: Callable[..., Profile], photograph: Path, tmp_path: Path) -> None:
    out = tmp_path / "fooled.png"
    done = adversarial.adversarial(make_profile(), "squeezenet", photograph, out, "espresso", size=128)
    assert done == json.loads(out.with_suffix(".json").read_bytes())
    assert done["reached"]
    assert next(iter(done["after"])) == "espresso" != done["seen"]
    assert 0 < done["linf"] <= done["budget"] <= 8
    with Image.open(out) as image, Image.open(tmp_path / "fooled-change.png") as change:
        saved = np.asarray(image)
        assert saved.shape == (128, 128, 3) == np.asarray(change).shape
        assert np.asarray(change).min() == 0 or np.asarray(change).max() == 255
    # What is saved is what was measured: read again it is taken for the same.
    again = saliency.saliency(make_profile(), "squeezenet", out, tmp_path / "map.png", size=128)
    assert again["class"] == "espresso"
    drawn = adversarial.adversarial(make_profile(), "squeezenet", photograph, out, budget=1, steps=1, size=64)
    assert drawn["target"] not in drawn["before"]


def test_a_class_is_drawn(make_profile: Callable[..., Profile], tmp_path: Path) -> None:
    out = tmp_path / "gorilla.png"
    done = visualisation.visualise(make_profile(), "squeezenet", "Gorilla", out, steps=8, size=64)
    assert done == json.loads(out.with_suffix(".json").read_bytes())
    assert done["class"] == "gorilla"
    assert done["other"] == "mobilenet_v2"
    with Image.open(out) as image:
        assert np.asarray(image).shape == (64, 64, 3)
    assert not (tmp_path / ".gorilla.part").exists()


def test_a_painting_keeps_its_shape_and_mixes_styles(
    make_profile: Callable[..., Profile], photograph: Path, style: Path, tmp_path: Path
) -> None:
    out = tmp_path / "painting.png"
    chosen = painting.settings(steps=6, optimizer="lbfgs")
    done = painting.paint(make_profile(), photograph, [style], out, chosen, size=96)
    assert done == json.loads(out.with_suffix(".json").read_bytes())
    assert done["losses"]["total"] < done["start"]["total"]
    with Image.open(out) as image:
        one = np.asarray(image)
    assert one.shape[:2] == (64, 96), "the photograph is 300 x 451"
    Image.fromarray(skimage.data.rocket()).save(tmp_path / "other.png")
    mixed = painting.paint(make_profile(), photograph, [style, tmp_path / "other.png"], out, chosen, size=96, shares=[1, 3])
    assert [s["share"] for s in mixed["styles"]] == [0.25, 0.75]
    with Image.open(out) as image:
        assert not np.array_equal(one, np.asarray(image))


def test_a_painting_says_what_it_was_made_of(
    make_profile: Callable[..., Profile], photograph: Path, style: Path, tmp_path: Path
) -> None:
    chosen = painting.settings(steps=1)
    done = painting.paint(make_profile(), photograph, [style], tmp_path / "painting.png", chosen, size=96)
    assert done["content"] == {"file": "chelsea.png", "sha256": sha256(photograph), "width": 451, "height": 300}
    assert [s["sha256"] for s in done["styles"]] == [sha256(style)]
    assert done["weights"] == sha256(EMBEDDED / "squeezenet.safetensors")
    assert (done["settings"]["content"], done["settings"]["start"]) == (chosen.content, "content")
    assert painting.digest("mobilenet_v2") == SOURCES["mobilenet_v2"].sha256
    assert painting.digest("vgg19") == backbones.VGG19.sha256


@pytest.mark.slow
def test_an_interrupted_painting_goes_on_with_its_own_content_and_weights_alone(
    make_profile: Callable[..., Profile], photograph: Path, style: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Any file is taken for the published one, since that is not in the code.
    monkeypatch.setattr(backbones, "VGG19", replace(backbones.VGG19, sha256=""))
    files = [tmp_path / "first.pth", tmp_path / "other.pth"]
    for seed, file in enumerate(files):
        torch.manual_seed(seed)
        layers = vgg19(weights=None, init_weights=False).features
        torch.save({f"features.{name}": tensor for name, tensor in layers.state_dict().items()}, file)
    Image.fromarray(skimage.data.rocket()).save(other := tmp_path / "rocket.png")
    profile, chosen = make_profile(), painting.settings("vgg19", "vgg19", steps=3)

    def paint(content: Path, weights: Path) -> dict[str, Any]:
        out = tmp_path / "painting.png"
        return painting.paint(profile, content, [style], out, chosen, size=100, source="path", path=weights)

    def interrupt() -> None:
        def steps(of: work.Work) -> Iterator[int]:
            of.advance()
            yield of.done
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(work, "steps", steps)
            paint(photograph, files[0])

    interrupt()
    done = paint(photograph, files[0])
    assert (done["gone_on_from"], done["weights"]) == (1, sha256(files[0]))
    interrupt()
    done = paint(photograph, files[1])
    assert (done["gone_on_from"], done["weights"]) == (0, sha256(files[1]))
    interrupt()
    assert paint(other, files[0])["gone_on_from"] == 0
    backbones.features.cache_clear()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"styles": ["chelsea.png"]}, "content and style are the same picture"),
        ({"styles": []}, "name at least one picture"),
        ({"styles": ["nothing.png"]}, "no such file"),
        ({"shares": [1.0, 2.0]}, "2 of 1 styles"),
        ({"shares": [0.0]}, "above 0"),
        ({"shares": [float("inf")]}, "above 0"),
        ({"source": "url"}, "url is for the weights of vgg19; those of squeezenet are there"),
        ({"source": "web"}, "unknown source 'web'"),
        ({"source": "path"}, "path: needed with source path"),
        ({"size": 32}, "allowed are 64 to 1400"),
        ({"size": 80}, "short side would have 53 pixels"),
        ({"out": "style.png"}, "would replace"),
        ({"backbone": "vgg19", "recipe": "vgg19"}, "No package carries its weights: take source: url .*dcbb9e9d"),
        ({"backbone": "vgg19"}, "takes the recipe vgg19 alone"),
        ({"backbone": "vgg16"}, "did you mean vgg19"),
        ({"optimizer": "sgd"}, "unknown optimizer 'sgd'"),
        ({"steps": 0}, "allowed are 1 to 5000"),
        ({"strength": 0.0}, "above 0"),
    ],
)
def test_what_cannot_be_painted_is_a_sentence(
    make_profile: Callable[..., Profile], photograph: Path, style: Path, tmp_path: Path, change: dict[str, object], says: str
) -> None:
    own = ("recipe", "backbone", "strength", "optimizer", "steps")
    given = {"styles": [style.name], "out": "painting.png", **{k: v for k, v in change.items() if k not in own}}
    given["styles"] = [tmp_path / str(name) for name in given["styles"]]  # type: ignore[attr-defined]
    given["out"] = tmp_path / str(given["out"])
    with pytest.raises(Error, match=says):
        chosen = painting.settings(**{k: v for k, v in change.items() if k in own})  # type: ignore[arg-type]
        painting.paint(make_profile(), photograph, chosen=chosen, **given)  # type: ignore[arg-type]
    assert not (tmp_path / "painting.png").exists()


def test_what_cannot_be_drawn_or_fooled_is_a_sentence(
    make_profile: Callable[..., Profile], photograph: Path, tmp_path: Path
) -> None:
    profile, out = make_profile(), tmp_path / "out.png"
    with pytest.raises(Error, match=r"gorila: no class of squeezenet; the nearest .* gorilla"):
        visualisation.visualise(profile, "squeezenet", "gorila", out)
    with pytest.raises(Error, match="did you mean fourier"):
        visualisation.visualise(profile, "squeezenet", "gorilla", out, prior="furier")
    with pytest.raises(Error, match="images of 1 channel"):
        visualisation.visualise(profile, "emotion-deepface", "happy", out)
    with pytest.raises(Error, match="allowed are 1 to 255"):
        adversarial.adversarial(profile, "squeezenet", photograph, out, budget=0)
    seen = adversarial.adversarial(profile, "squeezenet", photograph, out, budget=1, steps=1, size=64)["seen"]
    with pytest.raises(Error, match="sees already"):
        adversarial.adversarial(profile, "squeezenet", photograph, tmp_path / "other.png", seen, size=64)
    assert not (tmp_path / "other.png").exists()


def test_small_photographs_are_refused(make_profile: Callable[..., Profile], tmp_path: Path) -> None:
    Image.new("RGB", (15, 90)).save(tmp_path / "thin.png")
    with pytest.raises(Error, match="15 x 90 pixels"):
        saliency.saliency(make_profile(), "squeezenet", tmp_path / "thin.png", tmp_path / "map.png")


def test_nearest_neighbours_have_no_inside(make_study: Callable[..., Profile], photograph: Path, tmp_path: Path) -> None:
    profile = make_study(study="saliency")
    path = profile.weights("classes")
    configuration = weights.configuration(path).model_copy(update={"network": "knn", "architecture": {}})
    torch.manual_seed(0)
    weights.save(path, configuration.build(), configuration)
    with pytest.raises(Error, match="no gradients, as nearest neighbours"):
        visualisation.visualise(profile, "classes", "red", tmp_path / "red.png")
