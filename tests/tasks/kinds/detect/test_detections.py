"""Average precision against cases worked out by hand, a plain port of VOC's own procedure, and two libraries for COCO's."""

import contextlib
import io
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.kinds.detect import coco, detections

COLUMNS = ["image", "label", "x1", "y1", "x2", "y2", "difficult"]


def objects(*rows: tuple[float, ...]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS).astype({"image": int, "label": int, "difficult": bool})


def found(images: int, *rows: tuple[float, ...]) -> np.ndarray:
    """(N, K, 6) of rows (image, x1, y1, x2, y2, score, class)."""
    out = np.zeros((images, max(len(rows), 1), 6), np.float32)
    for place, (image, *rest) in enumerate(rows):
        out[int(image), place] = rest
    return out


def random_case(seed: int, images: int = 12, classes: int = 3, most: int = 20) -> tuple[np.ndarray, pd.DataFrame]:
    """Objects, and detections that are objects moved a little, of another class now and then, or nothing."""
    rng = np.random.default_rng(seed)
    rows = []
    out = np.zeros((images, most, 6), np.float32)
    for image in range(images):
        corners = rng.uniform(0, 80, (rng.integers(0, 6), 2))
        boxes = np.hstack([corners, corners + rng.uniform(5, 40, corners.shape)])
        labels = rng.integers(0, classes, len(boxes))
        rows += [(image, label, *box, rng.random() < 0.2) for label, box in zip(labels, boxes)]
        count = int(rng.integers(0, most))
        for place in range(count):
            if len(boxes) and rng.random() < 0.7:
                chosen = rng.integers(len(boxes))
                box = boxes[chosen] + rng.normal(0, 3, 4)
                label = labels[chosen] if rng.random() < 0.8 else rng.integers(classes)
            else:
                corner = rng.uniform(0, 80, 2)
                box, label = np.hstack([corner, corner + rng.uniform(5, 40, 2)]), rng.integers(classes)
            box = np.hstack([np.minimum(box[:2], box[2:]), np.maximum(box[:2], box[2:])])
            out[image, place] = [*box, rng.uniform(0.01, 1), label]
    return out, objects(*rows)


def voc_reference(out: np.ndarray, truth: pd.DataFrame, label: int) -> tuple[float, float]:
    """VOCevaldet.m and VOCap.m, detection by detection; 11-point and all-point average precision."""
    remaining = {
        image: [[*row[2:6], bool(row[6]), False] for row in truth.itertuples(index=False) if (row[0], row[1]) == (image, label)]
        for image in range(len(out))
    }
    positives = sum(not box[4] for boxes in remaining.values() for box in boxes)
    if positives == 0:
        return float("nan"), float("nan")
    rows = [(float(row[4]), image, row[:4]) for image in range(len(out)) for row in out[image] if row[4] > 0 and row[5] == label]
    rows.sort(key=lambda row: -row[0])
    right, wrong = [], []
    for _, image, (x1, y1, x2, y2) in rows:
        best, met = 0.0, None
        for box in remaining[image]:
            w, h = min(x2, box[2]) - max(x1, box[0]), min(y2, box[3]) - max(y1, box[1])
            if w > 0 and h > 0:
                union = (x2 - x1) * (y2 - y1) + (box[2] - box[0]) * (box[3] - box[1]) - w * h
                if w * h / union > best:
                    best, met = w * h / union, box
        tp = fp = 0
        if met is not None and best >= 0.5:
            if not met[4]:
                tp, fp = (1, 0) if not met[5] else (0, 1)
                met[5] = True
        else:
            fp = 1
        right.append(tp)
        wrong.append(fp)
    tps, fps = np.cumsum(right), np.cumsum(wrong)
    recall = tps / positives if rows else np.zeros(0)
    # MATLAB's 0/0 is not a number, which no maximum takes.
    precision = tps / np.maximum(tps + fps, 1e-12) if rows else np.zeros(0)
    eleven = sum(max(precision[recall >= t / 10 - 1e-9], default=0.0) / 11 for t in range(11))
    padded_recall, padded = np.hstack([0, recall, 1]), np.hstack([0, precision, 0])
    for i in range(len(padded) - 2, -1, -1):
        padded[i] = max(padded[i], padded[i + 1])
    changed = np.flatnonzero(padded_recall[1:] != padded_recall[:-1]) + 1
    area = sum((padded_recall[i] - padded_recall[i - 1]) * padded[i] for i in changed)
    return float(eleven), float(area)


