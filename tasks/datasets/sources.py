"""What a data set says of its files: where each is had from, how it is known to be right, and the licence.

The data sets themselves stand in `tasks.datasets.sets`, a module each. A hash stands there only with the place where it was
published (`published`). What has none is checked by parsing or decoding it: images by their width and height, COCO's annotations
as JSON, archives by unpacking each file.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

# Where TensorFlow Datasets publishes the SHA-256 of a data set's files, by its name there.
TFDS = "github.com/tensorflow/datasets, tensorflow_datasets/url_checksums/{}.txt"


@dataclass(frozen=True)
class File:
    """A file of `data/raw/<dataset>/`; mirrors use the same name."""

    name: str
    urls: tuple[str, ...]  # in order of preference
    sha256: str | None = None
    published: str = ""  # where the hash was published
    size: int | None = None  # bytes
    member: str | None = None  # the URLs give a zip archive, which hash and size belong to; the file is this member of it
    optional: bool = False  # a mirror may do without it
    sizes: tuple[tuple[int, int], ...] = ()  # of an image without a published hash: the pixels (width, height) that it may have


@dataclass(frozen=True)
class Images:
    """Single images that an annotation file in COCO's format lists, each a file of its own: `<folder>/<file_name>`."""

    folder: str
    annotations: str  # a name of `Dataset.files`
    member: str | None  # where `annotations` is an archive
    urls: tuple[str, ...]  # the image's file name is appended
    bound: Literal["train_images", "val_images"]  # the option of `preparation.Download` that says how many are taken


@dataclass(frozen=True)
class Packaged:
    """A file that an installed package carries."""

    name: str
    package: str  # the distribution's name
    path: str  # inside site-packages
    licence: str


@dataclass(frozen=True)
class Dataset:
    """A data set; its files come from URLs (or a mirror), or from installed packages."""

    licence: str
    home: str  # the publisher's page
    files: tuple[File, ...] = ()
    images: tuple[Images, ...] = ()
    packaged: tuple[Packaged, ...] = ()
    by_hand: str = ""  # where there is no direct URL: what to do instead
    repacked: tuple[File, ...] = ()  # what a mirror may have in place of `files`
    within: tuple[str, ...] = ()  # other data sets, in whose folders a mirror may have the files


class _Sources(Mapping[str, Dataset]):
    """Each data set's source by its name; a data set's module is imported when it is asked for."""

    def __getitem__(self, name: str) -> Dataset:
        from tasks.datasets import sets

        if name not in sets.names():
            raise KeyError(name)
        return sets.source(name)

    def __iter__(self) -> Iterator[str]:
        from tasks.datasets import sets

        return iter(sets.names())

    def __len__(self) -> int:
        from tasks.datasets import sets

        return len(sets.names())

    def __contains__(self, name: object) -> bool:
        return name in tuple(self)


DATASETS: Mapping[str, Dataset] = _Sources()
