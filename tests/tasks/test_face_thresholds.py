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
    assert best(table).name == 2
