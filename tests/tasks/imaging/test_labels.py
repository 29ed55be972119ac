from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.imaging.labels import PAPER, SMALL, labelled, with_legend

RED = "#ff0000"
GREY = np.full((240, 320, 3), 128, np.uint8)
SIDES = st.integers(1, 120)

Place = tuple[int, int, int, int]


def boxes(places: Sequence[Place], words: str) -> list[tuple[tuple[float, float, float, float], str, str]]:
    return [((float(x), float(y), float(x + wide), float(y + high)), RED, words) for x, y, wide, high in places]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(-20, 319), st.integers(-20, 239), SIDES, SIDES), max_size=12))
def test_words_cover_no_face(places: list[Place]) -> None:
    drawn, bare = labelled(GREY, boxes(places, "surprise 80%"))
    frames, none = labelled(GREY, boxes(places, "words that are wider than the picture " * 9))
    assert none == [*range(len(places))]
    for x, y, wide, high in places:
        inside = np.s_[max(0, y) : max(0, y + high), max(0, x) : max(0, x + wide)]
        assert np.array_equal(drawn[inside], frames[inside])
    assert {i for i, (_, _, wide, high) in enumerate(places) if min(wide, high) < SMALL * 320} <= set(bare)
    assert np.array_equal(drawn, frames) == (len(bare) == len(places))


def test_words_stand_above_or_else_below() -> None:
    above, bare = labelled(GREY, boxes([(100, 100, 60, 60)], "sad"))
    assert bare == []
    assert (above[80:98] != 128).any()
    below, bare = labelled(GREY, boxes([(100, 0, 60, 60)], "sad"))
    assert bare == []
    assert (below[62:80] != 128).any()
    assert labelled(GREY, boxes([(0, 0, 320, 240)], "sad"))[1] == [0]


def test_a_legend_stands_beside_the_picture() -> None:
    drawn = with_legend(GREY, [(RED, "sad 12"), ("#00ff00", "happy 3")])
    assert np.array_equal(drawn[:240, :320], GREY)
    strip = drawn[:, 320:].reshape(-1, 3).tolist()
    assert {(255, 0, 0), (0, 255, 0), (255, 255, 255), (0, 0, 0)} <= set(map(tuple, strip))
    assert PAPER == "white"
    low = with_legend(GREY[:5], [(RED, "sad 12")] * 8)
    assert low.shape[0] > 80
    assert (low[5:, :320] == 255).all()
