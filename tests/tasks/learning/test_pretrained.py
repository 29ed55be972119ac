"""The backbone's weights: from the source that is named, the very ones of torchvision, and never others in silence."""

import shutil
from pathlib import Path

import pytest
import torch
from skimage import data
from torchvision.models import MobileNet_V2_Weights, mobilenet_v2

import models
from models import Shape
from tasks import train
from tasks.common.errors import Error
from tasks.learning import pretrained
from tasks.params.recipe import Pretrained
from tests.tasks.detection_data import detection_profile

BACKBONE = pretrained.SOURCES["mobilenet_v2"]


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    return pretrained.read(BACKBONE, Pretrained(source="package"))


def test_known_photographs_are_classified(tensors: dict[str, torch.Tensor]) -> None:
    """skimage's `chelsea` is a cat, its `coffee` an espresso: names from torchvision's own list of classes."""
    network = mobilenet_v2(weights=None)
    network.load_state_dict(tensors)
    weights = MobileNet_V2_Weights.IMAGENET1K_V1
    with torch.inference_mode():
        for picture, names in ((data.chelsea(), {"tabby", "tiger cat", "Egyptian cat"}), (data.coffee(), {"espresso"})):
            image = weights.transforms()(torch.from_numpy(picture).permute(2, 0, 1))
            best = int(network.eval()(image[None]).argmax())
            assert weights.meta["categories"][best] in names


def test_the_backbone_computes_what_torchvisions_network_does(tensors: dict[str, torch.Tensor]) -> None:
    net = models.build("yolo_v1", Shape(3, 5, 64), {"frozen": 14}).eval()
    assert pretrained.load(net, Pretrained(source="package")) == "package"
    reference = mobilenet_v2(weights=None).eval()
    reference.load_state_dict(tensors)
    images = torch.rand(2, 3, 64, 64)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        _, top = net.backbone(net.stem(images))
        torch.testing.assert_close(top, reference.features((images - mean) / std))


def test_what_is_frozen_stays_as_it_was() -> None:
    net = models.build("yolo_v1", Shape(3, 5, 64), {"frozen": 7})
    before = {key: value.clone() for key, value in net.backbone.features[:7].state_dict().items()}
    net.train()
    images = torch.rand(2, 3, 64, 64)
    sum(net.losses(net.stem(images), torch.tensor([[[4.0, 4, 40, 40, 1, 0]]] * 2)).values()).backward()
    assert all(torch.equal(value, before[key]) for key, value in net.backbone.features[:7].state_dict().items())
    assert all(p.grad is None for p in net.backbone.features[:7].parameters())
    assert net.backbone.features[8].conv[0][0].weight.grad is not None


def test_a_file_of_another_hash_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.pth"
    file.write_bytes(b"other weights")
    with pytest.raises(Error, match=r"begins with [0-9a-f]{8}, the published mobilenet_v2-b0353104\.pth with b0353104"):
        pretrained.read(BACKBONE, Pretrained(source="path", path=str(file)))


def test_a_source_without_the_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Error, match="no such file"):
        pretrained.read(BACKBONE, Pretrained(source="path", path=str(tmp_path / "none.pth")))
    monkeypatch.delenv("DARKROOM_MIRROR", raising=False)
    with pytest.raises(Error, match="needs DARKROOM_MIRROR"):
        pretrained.read(BACKBONE, Pretrained(source="mirror"))


def test_a_mirror_and_a_path_give_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tensors: dict[str, torch.Tensor]
) -> None:
    (tmp_path / "weights").mkdir()
    shutil.copy(pretrained._find(BACKBONE, Pretrained(source="package"), tmp_path), tmp_path / "weights")
    monkeypatch.setenv("DARKROOM_MIRROR", str(tmp_path))
    for source in (Pretrained(source="mirror"), Pretrained(source="path", path=str(tmp_path / "weights" / BACKBONE.file))):
        found = pretrained.read(BACKBONE, source)
        assert all(torch.equal(tensor, found[key]) for key, tensor in tensors.items())


def test_without_a_source_nothing_is_trained(tmp_path: Path) -> None:
    with pytest.raises(Error, match="pretrained: where the weights of yolo_v1's backbone come from"):
        detection_profile(tmp_path / "profile", "yolo_v1")
    profile = detection_profile(tmp_path / "other", "yolo_v1", pretrained={"source": "path", "path": "none.pth"})
    with pytest.raises(Error, match="no such file"):
        train.train(profile, "squares")
