"""What only a GPU shows: `make gpu` runs these where there is one."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from tasks import config
from tasks.common.errors import Error
from tasks.evaluate import evaluate
from tasks.learning import loop, weights
from tasks.profile import Profile
from tasks.train import train
from tests.tasks import people
from tests.tasks.detection_data import detection_profile

pytestmark = pytest.mark.gpu
MakeProfile = Callable[..., Profile]


def needs(*packages: str) -> None:
    """Skip a test on a machine that has torch and few other packages."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")


def on_gpu(profile: Profile) -> Profile:
    path = profile.folder / "params.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "device": "cuda", "deterministic": True}))
    return config.load(profile.folder)


@pytest.mark.parametrize("name", ["classes", "pairs"])
def test_what_was_trained_on_a_gpu_is_evaluated_there_and_loads_on_the_processor(make_profile: MakeProfile, name: str) -> None:
    profile = on_gpu(make_profile())
    out = train(profile, name)
    trained = json.loads((out / "training.json").read_text())
    assert trained["device"] == torch.cuda.get_device_name(0)
    assert trained["peak_memory_mb"] > 0
    assert evaluate(profile, name)["device"] == torch.cuda.get_device_name(0)
    network, _ = weights.load(out / "weights" / "seed-0.safetensors", torch.device("cpu"))
    assert {p.device.type for p in network.parameters()} == {"cpu"}


def test_an_interrupted_training_on_a_gpu_goes_on(make_profile: MakeProfile, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = on_gpu(make_profile(epochs=4))
    keep, epochs = loop.keep, 0

    def stop(*arguments: object) -> None:
        nonlocal epochs
        epochs += 1
        if epochs == 3:
            raise KeyboardInterrupt
        keep(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patched, pytest.raises((KeyboardInterrupt, Error)):
        patched.setattr(loop, "keep", stop)
        train(profile, "classes")
    checkpoint = torch.load(profile.state("train") / "classes" / "seed-0.pt", map_location="cpu", weights_only=True)
    assert checkpoint["run"]["epoch"] == 2
    history = (train(profile, "classes") / "history.csv").read_text().splitlines()
    assert len(history) == 1 + 4


def test_a_detector_is_trained_and_measured_on_a_gpu(tmp_path: Path) -> None:
    needs("ultralytics")
    profile = on_gpu(detection_profile(tmp_path / "profile", "yolov8"))
    train(profile, "squares")
    measured = evaluate(profile, "squares")
    assert measured["device"] == torch.cuda.get_device_name(0)
    assert 0 <= measured["metrics"]["map50"] <= 1


def test_annotation_finds_the_same_faces_on_a_gpu_as_on_the_processor(make_profile: MakeProfile, tmp_path: Path) -> None:
    needs("ultralytics", "mlflow", "filelock")
    from tasks.annotate import annotate

    source, profile = people.write(tmp_path / "in", 4), make_profile()
    there = [
        annotate(one, source, tmp_path / str(i), people.QUICK, workers=0) for i, one in enumerate((profile, on_gpu(profile)))
    ]
    assert there[0]["faces"] == there[1]["faces"] == 3


def test_trials_share_a_gpu(make_profile: MakeProfile) -> None:
    needs("ray", "optuna", "mlflow")
    from tasks.sweep import sweep
    from tests.sweeps import with_sweep

    profile = on_gpu(with_sweep(make_profile(), resources={"cpu": 1, "gpu": 0.5}))
    result = sweep(profile, "tiny")
    assert result["trials"]["failed"] == 0
    assert "cpu" not in result["device"]
