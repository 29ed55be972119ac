import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from tasks.common.errors import Error
from tasks.evaluate import evaluate
from tasks.kinds.detect import Augment
from tasks.kinds.detect.objective import View
from tasks.learning import loop
from tasks.learning.checkpoint import Run
from tasks.report import report
from tasks.train import train
from tests.tasks.detection_data import detection_profile
from tests.tasks.training import ready


def picture() -> tuple[torch.Tensor, torch.Tensor]:
    """A white square on black, its box, and a row that is none."""
    image = torch.zeros(64, 64, 3, dtype=torch.uint8)
    image[20:40, 8:24] = 255
    return image, torch.tensor([[8.0, 20, 24, 40, 3, 1], [0, 0, 0, 0, -1, 0]])


@pytest.mark.parametrize("recipe", [{"flip": True}, {"scale": 0.4}, {"shift": 0.2}, {"flip": True, "scale": 0.3, "shift": 0.2}])
def test_boxes_move_as_their_pixels_do(recipe: dict[str, float]) -> None:
    """The white pixels, wherever they have gone, fill the moved box to within a pixel."""
    image, boxes = picture()
    view = View(Augment(**recipe), 30, [0, 0])
    for index in range(30):
        moved, (box, none) = view(index, image, boxes)
        assert moved.shape == image.shape
        assert none[4] == -1
        if box[4] < 0:
            continue
        ys, xs = (moved[..., 0] > 180).nonzero().unbind(1)
        seen = torch.tensor([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
        assert (seen - box[:4]).abs().max() <= 1.5, index
        assert box[5] == 1


def test_a_box_that_is_mostly_gone_is_none() -> None:
    image, boxes = picture()
    view = View(Augment(shift=1.0), 1, [0])
    for x, label in ((0.0, 3), (-0.2, 3), (0.3, 3), (0.35, -1), (0.9, -1)):
        view.x[0], view.y[0] = x, 0.0
        _, moved = view(0, image, boxes)
        # The part that is shown begins at 64 x: of the box from 8 to 24 a quarter is left at 20 (0.3125).
        assert moved[0, 4] == label, x


def test_a_version_of_an_image_is_the_same_in_any_order() -> None:
    image, boxes = picture()
    first, second = (View(Augment(flip=True, scale=0.3, jitter=0.4), 5, [7, 2]) for _ in range(2))
    for index in (4, 0, 2):
        torch.testing.assert_close(first(index, image, boxes), second(index, image, boxes))
    assert not torch.equal(
        first(0, image, boxes)[0], View(Augment(flip=True, scale=0.3, jitter=0.4), 5, [7, 3])(0, image, boxes)[0]
    )


ARCHITECTURES = {
    "yolo_v1": {"width": 32, "frozen": 4, "stride": 16},
    "faster_rcnn": {"width": 64, "hidden": 128, "frozen": 7, "sizes": [16, 24]},
}
RECIPE = {"pretrained": {"source": "package"}, "augment": {"flip": True, "shift": 0.1, "views": 2}, "precision": "fp32"}


def fitted(folder: Path, network: str, stop_after: int | None = None) -> tuple[dict[str, torch.Tensor], Run | None]:
    profile = detection_profile(
        folder / "profile",
        network,
        {"train": 12, "val": 4, "test": 2},
        epochs=3,
        batch_size=4,
        architecture=ARCHITECTURES[network],
        **RECIPE,
    )
    made = ready(profile, "squares")

    def on_epoch(row: dict[str, float]) -> None:
        if row["epoch"] == stop_after:
            raise KeyboardInterrupt

    run = loop.fit(*made, 0, folder / "state.pt", "same", on_epoch=on_epoch)
    return made.network.state_dict(), run


@pytest.mark.parametrize("network", ARCHITECTURES)
def test_a_training_that_was_killed_ends_where_an_uninterrupted_one_ends(tmp_path: Path, network: str) -> None:
    whole, run = fitted(tmp_path / "a", network)
    assert run is not None
    assert {"train_loss", "train_box", "train_class", "val_loss", "val_map50", "val_threshold"} <= set(run.history[0])
    with pytest.raises(KeyboardInterrupt):
        fitted(tmp_path / "b", network, stop_after=2)
    resumed, _ = fitted(tmp_path / "b", network)
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())


@pytest.mark.slow
@pytest.mark.parametrize("network", ["yolo_v1", "faster_rcnn"])
def test_it_learns_to_find(tmp_path: Path, network: str) -> None:
    """Eight images by heart, within 60 steps: grids, matching, coding and losses all have to be right for that."""
    architecture = {**ARCHITECTURES[network], "dropout": 0.0}
    profile = detection_profile(
        tmp_path / "profile", network, {"train": 8, "val": 2, "test": 2}, epochs=60, batch_size=8, architecture=architecture, clip=5.0,
        **{**RECIPE, "augment": {"views": 1}},
    )  # fmt: skip
    net, examples, _, objective = ready(profile, "squares")
    run = loop.fit(net, examples, examples, objective, 0)
    assert max(row["val_map50"] for row in run.history) > 0.4


def test_a_trained_detector_is_evaluated(tmp_path: Path) -> None:
    profile = detection_profile(
        tmp_path / "profile", "yolo_v1", {"train": 16, "val": 6, "test": 6}, batch_size=4, keep="best", select="map50",
        architecture=ARCHITECTURES["yolo_v1"], **RECIPE,
    )  # fmt: skip
    train(profile, "squares")
    result = evaluate(profile, "squares")
    assert result["metrics"]["map50"] >= result["metrics"]["map"]
    assert result["pretrained"] == "package"
    out = profile.results("squares")
    table = pd.read_csv(out / "tables" / "per_class.csv")
    assert table["class"].tolist() == ["red", "green"]
    assert table["ap"].mean() == pytest.approx(result["metrics"]["map50"], abs=1e-4)
    # What was evaluated is what was written.
    assert json.loads((out / "metrics.json").read_bytes()) == result
    page = report(profile).read_text()
    for words in ("mAP at IoU 0.5", "mAP of VOC 2007, 11 points", "AP, 11 points", "Test objects", "First weights"):
        assert words in page
    assert page.count('<figure class="') >= 4  # detections, precision and recall, errors, curves


@pytest.mark.parametrize(
    ("network", "change", "words"),
    [
        (
            "yolo_v1",
            {"augment": {"dihedral": True}},
            r"experiments\.squares\.train\.augment\.dihedral: unknown key; allowed: flip, jitter, scale, shift, views",
        ),
        ("yolo_v1", {"loss": "l1"}, r"experiments\.squares\.train\.loss: Input should be 'detection', not 'l1'"),
        ("yolo_v1", {"trainer": {"mosaic": 1.0}}, "trained by our own loop"),
        (
            "cnn",
            {},
            "cnn does not fit detect data; networks for it are averaged_centerface, averaged_yolo11, centerface, faster_rcnn, yolo11, yolo_v1, yolov8",
        ),
    ],
)
def test_what_does_not_fit_boxes_is_refused(tmp_path: Path, network: str, change: dict[str, object], words: str) -> None:
    recipe = {"pretrained": {"source": "package"}} if network == "yolo_v1" else {}
    with pytest.raises(Error, match=words):
        detection_profile(tmp_path / "profile", network, **recipe, **change)
