"""The demo page: a photograph of one's own through the trained networks. `python -m apps.demo --help`

The page is served to this machine alone, and the browser is told to load nothing from elsewhere.
"""

import html
import os
import re
import signal
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from apps import images
from tasks import config
from tasks.common.cli import QUIET
from tasks.common.errors import Error
from tasks.params.preparation import Target
from tasks.profile import Profile

# Gradio reads its settings, and where uploads go, when it is imported.
for _name, _value in {**QUIET, "HF_HUB_OFFLINE": "1"}.items():
    os.environ.setdefault(_name, _value)
TEMPORARY = tempfile.TemporaryDirectory(prefix="darkroom-demo-")
os.environ["GRADIO_TEMP_DIR"] = TEMPORARY.name
import gradio as gr  # noqa: E402

from apps import detection, faces_tab  # noqa: E402

HOST = "127.0.0.1"
WAITING = 16  # requests that may queue; later ones are told to come back
KEEP = 3600  # seconds that uploads and results stay on the disk
POLICY = "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; frame-ancestors 'self'; form-action 'self'"
EXTENSIONS = [".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"]

CSS = """
.gradio-container { max-width: 1400px !important; margin: 0 auto !important; }
#message .warning, #detect-message .warning, #faces-message .warning {
  border-left: 4px solid #d97706; background: #d9770622; padding: .7em 1em; border-radius: 4px;
}
#scores .scores { display: flex; flex-wrap: wrap; gap: .6em 2.2em; align-items: baseline; }
#scores b { font-size: 1.5em; font-variant-numeric: tabular-nums; }
#scores small, #weights small { opacity: .75; }
#weights, #message, #scores, #faces-message { padding: 0 !important; }
.progress-text { visibility: hidden; } /* the time that the last photograph took, which says nothing of this one */
#examples .grid-wrap { max-height: none; min-height: 0; padding: 0; }
#examples .grid-container { gap: 6px; margin: 0; height: auto; grid: none / repeat(5, minmax(0, 1fr)) !important; }
#examples .gallery-item, #examples button { min-width: 0; width: 100%; height: auto; aspect-ratio: 1; }
#main > .column:first-child { gap: 10px; }
"""

# Chosen when the page opens, where it is there: learned, small, quick, and close to the filter.
FIRST = "sobel-compact"
MEASURES = """
- **PSNR**: how close the network comes to the filter's own picture, in decibels: more is better, each 6 dB halve the difference, and from 40 dB on it is hardly to be seen.
- **SSIM**: how alike the structures are, from 0 to 1.
- **L1**: the mean absolute difference, as a share of the range from black to white.
- **Filters**: Sobel's draws edges, brighter where grey changes more. The random one is nine random weights. At a *fixed scale* a grey level means the same in every
  photograph; *per image*, the strongest edge of each is white.
- **Networks** are the experiments of `params.yaml`. What is said below the choice: what the network is, its seed, where its weights come from, the commit
  that trained them, and the data. `…-random` learned a random filter, `…-per-image` one that is scaled to each photograph's own range.
"""

# What the page is to filter: ("example" or "upload", file, name for people). Gradio keeps one for each visitor.
Source = tuple[str, str, str]


