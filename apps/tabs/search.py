"""The search tab: example photographs, those of validation among them, by what they show or by their likeness to one's own photograph."""

import html
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import numpy as np

from apps import networks, photographs
from apps.networks import Choice
from apps.page import GONE, QUICK, SLOW, Page, Source, upload, uploaded, warning
from tasks.common.errors import Error
from tasks.finding.encoders import Ours, square
from tasks.profile import Profile

TITLE, ORDER = "Search", 45
KIND = "embed"
PACKAGED = ("photos", "photographs", "people")  # data sets that come inside installed packages
VALIDATION = 60  # photographs of validation that are searched too, where they are prepared
SHOWN = 6
PICTURE = 400  # pixels of the long side of what is shown
START = "<p>Say what a photograph shows, or upload one to find its like.</p>"


class Shelf(NamedTuple):
    """Photographs that are searched: their names, small pictures, uint8 (H, W, 3), and unit vectors (N, D)."""

    names: list[str]
    pictures: list[np.ndarray]
    vectors: np.ndarray


def choices(profile: Profile) -> dict[str, Choice]:
    """The networks of photographs and sentences that have weights, by the name that the page shows; those that come with the code first."""
    return {**networks.embedded(profile, KIND), **networks.trained(profile, KIND)}


def encoder(choice: Choice) -> Ours:
    """The network, which stays in memory. Raises Error where its weights are gone."""
    try:
        return _encoder(choice.path, choice.path.stat().st_mtime_ns, choice.device)
    except FileNotFoundError:
        raise Error(GONE) from None


@lru_cache(maxsize=2)
def _encoder(path: Path, written: int, device: str) -> Ours:
    """`written`: when, so that weights of a later rebuild are read again."""
    return Ours(path, device)


# By network and data: opening a hundred photographs takes seconds.
_shelves: dict[tuple[str, str], Shelf] = {}


def shelf(profile: Profile, choice: Choice) -> Shelf:
    """The photographs that a network searches: those of installed packages, and of its data's validation where that is prepared."""
    found = encoder(choice)
    if (key := (found.network, choice.data)) not in _shelves:
        pictures: dict[str, np.ndarray] = {}
        for dataset in PACKAGED:
            for name, path in photographs.examples(dataset).items():
                pictures.setdefault(name, photographs.read(path, name)[0])
        pictures |= {
            f"validation {row}": pixels for row, pixels in photographs.validation(profile, choice.data, VALIDATION).items()
        }
        squares = [square(pixels, found.size) for pixels in pictures.values()]
        small = [photographs.preview(pixels, PICTURE) for pixels in pictures.values()]
        _shelves[key] = Shelf([*pictures], small, found.images(squares))
    return _shelves[key]


def search(profile: Profile, choice: Choice, asked: str | np.ndarray) -> tuple[list[tuple[np.ndarray, str]], str]:
    """The photographs that are nearest to words, or to a photograph, uint8 (H, W, 3), with their names and cosines; and a note or "".

    Raises Error for words that say nothing to the network.
    """
    found = encoder(choice)
    notes: list[str] = []
    if isinstance(asked, str):
        query, notes = found.sentence(asked)
    else:
        query = found.images([square(asked, found.size)])[0]
    on = shelf(profile, choice)
    similarity = on.vectors @ query
    nearest = np.argsort(-similarity, kind="stable")[:SHOWN]
    return [(on.pictures[i], f"{on.names[i]}, {similarity[i]:.2f}") for i in nearest], "; ".join(notes)


def tab(profile: Profile, page: Page) -> None:
    """Fill the tab."""
    source = gr.State(None)
    with gr.Row():
        with gr.Column(scale=1, min_width=320):
            words = gr.Textbox(label="What it shows", placeholder="a cat", elem_id="search-words", max_length=2000)
            go = gr.Button("Search", elem_id="search-go")
            gr.Markdown("**or a photograph that it is like**")
            field = upload("search-upload")
            network = gr.Dropdown([], label="Network", elem_id="search-network")
        with gr.Column(scale=3, min_width=600):
            message = gr.HTML(START, elem_id="search-message")
            results = gr.Gallery(
                label="The nearest photographs", columns=3, height="auto", object_fit="contain", interactive=False, buttons=[], elem_id="search-results",
            )  # fmt: skip

    def open_page() -> list[Any]:
        found = choices(profile)
        if not found:
            return [
                "<p>There is no network of photographs and sentences yet; run <code>make rebuild</code>.</p>",
                gr.update(choices=[], value=None),
            ]
        return [gr.skip(), gr.update(choices=list(found), value=next(iter(found)))]

    def show(asked: str | np.ndarray, title: str, name: str) -> list[Any]:
        try:
            if (choice := choices(profile).get(name)) is None:
                raise Error(GONE)
            found, note = search(profile, choice, asked)
            words = f"{title}: the nearest {len(found)} of {len(shelf(profile, choice).names)} photographs, with their cosines"
            return [f"<p>{html.escape(words)}{f'; {html.escape(note)}' if note else ''}</p>", found]
        except Error as error:
            return [warning(str(error)), []]

    def by_words(asked: str, name: str) -> list[Any]:
        return show(asked, asked.strip()[:80], name)

    def by_photograph(chosen: Source | None, name: str) -> list[Any]:
        if chosen is None:
            return [gr.skip()] * 2
        _, file, title = chosen
        try:
            pixels, _ = photographs.read(Path(file), title)
        except Error as error:
            return [warning(str(error)), []]
        return show(pixels, title, name)

    page.blocks.load(open_page, None, [message, network], **QUICK)
    for event in (words.submit, go.click):
        event(by_words, [words, network], [message, results], **SLOW)
    field.upload(uploaded, field, [field, source], **QUICK).then(by_photograph, [source, network], [message, results], **SLOW)
