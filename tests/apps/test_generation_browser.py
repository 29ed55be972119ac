"""The generation tab in a real browser: a class, another draw, a slider, a sentence, styles, and the file."""

import shutil
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
from tests.conftest import ROOT
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


@pytest.mark.slow
def test_a_sentence_and_styles_are_asked_of_the_networks_that_take_them(page: Page, make: Callable[..., Profile]) -> None:
    text, truncation, mix = (
        page.locator("#generate-text textarea, #generate-text input"),
        "#generate-truncation",
        "#generate-mix input",
    )
    message, shown = page.locator("#generate-message"), page.locator("#generate-picture img")

    def choose(name: str) -> None:
        page.click("#generator input")
        page.get_by_role("option", name=f"{name} (embedded)").click()
        expect(message).to_have_text(f"{name} (embedded), draw 0")

    profile = make()
    (carried := profile.root / "models" / "weights").mkdir(parents=True)
    for name in ("latent-flow-pairs", "stylegan-modulated"):
        for ending in ("safetensors", "json"):
            shutil.copy(ROOT / "models" / "weights" / f"{name}.{ending}", carried)
    with serving(profile) as url:
        page.goto(url)
        page.get_by_role("tab", name="Generation").click()
        expect(message).to_have_text("latent-flow-pairs (embedded), draw 0")
        expect(page.locator(truncation)).to_be_hidden()
        expect(page.locator(mix)).to_be_hidden()
        expect(text).to_have_attribute("placeholder", "a three and a seven")
        first = shown.get_attribute("src")
        text.fill("a three and a seven")
        text.press("Enter")
        expect(message).to_have_text("latent-flow-pairs (embedded), draw 0, a three and a seven")
        expect(shown).not_to_have_attribute("src", first or "")
        text.fill("a three and a sevn")
        text.press("Enter")
        expect(message).to_contain_text("did you mean seven?")
        text.fill("a one, a two and a three")
        text.press("Enter")
        expect(message).to_contain_text("the sentence names 3 digits, and the images have 2")
        page.click("#generate-class input")
        page.get_by_role("option", name="a zero and a one").click()
        expect(message).to_have_text("latent-flow-pairs (embedded), draw 0, a zero and a one")
        expect(text).to_have_value("")
        choose("stylegan-modulated")
        expect(text).to_be_hidden()
        expect(page.locator("#generate-class")).to_be_hidden()
        first = shown.get_attribute("src")
        field = page.locator(f"{truncation} input[type=range]")
        field.focus()
        for _ in range(10):
            field.press("ArrowLeft")
        field.dispatch_event("pointerup")
        expect(message).to_have_text("stylegan-modulated (embedded), draw 0, truncation 0.5")
        expect(shown).not_to_have_attribute("src", first or "")
        second = shown.get_attribute("src")
        page.fill(mix, "3")
        expect(message).to_have_text("stylegan-modulated (embedded), draw 0, truncation 0.5, finer styles of draw 3")
        expect(shown).not_to_have_attribute("src", second or "")
        page.fill(mix, "")
        expect(message).to_have_text("stylegan-modulated (embedded), draw 0, truncation 0.5")
        choose("latent-flow-pairs")
        choose("stylegan-modulated")
        expect(field).to_have_value("1")
        expect(page.locator("#generate-download")).to_be_enabled()
