"""How well faces are found, against boxes drawn by hand."""

import numpy as np
import pandas as pd

from tasks.faces import found_faces


def objects(*sides: float, image: int = 0) -> pd.DataFrame:
    """Square faces side by side."""
    left = np.cumsum([0.0, *sides[:-1]]) + 10 * np.arange(len(sides))
    return pd.DataFrame(
        {"image": image, "label": 0, "x1": left, "y1": 0.0, "x2": left + sides, "y2": np.array(sides), "difficult": False}
    )


def found(table: pd.DataFrame, scores: list[float]) -> np.ndarray:
    """A detection on each of the first faces."""
    boxes = table[["x1", "y1", "x2", "y2"]].to_numpy(np.float32)[: len(scores)]
    return found_faces.stacked([np.hstack([boxes, np.array(scores, np.float32)[:, None]])])


def test_small_faces_are_not_asked_for_where_large_ones_are() -> None:
    table = objects(40, 20, 10)
    scores = found_faces.evaluated(found(table, [0.9]), table, 0.5)
    assert scores["map50"] == scores["recall"] == 1 / 3
    assert scores["map50_16px"] == 1 / 2
    assert scores["recall_32px"] == 1
    assert scores["precision"] == 1


def test_a_small_face_that_is_found_is_neither_right_nor_wrong_for_large_ones() -> None:
    table = objects(10, 40)
    scores = found_faces.evaluated(found(table, [0.9]), table, 0.5)
    assert scores["map50"] == 1 / 2
    assert scores["map50_16px"] == 0
    wrong = found_faces.evaluated(found(table, [0.95, 0.9]), table, 0.5)
    assert wrong["map50_16px"] == 1


def test_recall_from_the_threshold_on_is_counted_by_the_shorter_side() -> None:
    table = objects(8, 20, 40, 200)
    table.loc[3, "y2"] = 50.0
    from tasks.kinds.detect import detections

    matched = detections.match(found(table, [0.9, 0.2, 0.9]), table)
    rows = found_faces.recall_by_size(matched, table, 0.5).set_index("from")
    assert rows["objects"].to_dict() == {0: 1, 16: 1, 32: 2, 64: 0, 128: 0}
    assert rows["recall"].dropna().to_dict() == {0: 1.0, 16: 0.0, 32: 0.5}


def test_recall_where_nine_of_ten_are_right_is_one_of_the_curve() -> None:
    """Twenty faces of 40 pixels; ten found, then two boxes of nothing, then the other ten: with all of them 20 of 22 are right."""
    table = objects(*[40.0] * 20)
    nothing = pd.DataFrame({**{c: [2000.0, 2000.0] for c in ("x1", "y1")}, **{c: [2040.0, 2040.0] for c in ("x2", "y2")}})
    boxes = pd.concat([table.iloc[:10], nothing, table.iloc[10:]], ignore_index=True)
    scores = np.linspace(0.9, 0.3, 22)
    every = found_faces.evaluated(found(boxes, scores.tolist()), table, 0.95)
    assert every["recall_32px"] == 0
    assert every["recall_32px_p90"] == 1
    # Without the last ones, 17 of 19 are right, and what is precise enough ends before the second box of nothing.
    fewer = found_faces.evaluated(found(boxes.iloc[:19], scores[:19].tolist()), table, 0.5)
    assert fewer["recall_32px_p90"] == 0.5
