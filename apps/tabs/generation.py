"""The tab that makes images out of noise: a system, a class, a slider a latent number, and another draw."""

import html
import io
from typing import Any

import gradio as gr
import numpy as np
import PIL.Image
import torch

from apps import networks
from apps.networks import Choice
from apps.page import GONE, QUICK, SLOW, Page, warning
from tasks import kinds
from tasks.common.errors import Error
from tasks.learning.tensors import to_bytes
from tasks.profile import Profile

TITLE, ORDER = "Generation", 35
KIND = "generate"
CSS = """
#generate-picture img, #generate-grid img { image-rendering: pixelated; }
#generate-weights small { opacity: .75; }
"""
# Latent numbers that have a slider each, and how far it goes; those behind them stay as they were drawn.
SLIDERS, REACH = 16, 3.0
# Samples of the grid, and pixels a side of what is shown.
SAMPLES, COLUMNS, SIDE = 16, 4, 336
ANY = "any"
WORDS = """
- **Again** draws other noise; the same number of the draw always gives the same images.
- **Sliders** are the first numbers of the noise that the large image is made of, in standard deviations. Networks whose images are made of
  more numbers keep the others as they were drawn; those whose images are made of none, such as one that draws codes, have no sliders.
- **Class**: of conditional networks alone; *any* takes each class in its turn.
"""


def choices(profile: Profile) -> dict[str, Choice]:
    """The generators that have weights, by the name that the page shows."""
    return {**networks.trained(profile, KIND), **networks.embedded(profile, KIND)}


def noise(network: Any, seed: int) -> torch.Tensor:
    """The noise (1, latent) of a draw's large image."""
    drawn: torch.Tensor = network.noise(1, torch.Generator().manual_seed(seed))
    return drawn


@torch.inference_mode()
def image(choice: Choice, seed: int, asked: str, moved: list[float]) -> np.ndarray:
    """The large image, uint8 (H, W, C): of the draw's noise, its first numbers in the places that sliders have. Raises Error."""
    network, configuration = choice.load()
    condition = kinds.part(KIND, "use").wanted(network, configuration, 1, None if asked == ANY else asked)
    assert isinstance(network, torch.nn.Module)
    if not network.latent:
        return to_bytes(network.sample(1, torch.Generator().manual_seed(seed), condition))[0]  # type: ignore[operator]
    numbers = noise(network, seed)
    numbers[0, : len(moved)] = torch.tensor(moved)
    return to_bytes(network.decode(numbers, network.asked(1, condition)))[0]  # type: ignore[operator]


def grid(choice: Choice, seed: int, asked: str) -> np.ndarray:
    """Sixteen samples of a draw in rows of four, uint8 (H, W, C). Raises Error."""
    use = kinds.part(KIND, "use")
    pictures: np.ndarray = use.grid(use.make(*choice.load(), SAMPLES, seed, None if asked == ANY else asked), COLUMNS)
    return pictures


def large(pixels: np.ndarray) -> np.ndarray:
    """An image uint8 (H, W, 1 or 3) with pixels that can be seen, in colour."""
    times = max(1, SIDE // pixels.shape[0])
    bigger = pixels.repeat(times, 0).repeat(times, 1)
    return np.repeat(bigger, 3, 2) if bigger.shape[2] == 1 else bigger


def png(pixels: np.ndarray) -> bytes:
    content = io.BytesIO()
    PIL.Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).save(content, "PNG")
    return content.getvalue()


def tab(profile: Profile, page: Page) -> None:
    """Fill the tab."""
    seed = gr.State(0)
    with gr.Row():
        with gr.Column(scale=1, min_width=320):
            network = gr.Dropdown([], label="System", elem_id="generator")
            weights = gr.HTML(elem_id="generate-weights")
            asked = gr.Dropdown([ANY], value=ANY, label="Class", visible=False, elem_id="generate-class")
            again = gr.Button("Again", elem_id="again")
            sliders = [
                gr.Slider(
                    -REACH,
                    REACH,
                    0.0,
                    step=0.05,
                    label=f"Latent number {index + 1}",
                    visible=False,
                    elem_id=f"latent-{index + 1}",
                )
                for index in range(SLIDERS)
            ]
            with gr.Accordion("What this is", open=False):
                gr.Markdown(WORDS)
        with gr.Column(scale=3, min_width=600):
            message = gr.HTML(elem_id="generate-message")
            with gr.Row():
                picture, many = (
                    gr.Image(label=label, format="png", interactive=False, buttons=["fullscreen"], height=380, elem_id=name)
                    for label, name in (("Image", "generate-picture"), ("Sixteen samples of this draw", "generate-grid"))
                )
            download = gr.DownloadButton("Download the samples (PNG)", interactive=False, elem_id="generate-download")
    shown = [message, picture, many, download]

    def open_page() -> list[Any]:
        found = choices(profile)
        if not found:
            missing = "<p>No generator of this profile is trained yet; run <code>make rebuild</code>.</p>"
            return [missing, gr.update(choices=[], value=None)]
        return [gr.skip(), gr.update(choices=list(found), value=next(iter(found)))]

    def about(name: str, seed: int) -> list[Any]:
        """What the page says of a generator, its classes, and sliders where its noise of this draw has them."""
        if not name:
            return [gr.skip()] * (2 + SLIDERS)
        try:
            found = choices(profile)[name]
            built, configuration = found.load()
            words = f"{html.escape(found.about())}<br><small>{html.escape(found.describe())}</small>"
        except (Error, KeyError):
            return [warning(GONE), *[gr.skip()] * (1 + SLIDERS)]
        conditional = bool(built.classes)
        classes = gr.update(choices=[ANY, *configuration.classes] if conditional else [ANY], value=ANY, visible=conditional)
        return [words, classes, *placed(name, seed)]

    def placed(name: str, seed: int) -> list[Any]:
        """The sliders in the places of a draw."""
        built: Any = choices(profile)[name].load()[0]
        drawn = noise(built, seed)[0].clamp(-REACH, REACH).tolist() if built.latent else []
        return [gr.update(value=drawn[i], visible=True) if i < len(drawn) else gr.update(visible=False) for i in range(SLIDERS)]

    def show(name: str, seed: int, asked: str, *moved: float) -> list[Any]:
        """The images of a draw: both, and the file."""
        if not name:
            return [gr.skip()] * len(shown)
        try:
            if (found := choices(profile).get(name)) is None:
                raise Error(GONE)
            latent: Any = found.load()[0].latent
            one, samples = image(found, seed, asked, list(moved)[: int(latent)]), grid(found, seed, asked)
            file = page.write(png(samples), f"{name}-{asked}-{seed}.png")
            words = f"<p>{html.escape(name)}, draw {seed}</p>"
            return [words, large(one), large(samples), gr.update(value=file, interactive=True)]
        except Error as error:
            return [warning(str(error)), None, None, gr.update(value=None, interactive=False)]

    def next_draw(name: str, seed: int) -> list[Any]:
        if not name:
            return [gr.skip()] * (1 + SLIDERS)
        return [seed + 1, *placed(name, seed + 1)]

    run: dict[str, Any] = {"fn": show, "inputs": [network, seed, asked, *sliders], "outputs": shown, **SLOW}
    chosen: dict[str, Any] = {"fn": about, "inputs": [network, seed], "outputs": [weights, asked, *sliders], **QUICK}
    page.blocks.load(open_page, None, [message, network], **QUICK).then(**chosen).then(**run)
    network.input(**chosen).then(**run)
    asked.input(**run)
    again.click(next_draw, [network, seed], [seed, *sliders], **QUICK).then(**run)
    for slider in sliders:
        slider.release(**run)