class ContentPolicy:
    """Middleware that adds the Content-Security-Policy, so that no page of ours reaches for another host."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", POLICY.encode())]
            await send(message)

        await self.app(scope, receive, send_with_policy if scope["type"] == "http" else send)


def page(profile: Profile) -> gr.Blocks:
    """The page of a profile. Raises Error where the example photographs are missing."""
    with gr.Blocks(title="Darkroom", delete_cache=(KEEP // 6, KEEP), analytics_enabled=False) as blocks:
        gr.Markdown("# Darkroom\nTry the trained networks on a photograph of your own. Nothing leaves this machine.")
        with gr.Tab("Image to image"):
            image_to_image(profile, blocks)
        with gr.Tab("Detection"):
            detection.tab(profile, blocks)
        with gr.Tab("Faces and emotions"):
            faces_tab.tab(profile, EXTENSIONS, lambda content, name: _write(blocks, content, name))
    return blocks


def image_to_image(profile: Profile, blocks: gr.Blocks) -> None:
    """The tab that shows a photograph, the analytic filter and the network's output side by side."""
    photographs = images.examples()
    limits = f"at most {images.MAX_BYTES // 2**20} MiB and {images.MAX_PIXELS // 10**6} million pixels"
    source, turn = gr.State(None), gr.State(0)
    if profile.name == "sample":
        gr.Markdown(
            "These networks were trained for seconds to minutes, to show that all works: their pictures are faint. "
            "`make rebuild PROFILE=full`, then `make demo PROFILE=full`, shows what they can do."
        )
    missing = gr.Markdown(visible=False, elem_id="missing")
    with gr.Row(visible=False, elem_id="main") as main:
        with gr.Column(scale=1, min_width=320):
            gr.Markdown(f"**Your photograph** <small>{limits}</small>")
            upload = gr.File(show_label=False, file_types=EXTENSIONS, height=130, elem_id="upload")
            gr.Markdown("**or an example**")
            gallery = gr.Gallery(
                [images.preview(images.read(path, name)[0], 160) for name, path in photographs.items()],
                label="Examples", show_label=False, columns=5, height="auto", object_fit="cover", allow_preview=False,
                interactive=False, buttons=[], elem_id="examples",
            )  # fmt: skip
            network = gr.Dropdown([], label="Network", elem_id="network")
            weights = gr.HTML(elem_id="weights")
            choice = gr.Dropdown(list(images.FILTERS), label="Filter to compare with", elem_id="filter")
            seed = gr.Number(0, label="Seed of the random filter", precision=0, minimum=0, visible=False, elem_id="seed")
            with gr.Accordion("What the names and numbers mean", open=False, elem_id="meanings"):
                gr.Markdown(MEASURES)
        with gr.Column(scale=3, min_width=600):
            message = gr.HTML("<p>Upload a photograph or pick an example.</p>", elem_id="message")
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
        found = images.choices(profile)
        if not found:
            return [gr.update(visible=True, value=_missing(profile)), gr.update(visible=False), *[gr.skip()] * 4]
        first = FIRST if FIRST in found else next(iter(found))
        return [gr.update(visible=False), gr.update(visible=True), gr.update(choices=list(found), value=first), *about(first)]

    def about(name: str) -> list[Any]:
        """What the page says of a network, and the filter that it learned."""
        found = images.choices(profile).get(name)
        if found is None:
            return [_warning("These weights are gone; load the page again."), gr.skip(), gr.skip()]
        try:
            described = f"{html.escape(found.about())}<br><small>{html.escape(found.describe())}</small>"
        except Error as error:
            described = _warning(str(error))
        return [described, images.filter_label(found.target), gr.update(value=found.target.seed, visible=_random(found.target))]

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
            if (found := images.choices(profile).get(name)) is None:
                raise Error("These weights are gone; load the page again.")
            if seed is None or seed < 0:
                raise Error("The seed of the random filter must be a whole number, 0 or more.")
            kind, scale = images.FILTERS[filter_label]
            target = Target(filter=kind, scale=scale, seed=int(seed) if kind == "random" else 0)
            _, path, title = source
            photograph, about_file = images.read(Path(path), title)
            result = images.apply(found, photograph, target)
            shown = (result.photograph, result.target, result.output, result.difference)
            file = _write(blocks, result.png(), f"{Path(title).stem}-{name}.png")
            learned = found.target.model_copy(update={"seed": found.target.seed if _random(found.target) else 0})
            notes = [f"{title}: {about_file}."] if about_file else []
            if learned != target:
                notes.append(f"This network is made for another filter: {_named(found.target)}.")
            return [
                _warning(" ".join(notes)) if notes else "",
                _scores(result, f"{name} on {title}", filter_label),
                *map(images.preview, shown),
                gr.update(value=file, interactive=True),
            ]
        except Error as error:
            return [_warning(str(error)), "", *nothing, gr.update(value=None, interactive=False)]

    def uploaded(path: str) -> tuple[None, Source]:
        # The field is emptied so that the next photograph can be dropped on it.
        return None, ("upload", path, Path(path).name)

    def picked(event: gr.SelectData) -> Source:
        name = list(photographs)[event.index]
        return ("example", str(photographs[name]), name)

    def seed_field(filter_label: str) -> Any:
        return gr.update(visible=images.FILTERS[filter_label][0] == "random")

    quick: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    blocks.load(open_page, None, [missing, main, network, weights, choice, seed], **quick)
    for asked in (
        upload.upload(uploaded, upload, [upload, source], **quick),
        gallery.select(picked, None, source, **quick),
        network.input(about, network, [weights, choice, seed], **quick),
        choice.input(seed_field, choice, seed, **quick),
        gr.on([seed.submit, seed.blur], lambda: None, **quick),
    ):
        asked.then(wait, [turn, source, network], [turn, message, scores, download], **quick)
    # One photograph at a time, since each takes all the processors; and of those asked for meanwhile, the last.
    turn.change(
        show,
        [source, network, choice, seed],
        [message, scores, *pictures, download],
        show_progress_on=pictures,
        concurrency_limit=1,
        trigger_mode="always_last",
        api_visibility="private",
    )


