"""The tabs "Look inside" and "Paint" in a real browser."""

import io

import numpy as np
import pytest
import skimage.data
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page, expect

from tests.apps.test_demo_browser import CHROMIUM, browser, page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="NO CHROMIUM: looking inside and painting are NOT tested in a browser; apt-get install chromium"
    ),
]
__all__ = ["browser", "page"]


def cat() -> FilePayload:
    out = io.BytesIO()
    Image.fromarray(skimage.data.chelsea()).save(out, "PNG")
    return {"name": "cat.png", "mimeType": "image/png", "buffer": out.getvalue()}


def opened(page: Page, address: str, tab: str) -> None:
    page.goto(address)
    page.get_by_role("tab", name=tab).click()


def pixels(page: Page, name: str) -> np.ndarray:
    """The picture that is shown, as the browser decodes it."""
    shown = page.locator(f"#{name} img")
    expect(shown).to_be_visible()
    content = page.request.get(str(shown.get_attribute("src"))).body()
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_a_photograph_is_looked_into_and_fools_the_network(page: Page, address: str) -> None:
    opened(page, address, "Look inside")
    page.set_input_files("#inside-upload input[type=file]", cat())
    expect(page.locator("#inside-message")).to_contain_text("cat.png: ")
    expect(page.locator("#inside-message")).to_contain_text("by grad-cam")
    first = pixels(page, "inside-map")
    assert first.std() > 5
    page.fill("#inside-class textarea, #inside-class input", "espresso")
    page.press("#inside-class textarea, #inside-class input", "Enter")
    expect(page.locator("#inside-message")).to_contain_text("espresso")
    page.fill("#fool-class textarea, #fool-class input", "espresso")
    page.click("#fool")
    expect(page.locator("#fool-message")).to_contain_text("is taken for espresso")
    expect(page.locator("#fool-top")).to_contain_text("espresso")
    assert pixels(page, "fool-picture").shape == pixels(page, "fool-change").shape
    page.fill("#fool-class textarea, #fool-class input", "expresso")
    page.click("#fool")
    expect(page.locator("#fool-message [role=alert]")).to_contain_text("espresso")
    expect(page.locator("#fool-picture img")).to_have_count(0)


def test_a_painting_is_previewed_cancelled_and_finished(page: Page, address: str, browser: Browser) -> None:
    opened(page, address, "Paint")
    page.click("#paint")
    expect(page.locator("#paint-message [role=alert]")).to_contain_text("Choose a photograph")
    page.set_input_files("#paint-upload input[type=file]", cat())
    expect(page.locator("#paint-chosen")).to_contain_text("cat.png in the style of ihc")
    page.click("#paint-size input")
    page.get_by_role("option", name="128").click()
    page.fill("#paint-steps input[type=number]", "200")
    page.press("#paint-steps input[type=number]", "Tab")
    page.click("#paint")
    expect(page.locator("#paint-message")).to_contain_text("of 200 steps")
    expect(page.locator("#painting img")).to_be_visible()
    page.click("#paint-cancel")
    expect(page.locator("#paint-message")).to_contain_text("Cancelled")
    page.wait_for_timeout(3000)
    expect(page.locator("#paint-message")).to_contain_text("Cancelled")
    # Nobody else sees it, and what was cancelled holds nobody up.
    other = browser.new_page()
    opened(other, address, "Paint")
    expect(other.locator("#paint-message")).to_contain_text("Choose a photograph")
    assert "cat.png" not in other.content()
    other.close()
    page.fill("#paint-steps input[type=number]", "5")
    page.press("#paint-steps input[type=number]", "Tab")
    page.click("#paint")
    expect(page.locator("#paint-message")).to_contain_text("5 of 5 steps")
    assert pixels(page, "painting").shape == (85, 128, 3)
    with page.expect_download() as download:
        page.click("#paint-download")
    assert download.value.suggested_filename == "cat-ihc.png"


def test_a_style_that_is_the_photograph_is_refused(page: Page, address: str) -> None:
    opened(page, address, "Paint")
    page.set_input_files("#paint-upload input[type=file]", cat())
    expect(page.locator("#paint-chosen")).to_contain_text("cat.png in the style of ihc")
    page.set_input_files("#paint-style-upload input[type=file]", cat())
    expect(page.locator("#paint-chosen")).to_contain_text("cat.png in the style of cat.png")
    page.click("#paint")
    expect(page.locator("#paint-message [role=alert]")).to_contain_text("the same picture")
