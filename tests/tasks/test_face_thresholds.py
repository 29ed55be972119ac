"""How a face detector's use is chosen."""

import pandas as pd

from tasks.face_thresholds import best


def test_the_highest_recall_near_the_best_f1_is_chosen_with_the_most_looks() -> None:
    table = pd.DataFrame(
        [
            ((320,), 0.5, 0.9055, 0.8634),  # the best F1
            ((160, 320), 0.5, 0.9053, 0.8895),  # as good, and finds more
            ((160, 320, 640), 0.5, 0.9053, 0.8895),  # the same with more looks
            ((160, 320, 640), 0.4, 0.9053, 0.8895),  # equal: the first stands
            ((160, 640), 0.5, 0.8967, 0.9500),  # finds still more, and is worse
        ],
        columns=["sizes", "nms", "f1", "recall"],
    )
    assert best(table).name == 2
