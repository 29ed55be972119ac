"""Compress photographs with the learned codec, and open what it wrote: `python -m tasks.compress [--open] IN OUT`."""

import errno
import os
import sys
import warnings
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import PIL.Image
import torch
import typer

from tasks import config
from tasks.codec import file, reading
from tasks.codec.library import Library, paths
from tasks.common import bars
from tasks.common.cli import readable
from tasks.common.errors import Error
from tasks.common.files import atomic, content
from tasks.imaging.images import Undecodable
from tasks.imaging.suffixes import SUFFIXES


def convert(codecs: Library, source: Path, to: Path, quality: int | None) -> tuple[int, int]:
    """Compress a photograph at a quality, or open a compressed one (None); returns the bytes before and after.

    Raises Error, also where something stands at `to` that is not `replaceable`.
    """
    try:
        read = content(source)
        with warnings.catch_warnings():
            # On damaged metadata, which do not touch the pixels.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
            if quality is None:
                written = file.to_png(file.decompress(codecs.reader(read), read))
            else:
                written = file.compress(codecs.writer, reading.read(read), quality)
    except Undecodable as error:
        raise Error(f"{source}: {error}") from None
    except OSError as error:
        raise Error(f"{source}: {error.strerror or error}") from None
    except Error as error:
        raise Error(f"{source}: {error}") from None
    if not replaceable(to, written):
        raise Error(f"{source}: {to} is there already and holds something else; remove it, or give another folder")
    try:
        with atomic(to) as temporary:
            temporary.write_bytes(written)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise Error(f"{source}: {error.strerror}") from None
    return len(read), len(written)


def replaceable(path: Path, written: bytes) -> bool:
    """Whether a file can be written without a loss: nothing is there, or the same, or a file of this codec."""
    if not path.exists():
        return True
    try:
        there = content(path)
    except OSError:
        return False
    return there == written or there.startswith(file.MAGIC)


def outputs(source: Path, to: Path, opens: bool) -> dict[Path, Path]:
    """Each file to read with the one to write: photo.jpg becomes photo.drc, or photo.jpg.drc where another file may be called photo.drc.

    Raises Error where there is nothing to read, and for a name of another ending.
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
    found = sorted(path for path in source.rglob("*") if path.suffix.lower() in wanted and not path.is_dir())
    if not found:
        raise Error(f"{source}: nothing to {'open' if opens else 'compress'}; known endings: {' '.join(sorted(wanted))}")
    names = [path.relative_to(source) for path in found]
    short = [name.with_suffix(ending) for name in names]
    whole = [name.with_name(f"{name.name}{ending}") for name in names]
    # Some file systems take names for one that differ in case alone.
    wishes = Counter(str(name).casefold() for name in [*short, *whole])
    return {path: to / (s if wishes[str(s).casefold()] == 1 else w) for path, s, w in zip(found, short, whole, strict=True)}


def convert_all(
    codecs: Library, pairs: Mapping[Path, Path], quality: int | None, jobs: int
) -> tuple[list[tuple[int, int]], list[Error]]:
    """Convert files, `jobs` at a time with a thread each; returns the bytes of each before and after, and what went wrong with others."""
    done, failed = [], []
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(jobs, initializer=torch.set_num_threads, initargs=(1 if jobs > 1 else threads,)) as pool:
        futures = [pool.submit(convert, codecs, source, to, quality) for source, to in pairs.items()]
        for future in bars.track(futures, "open" if quality is None else "compress"):
            try:
                done.append(future.result())
            except Error as error:
                failed.append(error)
    torch.set_num_threads(threads)
    return done, failed


def main(
    source: Annotated[Path, typer.Argument(metavar="IN", help="a photograph, or a folder of them (with the folders in it)")],
    to: Annotated[Path, typer.Argument(metavar="OUT", help="a folder; for one photograph also a name")],
    quality: Annotated[int, typer.Option(min=0, max=100, help="0: the fewest bits, 100: the best picture")] = 50,
    opens: Annotated[bool, typer.Option("--open", help="open compressed files: they become PNG")] = False,
    experiment: Annotated[
        str | None, typer.Option(help="a codec of params.yaml that is trained here; by default the one that git carries")
    ] = None,
    weights: Annotated[Path | None, typer.Option(callback=readable, help="a .safetensors file of a codec")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="files at a time; by default as many as there are processors")] = None,
) -> None:
    """Compress photographs of any size, or open them again. A file of a folder that cannot be used is named, and the rest is done.

    A file that is there already is replaced only where this codec has written it.
    """
    pairs = outputs(source, to, opens)
    codecs = Library([weights] if weights else paths(config.load(), experiment))
    codecs.first if opens else codecs.writer  # noqa: B018 (weights that cannot be used are said once, before any work)
    jobs = min(len(pairs), jobs or os.cpu_count() or 1)
    done, failed = convert_all(codecs, pairs, None if opens else quality, jobs)
    if failed and source.is_file():
        raise failed[0]
    for reason in failed[:10]:
        print(f"  skipped: {reason}", file=sys.stderr)
    before, after = (sum(sizes) for sizes in zip(*done, strict=True)) if done else (0, 0)
    print(f"{to}: {len(done)} done, {len(failed)} skipped; {before:,} bytes became {after:,}", file=sys.stderr)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
