from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest
import skimage.data
import torch
from hypothesis import given
from hypothesis import strategies as st

import models
from models.yolov8 import Inference
from tasks.faces.detector import Faces, View, canvas, merge
from tasks.learning import weights
from tasks.params.face_settings import FindFaces
from tests.tasks import people

WEIGHTS = Path(models.__path__[0]) / "weights" / "face.safetensors"


def load(**settings: object) -> Faces:
    card = weights.card(WEIGHTS)["calibration"]
    find = FindFaces.model_validate({"sizes": (128,), "threshold": card["threshold"], "nms": card["nms"], "batch": 2, **settings})
    return Faces.load(WEIGHTS, find)


def middle(box: np.ndarray) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


@pytest.mark.parametrize("width", [100, 200, 400])
def test_a_face_is_found_where_it_is_whatever_the_photograph_s_size(width: int) -> None:
    photograph = cv2.resize(people.portrait(), (width, width), interpolation=cv2.INTER_AREA)
    wide = np.full((width, 2 * width, 3), 120, np.uint8)
    wide[:, width:] = photograph
    for pixels, left in ((photograph, 0), (wide, width)):
        boxes = load().detect([pixels])[0]
        x, y = middle(boxes[0])
        assert left + 0.35 * width < x < left + 0.7 * width
        assert 0.3 * width < y < 0.75 * width
        assert (np.diff(boxes[:, 4]) <= 0).all()
        assert (boxes[:, :2] >= 0).all()
        assert (boxes[:, 2] <= pixels.shape[1]).all()
        assert (boxes[:, 3] <= pixels.shape[0]).all()


