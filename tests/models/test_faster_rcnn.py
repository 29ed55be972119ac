"""Anchors, box coding, matching, sampling and losses of Faster R-CNN against cases worked out by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import models
from models import Shape, faster_rcnn
from models.faster_rcnn import FasterRCNN


def test_anchors_stand_around_the_middle_of_each_cell() -> None:
    boxes = faster_rcnn.anchors(1, 2, (8.0,), (1.0, 4.0))
    # Middles (8, 8) and (24, 8); 8 x 8, and of four times the height at the same area 4 x 16.
    expected = [[4, 4, 12, 12], [6, 0, 10, 16], [20, 4, 28, 12], [22, 0, 26, 16]]
    torch.testing.assert_close(boxes, torch.tensor(expected, dtype=torch.float32))


def test_a_correction_worked_out_by_hand() -> None:
    """From (0, 0, 10, 20) to (5, 5, 25, 25): the middle moves by (10, 5), a width of 10 becomes 20, a height of 20 stays."""
    correction = faster_rcnn.encode(torch.tensor([5.0, 5, 25, 25]), torch.tensor([0.0, 0, 10, 20]))
    torch.testing.assert_close(correction, torch.tensor([1.0, 0.25, math.log(2), 0.0]))


sides = st.tuples(*[st.floats(1, 100)] * 4)


@given(sides, sides)
def test_decoding_undoes_encoding(box: tuple[float, ...], reference: tuple[float, ...]) -> None:
    boxes = torch.tensor([[x, y, x + w, y + h] for x, y, w, h in (box, reference)], dtype=torch.float64)
    correction = faster_rcnn.encode(boxes[0], boxes[1])
    if correction[2:].max() < faster_rcnn.LARGEST:
        torch.testing.assert_close(faster_rcnn.decode(correction, boxes[1]), boxes[0], atol=1e-6, rtol=1e-6)


def test_anchors_are_matched() -> None:
    anchors = torch.tensor([[[0.0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 2], [40, 40, 60, 60], [0, 0, 10, 8]]])
    targets = torch.tensor([[[0.0, 0, 10, 10, 0, 0], [45, 45, 55, 55, 1, 0], [0, 0, 0, 0, -1, 0]]])
    iou = faster_rcnn.overlaps(anchors, targets)
    torch.testing.assert_close(iou[0, :, 0], torch.tensor([1.0, 0.5, 0.2, 0.0, 0.8]))
    assert (iou[..., 2] == -1).all()
    objects, background = faster_rcnn.assign_anchors(iou)
    # The fourth overlaps its object by a quarter, which is the most that any anchor does.
    assert objects.tolist() == [[True, False, False, True, True]]
    assert background.tolist() == [[False, False, True, False, False]]


def test_an_image_without_objects_is_background() -> None:
    iou = faster_rcnn.overlaps(torch.tensor([[[0.0, 0, 10, 10]]]), torch.tensor([[[0.0, 0, 0, 0, -1, 0]]]))
    objects, background = faster_rcnn.assign_anchors(iou)
    assert not objects.any()
    assert background.all()


def test_a_sample_has_its_size_and_its_share() -> None:
    torch.manual_seed(0)
    objects = torch.zeros(2, 100, dtype=torch.bool)
    objects[0, :40] = True
    objects[1, :3] = True
    chosen, rest = faster_rcnn.sample(objects, ~objects, 32, 0.25)
    assert chosen.sum(1).tolist() == [8, 3]
    assert rest.sum(1).tolist() == [24, 29]
    assert not (chosen & ~objects).any()
    assert not (rest & objects).any()


def test_the_losses_of_a_region_worked_out_by_hand() -> None:
    """Two classes: a region on its object's class 1, off by a tenth of its width, and one of background; all logits 0."""
    said, moved = torch.zeros(2, 3), torch.zeros(2, 2, 4)
    moved[0, 0] = 99.0  # of the other class: has no part
    regions = torch.tensor([[0.0, 0, 10, 10], [50, 50, 60, 60]])
    parts = faster_rcnn.roi_losses(said, moved, regions, torch.tensor([1, 2]), torch.tensor([[1.0, 0, 11, 10], [0, 0, 0, 0]]))
    assert float(parts["class"]) == pytest.approx(math.log(3))
    # A shift of 0.1, ten times: 1, whose smooth L1 is a half; over the two of the sample.
    assert float(parts["box"]) == pytest.approx(0.5 / 2)


def test_the_losses_of_anchors_worked_out_by_hand() -> None:
    anchors = torch.tensor([[0.0, 0, 10, 10], [50, 50, 60, 60]])
    targets = torch.tensor([[[0.0, 0, 10, 10, 0, 0]]])
    parts = faster_rcnn.rpn_losses(anchors, torch.zeros(1, 2), torch.full((1, 2, 4), 1.0), targets)
    assert float(parts["rpn_class"]) == pytest.approx(math.log(2))
    # Four corrections of 1 where none is needed: 1 - 1/18 each; over the two of the sample.
    assert float(parts["rpn_box"]) == pytest.approx(4 * (1 - 1 / 18) / 2, rel=1e-5)


def network() -> FasterRCNN:
    torch.manual_seed(0)
    net = models.build("faster_rcnn", Shape(3, 5, 64), {"width": 16, "hidden": 32})
    assert isinstance(net, FasterRCNN)
    return net


def test_proposals_are_thinned_and_padded() -> None:
    net = network()
    anchors = torch.tensor([[0.0, 0, 32, 32], [0, 0, 32, 30], [40, 40, 64, 64], [0, 0, 1, 1]])
    logits = torch.tensor([[1.0, 3.0, 2.0, 9.0], [0.0, -1.0, 5.0, 0.0]])
    out = net.proposals(anchors, logits, torch.zeros(2, 4, 4), (64, 64))
    assert out.shape == (2, faster_rcnn.PROPOSALS, 4)
    # The second goes before the first, which it overlaps; a sliver is none.
    torch.testing.assert_close(out[0, :3], torch.stack([anchors[1], anchors[2], torch.zeros(4)]))
    torch.testing.assert_close(out[1, :2], anchors[[2, 0]])


def test_objects_are_among_the_regions_that_are_learned_from() -> None:
    net = network()
    targets = torch.tensor([[[4.0, 4, 30, 30, 3, 0], [0, 0, 0, 0, -1, 0]]])
    regions = torch.cat([torch.tensor([[[40.0, 40, 60, 60]]]), targets[..., :4]], 1)
    image, place, label, truth = net.choose(regions, targets)
    assert (image.tolist(), place.tolist(), label.tolist()) == ([0, 0], [0, 1], [5, 3])
    torch.testing.assert_close(truth[1], targets[0, 0, :4])
