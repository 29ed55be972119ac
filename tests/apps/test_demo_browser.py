"""The page in a real browser, as a person uses it."""

import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page, expect, sync_playwright

from apps import filtering, photographs
from apps.tabs import classification, image_to_image
from tasks.faces import annotations, annotator, contact_sheet
from tasks.faces.annotations import EMOTIONS, Parts
from tasks.faces.photographs import COLUMNS
from tasks.kinds.translate import Target
from tasks.profile import Profile
from tasks.train import train
from tests.apps.conftest import CHROMIUM, serving, untrained_profile
from tests.tasks import people

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None, reason="NO CHROMIUM: the demo page is NOT tested in a browser; apt-get install chromium"
    ),
]
PATIENCE = 60_000  # ms
SWITCHES = ("no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
            "disable-component-update", "disable-sync")  # fmt: skip

# Each word of elements, and on how many lines it stands.
LINES_OF_WORDS = """elements => elements.flatMap(element => {
    const found = [], walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    for (let node; (node = walker.nextNode());)
        for (const word of node.data.matchAll(/\\S+/g)) {
            const range = document.createRange();
            range.setStart(node, word.index);
            range.setEnd(node, word.index + word[0].length);
            found.push([word[0], new Set([...range.getClientRects()].map(box => Math.round(box.top))).size]);
        }
    return found;
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[f"--{switch}" for switch in SWITCHES])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A visitor's page, which may ask nothing of any other machine, nor show a stack trace."""
    page = browser.new_page(viewport={"width": 1400, "height": 1100})
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    elsewhere: list[str] = []
    local = ("http://127.0.0.1:", "data:", "blob:", "file:")
    page.on("request", lambda request: None if request.url.startswith(local) else elsewhere.append(request.url))
    yield page
    assert "Traceback" not in page.content()
    page.close()
    assert elsewhere == []


