"""What a request to paint may ask for."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apps.tabs import inside, paint
from tasks.common.errors import Error
from tasks.profile import Profile


def test_a_request_is_bounded(make_profile: Callable[..., Profile], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, shape in (("large", (600, 900, 3)), ("narrow", (60, 400, 3))):
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(tmp_path / f"{name}.png")
    large, narrow = (("upload", str(tmp_path / f"{name}.png"), f"{name}.png") for name in ("large", "narrow"))
    made = paint._begun(make_profile(), large, narrow, 1.0, 10, 128, False)
    assert made.content.shape == (1, 3, 85, 128)
    for side, steps in ((512, 10), (128, 201), (128, 0)):
        with pytest.raises(Error, match="At most 384 pixels and 200 steps"):
            paint._begun(make_profile(), large, narrow, 1.0, steps, side, False)
    with pytest.raises(Error, match=r"narrow\.png is too narrow: its short side would have 19 pixels"):
        paint._begun(make_profile(), narrow, large, 1.0, 10, 128, False)


def test_small_pictures_are_shown_large() -> None:
    grey = np.arange(32 * 32, dtype=np.uint8).reshape(32, 32)
    shown = inside.large(grey)
    assert shown.shape == (320, 320, 3)
    assert (shown[::10, ::10, 1] == grey).all()
    assert inside.large(np.zeros((400, 400, 3), np.uint8)).shape == (400, 400, 3)


def test_the_networks_that_came_along_can_be_looked_into(make_profile: Callable[..., Profile]) -> None:
    assert inside.choices(make_profile()) == ["squeezenet", "mobilenet_v2"]
