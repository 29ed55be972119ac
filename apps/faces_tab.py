"""The page's tab of faces and emotions: a photograph of one's own, its boxes, and what they were read from."""

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from apps import images as shown
from apps.faces import MAX_BYTES, MAX_PIXELS, Reader, Seen, sentence
from tasks.common.errors import Error
from tasks.datasets import embedded
from tasks.datasets.emotions import EMOTIONS
from tasks.datasets.sources import DATASETS
from tasks.profile import Profile

# What a file of the page is written by: its content and name, to the path that may be given out.
Write = Callable[[bytes, str], str]
NAME = 60  # characters, of up to four bytes
HEADER = ["face", "emotion", "probability", *EMOTIONS, "face score", "sharpness", "flags"]


def examples() -> dict[str, Path]:
    """Photographs inside the installed packages, by name."""
    return {Path(file.name).stem: embedded.find(file)[0] for file in DATASETS["people"].packaged}


def tab(profile: Profile, extensions: list[str], write: Write) -> None:
    """Fill the tab."""
    reader, photographs = Reader(profile), examples()
    with gr.Row():
        with gr.Column(scale=1, min_width=320):
            limits = f"at most {MAX_BYTES // 2**20} MiB and {MAX_PIXELS // 10**6} million pixels"
            gr.Markdown(f"**Your photograph** <small>{limits}</small>")
            upload = gr.File(show_label=False, file_types=extensions, height=130, elem_id="faces-upload")
            gr.Markdown("**or an example**")
            gallery = gr.Gallery(
                [shown.preview(shown.read(path, name)[0], 160) for name, path in photographs.items()],
                label="Examples", show_label=False, columns=3, height="auto", object_fit="cover", allow_preview=False,
                interactive=False, buttons=[], elem_id="faces-examples",
            )  # fmt: skip
        with gr.Column(scale=3, min_width=600):
            message = gr.HTML("<p>Upload a photograph or pick an example.</p>", elem_id="faces-message")
            picture = gr.Image(label="Faces", format="png", interactive=False, buttons=["fullscreen"], elem_id="faces-picture")
            table = gr.Dataframe(headers=HEADER, interactive=False, wrap=True, elem_id="faces-table")
            with gr.Row():
                png = gr.DownloadButton("Download the picture (PNG)", interactive=False, elem_id="faces-png")
                rows = gr.DownloadButton("Download the rows (CSV)", interactive=False, elem_id="faces-csv")

    def show(path: str, title: str) -> list[Any]:
        try:
            seen = reader.see(_bytes(Path(path), title))
            # What is added must not make a name longer than a file's may be.
            stem = Path(title).stem[:NAME]
            files = (write(seen.png, f"{stem}-faces.png"), write(seen.csv().encode(), f"{stem}-faces.csv"))
            return [
                f"<p><b>{html.escape(title)}</b>, {seen.photograph.width} x {seen.photograph.height} pixels. {sentence(seen)}</p>",
                files[0],
                _cells(seen),
                *(gr.update(value=file, interactive=True) for file in files),
            ]
        except Error as error:
            text = html.escape(f"{title} cannot be used: {error}")
            nothing = gr.update(value=None, interactive=False)
            return [f'<div class="warning" role="alert">{text}</div>', None, [], nothing, nothing]

    def uploaded(path: str) -> list[Any]:
        # The field is emptied so that the next photograph can be dropped on it.
        return [None, *show(path, Path(path).name)]

    def picked(event: gr.SelectData) -> list[Any]:
        name = list(photographs)[event.index]
        return show(str(photographs[name]), name)

    outputs = [message, picture, table, png, rows]
    options: dict[str, Any] = {"concurrency_limit": 1, "trigger_mode": "always_last", "api_visibility": "private"}
    upload.upload(uploaded, upload, [upload, *outputs], **options)
    gallery.select(picked, None, outputs, **options)


def _bytes(path: Path, title: str) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise Error(f"more than the {MAX_BYTES // 2**20} MiB that this page takes")
        return path.read_bytes()
    except FileNotFoundError:
        raise Error(f"{title} is no longer here: uploads are deleted after an hour; choose it again") from None


def _cells(seen: Seen) -> list[list[Any]]:
    return [
        [row["face"] + 1, row["emotion"], f"{100 * row['emotion_confidence']:.0f} %"]
        + [f"{100 * row[name]:.0f} %" for name in EMOTIONS]
        + [f"{100 * row['face_confidence']:.0f} %", round(row["sharpness"]), row["flags"]]
        for row in seen.rows
    ]
