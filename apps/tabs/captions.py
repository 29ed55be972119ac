"""The captions tab: a photograph, the sentence that a network writes for it, and where it looked at each word, which hovering shows."""

import html
import io
import json
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import PIL.Image

from apps import networks, photographs
from apps.networks import Choice
from apps.page import GONE, QUICK, SLOW, START, Page, Source, gallery, upload, uploaded, warning
from tasks.common.errors import Error
from tasks.imaging import images, pictures
from tasks.kinds.caption import use
from tasks.kinds.caption.figures import brightened
from tasks.kinds.caption.use import Said
from tasks.profile import Profile

TITLE, ORDER = "Captions", 35
KIND = "caption"
EXAMPLES = 10
SIDE = 480  # pixels of the long side of the picture that is shown
LOOKED = 240  # of those that show where the network looked
CSS = """
.captioned { position: relative; max-width: 480px; }
.captioned > img, .captioned .look { width: 100%; display: block; border-radius: 4px; }
.captioned .look { position: absolute; left: 0; top: 0; visibility: hidden; pointer-events: none; }
.captioned .word { cursor: default; font-size: 1.3em; padding: 0 .12em; border-radius: 3px; }
.captioned .word:hover, .captioned .word:focus { background: #3f83d840; outline: none; }
.captioned .word:hover .look, .captioned .word:focus .look { visibility: visible; }
.captioned p { margin: .5em 0 0; }
"""


def choices(profile: Profile) -> dict[str, Choice]:
    """The captioners that have weights, by the name that the page shows."""
    return {**networks.trained(profile, KIND), **networks.embedded(profile, KIND)}


def describe(profile: Profile, choice: Choice, photograph: np.ndarray) -> Said:
    """The network's sentence for a photograph, uint8 (H, W, C). Raises Error where the weights are gone."""
    network, configuration = choice.load()
    penalty = use.penalty(profile, choice.experiment)
    [said] = use.captions(network, configuration, use.square(photograph, configuration)[None], "fp32", penalty=penalty)
    return said


def shown(photograph: np.ndarray, said: Said) -> str:
    """HTML: the photograph, below it the sentence, and over it, while a word is hovered or has the focus, where the network looked."""
    height, width = photograph.shape[:2]
    scale = LOOKED / max(height, width)
    small = images.resize(photograph, max(1, round(width * scale)), max(1, round(height * scale)))
    words = []
    for word, looked in zip(said.words, said.looked):
        over = ""
        if len(looked) > 1:
            over = f'<img class="look" alt="" src="{_uri(brightened(small, looked))}">'
        words.append(f'<span class="word" tabindex="0">{html.escape(word)}{over}</span>')
    sentence = " ".join(words) or "It has no words for this."
    picture = _uri(photographs.preview(photograph, SIDE))
    return f'<div class="captioned"><img src="{picture}" alt="{html.escape(said.text)}"><p>{sentence}</p></div>'


def _uri(pixels: np.ndarray) -> str:
    content = io.BytesIO()
    PIL.Image.fromarray(pixels).save(content, "webp", quality=80)
    return pictures.uri(content.getvalue())


def tab(profile: Profile, page: Page) -> None:
    """Fill the tab."""
    source = gr.State(None)
    with gr.Row():
        with gr.Column(scale=1, min_width=320):
            gr.Markdown("**Your photograph**")
            field = upload("captions-upload")
            gr.Markdown("**or one of validation**")
            pictures_shown = gallery("captions-examples")
            network = gr.Dropdown([], label="Captioner", elem_id="captioner")
            weights = gr.HTML(elem_id="captioner-weights")
        with gr.Column(scale=3, min_width=600):
            message = gr.HTML(START, elem_id="captions-message")
            picture = gr.HTML(elem_id="captions-picture")

    def open_page() -> list[Any]:
        found = choices(profile)
        if not found:
            missing = "<p>No captioner of this profile is trained yet; run <code>make rebuild</code>.</p>"
            return [missing, gr.update(choices=[], value=None), *[gr.skip()] * 2]
        first = next(iter(found))
        return [gr.skip(), gr.update(choices=list(found), value=first), *about(first)]

    def about(name: str) -> list[Any]:
        """What the page says of a captioner, and examples of its data."""
        try:
            found = choices(profile)[name]
            words = f"{html.escape(found.about())}<br><small>{html.escape(found.describe())}</small>"
        except (Error, KeyError):
            return [warning(GONE), gr.skip()]
        own = photographs.validation(profile, found.data, EXAMPLES)
        return [words, [photographs.preview(pixels) for pixels in own.values()]]

    def show(chosen: Source | None, name: str) -> list[Any]:
        if chosen is None or not name:
            return [gr.skip()] * 2
        try:
            if (found := choices(profile).get(name)) is None:
                raise Error(GONE)
            kind, file, title = chosen
            if kind == "example":
                photograph, note = [*photographs.validation(profile, found.data, EXAMPLES).values()][int(file)], ""
            else:
                photograph, note = photographs.read(Path(file), title)
            said = describe(profile, found, photograph)
            words = f"{title} goes through {name}" + (f"; {note}" if note else "") + ". Hover a word to see where it looked."
            return [f"<p>{html.escape(words)}</p>", shown(photograph, said)]
        except (Error, IndexError) as error:
            return [warning(str(error)), ""]

    def picked(event: gr.SelectData) -> Source:
        return ("example", json.dumps(event.index), f"example {event.index + 1}")

    run: dict[str, Any] = {"fn": show, "inputs": [source, network], "outputs": [message, picture], **SLOW}
    page.blocks.load(open_page, None, [message, network, weights, pictures_shown], **QUICK)
    field.upload(uploaded, field, [field, source], **QUICK).then(**run)
    pictures_shown.select(picked, None, source, **QUICK).then(**run)
    network.input(about, network, [weights, pictures_shown], **QUICK).then(**run)
