"""The captions tab's answers: the network's sentence, and where it looked at each word."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from apps.tabs import captions
from tasks.common.errors import Error
from tasks.kinds.caption.use import Said
from tasks.learning import weights
from tasks.profile import Profile
from tests.tasks import captioner


@pytest.fixture
def choice(tmp_path: Path) -> captions.Choice:
    return captions.Choice(captioner.write(tmp_path / "w.safetensors"), "caption-attention", "a test", "scenes-words", "cpu")


def test_the_sentence_is_the_networks(make_profile: Callable[..., Profile], choice: captions.Choice) -> None:
    profile = make_profile()
    photograph = np.random.default_rng(0).integers(0, 256, (40, 90, 3), np.uint8)
    said = captions.describe(profile, choice, photograph)
    assert {*said.words} <= {*captioner.WORDS[4:]}
    choice.path.unlink()
    with pytest.raises(Error, match="are gone; load the page again"):
        captions.describe(profile, choice, photograph)


def test_each_word_has_a_picture_of_where_the_network_looked() -> None:
    photograph = np.full((40, 80, 3), 200, np.uint8)
    looked = np.array([[1, 0, 0, 0], [0, 0, 0, 1]], np.float32)
    page = captions.shown(photograph, Said("a <dog>", ["a", "<dog>"], looked, -1.0))
    assert page.count('class="look"') == 2
    assert "&lt;dog&gt;" in page
    assert "<dog>" not in page
    pictures = re.findall(r'class="look"[^>]*src="([^"]+)"', page)
    assert len({*pictures}) == 2
    assert 'class="look"' not in captions.shown(photograph, Said("a", ["a"], np.zeros((1, 0)), 0.0))
    assert "no words" in captions.shown(photograph, Said("", [], np.zeros((0, 4)), 0.0))


def test_embedded_captioners_are_offered(make_profile: Callable[..., Profile]) -> None:
    profile = make_profile()
    assert captions.choices(profile) == {}
    folder = profile.root / "models" / "weights"
    folder.mkdir(parents=True)
    captioner.write(folder / "caption.safetensors")
    assert list(captions.choices(profile)) == ["caption (embedded)"]
    assert weights.configuration(folder / "caption.safetensors").task == "caption"
