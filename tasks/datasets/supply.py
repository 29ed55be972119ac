"""Where the files of a data set come from, its URLs or a mirror, and how a file without a published hash is known to be right."""

import hashlib
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

from PIL import Image, UnidentifiedImageError

from tasks.common.errors import Error
from tasks.datasets import archives, coco
from tasks.datasets.sources import Dataset, File, Images
from tasks.datasets.transfer import Fetcher, NotThere, Want, is_url

# Bounds of what has no stated size.
MAX_IMAGE = 32 << 20
MAX_SUMS = 64 << 20


@dataclass(frozen=True)
class Supply:
    """Where files come from: the URLs of the table."""

    dataset: str
    source: Dataset

    @property
    def origin(self) -> str:
        return "url"

    @property
    def files(self) -> tuple[File, ...]:
        return self.source.files

    def want(self, file: File) -> Want | None:
        """How to get a file; None where it may be done without. Raises Error where there is no way."""
        if not file.urls:
            raise Error(
                f"{self.dataset}: {file.name} has no public direct URL. {self.source.by_hand}.\n"
                f"  Publisher: {self.source.home}\n"
                f"  Then make a mirror of it:  mkdir -p DIR/{self.dataset} && mv {file.name} DIR/{self.dataset}/ && "
                f"cd DIR/{self.dataset} && sha256sum {file.name} > SHA256SUMS\n"
                f"  and set DARKROOM_MIRROR=DIR (the other data sets still come from their URLs)"
            )
        check = check_of(file)
        return Want(
            file.name, file.urls, file.sha256, file.published, file.size, member=file.member, check=check, advice=self._advice
        )

    def want_image(self, images: Images, name: str, pixels: tuple[int, int]) -> Want:
        places = tuple(url + name for url in images.urls)
        return Want(
            f"{images.folder}/{name}", places, limit=MAX_IMAGE, check=partial(_not_decoded, (pixels,)), advice=self._advice
        )

    @property
    def _advice(self) -> str:
        return (
            f"Run the same command again, which goes on from what is there. Without internet: make a mirror where there is,\n"
            f"  python -m tasks.download --to DIR {self.dataset}\ncopy DIR here, and set DARKROOM_MIRROR=DIR"
        )


@dataclass(frozen=True)
class Mirror(Supply):
    """Where files come from: a folder or an http URL with `<dataset>/<file>`, and the hashes of its `SHA256SUMS`."""

    root: str
    folders: tuple[str, ...]  # the data set's, or those of the ones which its files stand within
    sums: dict[str, tuple[str, str]]  # each file's folder and hash
    version: str  # SHA-256 of SHA256SUMS

    @property
    def origin(self) -> str:
        return f"mirror:{self.version[:12]}"

    @property
    def files(self) -> tuple[File, ...]:
        repacked = self.source.repacked
        return repacked if repacked and self._has(repacked) and not self._has(self.source.files) else self.source.files

    @property
    def whole(self) -> bool:
        """Whether it has all files of the data set."""
        return self._has(self.files)

    def _has(self, files: tuple[File, ...]) -> bool:
        return all(file.name in self.sums or file.optional for file in files)

    def want(self, file: File) -> Want | None:
        if file.name not in self.sums and file.optional:
            say(f"{self.dataset}: the mirror {self.root} has no {file.name}; going on without it")
            return None
        return self._want(file.name)

    def want_image(self, images: Images, name: str, pixels: tuple[int, int]) -> Want:
        return self._want(f"{images.folder}/{name}")

    def _want(self, name: str) -> Want:
        if name not in self.sums:
            folder = self.folders[-1]
            raise Error(
                f"the mirror {self.root} has no {folder}/{name} in {folder}/SHA256SUMS; complete it, or take "
                f"the folder {folder} out of it, so that the data set comes from its URLs"
            )
        folder, sha256 = self.sums[name]
        place = _join(self.root, f"{folder}/{name}")
        advice = f"Put the mirror {self.root} right, or unset DARKROOM_MIRROR"
        return Want(name, (place,), sha256, f"the mirror's {folder}/SHA256SUMS", advice=advice)


