"""YOLO's grid, answers and losses against cases worked out by hand."""

import math

import pytest
import torch

import models
from models import Shape
from models.mobilenet import Backbone, StridedDepthwise
from models.yolo_v1 import YOLO, decode, yolo_losses


def test_a_cells_boxes_are_decoded() -> None:
    """In a grid of 2 x 3 cells of 32 px, the cell of row 1, column 2 says its middle and half of the image's sides' roots."""
    said = torch.zeros(1, 2, 3, 1, 5)
    x1, y1, x2, y2 = decode(said, 32)[0, 1, 2, 0].tolist()
    # Logits of 0: x = (2 + 1/2) * 32 = 80, y = (1 + 1/2) * 32 = 48; w = (1/2)^2 * 96 = 24, h = (1/2)^2 * 64 = 16.
    assert (x1, y1, x2, y2) == (80 - 12, 48 - 8, 80 + 12, 48 + 8)


def grid(boxes: int = 2, classes: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.zeros(1, 2, 2, boxes, 5), torch.zeros(1, 2, 2, classes)


def test_the_losses_of_one_object() -> None:
    """A grid of 2 x 2 cells of 32 px, all logits 0; an object that fills the lower right cell, of class 1."""
    said, classes = grid()
    # The second box of that cell says the whole image's size: it overlaps the object less than the first one does.
    said[0, 1, 1, 1, 2:4] = 10.0
    parts = yolo_losses(said, classes, torch.tensor([[[32.0, 32, 64, 64, 1, 0]]]), 32)
    # The first box says 16 x 16 at the object's middle, of the object's 32 x 32: IoU 1/4; the second one 64 x 64, cut by nothing: 1/4.
    # (0.99995 squared of the image: a little less, so a little more than 1/4.) The truth's roots are sqrt(1/2).
    root = math.sqrt(0.5)
    big = 1 / (1 + math.exp(-10))
    best = max(0.25, 32**2 / (64 * big**2) ** 2)
    assert float(parts["box"]) == pytest.approx(5 * 2 * (big - root) ** 2, rel=1e-5)
    # Seven boxes of no object at ln 2 weighed a half, and the one that answers: -(q ln 1/2 + (1 - q) ln 1/2) = ln 2 whatever q is.
    assert best > 0.25
    assert float(parts["confidence"]) == pytest.approx(7 * 0.5 * math.log(2) + math.log(2), rel=1e-5)
    assert float(parts["class"]) == pytest.approx(math.log(3), rel=1e-5)


def test_the_confidence_aims_at_the_overlap() -> None:
    said, classes = grid(boxes=1)
    said = said.requires_grad_()
    yolo_losses(said, classes, torch.tensor([[[32.0, 32, 64, 64, 1, 0]]]), 32)["confidence"].backward()
    assert said.grad is not None
    # The slope of cross-entropy is probability less aim: 1/2 - 1/4 where the box answers, 1/2 * (1/2 - 0) elsewhere.
    torch.testing.assert_close(said.grad[0, :, :, 0, 4], torch.full((2, 2), 0.25))


def test_an_image_without_objects_teaches_background_alone() -> None:
    parts = yolo_losses(*grid(), torch.tensor([[[0.0, 0, 0, 0, -1, 0]]]), 32)
    assert parts["box"] == parts["class"] == 0
    assert float(parts["confidence"]) == pytest.approx(8 * 0.5 * math.log(2))


def test_of_two_objects_in_a_cell_the_first_answers() -> None:
    rows = [[2.0, 2, 30, 30, 0, 0], [4, 4, 28, 28, 2, 0]]
    alone = yolo_losses(*grid(), torch.tensor([rows[:1]]), 32)
    both = yolo_losses(*grid(), torch.tensor([rows]), 32)
    assert alone == both


def test_perfect_answers_cost_nothing_but_confidence() -> None:
    said, classes = grid(boxes=1)
    said[0, 0, 1, 0, :4] = torch.tensor([0.25, 0.5, math.sqrt(0.25), math.sqrt(0.5)]).logit()
    classes[0, 0, 1, 2] = 50.0
    # Centre (40, 16), 16 wide and 32 high, in an image of 64 px.
    truth = torch.tensor([[[32.0, 0, 48, 32, 2, 0]]])
    torch.testing.assert_close(decode(said, 32)[0, 0, 1, 0], truth[0, 0, :4])
    parts = yolo_losses(said, classes, truth, 32)
    assert float(parts["box"]) == pytest.approx(0, abs=1e-9)
    assert float(parts["class"]) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("stride", "cells"), [(32, 2 * 3), (16, 4 * 6)])
def test_images_that_are_no_multiple_are_padded(stride: int, cells: int) -> None:
    net = models.build("yolo_v1", Shape(3, 5, 64), {"stride": stride, "width": 16}).eval()
    assert isinstance(net, YOLO)
    with torch.inference_mode():
        corners, _ = net.candidates(net.stem(torch.rand(1, 3, 50, 70)), (50, 70))
        out = net(torch.rand(1, 3, 50, 70))
    assert corners.shape == (1, cells * 2, 4)
    assert out[..., [0, 2]].max() <= 70
    assert out[..., [1, 3]].max() <= 50


def test_the_strided_depthwise_convolutions_learn_in_fp32() -> None:
    """Their gradient in bf16 is slow on a processor: under autocast they give what they give without, to the last bit."""
    strided = [m for m in Backbone(frozen=0).modules() if isinstance(m, StridedDepthwise)]
    assert [m.groups for m in strided] == [96, 144, 192, 576]
    x = torch.randn(1, 96, 8, 8)
    whole = strided[0](x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(strided[0](x), whole)
