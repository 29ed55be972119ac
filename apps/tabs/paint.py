"""The tab that paints a photograph in the style of a picture, shows it while it is painted, and stops when it is told to."""

import html
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from apps import photographs
from apps.page import QUICK, Page, Source, gallery, upload, uploaded, warning
from tasks.common import devices
from tasks.common.errors import Error
from tasks.common.files import sha256
from tasks.inside import backbones, work
from tasks.inside.style import SMALLEST, Painting
from tasks.learning.tensors import to_bytes
from tasks.looks import painting
from tasks.profile import Profile

TITLE, ORDER = "Paint", 80
# What a request may take: pixels of the long side, steps, and seconds.
SIZES, MOST, SECONDS = (128, 192, 256, 384), 200, 120.0
EVERY = 0.5  # seconds between two previews
BEGIN = "<p>Choose a photograph, and a picture whose style it is painted in.</p>"
STYLE = "ihc"


def tab(profile: Profile, page: Page) -> None:
    """Fill the tab."""
    named = photographs.examples()
    read = [photographs.read(path, name)[0] for name, path in named.items()]
    content, style = gr.State(None), gr.State(("example", str(named[STYLE]), STYLE))
    with gr.Row():
        with gr.Column(scale=1, min_width=320):
            gr.Markdown("**Your photograph**")
            field = upload("paint-upload")
            shown = gallery("paint-examples", read)
            gr.Markdown("**The style**")
            style_field = upload("paint-style-upload")
            style_shown = gallery("paint-style-examples", read)
        with gr.Column(scale=2, min_width=500):
            chosen = gr.HTML(_chosen(None, ("example", "", STYLE)), elem_id="paint-chosen")
            with gr.Row():
                strength = gr.Slider(0.1, 10, 1, step=0.1, label="Strength of the style", elem_id="paint-strength")
                steps = gr.Slider(5, MOST, 60, step=5, label="Steps", elem_id="paint-steps")
                size = gr.Dropdown([*SIZES], value=SIZES[1], label="Pixels of the long side", elem_id="paint-size")
                colours = gr.Checkbox(label="Keep the photograph's colours", elem_id="paint-colours")
            with gr.Row():
                begin = gr.Button("Paint", elem_id="paint", variant="primary")
                cancel = gr.Button("Cancel", elem_id="paint-cancel")
            message = gr.HTML(BEGIN, elem_id="paint-message")
            picture = gr.Image(
                label="Painting", format="png", interactive=False, buttons=["fullscreen"], height=480, elem_id="painting"
            )
            download = gr.DownloadButton("Download the painting (PNG)", interactive=False, elem_id="paint-download")

    def paint(
        photograph: Source | None, of: Source | None, strong: float, count: float, side: int, keep: bool
    ) -> Iterator[list[Any]]:
        """The message, the picture and the download, again and again until it is finished, stopped, or out of time."""
        try:
            if photograph is None or of is None:
                raise Error("Choose a photograph and a style first.")
            if sha256(Path(photograph[1])) == sha256(Path(of[1])):
                raise Error("The photograph and the style are the same picture, so nothing would change.")
            made = _begun(profile, photograph, of, strong, int(count), int(side), keep)
        except Error as error:
            yield [warning(str(error)), None, gr.update(value=None, interactive=False)]
            return
        until, last = time.monotonic() + SECONDS, 0.0
        for done in work.steps(made):
            now = time.monotonic()
            if now > until:
                break
            if now - last > EVERY:
                last = now
                yield [
                    f"<p>{done} of {made.steps} steps.</p>",
                    to_bytes(made.picture())[0],
                    gr.update(value=None, interactive=False),
                ]
        result = to_bytes(made.picture())[0]
        words = f"{photograph[2]} in the style of {of[2]}: {made.done} of {made.steps} steps" + (
            "" if made.done == made.steps else f", stopped after {SECONDS:.0f} s, the most that a request may take"
        )
        file = page.write(_png(result), f"{Path(photograph[2]).stem}-{Path(of[2]).stem}.png")
        yield [f"<p>{html.escape(words)}.</p>", result, gr.update(value=file, interactive=True)]

    def picked(event: gr.SelectData) -> Source:
        name = list(named)[event.index]
        return ("example", str(named[name]), name)

    for own, upload_, examples in ((content, field, shown), (style, style_field, style_shown)):
        for event in (upload_.upload(uploaded, upload_, [upload_, own], **QUICK), examples.select(picked, None, own, **QUICK)):
            event.then(_chosen, [content, style], chosen, **QUICK)
    running = begin.click(
        paint,
        [content, style, strength, steps, size, colours],
        [message, picture, download],
        api_visibility="private",
        concurrency_limit=1,
        trigger_mode="once",
        show_progress="hidden",
    )
    cancel.click(lambda: "<p>Cancelled.</p>", None, message, cancels=[running], **QUICK)


def _chosen(content: Source | None, style: Source | None) -> str:
    """Which is which, so that nobody swaps them unseen."""
    names = [html.escape(source[2]) if source else "–" for source in (content, style)]
    return f"<p><b>{names[0]}</b> in the style of <b>{names[1]}</b></p>"


def _begun(profile: Profile, content: Source, style: Source, strength: float, steps: int, side: int, colours: bool) -> Painting:
    """The work of a request. Raises Error for what cannot be read or is out of bounds."""
    if side not in SIZES or not 1 <= steps <= MOST:
        raise Error(
            f"At most {SIZES[-1]} pixels and {MOST} steps are painted here; python -m tasks.look style paints larger ones."
        )
    device = devices.choose(profile.params.device)
    pixels = [photographs.read(Path(path), title)[0] for _, path, title in (content, style)]
    tensors = [painting.fitted(of, side, device) for of in pixels]
    if min(tensors[0].shape[2:]) < SMALLEST:
        raise Error(
            f"{content[2]} is too narrow: its short side would have {min(tensors[0].shape[2:])} pixels, less than {SMALLEST}."
        )
    chosen = painting.settings(strength=strength, steps=steps, optimizer="lbfgs", scales=2, colours=colours)
    return Painting(backbones.features(chosen.backbone, device), tensors[0], [(tensors[1], 1.0)], chosen)


def _png(picture: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG", compress_level=3)
    return out.getvalue()
