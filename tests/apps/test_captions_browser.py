"""The captions tab in a real browser: a photograph, its sentence, and a word that is hovered."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tasks.profile import Profile
from tests.apps.conftest import serving
from tests.apps.test_demo_browser import CHROMIUM, browser, page, photograph
from tests.conftest import ROOT
from tests.tasks import captioner

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None, reason="NO CHROMIUM: the captions tab is NOT tested in a browser; apt-get install chromium"
    ),
]
__all__ = ["browser", "page"]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A profile whose captioner has random weights."""
    import yaml

    from tasks import config

    folder = tmp_path_factory.mktemp("captions") / "profile"
    folder.mkdir()
    params = yaml.safe_load((ROOT / "params.yaml").read_bytes())
    chosen = {
        "root": ".", "device": "cpu", "download": {"scenes-words": {}},
        "preprocess": {"scenes-words": params["preprocess"]["scenes-words"]},
        "experiments": {"caption-attention": params["experiments"]["caption-attention"]},
    }  # fmt: skip
    (folder / "params.yaml").write_text(yaml.safe_dump(chosen))
    profile: Profile = config.load(folder)
    captioner.write(profile.weights("caption-attention"))
    data = profile.processed("scenes-words") / "val"
    data.mkdir(parents=True)
    np.save(data / "images.npy", np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8))
    with serving(profile) as url:
        yield url


def test_a_photograph_gets_a_sentence_and_a_word_shows_where_it_looked(page: Page, address: str, tmp_path: Path) -> None:
    page.goto(address)
    page.get_by_role("tab", name="Captions").click()
    expect(page.locator("#captioner-weights")).to_contain_text("caption-attention, seed 0")
    page.set_input_files("#captions-upload input[type=file]", photograph())
    expect(page.locator("#captions-message")).to_contain_text("holiday.jpg goes through caption-attention")
    word = page.locator("#captions-picture .word").first
    expect(word).to_be_visible()
    expect(word.locator(".look")).not_to_be_visible()
    word.hover()
    expect(word.locator(".look")).to_be_visible()
    page.locator("#captions-examples button").nth(1).click()
    expect(page.locator("#captions-message")).to_contain_text("example 2 goes through")


def test_a_bad_file_gets_a_message(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("tab", name="Captions").click()
    expect(page.locator("#captioner-weights")).to_contain_text("caption-attention, seed 0")
    page.set_input_files("#captions-upload input[type=file]", {"name": "notes.jpg", "mimeType": "image/jpeg", "buffer": b"Dear"})
    expect(page.locator("#captions-message [role=alert]")).to_contain_text("notes.jpg cannot be used")
