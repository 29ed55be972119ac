"""What the tabs of the page share: the page that they are built into, the files that it gives out, and its small parts."""

import html
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from apps import TEMPORARY
from apps.photographs import preview

EXTENSIONS = [".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"]
THUMBNAIL = 160  # pixels
COLUMNS = 5  # of examples
START = "<p>Upload a photograph or pick an example.</p>"
GONE = "These weights are gone; load the page again."
# How what is quick is called, and what takes all processors: one at a time, and of those asked for meanwhile the last.
QUICK: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
SLOW: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": 1, "trigger_mode": "always_last"}
# What is to be shown: "upload" or "example", a file or a number, and the name for people. Gradio keeps one for each visitor.
Source = tuple[str, str, str]


class Page:
    """The page while its tabs are built into it."""

    def __init__(self, blocks: gr.Blocks) -> None:
        self.blocks = blocks

    def write(self, content: bytes, name: str) -> str:
        """Write a file that the page may give out, and return its path; it is deleted with the page's other temporary ones."""
        path = Path(tempfile.mkdtemp(dir=TEMPORARY.name)) / re.sub(r"[^\w.-]+", "-", name)
        path.write_bytes(content)
        self.blocks.upload_file_set.add(str(path))
        return str(path)


def upload(name: str) -> gr.File:
    """The field that a photograph is dropped on. `name`: its id."""
    return gr.File(show_label=False, file_types=EXTENSIONS, height=130, elem_id=name)


def gallery(name: str, pictures: Sequence[np.ndarray] = ()) -> gr.Gallery:
    """Examples to pick from, uint8 (H, W, 3) each. `name`: its id."""
    return gr.Gallery(
        [preview(picture, THUMBNAIL) for picture in pictures],
        label="Examples", show_label=False, columns=COLUMNS, height="auto", object_fit="cover", allow_preview=False, interactive=False,
        buttons=[], elem_id=name, elem_classes="examples",
    )  # fmt: skip


def widths(headers: Sequence[str]) -> list[str | int]:
    """The widths of a table's columns, in which no word of a header is broken."""
    return [f"{9 * max(map(len, header.split())) + 48}px" for header in headers]


def uploaded(path: str) -> tuple[None, Source]:
    """What is to be shown once a photograph was uploaded, after the field's new content: none, so that the next one can be dropped on it."""
    return None, ("upload", path, Path(path).name)


def warning(text: str) -> str:
    """A sentence that stands out."""
    return f'<div class="notice" role="alert">{html.escape(text)}</div>'
