"""The tab of faces and emotions: a photograph of one's own, its boxes, and what they were read from."""

import html
from pathlib import Path
from typing import Any

import gradio as gr

from apps import photographs
from apps.faces import MAX_BYTES, MAX_PIXELS, Reader, Seen, sentence
from apps.page import SLOW, START, Page, gallery, upload, warning, widths
from tasks.common.errors import Error
from tasks.datasets.emotions import EMOTIONS
from tasks.profile import Profile

TITLE, ORDER = "Faces and emotions", 40
CSS = "#faces-message { padding: 0 !important; }"
NAME = 60  # characters, of up to four bytes
HEADER = ["face", "emotion", "probability", *EMOTIONS, "face score", "sharpness", "flags"]


def tab(profile: Profile, page: Page) -> None:
    """Fill the tab."""
    reader, people = Reader(profile), photographs.examples("people")
    with gr.Row():
        with gr.Column(scale=1, min_width=320):
            limits = f"at most {MAX_BYTES // 2**20} MiB and {MAX_PIXELS // 10**6} million pixels"
            gr.Markdown(f"**Your photograph** <small>{limits}</small>")
            field = upload("faces-upload")
            gr.Markdown("**or an example**")
            pictures = gallery("faces-examples", [photographs.read(path, name)[0] for name, path in people.items()])
        with gr.Column(scale=3, min_width=600):
            message = gr.HTML(START, elem_id="faces-message")
            picture = gr.Image(label="Faces", format="png", interactive=False, buttons=["fullscreen"], elem_id="faces-picture")
            table = gr.Dataframe(
                headers=HEADER, column_widths=widths(HEADER), interactive=False, wrap=True, elem_id="faces-table"
            )
            with gr.Row():
                png = gr.DownloadButton("Download the picture (PNG)", interactive=False, elem_id="faces-png")
                rows = gr.DownloadButton("Download the rows (CSV)", interactive=False, elem_id="faces-csv")

    def show(path: str, title: str) -> list[Any]:
        try:
            seen = reader.see(_bytes(Path(path), title))
            # What is added must not make a name longer than a file's may be.
            stem = Path(title).stem[:NAME]
            files = (page.write(seen.png, f"{stem}-faces.png"), page.write(seen.csv().encode(), f"{stem}-faces.csv"))
            return [
                f"<p><b>{html.escape(title)}</b>, {seen.photograph.width} x {seen.photograph.height} pixels. {sentence(seen)}</p>",
                files[0],
                _cells(seen),
                *(gr.update(value=file, interactive=True) for file in files),
            ]
        except Error as error:
            nothing = gr.update(value=None, interactive=False)
            return [warning(f"{title} cannot be used: {error}"), None, [], nothing, nothing]

    def shown(path: str) -> list[Any]:
        # The field is emptied so that the next photograph can be dropped on it.
        return [None, *show(path, Path(path).name)]

    def picked(event: gr.SelectData) -> list[Any]:
        name = list(people)[event.index]
        return show(str(people[name]), name)

    outputs = [message, picture, table, png, rows]
    field.upload(shown, field, [field, *outputs], **SLOW)
    pictures.select(picked, None, outputs, **SLOW)


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
