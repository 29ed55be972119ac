"""The tab that makes images out of noise: a system, a class or a sentence, styles, a slider a latent number, and another draw."""

import html
import io
from typing import Any, NamedTuple

import gradio as gr
import numpy as np
import PIL.Image
import torch

from apps import networks
from apps.networks import Choice
from apps.page import GONE, QUICK, SLOW, Page, warning
from models import sentences
from tasks import kinds
from tasks.common.errors import Error
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
# Characters of a sentence, and of the name of a file.
LONGEST, NAME = 200, 100
WORDS = """
- **Again** draws other noise; the same number of the draw always gives the same images.
- **Sliders** are the first numbers of the noise that the large image is made of, in standard deviations. Networks whose images are made of
  more numbers keep the others as they were drawn; those whose images are made of none, such as one that draws codes, have no sliders.
- **Class**: of conditional networks alone; *any* takes each class in its turn.
- **Sentence**: of networks that follow words. It takes the place of a class.
- **Truncation**: of networks with styles alone. At 0 all images are the mean of all, at 1 they are as they come.
- **Finer styles of draw**: of the same networks. The coarser half of each image's styles stays its own; the finer half is that of another draw's
  large image.
"""


def choices(profile: Profile) -> dict[str, Choice]:
    """The generators that have weights, by the name that the page shows."""
    return {**networks.trained(profile, KIND), **networks.embedded(profile, KIND)}


def noise(network: Any, seed: int) -> torch.Tensor:
    """The noise (1, latent) of a draw's large image."""
    drawn: torch.Tensor = network.noise(1, torch.Generator().manual_seed(seed))
    return drawn


class Asked(NamedTuple):
    """What the images of a draw are to be.

    `text`: a sentence in place of a class, empty for none. `truncation`: of styles, 1 for as they come. `mix`: the draw that the finer styles
    are of, None for each image's own.
    """

    label: str = ANY
    text: str = ""
    truncation: float = 1.0
    mix: int | None = None

    @property
    def said(self) -> dict[str, str | None]:
        """Class and sentence, None where there is none."""
        return {"asked": None if self.label == ANY else self.label, "text": self.text.strip() or None}

    @property
    def styles(self) -> dict[str, float | int | None]:
        """Truncation and mix, None where images come as they come."""
        return {"truncation": None if self.truncation == 1 else self.truncation, "mix": self.mix}

    def words(self) -> list[str]:
        """What was asked for, for people; empty for a draw of anything."""
        said = [word for word in self.said.values() if word]
        truncated = [f"truncation {self.truncation:g}"] if self.truncation != 1 else []
        return [*said, *truncated, *([f"finer styles of draw {self.mix}"] if self.mix is not None else [])]


@torch.inference_mode()
def image(choice: Choice, seed: int, asked: Asked, moved: list[float]) -> np.ndarray:
    """The large image, uint8 (H, W, C): of the draw's noise, its first numbers in the places that sliders have. Raises Error."""
    network, configuration = choice.load()
    use = kinds.part(KIND, "use")
    if not network.latent:
        made: np.ndarray = use.make(network, configuration, 1, seed, **asked.said, **asked.styles)
        return made[0]
    condition = use.wanted(network, configuration, 1, **asked.said)
    numbers = noise(network, seed)
    numbers[0, : len(moved)] = torch.tensor(moved)
    shown: np.ndarray = use.decoded(network, configuration, numbers, condition, **asked.styles)
    return shown[0]


