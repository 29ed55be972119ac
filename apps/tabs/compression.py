"""The tab that compresses a photograph, beside JPEG and WebP of at most as many bytes, and that opens compressed files."""

import html
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from apps import networks, photographs
from apps.networks import Choice
from apps.page import EXTENSIONS, GONE, QUICK, SLOW, START, Page, Source, gallery, uploaded, warning
from models.codec import Codec
from tasks.codec import file, library
from tasks.codec.pictures import Pictures
from tasks.common.errors import Error
from tasks.kinds.compress import codecs, metrics
from tasks.profile import Profile

TITLE, ORDER = "Compression", 50
KIND = "compress"
QUALITY = 50
# Of larger photographs the tab would be busy for a minute.
MAX_PIXELS = 12_000_000
OTHERS = ("jpeg", "webp")
NAMES = {"ours": "Ours", "jpeg": "JPEG", "webp": "WebP"}
MISSING = "<p>No codec of this profile is trained yet, and none came with the code; run <code>make rebuild</code>.</p>"


@dataclass(frozen=True)
class Compressed:
    """A codec's file of a photograph, and the picture in it, uint8 (H, W, 3)."""

    content: bytes
    picture: np.ndarray

    def row(self, name: str, photograph: np.ndarray) -> list[Any]:
        """For the page: name, bytes, bits a pixel, dB, MS-SSIM."""
        size = photograph[..., 0].size
        scores = metrics.psnr(self.picture, photograph), metrics.ms_ssim(self.picture, photograph)
        return [name, len(self.content), round(8 * len(self.content) / size, 3), round(scores[0], 2), round(scores[1], 4)]


def choices(profile: Profile) -> dict[str, Choice]:
    """The codecs that have weights, by the name that the page shows; those that come with the code first."""
    return {**networks.embedded(profile, KIND), **networks.trained(profile, KIND)}


def pictures(choice: Choice) -> Pictures:
    """A codec that is ready for use. Raises Error where the weights are gone."""
    network, _ = choice.load()
    assert isinstance(network, Codec)
    return _ready(network)


@lru_cache(maxsize=4)
def _ready(network: Codec) -> Pictures:
    return Pictures(network)


def compress(codec: Pictures, photograph: np.ndarray, quality: int) -> dict[str, Compressed]:
    """Ours, and what JPEG and WebP make of at most as many bytes, by their names."""
    content = file.compress(codec, file.Picture(photograph), quality)
    found = {"ours": Compressed(content, file.decompress(codec, content).pixels)}
    for name in OTHERS:
        if name in codecs.available():
            other, _ = codecs.of_size(name, photograph, len(content))
            found[name] = Compressed(other, codecs.read(other))
    return found


@lru_cache(maxsize=4)
def _retired(path: Path) -> Pictures:
    return library.load(path)


def opened(found: Mapping[str, Choice], content: bytes, retired: Iterable[Path] = ()) -> tuple[file.Picture, str]:
    """The picture in a compressed file, and the name of the codec that wrote it, which may be `retired`. Raises Error."""
    identity = file.identity(content)
    for name, choice in found.items():
        if (codec := pictures(choice)).identity == identity:
            return file.decompress(codec, content), name
    for path in retired:
        if (codec := _retired(path)).identity == identity:
            return file.decompress(codec, content), path.stem
    if not found:
        raise Error(GONE)
    # Says what is wrong with it.
    return file.decompress(pictures(next(iter(found.values()))), content), next(iter(found))


