"""The demo page's detection tab: a photograph of one's own, or one of validation, with what a detector finds on it."""

import html
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pandas as pd

from apps import images
from tasks.common.errors import Error
from tasks.datasets import data
from tasks.imaging import drawing
from tasks.params.preparation import PrepareDetect
from tasks.profile import Profile

EXAMPLES = 5
LOWEST = 0.05  # of the slider
# What the tab is to look at: "upload" and its file, or "example" and its number.
Source = tuple[str, str, str]


@dataclass(frozen=True)
class Found:
    """A photograph, uint8 (H, W, 3), and the detections on it."""

    photograph: np.ndarray
    table: pd.DataFrame
    classes: tuple[str, ...]

    def picture(self) -> np.ndarray:
        return drawing.draw(self.photograph, self.table, self.classes)

    def rows(self) -> list[list[Any]]:
        """For the page: class, score in percent, corners in pixels."""
        corners = self.table[["x1", "y1", "x2", "y2"]].round().astype(int).to_numpy().tolist()
        names = [self.classes[label] for label in self.table["label"]]
        return [[name, round(100 * score), *box] for name, score, box in zip(names, self.table["score"], corners)]


def choices(profile: Profile) -> dict[str, images.Choice]:
    """The detectors of the profile that have weights, by the name that the page shows."""
    found = {}
    for name, experiment in profile.params.experiments.items():
        prepare = profile.params.preprocess[experiment.data]
        file = profile.results(name) / "weights" / f"seed-{experiment.seeds[0]}.safetensors"
        if isinstance(prepare, PrepareDetect) and file.exists():
            found[name] = images.Choice(file, f"profile {profile.name}", experiment.data, images.Target(), profile.params.device)
    return found


def detect(choice: images.Choice, photograph: np.ndarray, threshold: float) -> Found:
    """Detections of scores from `threshold` on. Raises Error where the weights are gone."""
    network, configuration = choice.load()
    table = drawing.find(network, configuration.model_copy(update={"threshold": threshold}), photograph)
    return Found(photograph, table, configuration.classes)


def examples(profile: Profile, name: str) -> list[np.ndarray]:
    """A few validation images of the data that the detector was trained on; none where they are not prepared."""
    folder = profile.processed(profile.experiment(name).data)
    if not (folder / "val" / "images.npy").exists():
        return []
    pixels = data.Data(folder, "val").images
    return [pixels[index] for index in np.linspace(0, len(pixels) - 1, min(EXAMPLES, len(pixels))).astype(int)]


def tab(profile: Profile, blocks: gr.Blocks) -> None:
    """Build the tab into the page."""
    source = gr.State(None)
    with gr.Row():
        with gr.Column(scale=1, min_width=320):
            gr.Markdown("**Your photograph**")
            upload = gr.File(show_label=False, height=130, elem_id="detect-upload")
            gr.Markdown("**or one of validation**")
            gallery = gr.Gallery(
                [], show_label=False, columns=EXAMPLES, height="auto", allow_preview=False, interactive=False, buttons=[], elem_id="detect-examples"
            )  # fmt: skip
            network = gr.Dropdown([], label="Detector", elem_id="detector")
            weights = gr.HTML(elem_id="detector-weights")
            threshold = gr.Slider(LOWEST, 1, 0.25, step=0.01, label="Smallest score", elem_id="threshold")
        with gr.Column(scale=3, min_width=600):
            message = gr.HTML("<p>Upload a photograph or pick an example.</p>", elem_id="detect-message")
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
            start = max(LOWEST, round(drawing.threshold(configuration), 2))
            return [f"<small>{html.escape(found.describe())}</small>", start, examples(profile, name)]
        except (Error, KeyError):
            return [_warning("These weights are gone; load the page again."), gr.skip(), gr.skip()]

    def show(chosen: Source | None, name: str, smallest: float) -> list[Any]:
        if chosen is None or not name:
            return [gr.skip()] * 3
        try:
            if (found := choices(profile).get(name)) is None:
                raise Error("These weights are gone; load the page again.")
            kind, file, title = chosen
            if kind == "example":
                photograph, note = examples(profile, name)[int(file)], ""
            else:
                photograph, note = images.read(Path(file), title)
            result = detect(found, photograph, smallest)
            words = f"{title}: {len(result.table)} found" + (f"; {note}" if note else "")
            return [f"<p>{html.escape(words)}</p>", images.preview(result.picture()), result.rows()]
        except (Error, IndexError) as error:
            return [_warning(str(error)), None, []]

    def uploaded(path: str) -> tuple[None, Source]:
        return None, ("upload", path, Path(path).name)

    def picked(event: gr.SelectData) -> Source:
        return ("example", json.dumps(event.index), f"example {event.index + 1}")

    inputs, outputs = [source, network, threshold], [message, picture, table]
    run: dict[str, Any] = {
        "fn": show,
        "inputs": inputs,
        "outputs": outputs,
        "concurrency_limit": 1,
        "trigger_mode": "always_last",
        "api_visibility": "private",
    }
    quick: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    blocks.load(open_page, None, [message, network, weights, threshold, gallery], **quick)
    upload.upload(uploaded, upload, [upload, source], **quick).then(**run)
    gallery.select(picked, None, source, **quick).then(**run)
    network.input(about, network, [weights, threshold, gallery], **quick).then(**run)
    threshold.release(**run)


def _warning(text: str) -> str:
    return f'<div class="warning" role="alert">{html.escape(text)}</div>'
