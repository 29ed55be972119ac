import PIL.Image
import torch

import models
from models import Shape, boxes, yolov8
from models.yolov8 import YOLOv8


def network(classes: int = 3) -> YOLOv8:
    torch.manual_seed(0)
    built = models.build("yolov8", Shape(3, classes, 64), {})
    assert isinstance(built, YOLOv8)
    return built


def test_it_has_the_parameters_of_yolov8n() -> None:
    """3,157,200 for 80 classes, as ultralytics' description says of its scale n."""
    assert sum(p.numel() for p in network(80).parameters()) == 3_157_200


def test_any_size_goes_through_and_boxes_stay_within() -> None:
    net = network().eval()
    net.floor = 0.0
    with torch.inference_mode():
        out = net(torch.rand(2, 3, 50, 70))
    assert out.shape == (2, 100, 6)
    assert (out[..., 4] > 0).any()
    assert out[..., :4].min() >= 0
    assert out[..., [0, 2]].max() <= 70
    assert out[..., [1, 3]].max() <= 50


def test_its_losses_are_ultralytics_own() -> None:
    """An image without objects adds nothing to box and focal losses, and the mean over images is the batch's sum over its size."""
    net = network()
    targets = torch.tensor([[[8.0, 8, 40, 40, 1, 0], [0, 0, 0, 0, -1, 0]], [[0, 0, 0, 0, -1, 0]] * 2])
    both = net.losses(torch.rand(2, 3, 64, 64), targets)
    assert all(loss > 0 for loss in both.values())
    none = net.losses(torch.rand(1, 3, 64, 64), targets[1:])
    assert none["box"] == none["focal"] == 0
    assert none["class"] > 0


def test_of_overlapping_boxes_of_a_class_the_best_stays() -> None:
    corners = torch.tensor([[[0.0, 0, 10, 10], [1, 0, 10, 10], [50, 50, 60, 60]]])
    scores = torch.tensor([[[0.6, 0.5], [0.9, 0.0005], [0.4, 0.0]]])
    out = boxes.suppress(corners, scores, floor=0.001, iou=0.5, most=5)
    assert out.shape == (1, 5, 6)
    expected = [[1, 0, 10, 10, 0.9, 0], [0, 0, 10, 10, 0.5, 1], [50, 50, 60, 60, 0.4, 0], [0] * 6, [0] * 6]
    torch.testing.assert_close(out[0], torch.tensor(expected, dtype=torch.float32))


def test_boxes_that_differ_by_class_are_taken_by_class() -> None:
    corners = torch.tensor([[[[0.0, 0, 10, 10], [20, 20, 30, 30]]]])
    out = boxes.suppress(corners, torch.tensor([[[0.2, 0.7]]]), floor=0.1, iou=0.5, most=2)
    torch.testing.assert_close(out[0], torch.tensor([[20, 20, 30, 30, 0.7, 1], [0, 0, 10, 10, 0.2, 0]]))


def test_pillow_and_torch_stay_as_they_were() -> None:
    yolov8.ultralytics()
    assert PIL.Image.open.__module__ == "PIL.Image"
    assert torch.save.__module__ == "torch.serialization"
