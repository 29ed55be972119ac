"""The detection tab in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Page, expect

from apps.tabs import detection
from tasks.datasets import data
from tasks.learning import weights
from tasks.learning.building import describe
from tasks.profile import Profile
from tests.apps.conftest import serving
from tests.apps.test_demo_browser import CHROMIUM, browser, page, photograph
from tests.tasks.detection_data import detection_profile

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None, reason="NO CHROMIUM: the detection tab is NOT tested in a browser; apt-get install chromium"
    ),
]
__all__ = ["browser", "page"]


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    """A profile whose detector has weights of fresh numbers, which find something everywhere."""
    made = detection_profile(tmp_path_factory.mktemp("detector") / "profile", "yolo_v1", pretrained={"source": "none"})
    configuration = describe(made, "squares", data.info(made.processed("squares")), 0)
    torch.manual_seed(0)
    network = configuration.build()
    # As if every cell were sure: an untrained one finds nothing.
    with torch.no_grad():
        network.head[-1].bias[4:10:5] = 2.0
    weights.save(
        made.results("squares") / "weights" / "seed-0.safetensors", network, configuration.model_copy(update={"threshold": 0.15})
    )
    return made


@pytest.fixture(scope="module")
def address(profile: Profile) -> Iterator[str]:
    with serving(profile) as url:
        yield url


def test_a_photograph_and_an_example_get_their_boxes(page: Page, address: str, profile: Profile, tmp_path: Path) -> None:
    page.goto(address)
    page.get_by_role("tab", name="Detection").click()
    expect(page.locator("#detector-weights")).to_contain_text("squares, seed 0")
    file = photograph(orientation=6)
    page.set_input_files("#detect-upload input[type=file]", file)
    (tmp_path / "holiday.jpg").write_bytes(file["buffer"])
    with Image.open(tmp_path / "holiday.jpg") as picture:
        upright = np.asarray(picture.transpose(Image.Transpose.ROTATE_270))
    expected = detection.detect(detection.choices(profile)["squares"], upright, 0.15)
    assert len(expected.table) > 0
    expect(page.locator("#detect-message")).to_contain_text(f"holiday.jpg: {len(expected.table)} found")
    shown = page.locator("#detections img")
    expect(shown).to_be_visible()
    size = shown.evaluate("async image => { await image.decode(); return [image.naturalWidth, image.naturalHeight] }")
    assert size == [80, 120]
    page.locator("#detect-examples button").nth(2).click()
    expect(page.locator("#detect-message")).to_contain_text("example 3")


def test_a_bad_file_gets_a_message(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("tab", name="Detection").click()
    expect(page.locator("#detector-weights")).to_contain_text("squares, seed 0")
    page.set_input_files(
        "#detect-upload input[type=file]", {"name": "notes.jpg", "mimeType": "image/jpeg", "buffer": b"Dear diary"}
    )
    expect(page.locator("#detect-message [role=alert]")).to_contain_text("notes.jpg cannot be used")
    page.set_input_files("#detect-upload input[type=file]", photograph())
    expect(page.locator("#detect-message")).to_contain_text("holiday.jpg")
