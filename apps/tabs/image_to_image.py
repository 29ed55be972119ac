"""The tab that shows a photograph, the analytic filter and the network's output side by side."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from apps import filtering, networks, photographs
from apps.networks import Choice
from apps.page import GONE, QUICK, SLOW, START, Page, Source, gallery, upload, uploaded, warning
from tasks.common.errors import Error
from tasks.kinds.translate import Target
from tasks.profile import Profile

TITLE, ORDER = "Image to image", 10
KIND = "translate"
CSS = """
#scores .scores { display: flex; flex-wrap: wrap; gap: .6em 2.2em; align-items: baseline; }
#scores b { font-size: 1.5em; font-variant-numeric: tabular-nums; }
#scores small, #weights small { opacity: .75; }
#weights, #message, #scores { padding: 0 !important; }
#main > .column:first-child { gap: 10px; }
"""

# The first of these that is there is chosen when the page opens: learned, small, quick, and close to the filter.
FIRST = ("sobel-compact (embedded)", "sobel-compact")
MEASURES = """
- **PSNR**: how close the network comes to the filter's own picture, in decibels: more is better, each 6 dB halve the difference, and from 40 dB on it is hardly to be seen.
- **SSIM**: how alike the structures are, from 0 to 1.
- **L1**: the mean absolute difference, as a share of the range from black to white.
- **Filters**: Sobel's draws edges, brighter where grey changes more. The random one is nine random weights. At a *fixed scale* a grey level means the same in every
  photograph; *per image*, the strongest edge of each is white.
- **Networks** are the experiments of `params.yaml`. What is said below the choice: what the network is, its seed, where its weights come from, the commit
  that trained them, and the data. `…-random` learned a random filter, `…-per-image` one that is scaled to each photograph's own range.