def _join(root: str, name: str) -> str:
    return f"{root.rstrip('/')}/{quote(name)}" if is_url(root) else str(Path(root).expanduser() / name)


def find_mirror(fetcher: Fetcher, root: str, name: str, source: Dataset, state: Path) -> Mirror | None:
    """The mirror's part for a data set; None without a mirror, or where it has nothing of this data set. Raises Error."""
    if not root:
        return None
    if (text := _sums(fetcher, root, name, state)) is not None:
        return _read_sums(root, name, source, {name: text})
    texts = {folder: text for folder in source.within if (text := _sums(fetcher, root, folder, state)) is not None}
    if texts:
        mirror = _read_sums(root, name, source, texts)
        # What has the other data sets alone lacks nothing.
        if mirror.whole:
            return mirror
    say(f"{name}: the mirror {root} does not have it; taking it from its URLs")
    return None


def _sums(fetcher: Fetcher, root: str, folder: str, state: Path) -> bytes | None:
    """The content of `<mirror>/<folder>/SHA256SUMS`; None where the mirror has no such folder. Raises Error."""
    if is_url(root):
        path = state / "SHA256SUMS"
        path.unlink(missing_ok=True)
        try:
            advice = "Check the address in DARKROOM_MIRROR, and that its server runs"
            fetcher.get(Want("SHA256SUMS", (_join(root, f"{folder}/SHA256SUMS"),), limit=MAX_SUMS, advice=advice), state)
        except NotThere:
            return None
        text = path.read_bytes()
        path.unlink()
        return text
    place = Path(_join(root, folder))
    path = place / "SHA256SUMS"
    if not place.parent.is_dir():
        raise Error(f"DARKROOM_MIRROR={root}: no such folder")
    if not place.is_dir():
        return None
    if not path.is_file():
        raise Error(f"{path}: no such file; make it there: find * -type f -exec sha256sum {{}} + > SHA256SUMS")
    return path.read_bytes()


def _read_sums(root: str, name: str, source: Dataset, texts: dict[str, bytes]) -> Mirror:
    """The mirror's part for a data set, by the content of each of its folders' SHA256SUMS. Raises Error."""
    sums: dict[str, tuple[str, str]] = {}
    for folder, text in texts.items():
        for line in text.decode(errors="replace").splitlines():
            match = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](?:\./)?(.+)", line)
            if not match:
                raise Error(f"{_join(root, folder)}/SHA256SUMS: not lines of a SHA-256, two spaces and a name: {line[:80]!r}")
            sums[match[2]] = folder, match[1].lower()
    return Mirror(name, source, root, tuple(texts), sums, hashlib.sha256(b"".join(texts.values())).hexdigest())


def check_of(file: File) -> Callable[[Path], str] | None:
    """What says of a file without a published hash what is wrong with it, or nothing; None for a kind that cannot be checked."""
    if file.name.endswith(".json"):
        return _not_coco
    if file.sizes:
        return partial(_not_decoded, file.sizes)
    if file.name.endswith(archives.ENDINGS):
        return partial(_not_unpacked, file.name)
    return None


def _not_decoded(sizes: tuple[tuple[int, int], ...], path: Path) -> str:
    try:
        with Image.open(path) as image:
            if image.size not in sizes:
                return f"its size is {image.size} pixels, and {' or '.join(map(str, sizes))} is expected"
            image.load()
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        return f"it does not decode as an image ({error})"
    return ""


def _not_unpacked(name: str, path: Path) -> str:
    """Each file is read to its end, where its checksum stands."""
    try:
        return "" if sum(1 for _ in archives.read_members(path, name=name)) else "it is an empty archive"
    except Error as error:
        return str(error)


def _not_coco(path: Path) -> str:
    try:
        coco.images(path.read_bytes())
    except ValueError as error:
        return f"it is no annotation file in COCO's format ({error})"
    return ""


def say(text: str) -> None:
    """Tell the user how a download goes on."""
    print(text, file=sys.stderr, flush=True)
