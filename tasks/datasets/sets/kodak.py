"""Kodak: 24 photographs without loss, by which codecs are compared."""

import io
from collections.abc import Iterator
from pathlib import Path

from tasks.datasets.records import Image, Item, Problem, Raw, Settings
from tasks.datasets.sources import Dataset, File

SIZES = ((768, 512), (512, 768))
NAMES = tuple(f"kodim{number:02d}.png" for number in range(1, 25))

SOURCE = Dataset(
    "released by Kodak for unrestricted use",
    "https://r0k.us/graphics/kodak/",
    files=tuple(
        File(name, (f"https://r0k.us/graphics/kodak/kodak/{name}", f"http://r0k.us/graphics/kodak/kodak/{name}"), sizes=SIZES)
        for name in NAMES
    ),
)


def read(folder: Path, _: Settings) -> Raw:
    """All photographs are `test`. One of another size than 768x512 or 512x768 is a problem."""
    import PIL.Image

    problems: list[Problem] = []
    for name in NAMES:
        content = (folder / name).read_bytes()
        try:
            with PIL.Image.open(io.BytesIO(content)) as image:
                if image.size not in SIZES:
                    problems.append(Problem(name, "image", f"its size is {image.size}, not 768x512 or 512x768"))
        except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
            problems.append(Problem(name, "image", f"it does not decode as an image ({error})"))

    def images() -> Iterator[tuple[str, Image]]:
        for name in NAMES:
            yield name, (folder / name).read_bytes()

    return Raw({name: Item("test") for name in NAMES}, images, (), problems)
