import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from models.boxes import suppress
from tasks import train
from tasks.common.errors import Error
from tasks.datasets import data
from tasks.export import export
from tasks.learning import pretrained, weights
from tasks.learning.tensors import to_float
from tasks.params.recipe import Pretrained
from tasks.profile import Profile
from tests.tasks.detection_data import detection_profile

# The exporter's own use of what torch and Python are about to drop.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

MakeProfile = Callable[..., Profile]
FAST = {"cnn", "autoencoder", "pix2pix"}
NETWORKS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "cnn": ("classes", "classify", {"widths": [8, 16], "pools": [0]}),
    "autoencoder": ("pairs", "translate", {"widths": [4, 8]}),
    "energy": ("pairs", "translate", {"filters": 2}),
    "analytic": ("pairs", "translate", {}),
    "pix2pix": ("pairs", "translate", {"width": 4, "depth": 2}),
}


def save(profile: Profile, network: str) -> str:
    """Weights of fresh numbers, with batch norms that do something."""
    experiment, task, architecture = NETWORKS[network]
    statistics = (0.4, 0.5, 0.6) if task == "classify" else None
    configuration = weights.Configuration(
        experiment=experiment, task=task, network=network, architecture=architecture, inputs=3, outputs=1 if task == "translate" else 3,
        size=16, classes=("a", "b", "c") if task == "classify" else (), mean=statistics, std=statistics, seed=0, git_commit="x", data_hash="y",
    )  # fmt: skip
    torch.manual_seed(0)
    built = configuration.build()
    for module in built.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    weights.save(profile.results(experiment) / "weights" / "seed-0.safetensors", built, configuration)
    return experiment


@pytest.mark.parametrize("network", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in NETWORKS])
def test_onnxruntime_gives_the_same_output_at_every_size(make_profile: MakeProfile, tmp_path: Path, network: str) -> None:
    profile = make_profile()
    experiment = save(profile, network)
    path = export(profile, experiment, tmp_path / "out" / "network.onnx")
    assert [file.name for file in path.parent.iterdir()] == ["network.onnx"], "one file holds everything"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    ours, configuration = weights.load(profile.results(experiment) / "weights" / "seed-0.safetensors")
    for batch, height, width in ((2, 16, 20), (1, 52, 28), (3, 24, 24)):
        images = np.random.default_rng(batch).random((batch, 3, height, width), np.float32)
        (outputs,) = session.run(["outputs"], {"images": images})
        with torch.inference_mode():
            expected = ours(torch.from_numpy(images)).numpy()
        assert expected.std() > 1e-3
        np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-4)
    metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert json.loads(metadata["darkroom"])["experiment"] == configuration.experiment


def test_wrong_arguments_are_refused(make_profile: MakeProfile, tmp_path: Path) -> None:
    profile = make_profile()
    with pytest.raises(Error, match=r"ends in \.onnx"):
        export(profile, "pairs", tmp_path / "out.pt")
    with pytest.raises(Error, match="pairs is not trained"):
        export(profile, "pairs", tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.slow
@pytest.mark.parametrize("network", ["faster_rcnn", "yolo_v1", "yolov8"])
def test_a_detector_exports_with_the_same_detections(tmp_path: Path, network: str) -> None:
    """Boxes and scores from ONNX, thinned with what the metadata say, are our detections on an image."""
    recipe = {} if network == "yolov8" else {"pretrained": {"source": "package"}}
    profile = detection_profile(tmp_path / "profile", network, **recipe)
    configuration = train.describe(profile, "squares", data.info(profile.processed("squares")), 0)
    torch.manual_seed(0)
    built = configuration.build()
    for module in built.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    if network != "yolov8":
        pretrained.load(built, Pretrained(source="package"))
    file = profile.results("squares") / "weights" / "seed-0.safetensors"
    weights.save(file, built, configuration)
    path = export(profile, "squares", tmp_path / "network.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    image = data.Data(profile.processed("squares"), "test").images[3:4]
    images = to_float(torch.from_numpy(image))
    corners, scores = (torch.from_numpy(out) for out in session.run(None, {"images": images.contiguous().numpy()}))
    rules = json.loads(session.get_modelmeta().custom_metadata_map["suppress"])
    ours, _ = weights.load(file)
    assert rules == {"floor": ours.floor, "iou": ours.iou, "most": ours.most}
    rules["floor"] = 1e-6
    ours.floor = 1e-6
    with torch.inference_mode():
        expected = ours(images)
    assert (expected[..., 4] > 0).sum() >= 2
    torch.testing.assert_close(suppress(corners, scores, **rules), expected, atol=1e-2, rtol=1e-3)