def tab(profile: Profile, page: Page) -> None:
    """Fill the tab."""
    named = photographs.examples()
    source = gr.State(None)
    with gr.Row():
        with gr.Column(scale=1, min_width=320):
            gr.Markdown(f"**Your photograph, or a {file.SUFFIX} file**")
            field = gr.File(show_label=False, file_types=[*EXTENSIONS, file.SUFFIX], height=130, elem_id="compress-upload")
            gr.Markdown("**or an example**")
            shown = gallery("compress-examples", [photographs.read(path, name)[0] for name, path in named.items()])
            network = gr.Dropdown([], label="Codec", elem_id="codec")
            weights = gr.HTML(elem_id="codec-weights")
            quality = gr.Slider(0, 100, QUALITY, step=1, label="Quality", elem_id="quality")
        with gr.Column(scale=3, min_width=600):
            message = gr.HTML(START, elem_id="compress-message")
            table = gr.Dataframe(
                headers=["codec", "bytes", "bits a pixel", "PSNR (dB)", "MS-SSIM"], interactive=False, elem_id="compress-table", max_height=180
            )  # fmt: skip
            fields = []
            for labels in (("Photograph", "Ours"), ("JPEG", "WebP")):
                with gr.Row():
                    fields += [
                        gr.Image(
                            label=label, format="png", interactive=False, buttons=["fullscreen"], height=380, min_width=260,
                            elem_id=f"compress-{label.lower()}",
                        )
                        for label in labels
                    ]  # fmt: skip
            with gr.Row():
                written = gr.DownloadButton(f"Download the {file.SUFFIX} file", interactive=False, elem_id="compress-file")
                png = gr.DownloadButton("Download its picture (PNG)", interactive=False, elem_id="compress-png")

    off = gr.update(value=None, interactive=False)

    def open_page() -> list[Any]:
        found = choices(profile)
        if not found:
            return [MISSING, gr.update(choices=[], value=None), gr.skip()]
        first = next(iter(found))
        return [gr.skip(), gr.update(choices=list(found), value=first), about(first)]

    def about(name: str) -> str:
        try:
            return f"<small>{html.escape(choices(profile)[name].describe())}</small>"
        except (Error, KeyError):
            return warning(GONE)

    def show(chosen: Source | None, name: str, wanted: int) -> list[Any]:
        if chosen is None or not name:
            return [gr.skip()] * 8
        try:
            if (found := choices(profile)).get(name) is None:
                raise Error(GONE)
            _, path, title = chosen
            if title.lower().endswith(file.SUFFIX):
                return of_file(found, Path(path), title)
            return of_photograph(pictures(found[name]), Path(path), title, int(wanted))
        except Error as error:
            return [warning(str(error)), [], *[None] * 4, off, off]

    def of_file(found: Mapping[str, Choice], path: Path, title: str) -> list[Any]:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise Error(f"{title} is no longer here: uploads are deleted after an hour; choose it again") from None
        try:
            picture, codec = opened(found, content, library.retired(profile))
        except Error as error:
            raise Error(f"{title}: {error}") from None
        height, width = picture.pixels.shape[:2]
        words = f"{title}: {width} x {height} pixels from {len(content):,} bytes, {8 * len(content) / (height * width):.3f} bits a pixel; {codec}"
        whole = page.write(file.to_png(picture), f"{Path(title).stem}.png")
        preview = photographs.preview(picture.pixels)
        return [f"<p>{html.escape(words)}</p>", [], None, preview, None, None, off, gr.update(value=whole, interactive=True)]

    def of_photograph(codec: Pictures, path: Path, title: str, wanted: int) -> list[Any]:
        photograph, note = photographs.read(path, title)
        height, width = photograph.shape[:2]
        if height * width > MAX_PIXELS:
            raise Error(
                f"{title} has {width} x {height} pixels, more than the {MAX_PIXELS // 10**6} million that this tab takes; on the command line: "
                "python -m tasks.compress"
            )
        start = time.perf_counter()
        found = compress(codec, photograph, wanted)
        words = f"{title}, {width} x {height} pixels, at quality {wanted}: {time.perf_counter() - start:.1f} s" + (
            f"; {note}" if note else ""
        )
        rows = [one.row(NAMES[name], photograph) for name, one in found.items()]
        stem = f"{Path(title).stem}-{wanted}"
        ours = found["ours"]
        return [
            f"<p>{html.escape(words)}</p>",
            rows,
            photographs.preview(photograph),
            *(photographs.preview(found[name].picture) if name in found else None for name in NAMES),
            gr.update(value=page.write(ours.content, f"{stem}{file.SUFFIX}"), interactive=True),
            gr.update(value=page.write(file.to_png(file.Picture(ours.picture)), f"{stem}.png"), interactive=True),
        ]

    def picked(event: gr.SelectData) -> Source:
        name = list(named)[event.index]
        return ("example", str(named[name]), name)

    run: dict[str, Any] = {
        "fn": show,
        "inputs": [source, network, quality],
        "outputs": [message, table, *fields, written, png],
        "show_progress_on": fields,
        **SLOW,
    }
    page.blocks.load(open_page, None, [message, network, weights], **QUICK)
    field.upload(uploaded, field, [field, source], **QUICK).then(**run)
    shown.select(picked, None, source, **QUICK).then(**run)
    network.input(about, network, weights, **QUICK).then(**run)
    quality.release(**run)