def test_a_case_worked_out_by_hand() -> None:
    """Three objects; right, wrong, right, in order of score: recall 1/3, 1/3, 2/3 at precision 1, 1/2, 2/3."""
    truth = objects((0, 0, 0, 0, 10, 10, 0), (0, 0, 20, 0, 30, 10, 0), (1, 0, 0, 0, 10, 10, 0))
    out = found(2, (0, 0, 0, 10, 10, 0.9, 0), (1, 50, 50, 60, 60, 0.8, 0), (1, 0, 0, 10, 9, 0.7, 0))
    row = detections.per_class(detections.match(out, truth), truth, ("thing",)).iloc[0]
    assert row["ap"] == pytest.approx(1 / 3 * 1 + 1 / 3 * 2 / 3)
    # Recalls 0 to 0.3 have precision 1, 0.4 to 0.6 have 2/3, the others none.
    assert row["ap_11point"] == pytest.approx((4 + 3 * 2 / 3) / 11)
    assert row["recall"] == pytest.approx(2 / 3)
    assert row["precision"] == pytest.approx(2 / 3)
    assert row["missed"] == 1


def test_a_second_detection_of_an_object_is_wrong_and_a_difficult_object_is_nothing() -> None:
    truth = objects((0, 0, 0, 0, 10, 10, 0), (0, 0, 20, 0, 30, 10, 1))
    out = found(1, (0, 20, 0, 30, 10, 0.95, 0), (0, 0, 0, 10, 10, 0.9, 0), (0, 0, 0, 10, 9, 0.8, 0), (0, 20, 0, 30, 9, 0.7, 0))
    table = detections.match(out, truth)
    kinds = [detections.OUTCOMES[kind] for kind in detections.outcomes(table)]
    assert kinds == ["ignored", "correct", "duplicate", "ignored"]
    row = detections.per_class(table, truth, ("thing",)).iloc[0]
    assert (row["ap"], row["support"], row["precision"]) == (1.0, 1, 0.5)


def test_an_overlap_of_exactly_a_half_is_enough() -> None:
    truth = objects((0, 0, 0, 0, 10, 10, 0))
    for height, kind in ((5, "correct"), (4.99, "location")):
        table = detections.match(found(1, (0, 0, 0, 10, height, 0.9, 0)), truth)
        assert detections.OUTCOMES[detections.outcomes(table)[0]] == kind


def test_errors_are_told_apart() -> None:
    truth = objects((0, 0, 0, 0, 10, 10, 0), (0, 1, 40, 40, 60, 60, 0))
    out = found(
        1, (0, 0, 0, 10, 3, 0.9, 0), (0, 40, 40, 60, 60, 0.8, 0), (0, 80, 80, 90, 90, 0.7, 0), (0, 40, 40, 60, 60, 0.05, 1)
    )
    rows = detections.per_class(detections.match(out, truth), truth, ("cat", "dog"), threshold=0.1)
    assert rows.loc[0, ["location", "wrong_class", "background", "correct", "missed"]].tolist() == [1, 1, 1, 0, 1]
    assert rows.loc[1, ["location", "wrong_class", "background", "correct", "missed"]].tolist() == [0, 0, 0, 0, 1]
    assert rows["class"].tolist() == ["cat", "dog"]
    # Average precision is over all scores.
    assert rows["ap"].tolist() == [0.0, 1.0]


def test_a_class_without_objects_has_no_part_in_the_mean() -> None:
    truth = objects((0, 0, 0, 0, 10, 10, 0), (0, 2, 0, 0, 10, 10, 1))
    out = found(1, (0, 0, 0, 10, 10, 0.9, 0), (0, 0, 0, 10, 10, 0.8, 1))
    assert detections.summary(out, truth, ("a", "b", "c"), 0.5)["map50"] == 1.0