def grid(choice: Choice, seed: int, asked: Asked) -> np.ndarray:
    """Sixteen samples of a draw in rows of four, uint8 (H, W, C). Raises Error."""
    use = kinds.part(KIND, "use")
    pictures: np.ndarray = use.grid(use.make(*choice.load(), SAMPLES, seed, **asked.said, **asked.styles), COLUMNS)
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
            label = gr.Dropdown([ANY], value=ANY, label="Class", visible=False, elem_id="generate-class")
            text = gr.Textbox(label="Sentence (Enter draws)", max_length=LONGEST, visible=False, elem_id="generate-text")
            truncation = gr.Slider(
                0.0, 1.0, 1.0, step=0.05, label="Truncation", info="0: the mean of all images; 1: as they come",
                visible=False, elem_id="generate-truncation",
            )  # fmt: skip
            mix = gr.Number(
                None,
                label="Finer styles of draw",
                info="empty: each image's own",
                precision=0,
                minimum=0,
                visible=False,
                elem_id="generate-mix",
            )
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
    asked = [label, text, truncation, mix]
    shown = [message, picture, many, download]

    def open_page() -> list[Any]:
        found = choices(profile)
        if not found:
            missing = "<p>No generator of this profile is trained yet; run <code>make rebuild</code>.</p>"
            return [missing, gr.update(choices=[], value=None)]
        return [gr.skip(), gr.update(choices=list(found), value=next(iter(found)))]

    def about(name: str, seed: int) -> list[Any]:
        """What the page says of a generator, what it can be asked for, and sliders where its noise of this draw has them."""
        if not name:
            return [gr.skip()] * (1 + len(asked) + SLIDERS)
        try:
            found = choices(profile)[name]
            built, configuration = found.load()
            words = f"{html.escape(found.about())}<br><small>{html.escape(found.describe())}</small>"
        except (Error, KeyError):
            return [warning(GONE), *[gr.skip()] * (len(asked) + SLIDERS)]
        conditional, count = bool(built.classes), len(configuration.classes)
        use = kinds.part(KIND, "use")
        example = sentences.sentence(37 % count, count) if use.follows_sentences(built, configuration) else ""
        styled = use.has_styles(built)
        return [
            words,
            gr.update(choices=[ANY, *configuration.classes] if conditional else [ANY], value=ANY, visible=conditional),
            gr.update(value="", placeholder=example, visible=bool(example)),
            gr.update(value=1.0, visible=styled),
            gr.update(value=None, visible=styled),
            *placed(name, seed),
        ]

    def placed(name: str, seed: int) -> list[Any]:
        """The sliders in the places of a draw."""
        built: Any = choices(profile)[name].load()[0]
        drawn = noise(built, seed)[0].clamp(-REACH, REACH).tolist() if built.latent else []
        return [gr.update(value=drawn[i], visible=True) if i < len(drawn) else gr.update(visible=False) for i in range(SLIDERS)]

    def show(name: str, seed: int, label: str, text: str, truncation: float, mix: int | None, *moved: float) -> list[Any]:
        """The images of a draw: both, and the file."""
        if not name:
            return [gr.skip()] * len(shown)
        try:
            if (found := choices(profile).get(name)) is None:
                raise Error(GONE)
            latent: Any = found.load()[0].latent
            wish = Asked(label, text, truncation, mix)
            one, samples = image(found, seed, wish, list(moved)[: int(latent)]), grid(found, seed, wish)
            said = [name, f"draw {seed}", *wish.words()]
            file = page.write(png(samples), f"{'-'.join(said)[:NAME]}.png")
            words = f"<p>{html.escape(', '.join(said))}</p>"
            return [words, large(one), large(samples), gr.update(value=file, interactive=True)]
        except Error as error:
            return [warning(str(error)), None, None, gr.update(value=None, interactive=False)]

    def next_draw(name: str, seed: int) -> list[Any]:
        if not name:
            return [gr.skip()] * (1 + SLIDERS)
        return [seed + 1, *placed(name, seed + 1)]

    run: dict[str, Any] = {"fn": show, "inputs": [network, seed, *asked, *sliders], "outputs": shown, **SLOW}
    chosen: dict[str, Any] = {"fn": about, "inputs": [network, seed], "outputs": [weights, *asked, *sliders], **QUICK}
    page.blocks.load(open_page, None, [message, network], **QUICK).then(**chosen).then(**run)
    network.input(**chosen).then(**run)
    # A class and a sentence say the same thing: whichever is given last counts.
    label.input(lambda: "", None, text, **QUICK).then(**run)
    text.submit(lambda: ANY, None, label, **QUICK).then(**run)
    truncation.release(**run)
    mix.input(**run)
    again.click(next_draw, [network, seed], [seed, *sliders], **QUICK).then(**run)
    for slider in sliders:
        slider.release(**run)
