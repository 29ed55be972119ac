"""A photograph of 12 megapixels through the embedded networks against one of a megapixel, each from its file to rows."""

import tempfile
from pathlib import Path
from typing import Any

import skimage.data
from PIL import Image

from benchmarks.timing import compare
from tasks import config
from tasks.common.processors import processors
from tasks.faces import photographs
from tasks.faces.annotator import Annotator
from tasks.faces.face_weights import find
from tasks.params.face_settings import Annotate

LARGE, SMALL = (4000, 3000), (1152, 864)
MOST = 6  # times as long, at most


def run(root: Path) -> list[dict[str, Any]]:
    settings = Annotate(source="")
    threads = processors()
    annotator = Annotator(find(config.load(root, experiments=False), settings), settings, threads=threads)
    with tempfile.TemporaryDirectory(prefix="darkroom-bench-") as folder:
        files = {size: Path(folder) / f"{size[0]}.jpg" for size in (LARGE, SMALL)}
        for size, file in files.items():
            Image.fromarray(skimage.data.astronaut()).resize(size).save(file, quality=90)

        def whole(size: tuple[int, int]) -> int:
            """Pixels that were annotated."""
            annotator([photographs.decode(files[size].read_bytes(), "", settings.largest)])
            return size[0] * size[1]

        return [
            compare(
                "annotate_12_megapixels",
                lambda: whole(LARGE),
                lambda: whole(SMALL),
                unit="pixels",
                description=f"a photograph of {LARGE[0]} x {LARGE[1]} pixels from its file to faces and emotions against one of "
                f"{SMALL[0]} x {SMALL[1]}, threads: {threads}; pixels a second, which are a ratio of {LARGE[0] * LARGE[1] / SMALL[0] / SMALL[1] / MOST:.1f} "
                f"where the large one takes {MOST} times as long",
                floor=round(LARGE[0] * LARGE[1] / (SMALL[0] * SMALL[1]) / MOST, 2),
            )
        ]