def test_nothing_found_and_nothing_there() -> None:
    nothing = np.zeros((2, 3, 6), np.float32)
    truth = objects((0, 0, 0, 0, 10, 10, 0))
    scores = detections.summary(nothing, truth, ("a",)) | coco.average_precision(nothing, truth, ("a",))
    assert scores["map50"] == scores["recall"] == scores["map"] == 0
    empty = objects()
    assert detections.summary(found(2, (0, 0, 0, 9, 9, 0.5, 0)), empty, ("a",), 0.1)["precision"] == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_it_agrees_with_vocs_own_procedure(seed: int) -> None:
    out, truth = random_case(seed)
    rows = detections.per_class(detections.match(out, truth), truth, ("a", "b", "c"))
    for label in range(3):
        eleven, area = voc_reference(out, truth, label)
        np.testing.assert_allclose([rows["ap_11point"][label], rows["ap"][label]], [eleven, area], atol=1e-6)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.25, 0.5, 4.0]), st.sampled_from([0.5, 2.0]))
def test_scaling_an_axis_changes_nothing(seed: int, x: float, y: float) -> None:
    out, truth = random_case(seed)
    scaled, moved = out.copy(), truth.copy()
    scaled[..., [0, 2]] *= x
    scaled[..., [1, 3]] *= y
    moved[["x1", "x2"]] *= x
    moved[["y1", "y2"]] *= y
    before, after = (detections.summary(*pair, ("a", "b", "c"), 0.3) for pair in ((out, truth), (scaled, moved)))
    assert after == pytest.approx(before, abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_cocos_numbers_are_those_of_pycocotools_too(seed: int) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    out, truth = random_case(seed, images=30)
    ours = coco.average_precision(out, truth, ("a", "b", "c"))
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = coco.dataset(truth, ("a", "b", "c"), len(out))
        reference.createIndex()
        evaluation = COCOeval(reference, reference.loadRes(coco.results(detections.flatten(out))), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    np.testing.assert_allclose([ours["map"], ours["map50_coco"], ours["map75"]], evaluation.stats[:3], atol=1e-6)
    # Two definitions of one thing: areas under a curve at all points, and at 101 of them.
    assert ours["map50_coco"] == pytest.approx(detections.summary(out, truth, ("a", "b", "c"))["map50"], abs=0.04)


def test_the_threshold_is_the_one_of_the_best_f1() -> None:
    truth = objects((0, 0, 0, 0, 10, 10, 0), (0, 0, 20, 0, 30, 10, 0))
    out = found(1, (0, 0, 0, 10, 10, 0.9, 0), (0, 20, 0, 30, 10, 0.6, 0), (0, 50, 50, 60, 60, 0.3, 0))
    scores = detections.summary(out, truth, ("a",))
    assert scores["threshold"] == pytest.approx(0.6)
    assert (scores["precision"], scores["recall"], scores["f1"]) == (1, 1, 1)


def test_recall_by_size() -> None:
    truth = objects((0, 0, 0, 0, 10, 10, 0), (0, 0, 20, 0, 60, 40, 0), (0, 0, 80, 0, 90, 10, 0), (0, 0, 0, 80, 9, 89, 1))
    out = found(1, (0, 0, 0, 10, 10, 0.9, 0), (0, 20, 0, 60, 40, 0.2, 0))
    rows = detections.recall_by_size(detections.match(out, truth), truth, 0.5, (0, 20))
    assert rows["objects"].tolist() == [2, 1]
    assert rows["recall"].tolist() == [0.5, 0.0]


def test_curves_end_at_the_recall_of_all_detections() -> None:
    out, truth = random_case(1)
    table = detections.match(out, truth)
    drawn = detections.curves(table, truth, ("a", "b", "c"))
    ends = drawn.groupby("class")["recall"].last()
    recalls = detections.per_class(table, truth, ("a", "b", "c")).set_index("class")["recall"]
    pd.testing.assert_series_equal(ends, recalls[ends.index])


@pytest.mark.slow
def test_the_detections_of_2508_images_take_seconds() -> None:
    out, truth = random_case(0, images=2508, classes=20, most=100)
    start = time.perf_counter()
    detections.summary(out, truth, [str(i) for i in range(20)], 0.3)
    coco.average_precision(out, truth, [str(i) for i in range(20)])
    assert time.perf_counter() - start < 30  # 10 on a quiet machine (benchmarks)
