"""The codecs that are here, and which of them opens a file: files name their network by a hash."""

import threading
from collections.abc import Sequence
from pathlib import Path

from models.codec import Codec
from tasks import carried, light
from tasks.apply import find_weights
from tasks.codec import file
from tasks.codec.pictures import Pictures
from tasks.common.errors import Error
from tasks.profile import Profile

# Weights that git carries, of every release: what was written with them is read as long as they are there.
EMBEDDED = "codec*.safetensors"
# Those of them that write.
WRITER = "codec.safetensors"


def load(path: Path, precision: str = "fp32") -> Pictures:
    """The codec of a weights file, which analyses in bf16 or fp32. Raises Error for weights of another network."""
    built, configuration = light.load(carried.verified(path), opening=True)
    if not isinstance(built, Codec):
        raise Error(f"{path}: weights of {configuration.network}, which is no codec; give those of a codec")
    return Pictures(built, precision)


def paths(profile: Profile, experiment: str | None = None) -> list[Path]:
    """The weights that write files, and after them all that may have written one: those that git carries and those trained here.

    An experiment's weights write where one is named, else the codec that git carries. Raises Error where there are none.
    """
    folder = profile.root / "models" / "weights"
    first = folder / WRITER if experiment is None else find_weights(profile, experiment)
    if not first.is_file():
        raise Error(f"{first}: no such weights; name a codec that is trained here with --experiment, or a file with --weights")
    return [first, *(path for path in [*sorted(folder.glob(EMBEDDED)), *trained(profile)] if path != first)]


def trained(profile: Profile) -> list[Path]:
    """The first seed's weights of each codec that is trained in a profile."""
    return [
        path
        for name, experiment in profile.params.experiments.items()
        if profile.params.preprocess[experiment.data].task == "compress"
        and (path := profile.results(name) / "weights" / f"seed-{experiment.seeds[0]}.safetensors").is_file()
    ]


def retired(profile: Profile) -> list[Path]:
    """Weights that git carries of codecs of before, which open files alone."""
    return [path for path in sorted((profile.root / "models" / "weights").glob(EMBEDDED)) if light.opens_only(path)]


class Library:
    """Codecs by their files of weights, each loaded when it is asked for: the first writes, and each reads what it has written."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)
        self.loaded: list[Pictures] = []
        self.lock = threading.Lock()

    @property
    def first(self) -> Pictures:
        """The codec of the first file. Raises Error as `load`."""
        with self.lock:
            return self.loaded[0] if self.loaded else self._next()

    @property
    def writer(self) -> Pictures:
        """The codec that writes. Raises Error as `load`, and for weights without the parts that write."""
        first = self.first
        if light.opens_only(self.paths[0]):
            raise Error(f"{self.paths[0]}: weights of a codec of before, which open files and write none; give those of codec")
        return first

    def reader(self, content: bytes) -> Pictures:
        """The codec that wrote a file; the first where none of them did, which says so when it is to open it. Raises Error as `load`."""
        identity = file.identity(content)
        with self.lock:
            for codec in self.loaded:
                if codec.identity == identity:
                    return codec
            while identity and len(self.loaded) < len(self.paths):
                if (codec := self._next()).identity == identity:
                    return codec
        return self.first

    def _next(self) -> Pictures:
        self.loaded.append(load(self.paths[len(self.loaded)]))
        return self.loaded[-1]
