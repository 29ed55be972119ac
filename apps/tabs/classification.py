"""The classification tab: a photograph of one's own, or one of validation, and the classes that a network takes it for."""

import html
import json
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from apps import networks, photographs
from apps.networks import Choice
from apps.page import GONE, QUICK, SLOW, START, Page, Source, gallery, upload, uploaded, warning
from tasks.common.errors import Error
from tasks.datasets import data
from tasks.imaging import images
from tasks.kinds.classify.data import labels
from tasks.kinds.classify.use import answer
from tasks.learning.tensors import predict
from tasks.profile import Profile

TITLE, ORDER = "Classification", 30
KIND = "classify"
CHANNELS = 3  # of embedded networks: those of grey faces stand in a tab of their own
EXAMPLES = 5
TOP = 5  # classes
# Small squares are enlarged, each pixel a square of its own.
CSS = "#classify-picture img { width: 100%; height: 100%; object-fit: contain; image-rendering: pixelated; }"


def choices(profile: Profile) -> dict[str, Choice]:
    """The classifiers that have weights, by the name that the page shows."""
    return {**networks.embedded(profile, KIND, lambda c: c.inputs == CHANNELS), **networks.trained(profile, KIND)}


def classify(choice: Choice, photograph: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
    """What the network is shown of a photograph, uint8 (H, W, C), and its surest classes with their probabilities, the surest first.

    It is shown the middle square at the size that it was trained at, as `preprocess` makes it. Raises Error where the weights are gone.
    """
    network, configuration = choice.load()
    square = images.center_square(images.as_channels(photograph, configuration.inputs), configuration.size)
    [probabilities] = answer(predict(network, square[None], precision="fp32"))
    surest = np.argsort(-probabilities, kind="stable")[:TOP]
    return square, {configuration.classes[label]: float(probabilities[label]) for label in surest}


def examples(profile: Profile, choice: Choice) -> list[tuple[np.ndarray, str]]:
    """A few validation images of the data that the network was trained on, and what they are; none where they are not prepared."""
    found = photographs.validation(profile, choice.data, EXAMPLES)
    if not found:
        return []
    folder = profile.processed(choice.data)
    actual, classes = labels(data.Data(folder, "val")), data.info(folder).classes
    return [(pixels, classes[actual[row]]) for row, pixels in found.items()]


def tab(profile: Profile, page: Page) -> None:
    """Fill the tab."""
    source = gr.State(None)
    with gr.Row():
        with gr.Column(scale=1, min_width=320):
            gr.Markdown("**Your photograph**")
            field = upload("classify-upload")
            gr.Markdown("**or one of validation**")
            shown = gallery("classify-examples")
            network = gr.Dropdown([], label="Classifier", elem_id="classifier")
            weights = gr.HTML(elem_id="classifier-weights")
        with gr.Column(scale=3, min_width=600):
            message = gr.HTML(START, elem_id="classify-message")
            with gr.Row():
                picture = gr.Image(
                    label="What the network is shown",
                    format="png",
                    interactive=False,
                    buttons=["fullscreen"],
                    height=380,
                    elem_id="classify-picture",
                )
                answers = gr.Label(label="Classes", num_top_classes=TOP, elem_id="classes")

    def open_page() -> list[Any]:
        found = choices(profile)
        if not found:
            missing = "<p>No classifier of this profile is trained yet; run <code>make rebuild</code>.</p>"
            return [missing, gr.update(choices=[], value=None), *[gr.skip()] * 2]
        first = next(iter(found))
        return [gr.skip(), gr.update(choices=list(found), value=first), *about(first)]

    def about(name: str) -> list[Any]:
        """What the page says of a classifier, and its data's examples."""
        try:
            found = choices(profile)[name]
            words = f"{html.escape(found.about())}<br><small>{html.escape(found.describe())}</small>"
            pictures = [photographs.preview(pixels) for pixels, _ in examples(profile, found)]
        except (Error, KeyError):
            return [warning(GONE), gr.skip()]
        return [words, pictures]

    def show(chosen: Source | None, name: str) -> list[Any]:
        if chosen is None or not name:
            return [gr.skip()] * 3
        try:
            if (found := choices(profile).get(name)) is None:
                raise Error(GONE)
            kind, file, title = chosen
            if kind == "example":
                photograph, actual = examples(profile, found)[int(file)]
                note = f"its label is {actual}"
            else:
                photograph, note = photographs.read(Path(file), title)
            square, classes = classify(found, photograph)
            words = f"{title} goes through {name}" + (f"; {note}" if note else "")
            return [f"<p>{html.escape(words)}</p>", photographs.preview(square), classes]
        except (Error, IndexError) as error:
            return [warning(str(error)), None, None]

    def picked(event: gr.SelectData) -> Source:
        return ("example", json.dumps(event.index), f"example {event.index + 1}")

    run: dict[str, Any] = {"fn": show, "inputs": [source, network], "outputs": [message, picture, answers], **SLOW}
    page.blocks.load(open_page, None, [message, network, weights, shown], **QUICK)
    field.upload(uploaded, field, [field, source], **QUICK).then(**run)
    shown.select(picked, None, source, **QUICK).then(**run)
    network.input(about, network, [weights, shown], **QUICK).then(**run)
