"""The tab that looks inside a classifier: which pixels its answer rests on, and how little has it see another thing."""

import html
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from apps import networks, photographs
from apps.page import QUICK, SLOW, START, Page, Source, gallery, upload, uploaded, warning
from tasks.common.errors import Error
from tasks.inside import CLASSIFIERS, maps
from tasks.looks import adversarial, asked, saliency
from tasks.profile import Profile

TITLE, ORDER = "Look inside", 70
FIRST = "squeezenet"
# Budgets of the slider; each is tried after the smaller ones, by so many steps: a request takes seconds.
LARGEST, STEPS = 16, 20
SHOWN = 320  # pixels of a picture's side on the page
ABOUT = """
White pixels count most for the class. *grad-cam* is recommended: of the methods here it alone passes the check that a map has to change when the network's layers are drawn anew. The
others keep drawing the photograph's own edges, though their pixels do carry the class better than chance. What is changed to fool the network is a picture of 8 bits, as it would be saved.
"""


def choices(profile: Profile) -> list[str]:
    """The classifiers that there are: those that came along, and those trained here."""
    return [FIRST, asked.OTHER, *(name for name in networks.trained(profile, CLASSIFIERS) if name not in (FIRST, asked.OTHER))]


def examples() -> dict[str, Path]:
    return photographs.examples("photographs")


def answers(top: dict[str, float]) -> list[list[Any]]:
    """For the page: class, probability in percent."""
    return [[name, round(100 * share, 1)] for name, share in top.items()]


def large(picture: np.ndarray) -> np.ndarray:
    """uint8 (H, W) or (H, W, C) as the page shows it: small ones with their pixels enlarged, (H', W', 3)."""
    pixels = picture[..., None] if picture.ndim == 2 else picture
    factor = max(1, SHOWN // pixels.shape[0])
    return np.repeat(np.repeat(np.broadcast_to(pixels, (*pixels.shape[:2], 3)), factor, 0), factor, 1)


def tab(profile: Profile, page: Page) -> None:
    """Fill the tab."""
    named = examples()
    source = gr.State(None)
    with gr.Row():
        with gr.Column(scale=1, min_width=320):
            gr.Markdown("**Your photograph** <small>its middle square is looked at</small>")
            field = upload("inside-upload")
            gr.Markdown("**or an example**")
            shown = gallery("inside-examples", [photographs.read(path, name)[0] for name, path in named.items()])
            network = gr.Dropdown(choices(profile), value=FIRST, label="Network", elem_id="inside-network")
            label = gr.Textbox(label="Class to explain (empty: the most probable)", elem_id="inside-class")
            method = gr.Dropdown([*maps.METHODS], value=saliency.PASSES[0], label="Method", elem_id="inside-method")
            gr.Markdown(ABOUT)
        with gr.Column(scale=3, min_width=600):
            message = gr.HTML(START, elem_id="inside-message")
            with gr.Row():
                pictures = [_picture("Photograph", "inside-photograph"), _picture("Map", "inside-map")]
                table = gr.Dataframe(headers=["class", "%"], interactive=False, elem_id="inside-top")
            gr.Markdown("**Fool it**")
            with gr.Row():
                target = gr.Textbox(label="To be taken for (empty: a random class)", elem_id="fool-class")
                budget = gr.Slider(1, LARGEST, 8, step=1, label="Largest change of a value, of 255", elem_id="fool-budget")
                button = gr.Button("Fool it", elem_id="fool", variant="primary")
            told = gr.HTML(elem_id="fool-message")
            with gr.Row():
                changed = [_picture("Changed", "fool-picture"), _picture("The change, amplified", "fool-change")]
                after = gr.Dataframe(headers=["class", "%"], interactive=False, elem_id="fool-top")

    def begin(chosen: Source, name: str) -> tuple[asked.Looked, np.ndarray]:
        _, path, title = chosen
        return asked.find_network(profile, name), photographs.read(Path(path), title)[0]

    def show(chosen: Source | None, name: str, wanted: str, how: str) -> list[Any]:
        if chosen is None:
            return [gr.skip()] * 4
        try:
            looked, pixels = begin(chosen, name)
            grey, about = saliency.explain(looked, pixels, wanted.strip() or None, how, looked.configuration.size)
            words = f"{chosen[2]}: {about['class']}, probability {about['probability']:.2f}, by {how}"
            note = "" if how in saliency.PASSES else f" {html.escape(how)} fails the check by re-drawn layers."
            square = looked.square(pixels, looked.configuration.size)
            return [f"<p>{html.escape(words)}.{note}</p>", large(square), large(grey), answers(about["top"])]
        except Error as error:
            return [warning(str(error)), None, None, []]

    def fool(chosen: Source | None, name: str, wanted: str, most: float) -> list[Any]:
        if chosen is None:
            return [START, None, None, []]
        try:
            looked, pixels = begin(chosen, name)
            square = looked.square(pixels, looked.configuration.size)
            budgets = [*(b for b in adversarial.BUDGETS if b < most), int(most)]
            found, numbers = adversarial.fool(looked, square, wanted.strip() or None, budgets, STEPS)
            much = f"by at most {numbers['linf']}/255, SSIM {numbers['ssim']:.3f}"
            words = (
                f"{numbers['seen']} is taken for {numbers['target']}, changed {much}"
                if numbers["reached"]
                else f"not taken for {numbers['target']}, changed {much}; allow a larger change"
            )
            return [
                f"<p>{html.escape(words)}.</p>",
                large(found),
                large(adversarial.amplified(square, found)),
                answers(numbers["after"]),
            ]
        except Error as error:
            return [warning(str(error)), None, None, []]

    def picked(event: gr.SelectData) -> Source:
        name = list(named)[event.index]
        return ("example", str(named[name]), name)

    def cleared() -> list[Any]:
        """Nothing of an earlier photograph stands beside this one."""
        return ["", None, None, []]

    run: dict[str, Any] = {"fn": show, "inputs": [source, network, label, method], "outputs": [message, *pictures, table], **SLOW}
    fooled: list[Any] = [told, *changed, after]
    page.blocks.load(lambda: gr.update(choices=choices(profile)), None, network, **QUICK)
    field.upload(uploaded, field, [field, source], **QUICK).then(cleared, None, fooled, **QUICK).then(**run)
    shown.select(picked, None, source, **QUICK).then(cleared, None, fooled, **QUICK).then(**run)
    network.input(cleared, None, fooled, **QUICK).then(**run)
    gr.on([label.submit, method.input], **run)
    button.click(fool, [source, network, target, budget], fooled, **SLOW)


def _picture(label: str, name: str) -> gr.Image:
    return gr.Image(
        label=label, format="png", interactive=False, buttons=["fullscreen"], height=SHOWN, min_width=200, elem_id=name
    )
