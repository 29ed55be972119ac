"""The generation tab in a real browser: a class, another draw, a slider, and the file."""

from collections.abc import Callable

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tasks.datasets import data
from tasks.learning import weights
from tasks.learning.building import describe
from tasks.profile import Profile
from tests.apps.conftest import CHROMIUM, serving
from tests.apps.test_demo_browser import browser, page
from tests.tasks.kinds.generate.conftest import SMALL, make

__all__ = ["browser", "make", "page"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="NO CHROMIUM: the generation tab is NOT tested in a browser"),
]


def test_a_grid_of_a_class_is_drawn_moved_and_downloaded(page: Page, make: Callable[..., Profile]) -> None:
    profile = make(asked={"architecture": {**SMALL, "conditional": True}})
    configuration = describe(profile, "asked", data.info(profile.processed("discs")), 0)
    weights.save(profile.weights("asked"), configuration.build(), configuration)
    with serving(profile) as url:
        page.goto(url)
        page.get_by_role("tab", name="Generation").click()
        expect(page.locator("#generate-message")).to_contain_text("asked, draw 0")
        shown = page.locator("#generate-picture img")
        first = shown.get_attribute("src")
        page.click("#again")
        expect(page.locator("#generate-message")).to_contain_text("asked, draw 1")
        expect(shown).not_to_have_attribute("src", first or "")
        second = shown.get_attribute("src")
        field = page.locator("#latent-2 input[type=range]")
        field.focus()
        for _ in range(30):
            field.press("ArrowRight")
        field.dispatch_event("pointerup")
        expect(shown).not_to_have_attribute("src", second or "")
        page.click("#generate-class input")
        page.get_by_role("option", name="large").click()
        expect(page.locator("#generate-download")).to_be_enabled()
        with page.expect_download() as download:
            page.click("#generate-download")
        with Image.open(download.value.path()) as picture:
            assert (picture.format, picture.size) == ("PNG", (64, 64))
