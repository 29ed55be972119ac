"""The detection tab: a photograph of one's own, or one of validation, with what a detector finds on it."""

import html
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pandas as pd

from apps import networks, photographs
from apps.networks import Choice
from apps.page import GONE, QUICK, SLOW, START, Page, Source, gallery, upload, uploaded, warning
from tasks.common.errors import Error
from tasks.kinds.detect import use
from tasks.profile import Profile

TITLE, ORDER = "Detection", 20
KIND = "detect"
FACES = ("face",)  # the classes of a detector of faces
EXAMPLES = 5
LOWEST = 0.05  # of the slider


@dataclass(frozen=True)
class Found:
    """A photograph, uint8 (H, W, 3), and the detections on it."""

    photograph: np.ndarray
    table: pd.DataFrame
    classes: tuple[str, ...]

    def picture(self) -> np.ndarray:
        return use.draw(self.photograph, self.table, self.classes)

    def rows(self) -> list[list[Any]]:
        """For the page: class, score in percent, corners in pixels."""
        corners = self.table[["x1", "y1", "x2", "y2"]].round().astype(int).to_numpy().tolist()
        names = [self.classes[label] for label in self.table["label"]]
        return [[name, round(100 * score), *box] for name, score, box in zip(names, self.table["score"], corners)]


def choices(profile: Profile) -> dict[str, Choice]:
    """The detectors that have weights, by the name that the page shows. Those of faces stand in a tab of their own."""
    return {**networks.embedded(profile, KIND, lambda c: c.classes != FACES), **networks.trained(profile, KIND)}


def detect(choice: Choice, photograph: np.ndarray, threshold: float) -> Found:
    """Detections of scores from `threshold` on. Raises Error where the weights are gone."""
    network, configuration = choice.load()
    table = use.find(network, configuration.model_copy(update={"threshold": threshold}), photograph)
    return Found(photograph, table, configuration.classes)


def examples(profile: Profile, choice: Choice) -> list[np.ndarray]:
    """A few validation images of the data that the detector was trained on; none where they are not prepared."""
    return [*photographs.validation(profile, choice.data, EXAMPLES).values()]


def tab(profile: Profile, page: Page) -> None:
    """Fill the tab."""
    source = gr.State(None)
    with gr.Row():
        with gr.Column(scale=1, min_width=320):
            gr.Markdown("**Your photograph**")
            field = upload("detect-upload")
            gr.Markdown("**or one of validation**")
            shown = gallery("detect-examples")
            network = gr.Dropdown([], label="Detector", elem_id="detector")
            weights = gr.HTML(elem_id="detector-weights")
            threshold = gr.Slider(LOWEST, 1, 0.25, step=0.01, label="Smallest score", elem_id="threshold")
        with gr.Column(scale=3, min_width=600):
            message = gr.HTML(START, elem_id="detect-message")
            picture = gr.Image(
                label="Detections", format="png", interactive=False, buttons=["fullscreen"], height=480, elem_id="detections"
            )
            table = gr.Dataframe(
                headers=["class", "score (%)", "left", "top", "right", "bottom"], interactive=False, elem_id="detect-table", max_height=260
            )  # fmt: skip

    def open_page() -> list[Any]:
        found = choices(profile)
        if not found:
            missing = "<p>No detector of this profile is trained yet; run <code>make rebuild</code>.</p>"
            return [missing, gr.update(choices=[], value=None), *[gr.skip()] * 3]
        first = next(iter(found))
        return [gr.skip(), gr.update(choices=list(found), value=first), *about(first)]

    def about(name: str) -> list[Any]:
        """What the page says of a detector, its threshold and its data's examples."""
        try:
            found = choices(profile)[name]
            _, configuration = found.load()
            start = max(LOWEST, round(use.threshold(configuration), 2))
            return [f"<small>{html.escape(found.describe())}</small>", start, examples(profile, found)]
        except (Error, KeyError):
            return [warning(GONE), gr.skip(), gr.skip()]

    def show(chosen: Source | None, name: str, smallest: float) -> list[Any]:
        if chosen is None or not name:
            return [gr.skip()] * 3
        try:
            if (found := choices(profile).get(name)) is None:
                raise Error(GONE)
            kind, file, title = chosen
            if kind == "example":
                photograph, note = examples(profile, found)[int(file)], ""
            else:
                photograph, note = photographs.read(Path(file), title)
            result = detect(found, photograph, smallest)
            words = f"{title}: {len(result.table)} found" + (f"; {note}" if note else "")
            return [f"<p>{html.escape(words)}</p>", photographs.preview(result.picture()), result.rows()]
        except (Error, IndexError) as error:
            return [warning(str(error)), None, []]

    def picked(event: gr.SelectData) -> Source:
        return ("example", json.dumps(event.index), f"example {event.index + 1}")

    inputs, outputs = [source, network, threshold], [message, picture, table]
    run: dict[str, Any] = {"fn": show, "inputs": inputs, "outputs": outputs, **SLOW}
    page.blocks.load(open_page, None, [message, network, weights, threshold, shown], **QUICK)
    field.upload(uploaded, field, [field, source], **QUICK).then(**run)
    shown.select(picked, None, source, **QUICK).then(**run)
    network.input(about, network, [weights, threshold, shown], **QUICK).then(**run)
    threshold.release(**run)
