"""The compression tab in a real browser."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from PIL import Image
from playwright.sync_api import FilePayload, Page, expect

from tasks import config
from tasks.profile import Profile
from tests.apps.conftest import serving
from tests.apps.test_demo_browser import CHROMIUM, browser, page, photograph
from tests.tasks.codec.test_file import save
from tests.tasks.kinds.compress.test_compress import BLOCK, EXPERIMENT

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="NO CHROMIUM: the compression tab is NOT tested in a browser; apt-get install chromium"
    ),
]
__all__ = ["browser", "page"]


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    """A profile whose codec is not trained: its files are large, and all else is as it is."""
    folder = tmp_path_factory.mktemp("codec")
    params = {
        "root": ".",
        "device": "cpu",
        "download": {"photos": {}},
        "preprocess": {"whole": {**BLOCK, "dataset": "photos"}},
        "experiments": {"codec": EXPERIMENT},
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    save(folder / "results" / "codec" / "weights" / "seed-0.safetensors")
    return config.load(folder)


@pytest.fixture(scope="module")
def address(profile: Profile) -> Iterator[str]:
    with serving(profile) as url:
        yield url


def size(page: Page, name: str) -> list[int]:
    """The pixels of a picture that is shown."""
    shown = page.locator(f"#{name} img")
    expect(shown).to_be_visible()
    found: list[int] = shown.evaluate("async image => { await image.decode(); return [image.naturalWidth, image.naturalHeight] }")
    return found


def test_a_photograph_becomes_a_file_and_the_file_a_picture(page: Page, address: str, tmp_path: Path) -> None:
    page.goto(address)
    page.get_by_role("tab", name="Compression").click()
    expect(page.locator("#codec-weights")).to_contain_text("codec, seed 0")
    page.set_input_files("#compress-upload input[type=file]", photograph(orientation=6))
    expect(page.locator("#compress-message")).to_contain_text("holiday.jpg, 80 x 120 pixels, at quality 50")
    for name in ("photograph", "ours", "jpeg", "webp"):
        assert size(page, f"compress-{name}") == [80, 120]
    expect(page.locator("#compress-table")).to_contain_text("JPEG")
    with page.expect_download() as download:
        page.locator("#compress-file").click()
    file = tmp_path / "holiday-50.drc"
    download.value.save_as(file)
    assert download.value.suggested_filename == "holiday-50.drc"
    page.set_input_files("#compress-upload input[type=file]", str(file))
    expect(page.locator("#compress-message")).to_contain_text(f"80 x 120 pixels from {file.stat().st_size:,} bytes")
    with page.expect_download() as download:
        page.locator("#compress-png").click()
    with Image.open(io.BytesIO(Path(download.value.path()).read_bytes())) as picture:
        assert picture.size == (80, 120)


def test_a_damaged_file_is_a_sentence(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("tab", name="Compression").click()
    expect(page.locator("#codec-weights")).to_contain_text("codec, seed 0")
    bad: FilePayload = {"name": "notes.drc", "mimeType": "application/octet-stream", "buffer": b"\x89DRC and no more"}
    page.set_input_files("#compress-upload input[type=file]", bad)
    expect(page.locator("#compress-message [role=alert]")).to_contain_text("notes.drc: cut off")
