"""CenterFace's maps, their aims and losses against cases worked out by hand, and its published weights where their package is installed."""

import math

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

import models
from models import Shape
from models.boxes import ops
from models.centerface import STRIDE, CenterFace, Inference, aims, centre_losses, decode, radius
from tasks.common.errors import Error
from tasks.faces import centerface as peer
from tasks.kinds.detect.centerface import begin
from tests.tasks import people

NOBODY = [0.0, 0, 0, 0, -1, 0]


def network() -> CenterFace:
    torch.manual_seed(0)
    built = models.build("centerface", Shape(3, 1, 64), {})
    assert isinstance(built, CenterFace)
    return built.eval()


def test_a_point_of_the_maps_is_a_box() -> None:
    maps = torch.zeros(1, 5, 4, 6)
    maps[0, 1, 1, 2], maps[0, 2, 1, 2] = math.log(3), math.log(2)  # in strides: 12 pixels high and 8 wide
    maps[0, 3:, 1, 2] = torch.tensor([0.25, -0.5])
    # The centre is at row 1 + 0.25 + 0.5 and column 2 - 0.5 + 0.5, four pixels each.
    assert decode(maps)[0, 1 * 6 + 2].tolist() == pytest.approx([8 - 4, 7 - 6, 8 + 4, 7 + 6], abs=1e-5)


def test_what_is_said_right_costs_nothing_but_the_heat_map() -> None:
    """A face of 16 x 24 pixels whose centre is that of a point."""
    targets = torch.tensor([[[6.0, 2, 22, 26, 0, 0], NOBODY]])
    maps = torch.full((1, 5, 16, 16), 0.0)
    maps[0, 0] = -20.0
    maps[0, :, 3, 3] = torch.tensor([20.0, math.log(6), math.log(4), 0.0, 0.0])
    parts = centre_losses(maps, targets)
    assert parts["size"] == pytest.approx(0, abs=1e-6)
    assert parts["offset"] == pytest.approx(0, abs=1e-6)
    assert float(parts["centre"]) == pytest.approx(0, abs=1e-3)
    maps[0, 1, 3, 3] += 0.5
    maps[0, 4, 3, 3] += 0.25
    parts = centre_losses(maps, targets)
    assert float(parts["size"]) == pytest.approx(0.5)
    assert float(parts["offset"]) == pytest.approx(0.25)


def test_the_heat_map_falls_around_a_centre() -> None:
    heat, free, (image, place, row, column) = aims(torch.tensor([[NOBODY, [6.0, 2, 46, 62, 0, 0]]]), 16, 16)
    assert [*map(int, (image, place, row, column))] == [0, 1, 8, 6]
    assert heat[0, 8, 6] == 1
    reach = int(radius(15, 10))
    assert reach >= 1
    spread = (2 * reach + 1) / 6
    assert float(heat[0, 8, 7]) == pytest.approx(math.exp(-1 / (2 * spread**2)))
    assert heat[0, 8, 6 + reach + 1] == 0
    assert free.all()


def test_a_difficult_face_is_neither_a_face_nor_none() -> None:
    targets = torch.tensor([[[8.0, 8, 24, 24, 0, 1], [40.0, 40, 56, 56, 0, 0]]])
    logits = torch.randn(1, 5, 16, 16, requires_grad=True)
    sum(centre_losses(logits, targets).values(), torch.zeros(())).backward()
    assert logits.grad is not None
    assert (logits.grad[0, :, 2:6, 2:6] == 0).all()
    assert (logits.grad[0, 0, 0] != 0).all()


def test_of_two_faces_with_one_centre_the_smaller_one_counts() -> None:
    targets = torch.tensor([[[8.0, 8, 24, 24, 0, 0], [0.0, 0, 32, 32, 0, 0]]])
    *_, (_, place, row, column) = aims(targets, 16, 16)
    assert (place.tolist(), row.tolist(), column.tolist()) == ([0], [4], [4])


def test_a_batch_without_faces_teaches_background_alone() -> None:
    parts = centre_losses(torch.zeros(2, 5, 8, 8), torch.tensor([[NOBODY], [NOBODY]]))
    assert parts["size"] == parts["offset"] == 0
    assert float(parts["centre"]) == pytest.approx(2 * 64 * 0.25 * math.log(2))


def test_a_box_moved_by_the_radius_still_overlaps() -> None:
    for height, width in ((10.0, 10.0), (40.0, 15.0), (3.0, 90.0)):
        moved = radius(height, width)
        box = torch.tensor([[0.0, 0, width, height]])
        assert float(ops().box_iou(box, box + moved)) == pytest.approx(0.7, abs=1e-4)


def test_its_outputs_are_those_of_a_detector_at_any_size() -> None:
    found = network()(torch.rand(2, 3, 70, 100))
    assert found.shape == (2, 300, 6)
    assert (found[..., :4] >= 0).all()
    assert (found[..., [0, 2]] <= 100).all()
    assert (found[..., [1, 3]] <= 70).all()


def test_what_it_begins_at_and_does_not_learn() -> None:
    built = network()
    frozen = [name for name, parameter in built.named_parameters() if not parameter.requires_grad]
    assert {name.split(".")[1] for name in frozen} == {"0", "1", "2", "3"}
    stem = built.stem(torch.rand(1, 3, 64, 64))
    assert stem.shape == (1, 24, 64 // STRIDE, 64 // STRIDE)
    assert not stem.requires_grad


def test_other_data_are_refused() -> None:
    with pytest.raises(ValueError, match="finds faces alone"):
        models.build("centerface", Shape(3, 20, 64), {})


def test_in_use_it_says_what_it_says_in_training() -> None:
    built = network()
    images = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        features = built.stem(images)
        boxes, scores = built.candidates(features, (10**6, 10**6))
        found = Inference(built, torch.device("cpu"), torch.float32)(images, 0.0, 50)
    for one, corners, values in zip(found, boxes, scores[..., 0]):
        best, where = values.topk(50)
        torch.testing.assert_close(one[:, 4], best, atol=1e-4, rtol=0)
        torch.testing.assert_close(one[:, :4].clamp(min=0).sum(0), corners[where].sum(0), atol=0.5, rtol=1e-3)


def _published() -> CenterFace:
    try:
        path = peer.find()
    except Error as error:
        pytest.skip(str(error))
    built = network()
    begin(built, path)
    return built


def test_with_the_published_weights_it_is_the_published_network() -> None:
    built = _published()
    photograph = cv2.resize(people.portrait(), (160, 192))
    pixels = torch.from_numpy(np.ascontiguousarray(photograph.transpose(2, 0, 1)))[None].float() / 255
    theirs = peer.CenterFace(peer.find(), threads=1)
    [expected] = theirs.detect([photograph], 0.3)
    found: Tensor = built(pixels)[0].detach()
    found = found[found[:, 4] >= 0.3]
    assert len(found) == len(expected) >= 1
    np.testing.assert_allclose(found[:, :4].numpy(), expected[:, :4], atol=0.05)
    np.testing.assert_allclose(found[:, 4].numpy(), expected[:, 4], atol=1e-3)