def test_a_crowd_is_looked_at_closer() -> None:
    small = cv2.resize(people.portrait(), (64, 64), interpolation=cv2.INTER_AREA)
    crowd = np.full((384, 512, 3), 120, np.uint8)
    for row in range(3):
        for column in range(4):
            crowd[128 * row + 32 : 128 * row + 96, 128 * column + 32 : 128 * column + 96] = small
    # Seen whole, each portrait has 16 pixels.
    whole = load(crowd=10_000).detect([crowd])[0]
    closer = load(crowd=0).detect([crowd])[0]
    cells = {(int(x // 128), int(y // 128)) for x, y in map(middle, closer)}
    assert len(closer) > len(whole)
    assert len(cells) >= 9
    # A face that two looks show is one face.
    assert len(closer) <= 20


@pytest.mark.parametrize(
    ("side", "enlarge", "sizes"),
    [(240, 1.75, [512]), (608, 1.75, [512, 1024]), (608, 1.0, [512]), (1100, 1.75, [512, 1024]), (4096, 1.0, [512, 1024, 2048])],
)
def test_a_photograph_is_looked_at_in_sizes_that_hardly_enlarge_it(side: int, enlarge: float, sizes: list[int]) -> None:
    faces = load(sizes=(512, 1024, 2048), enlarge=enlarge)
    assert [view.size for view in faces._views(0, np.zeros((side // 2, side, 3), np.uint8))] == sizes


@pytest.mark.parametrize(("side", "size"), [(400, None), (1000, 992), (3000, 2048)])
def test_a_crowd_is_not_looked_at_twice_in_one_size(side: int, size: int | None) -> None:
    faces = load(sizes=(512,))
    assert [view.size for view in faces._closer(0, np.zeros((side, side // 2, 3), np.uint8))] == ([size] if size else [])


def test_boxes_that_overlap_merge() -> None:
    # Neither looks closer, however many boxes it has.
    loose, tight = (load(nms=nms, inside=1.0, threshold=0.05, crowd=10_000) for nms in (1.0, 0.3))
    many, one = loose.detect([people.portrait()])[0], tight.detect([people.portrait()])[0]
    assert len(many) > len(one) >= 1
    assert np.array_equal(many[0], one[0])


@given(
    st.lists(st.tuples(*[st.integers(0, 40)] * 2, *[st.integers(1, 30)] * 2), max_size=12), st.floats(0.1, 0.9), st.floats(0.3, 1)
)
def test_of_boxes_that_are_alike_or_within_one_another_the_surest_stays(
    places: list[tuple[int, ...]], overlap: float, inside: float
) -> None:
    boxes = np.array([[x, y, x + w, y + h, 1 - 0.01 * i] for i, (x, y, w, h) in enumerate(places)], np.float32).reshape(-1, 5)
    kept = merge(boxes, overlap, inside)
    assert {tuple(box) for box in kept} <= {tuple(box) for box in boxes}
    assert len(kept) == 0 if not len(boxes) else np.array_equal(kept[0], boxes[0])
    for surer, box in combinations(kept, 2):
        shared = np.prod((np.minimum(surer[2:4], box[2:4]) - np.maximum(surer[:2], box[:2])).clip(0))
        areas = [np.prod(b[2:4] - b[:2]) for b in (surer, box)]
        assert surer[4] > box[4]
        assert shared / (sum(areas) - shared) <= overlap + 1e-6
        assert shared <= inside * areas[1] + 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("side", [20, 60])
def test_small_faces_are_found_in_a_photograph_of_twelve_megapixels(side: int) -> None:
    card = weights.card(WEIGHTS)["calibration"]
    faces = Faces.load(WEIGHTS, FindFaces.model_validate({key: card[key] for key in FindFaces.model_fields if key in card}))
    astronaut = skimage.data.astronaut()
    left, top, right, bottom, _ = faces.detect([astronaut])[0][0]
    scale = side / ((right - left) * (bottom - top)) ** 0.5
    small = cv2.resize(astronaut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    # A landscape without faces, mirrored until it fills the photograph.
    landscape = skimage.data.rocket()[:120]
    photograph = np.pad(landscape, ((0, 3000 - landscape.shape[0]), (0, 4000 - landscape.shape[1]), (0, 0)), "symmetric")
    places = [(200, 150), (1800, 2900), (2500, 700)]
    for y, x in places:
        photograph[y : y + small.shape[0], x : x + small.shape[1]] = small
    found = faces.detect([photograph])[0]
    assert len(found) == len(places)
    for y, x in places:
        expected = x + (left + right) / 2 * scale, y + (top + bottom) / 2 * scale
        assert min(np.hypot(*np.subtract(middle(box), expected)) for box in found) < side / 2


def test_ultralytics_does_not_replace_pillow() -> None:
    load()
    assert PIL.Image.open.__module__ == "PIL.Image"


@given(st.integers(1, 4000), st.integers(1, 4000), st.sampled_from([64, 128, 160, 320, 640]), st.booleans())
def test_a_view_fits_its_canvas(width: int, height: int, size: int, alone: bool) -> None:
    rows, columns = canvas(View(0, height, width, size), alone)
    assert not alone or (rows - height * size / max(width, height) < 33 and columns - width * size / max(width, height) < 33)
    scale = size / max(width, height)
    assert round(height * scale) <= rows <= size
    assert round(width * scale) <= columns <= size
    assert rows % 32 == columns % 32 == 0


def people_alone() -> Any:
    """The embedded YOLO11, of whose twenty classes people are the only one left."""
    network, configuration = weights.load(WEIGHTS.with_name("yolo11n.safetensors"))
    person = configuration.classes.index("person")
    head: Any = network.model.model[-1]  # type: ignore[index, union-attr]
    head.nc, head.no = 1, 1 + 4 * head.reg_max
    for branch in head.cv3:
        whole = branch[-1]
        branch[-1] = torch.nn.Conv2d(whole.in_channels, 1, 1)
        branch[-1].load_state_dict({name: tensor[person : person + 1] for name, tensor in whole.state_dict().items()})
    return network.eval()


@pytest.mark.parametrize(("precision", "pixels"), [("fp32", 0.05), ("bf16", 3)])
def test_what_is_left_of_the_network_answers_as_ultralytics_does(precision: str, pixels: float) -> None:
    network = people_alone()
    images = torch.from_numpy(cv2.resize(people.portrait(), (192, 160))).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        expected = network.model(images)[0][0].T  # (A, 5): centre, size and score
    expected = expected[expected[:, 4] > 0.3]
    centre, half = expected[:, :2], expected[:, 2:4] / 2
    expected = torch.cat([centre - half, centre + half, expected[:, 4:]], 1)[expected[:, 4].argsort(descending=True)]
    with torch.inference_mode():
        found = Inference(network, torch.device("cpu"), precision)(images, 0.3, 1000)[0]
    assert len(expected)
    if precision == "fp32":
        assert torch.allclose(found, expected, atol=pixels)
    assert abs(found[0, 4] - expected[:, 4].max()) < 0.02
    assert (found[:1, None, :4] - expected[None, :, :4]).abs().amax(-1).amin() < pixels