def photograph(orientation: int = 1) -> FilePayload:
    """A JPEG of 120 x 80 pixels, which a viewer shows as 80 x 120 with an orientation of 6."""
    ramp = np.add.outer(np.arange(80), np.arange(120)) % 97 * 2
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    Image.fromarray(np.stack([ramp, ramp.max() - ramp, ramp // 2], -1).astype(np.uint8)).save(out, "JPEG", exif=exif)
    return {"name": "holiday.jpg", "mimeType": "image/jpeg", "buffer": out.getvalue()}


def upload(page: Page, file: FilePayload | str) -> None:
    page.set_input_files("#upload input[type=file]", file)


def test_a_photograph_is_filtered_and_downloaded(page: Page, address: str, trained: Profile, tmp_path: Path) -> None:
    page.goto(address)
    expect(page.locator("#weights")).to_contain_text("pairs, seed 0 · profile sample · commit")
    file = photograph(orientation=6)
    upload(page, file)
    expect(page.locator("#scores")).to_contain_text("holiday.jpg, 80 x 120 pixels")
    for picture in ("photograph", "analytic-filter", "network-output", "difference"):
        shown = page.locator(f"#{picture} img")
        expect(shown).to_be_visible()
        size = shown.evaluate("async image => { await image.decode(); return [image.naturalWidth, image.naturalHeight] }")
        assert size == [80, 120]
    (tmp_path / "holiday.jpg").write_bytes(file["buffer"])
    pixels, _ = photographs.read(tmp_path / "holiday.jpg", "holiday.jpg")
    expected = filtering.apply(image_to_image.choices(trained)["pairs"], pixels, Target())
    expect(page.locator("#scores")).to_contain_text(f"{expected.scores['psnr']:.2f} dB")
    expect(page.locator("#scores")).to_contain_text(f"{expected.scores['ssim']:.4f}")
    with page.expect_download() as download:
        page.click("#download")
    assert download.value.suggested_filename == "holiday-pairs.png"
    with Image.open(download.value.path()) as result:
        assert (result.format, result.size) == ("PNG", (80, 120))
        assert np.array_equal(np.asarray(result), expected.output[..., 0])


@pytest.mark.slow
def test_an_example_is_compared_with_each_filter(page: Page, address: str) -> None:
    page.goto(address)
    page.locator("#examples button").nth(2).click()
    scores, seen = page.locator("#scores"), set()
    expect(scores).to_contain_text("china, 640 x 427 pixels")
    seen.add(scores.locator("b").first.inner_text())
    for label in list(filtering.FILTERS)[1:]:
        before = scores.locator("b").first.inner_text()
        page.click("#filter input")
        page.get_by_role("option", name=label).click()
        expect(page.locator("#message")).to_contain_text("made for another filter: Sobel, fixed scale")
        expect(scores.locator("b").first).not_to_have_text(before)
        seen.add(scores.locator("b").first.inner_text())
    assert len(seen) == len(filtering.FILTERS)
    before = scores.locator("b").first.inner_text()
    page.fill("#seed input", "5")
    page.press("#seed input", "Enter")
    expect(scores.locator("b").first).not_to_have_text(before)


@pytest.mark.slow
def test_the_last_choice_is_shown(page: Page, address: str) -> None:
    """Choices that are made while a large photograph is filtered: the last one is what is shown, and downloaded, in the end."""
    out = io.BytesIO()
    ramp = np.add.outer(np.arange(2400), np.arange(3600)) % 251
    Image.fromarray(ramp.astype(np.uint8)).save(out, "JPEG")
    page.goto(address)
    expect(page.locator("#weights")).to_contain_text("pairs, seed 0")
    upload(page, {"name": "large.jpg", "mimeType": "image/jpeg", "buffer": out.getvalue()})
    expect(page.locator("#message")).to_contain_text("large.jpg goes through pairs")
    for label in list(filtering.FILTERS)[1:]:
        page.click("#filter input")
        page.get_by_role("option", name=label).click()
        expect(page.locator("#download")).to_be_disabled()
    expect(page.locator("#scores")).to_contain_text(f"against {label}")
    expect(page.locator("#download")).to_be_enabled()
    page.wait_for_timeout(1000)
    expect(page.locator("#scores")).to_contain_text(f"against {label}")


def test_bad_files_get_a_message_and_the_page_goes_on(page: Page, address: str, tmp_path: Path) -> None:
    bomb = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(bomb, "PNG")
    whole = photograph()["buffer"]
    page.goto(address)
    for name, content, message in (
        ("notes.jpg", b"Dear diary", "notes.jpg cannot be used: no picture"),
        ("half.jpg", whole[: len(whole) // 2], "half.jpg cannot be used"),
        ("bomb.png", bomb.getvalue(), "decompression bomb"),
        ("<b>bold.jpg", b"markup", "bold.jpg cannot be used"),
    ):
        upload(page, {"name": name, "mimeType": "image/jpeg", "buffer": content})
        expect(page.locator("#message [role=alert]")).to_contain_text(message)
        expect(page.locator("#network-output img")).to_have_count(0)
        expect(page.locator("#download")).to_be_disabled()
    upload(page, {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"Dear diary"})
    expect(page.get_by_text("Invalid file type")).to_be_visible()
    huge = tmp_path / "huge.jpg"
    with huge.open("wb") as file:
        file.truncate(photographs.MAX_BYTES + 2**20)
    upload(page, str(huge))
    expect(page.get_by_text("maximum allowed size of 64")).to_be_visible()
    upload(page, photograph())
    expect(page.locator("#scores")).to_contain_text("holiday.jpg, 120 x 80 pixels")
    expect(page.locator("#message [role=alert]")).to_have_count(0)


def test_two_visitors_do_not_see_each_other(page: Page, address: str, browser: Browser) -> None:
    page.goto(address)
    upload(page, photograph())
    expect(page.locator("#scores")).to_contain_text("holiday.jpg")
    other = browser.new_page()
    other.goto(address)
    expect(other.locator("#message")).to_contain_text("Upload a photograph or pick an example")
    assert "holiday" not in other.content()
    other.close()


@pytest.mark.slow
def test_without_weights_the_page_says_what_to_run(page: Page, trained: Profile, tmp_path: Path) -> None:
    profile = untrained_profile(tmp_path)
    with serving(profile) as url:
        page.goto(url)
        expect(page.locator("#missing")).to_contain_text("make rebuild")
        expect(page.locator("#upload")).not_to_be_visible()
        shutil.copytree(trained.results("pairs"), profile.results("pairs"))
        page.goto(url)
        expect(page.locator("#upload")).to_be_visible()
        expect(page.locator("#missing")).not_to_be_visible()


@pytest.mark.slow
def test_a_photograph_and_an_example_get_their_classes(page: Page, make_profile: Callable[..., Profile], tmp_path: Path) -> None:
    profile = make_profile()
    train(profile, "classes")
    with serving(profile) as url:
        page.goto(url)
        page.get_by_role("tab", name="Classification").click()
        expect(page.locator("#classifier-weights")).to_contain_text("classes, seed 0 · profile sample · commit")
        file = photograph(orientation=6)
        page.set_input_files("#classify-upload input[type=file]", file)
        expect(page.locator("#classify-message")).to_contain_text("holiday.jpg goes through classes")
        (tmp_path / "holiday.jpg").write_bytes(file["buffer"])
        pixels, _ = photographs.read(tmp_path / "holiday.jpg", "holiday.jpg")
        square, answers = classification.classify(classification.choices(profile)["classes"], pixels)
        surest = next(iter(answers))
        expect(page.locator("#classes")).to_contain_text(f"{round(100 * answers[surest])}%")
        expect(page.locator("#classes .output-class")).to_contain_text(surest)
        shown = page.locator("#classify-picture img")
        size = shown.evaluate("async image => { await image.decode(); return [image.naturalWidth, image.naturalHeight] }")
        assert size == [*square.shape[1::-1]] == [16, 16]
        page.locator("#classify-examples button").nth(2).click()
        expect(page.locator("#classify-message")).to_contain_text("example 3 goes through classes; its label is blue")
        page.set_input_files(
            "#classify-upload input[type=file]", {"name": "notes.jpg", "mimeType": "image/jpeg", "buffer": b"none"}
        )
        expect(page.locator("#classify-message [role=alert]")).to_contain_text("notes.jpg cannot be used: no picture")
        page.get_by_role("tab", name="Detection").click()
        expect(page.locator("#detect-message")).to_contain_text("No detector of this profile is trained yet")


def test_faces_are_shown_with_their_emotions_and_downloaded(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("tab", name="Faces and emotions").click()
    expect(page.locator("#faces-message")).to_contain_text("Upload a photograph or pick an example")
    out = io.BytesIO()
    Image.fromarray(people.portrait()).save(out, "PNG")
    page.set_input_files("#faces-upload input[type=file]", {"name": "me.png", "mimeType": "image/png", "buffer": out.getvalue()})
    expect(page.locator("#faces-message")).to_contain_text("me.png, 200 x 200 pixels. 1 face")
    shown = page.locator("#faces-picture img")
    expect(shown).to_be_visible()
    assert shown.evaluate("async image => { await image.decode(); return image.naturalWidth }") == 200
    expect(page.locator("#faces-table")).to_contain_text("neutral")
    words = page.locator("#faces-table .header-cell").evaluate_all(LINES_OF_WORDS)
    assert {word for word, _ in words} >= {"probability", "sharpness", "neutral"}
    assert [word for word, lines in words if lines > 1] == []
    with page.expect_download() as download:
        page.click("#faces-csv")
    rows = pd.read_csv(download.value.path())
    assert len(rows) == 1
    assert rows[list(EMOTIONS)].sum(axis=1).item() == pytest.approx(1, abs=1e-3)
    with page.expect_download() as download:
        page.click("#faces-png")
    assert download.value.suggested_filename == "me-faces.png"
    with Image.open(download.value.path()) as picture:
        assert (picture.format, picture.size) == ("PNG", (200, 200))
    page.set_input_files("#faces-upload input[type=file]", {"name": "notes.jpg", "mimeType": "image/jpeg", "buffer": b"none"})
    expect(page.locator("#faces-message [role=alert]")).to_contain_text("notes.jpg cannot be used: no picture")
    expect(page.locator("#faces-csv")).to_be_disabled()


def test_the_contact_sheet_sorts_and_filters(page: Page, tmp_path: Path) -> None:
    parts = Parts(tmp_path / "parts")
    thumbnail = annotator.thumbnail(people.portrait())
    rows = []
    for i, (emotion, flags) in enumerate([("happy", "small"), ("uncertain", "small uncertain"), ("sad", ""), ("happy", "")]):
        chosen = {name: 0.9 if name == emotion else 0.01 for name in EMOTIONS}
        box = {"x1": 0.0, "y1": 0.0, "x2": 10.0 + i, "y2": 10.0 + i, "face_confidence": 0.9, "sharpness": 10.0 * i}
        rows.append({"sha256": f"{i}" * 64, "width": 50, "height": 50, "face": 0, "emotion": emotion, "emotion_confidence": 0.9 - 0.1 * i,
                     "flags": flags, "reason": "", "picture": "", "thumbnail": thumbnail, **box, **chosen})  # fmt: skip
    parts.write(rows)
    index = pd.DataFrame([(f"/<b>{i}.png", 1, 1, f"{i}" * 64, "") for i in range(4)], columns=COLUMNS)
    sheet = contact_sheet.write(annotations.final(index, parts.read()), parts, tmp_path, "Faces <i>")
    page.goto(sheet.as_uri())
    cards = page.locator(".card:not([hidden]) b")
    expect(cards).to_have_text(["happy 90 %", "uncertain 80 %", "sad 70 %", "happy 60 %"])
    page.select_option("[name=sort]", "side")
    page.check("[name=falling]")
    expect(cards).to_have_text(["happy 60 %", "sad 70 %", "uncertain 80 %", "happy 90 %"])
    page.uncheck("input[value=sad]")
    page.select_option("select[name=small]", "with")
    expect(cards).to_have_text(["uncertain 80 %", "happy 90 %"])
    expect(page.locator("#count")).to_have_text("2 shown")
    assert page.locator(".card img").first.evaluate("async image => { await image.decode(); return image.naturalWidth }") == 72
    assert page.locator("h1").inner_text() == "Faces <i>"