"""


def choices(profile: Profile) -> dict[str, Choice]:
    """The image-to-image networks that have weights, by the name that the page shows."""
    return {**networks.embedded(profile, KIND), **networks.trained(profile, KIND, every_seed=True)}


def learned(profile: Profile, choice: Choice) -> Target:
    """The filter that a network learned. Of embedded weights it is known where the profile has their experiment."""
    experiment = profile.params.experiments.get(choice.experiment)
    target = getattr(profile.params.preprocess[experiment.data], "target", None) if experiment else None
    return target if isinstance(target, Target) else Target()


def tab(profile: Profile, page: Page) -> None:
    """Fill the tab."""
    named = photographs.examples()
    limits = f"at most {photographs.MAX_BYTES // 2**20} MiB and {photographs.MAX_PIXELS // 10**6} million pixels"
    source, turn = gr.State(None), gr.State(0)
    if profile.name == "sample":
        gr.Markdown(
            "Networks that come with the code (*embedded*) were trained in full. Those that `make rebuild` makes of this profile are "
            "trained for seconds, to show that all works: their pictures are faint."
        )
    missing = gr.Markdown(visible=False, elem_id="missing")
    with gr.Row(visible=False, elem_id="main") as main:
        with gr.Column(scale=1, min_width=320):
            gr.Markdown(f"**Your photograph** <small>{limits}</small>")
            field = upload("upload")
            gr.Markdown("**or an example**")
            examples = gallery("examples", [photographs.read(path, name)[0] for name, path in named.items()])
            network = gr.Dropdown([], label="Network", elem_id="network")
            weights = gr.HTML(elem_id="weights")
            choice = gr.Dropdown(list(filtering.FILTERS), label="Filter to compare with", elem_id="filter")
            seed = gr.Number(0, label="Seed of the random filter", precision=0, minimum=0, visible=False, elem_id="seed")
            with gr.Accordion("What the names and numbers mean", open=False, elem_id="meanings"):
                gr.Markdown(MEASURES)
        with gr.Column(scale=3, min_width=600):
            message = gr.HTML(START, elem_id="message")
            scores = gr.HTML(elem_id="scores")
            pictures = []
            for labels in (("Photograph", "Analytic filter"), ("Network output", "Difference")):
                with gr.Row():
                    for label in labels:
                        pictures.append(
                            gr.Image(
                                label=label,
                                format="png",
                                interactive=False,
                                buttons=["fullscreen"],
                                height=380,
                                min_width=260,
                                elem_id=label.lower().replace(" ", "-"),
                            )
                        )
            download = gr.DownloadButton("Download the network's picture (PNG)", interactive=False, elem_id="download")

    def open_page() -> list[Any]:
        found = choices(profile)
        if not found:
            return [gr.update(visible=True, value=_missing(profile)), gr.update(visible=False), *[gr.skip()] * 4]
        first = next((name for name in FIRST if name in found), next(iter(found)))
        return [gr.update(visible=False), gr.update(visible=True), gr.update(choices=list(found), value=first), *about(first)]

    def about(name: str) -> list[Any]:
        """What the page says of a network, and the filter that it learned."""
        found = choices(profile).get(name)
        if found is None:
            return [warning(GONE), gr.skip(), gr.skip()]
        try:
            described = f"{html.escape(found.about())}<br><small>{html.escape(found.describe())}</small>"
        except Error as error:
            described = warning(str(error))
        target = learned(profile, found)
        return [described, filtering.filter_label(target), gr.update(value=target.seed, visible=_random(target))]

    def wait(turn: int, source: Source | None, name: str) -> list[Any]:
        """Ask for the photograph to be filtered; until it is, nothing of an earlier choice stands beside this one."""
        if source is None:
            return [gr.skip()] * 4
        words = f"<p>{html.escape(source[2])} goes through {html.escape(name)}. A large photograph takes a minute or more.</p>"
        return [turn + 1, words, "", gr.update(interactive=False)]

    def show(source: Source | None, name: str, filter_label: str, seed: float | None) -> list[Any]:
        nothing = [None] * len(pictures)
        try:
            if source is None:
                return [gr.skip()] * (3 + len(pictures))
            if (found := choices(profile).get(name)) is None:
                raise Error(GONE)
            if seed is None or seed < 0:
                raise Error("The seed of the random filter must be a whole number, 0 or more.")
            kind, scale = filtering.FILTERS[filter_label]
            target = Target(filter=kind, scale=scale, seed=int(seed) if kind == "random" else 0)
            _, path, title = source
            photograph, about_file = photographs.read(Path(path), title)
            result = filtering.apply(found, photograph, target)
            shown = (result.photograph, result.target, result.output, result.difference)
            file = page.write(result.png(), f"{Path(title).stem}-{name}.png")
            own = learned(profile, found)
            own = own.model_copy(update={"seed": own.seed if _random(own) else 0})
            notes = [f"{title}: {about_file}."] if about_file else []
            if own != target:
                notes.append(f"This network is made for another filter: {_named(own)}.")
            return [
                warning(" ".join(notes)) if notes else "",
                _scores(result, f"{name} on {title}", filter_label),
                *map(photographs.preview, shown),
                gr.update(value=file, interactive=True),
            ]
        except Error as error:
            return [warning(str(error)), "", *nothing, gr.update(value=None, interactive=False)]

    def picked(event: gr.SelectData) -> Source:
        name = list(named)[event.index]
        return ("example", str(named[name]), name)

    def seed_field(filter_label: str) -> Any:
        return gr.update(visible=filtering.FILTERS[filter_label][0] == "random")

    page.blocks.load(open_page, None, [missing, main, network, weights, choice, seed], **QUICK)
    for asked in (
        field.upload(uploaded, field, [field, source], **QUICK),
        examples.select(picked, None, source, **QUICK),
        network.input(about, network, [weights, choice, seed], **QUICK),
        choice.input(seed_field, choice, seed, **QUICK),
        gr.on([seed.submit, seed.blur], lambda: None, **QUICK),
    ):
        asked.then(wait, [turn, source, network], [turn, message, scores, download], **QUICK)
    # One photograph at a time, since each takes all the processors; and of those asked for meanwhile, the last.
    turn.change(
        show,
        [source, network, choice, seed],
        [message, scores, *pictures, download],
        show_progress_on=pictures,
        **SLOW,
    )


def _random(target: Target) -> bool:
    return target.filter == "random"


def _named(target: Target) -> str:
    return filtering.filter_label(target) + (f", seed {target.seed}" if _random(target) else "")


def _missing(profile: Profile) -> str:
    command = "make rebuild" if profile.name == "sample" else f"make rebuild PROFILE={profile.name}"
    return (
        f"## No trained network yet\nThe profile `{profile.name}` has no weights of an image-to-image experiment. Run\n\n"
        f"    {command}\n\nin the project's folder, then load this page again."
    )


def _scores(result: filtering.Filtered, title: str, filter_label: str) -> str:
    height, width = result.photograph.shape[:2]
    s = result.scores
    numbers: Sequence[tuple[str, str]] = (
        ("PSNR", f"{s['psnr']:.2f} dB"), ("SSIM", f"{s['ssim']:.4f}"), ("L1", f"{s['l1']:.4f}"),
        ("network", f"{result.network_seconds:.2f} s"), ("analytic filter", f"{result.filter_seconds:.3f} s"),
    )  # fmt: skip
    items = "".join(f"<span><small>{name}</small> <b>{value}</b></span>" for name, value in numbers)
    return (
        f'<div class="scores">{items}</div><small>{html.escape(title)}, {width} x {height} pixels, against {html.escape(filter_label)}, over '
        f"all pixels. In the difference, the brightest yellow is {256 // filtering.DIFFERENCE_GAIN} grey levels or more.</small>"
    )
