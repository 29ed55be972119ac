"""How a face detector's use is chosen."""

import pandas as pd

from tasks.face_thresholds import best


def test_the_best_f1_is_chosen_with_the_most_looks() -> None:
    table = pd.DataFrame(
        [
            ((320,), 0.5, 0.9053),
            ((160, 320), 0.5, 0.90531),  # as good
            ((160, 320, 640), 0.5, 0.9053),  # the same with more looks
            ((160, 320, 640), 0.4, 0.9053),  # equal: the first stands
            ((160, 320, 640), 0.4, 0.8967),
        ],
        columns=["sizes", "nms", "f1"],
    )
    assert best(table.assign(precision=0.95)).name == 2
    assert best(table.assign(precision=0.8)).name == 2


def test_a_choice_that_finds_faces_where_there_are_none_is_not_the_best() -> None:
    rows = [((320,), 0.91, 0.89), ((320,), 0.90, 0.9), ((320,), 0.88, 0.95)]
    assert best(pd.DataFrame(rows, columns=["sizes", "f1", "precision"])).name == 1
