"""Compress photographs with the learned codec, and open what it wrote: `python -m tasks.compress [--open] IN OUT`."""

import sys
import warnings
from pathlib import Path
from typing import Annotated

import PIL.Image
import typer

from models.codec import Codec
from tasks import config
from tasks.apply import find_weights
from tasks.codec import file
from tasks.codec.pictures import Pictures
from tasks.common import bars
from tasks.common.errors import Error
from tasks.common.files import atomic
from tasks.imaging.images import Undecodable
from tasks.imaging.suffixes import SUFFIXES
from tasks.learning import weights


def network(path: Path, precision: str = "fp32") -> Pictures:
    """The codec of a weights file, which analyses in bf16 or fp32. Raises Error for weights of another network."""
    built, configuration = weights.load(weights.verified(path))
    if not isinstance(built, Codec):
        raise Error(f"{path}: weights of {configuration.network}, which is no codec; give those of a codec")
    return Pictures(built, precision)


def convert(codec: Pictures, source: Path, to: Path, quality: int | None) -> tuple[int, int]:
    """Compress a photograph at a quality, or open a compressed one (None); returns the bytes before and after. Raises Error."""
    try:
        content = source.read_bytes()
        with warnings.catch_warnings():
            # On damaged metadata, which do not touch the pixels.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
            if quality is None:
                written = file.to_png(file.decompress(codec, content))
            else:
                written = file.compress(codec, file.read_picture(content), quality)
    except Undecodable as error:
        raise Error(f"{source}: {error}") from None
    except OSError as error:
        raise Error(f"{source}: {error.strerror or error}") from None
    except Error as error:
        raise Error(f"{source}: {error}") from None
    with atomic(to) as temporary:
        temporary.write_bytes(written)
    return len(content), len(written)


def outputs(source: Path, to: Path, opens: bool) -> dict[Path, Path]:
    """Each file to read with the one to write: photo.jpg becomes photo.drc, or photo.jpg.drc where there is a photo.png beside it.

    Raises Error where there is nothing to read, and where an output would replace what is read.
    """
    ending = ".png" if opens else file.SUFFIX
    if source.is_file():
        single = to / f"{source.stem}{ending}" if to.is_dir() or not to.suffix else to
        if single.suffix.lower() != ending:
            raise Error(f"{single}: what is written are {ending} files; give a name that ends so, or a folder")
        return {source: single}
    if not source.is_dir():
        raise Error(f"{source}: no such file or folder")
    wanted = {file.SUFFIX} if opens else SUFFIXES
    found = sorted(path for path in source.rglob("*") if path.suffix.lower() in wanted and path.is_file())
    if not found:
        raise Error(f"{source}: nothing to {'open' if opens else 'compress'}; known endings: {' '.join(sorted(wanted))}")
    short = [path.relative_to(source).with_suffix(ending) for path in found]
    names = [str(name).casefold() for name in short]
    return {
        path: to / (name if names.count(str(name).casefold()) == 1 else Path(f"{path.relative_to(source)}{ending}"))
        for path, name in zip(found, short)
    }


def main(
    source: Annotated[Path, typer.Argument(metavar="IN", help="a photograph, or a folder of them (with the folders in it)")],
    to: Annotated[Path, typer.Argument(metavar="OUT", help="a folder; for one photograph also a name")],
    quality: Annotated[int, typer.Option(min=0, max=100, help="0: the fewest bits, 100: the best picture")] = 50,
    opens: Annotated[bool, typer.Option("--open", help="open compressed files: they become PNG")] = False,
    experiment: Annotated[str, typer.Option(help="a codec of params.yaml")] = "codec",
    weights: Annotated[Path | None, typer.Option(help="a .safetensors file of a codec; by default what is trained here")] = None,
) -> None:
    """Compress photographs of any size, or open them again. A file of a folder that cannot be used is named, and the rest is done."""
    pairs = outputs(source, to, opens)
    codec = network(weights or find_weights(config.load(), experiment))
    before = after = 0
    failed = []
    for path, output in bars.track(pairs.items(), "open" if opens else "compress"):
        try:
            sizes = convert(codec, path, output, None if opens else quality)
            before, after = before + sizes[0], after + sizes[1]
        except Error as error:
            if source.is_file():
                raise
            failed.append(str(error))
    for reason in failed[:10]:
        print(f"  skipped: {reason}", file=sys.stderr)
    print(f"{to}: {len(pairs) - len(failed)} done, {len(failed)} skipped; {before:,} bytes became {after:,}", file=sys.stderr)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