def _random(target: Target) -> bool:
    return target.filter == "random"


def _named(target: Target) -> str:
    return images.filter_label(target) + (f", seed {target.seed}" if _random(target) else "")


def _missing(profile: Profile) -> str:
    command = "make rebuild" if profile.name == "sample" else f"make rebuild PROFILE={profile.name}"
    return (
        f"## No trained network yet\nThe profile `{profile.name}` has no weights of an image-to-image experiment. Run\n\n"
        f"    {command}\n\nin the project's folder, then load this page again."
    )


def _warning(text: str) -> str:
    return f'<div class="warning" role="alert">{html.escape(text)}</div>'


def _scores(result: images.Filtered, title: str, filter_label: str) -> str:
    height, width = result.photograph.shape[:2]
    s = result.scores
    numbers: Sequence[tuple[str, str]] = (
        ("PSNR", f"{s['psnr']:.2f} dB"), ("SSIM", f"{s['ssim']:.4f}"), ("L1", f"{s['l1']:.4f}"),
        ("network", f"{result.network_seconds:.2f} s"), ("analytic filter", f"{result.filter_seconds:.3f} s"),
    )  # fmt: skip
    items = "".join(f"<span><small>{name}</small> <b>{value}</b></span>" for name, value in numbers)
    return (
        f'<div class="scores">{items}</div><small>{html.escape(title)}, {width} x {height} pixels, against {html.escape(filter_label)}, over '
        f"all pixels. In the difference, the brightest yellow is {256 // images.DIFFERENCE_GAIN} grey levels or more.</small>"
    )


def _write(blocks: gr.Blocks, content: bytes, name: str) -> str:
    """A file that the page may give out, deleted with the page's other temporary ones."""
    folder = Path(tempfile.mkdtemp(dir=TEMPORARY.name))
    path = folder / re.sub(r"[^\w.-]+", "-", name)
    path.write_bytes(content)
    blocks.upload_file_set.add(str(path))
    return str(path)


def start(profile: Profile, port: int) -> gr.Blocks:
    """Serve the page on loopback until `close`. Raises Error for a port in use."""
    blocks = page(profile).queue(max_size=WAITING, api_open=False)
    font = ("system-ui", "sans-serif")
    try:
        blocks.launch(
            server_name=HOST, server_port=port, share=False, inbrowser=False, quiet=True, prevent_thread_lock=True,
            ssr_mode=False, mcp_server=False, run_history=False, enable_monitoring=False, pwa=False, show_error=False,
            footer_links=[], max_threads=4, state_session_capacity=100, max_file_size=images.MAX_BYTES,
            theme=gr.themes.Soft(primary_hue="slate", font=font, font_mono=("ui-monospace", "monospace")), css=CSS,
            app_kwargs={"middleware": [Middleware(ContentPolicy)]},
        )  # fmt: skip
    except OSError as error:
        if "empty port" not in str(error):
            raise
        raise Error(f"port {port} is in use; stop what uses it, or choose another with --port") from None
    return blocks


def main(
    port: Annotated[int, typer.Option(help="of the page", min=1, max=65535)] = 7860,
    profile: Annotated[Path, typer.Option(help="the folder whose params.yaml names the networks")] = Path("."),
) -> None:
    """Open a page on this machine to try the trained networks on photographs, until Ctrl-C.

    It offers every image-to-image experiment and every detector of the profile that has weights (make rebuild), and the
    image-to-image ones that come with the code.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    loaded = config.load(profile)
    with TEMPORARY:
        # Ctrl-C too: a shell starts what it puts into the background with SIGINT ignored.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, interrupt)
        blocks = start(loaded, port)
        print(f"http://{HOST}:{port}  (Ctrl-C ends it)", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("stopped", flush=True)
        finally:
            blocks.close(verbose=False)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
