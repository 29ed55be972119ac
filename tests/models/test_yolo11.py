from typing import Any

import pytest
import torch

import models
from models import Shape


def network(classes: int = 1, **architecture: Any) -> Any:
    return models.build("yolo11", Shape(3, classes, 64), architecture)


def coco() -> dict[str, torch.Tensor]:
    """Weights of the published layout, drawn at random."""
    tensors: dict[str, torch.Tensor] = network(80).model.state_dict()
    return {name: torch.rand_like(tensor) if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


def test_it_has_the_parameters_of_yolo11n() -> None:
    """2,624,080 for 80 classes, as ultralytics' description says of its scale n."""
    assert sum(p.numel() for p in network(80).parameters()) == 2_624_080


@pytest.mark.parametrize("architecture", [{}, {"coco": (0,)}])
def test_any_size_goes_through_and_losses_have_gradients(architecture: dict[str, Any]) -> None:
    net = network(**architecture)
    targets = torch.tensor([[[8.0, 8, 40, 40, 0, 0]]])
    sum(net.losses(torch.rand(1, 3, 64, 64), targets).values()).backward()
    assert all(p.grad is not None for p in net.model.model[-1].cv3.parameters())
    net.eval()
    with torch.inference_mode():
        assert net(torch.rand(2, 3, 50, 70)).shape == (2, 100, 6)


def test_a_class_begins_as_the_class_of_coco_that_is_named() -> None:
    tensors = coco()
    net = network(2, coco=(15, 3))
    net.load_pretrained(tensors)
    for name, tensor in net.model.state_dict().items():
        expected = tensors[name][[15, 3]] if tensor.shape != tensors[name].shape else tensors[name]
        assert torch.equal(tensor, expected), name


def test_without_such_a_class_all_but_the_classes_is_taken() -> None:
    tensors = coco()
    net = network(1)
    before = {name: tensor.clone() for name, tensor in net.model.state_dict().items()}
    net.load_pretrained(tensors)
    for name, tensor in net.model.state_dict().items():
        taken = tensors[name] if tensor.shape == tensors[name].shape else before[name]
        assert torch.equal(tensor, taken), name


def test_weights_of_another_network_are_refused() -> None:
    other: Any = models.build("yolov8", Shape(3, 80, 64), {})
    with pytest.raises(ValueError, match="the published weights do not fit"):
        network().load_pretrained(other.model.state_dict())


def test_as_many_classes_as_the_data_have_are_named() -> None:
    with pytest.raises(ValueError, match=r"architecture\.coco: 2 classes of COCO, and the data have 1"):
        network(coco=(1, 2))
