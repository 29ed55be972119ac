"""The data sets, a module each, found by name: `coco-mini` is `coco_mini.py`.

A module defines `SOURCE`, a `tasks.datasets.sources.Dataset`, and

    def read(folder: Path, block: Settings) -> Raw: ...

which returns the downloaded `folder` as records, or raises Error or FileNotFoundError for what is not there or of another layout.
A module without `read` is a folder of pictures. Importing a module imports no NumPy and no Pandas: what needs them is imported in
`read`. Nothing else lists the data sets, so that a new one is a new file here.
"""

import difflib
import importlib
import pkgutil
from functools import cache
from types import ModuleType

from tasks.common.errors import Error
from tasks.datasets.sources import Dataset


@cache
def names() -> tuple[str, ...]:
    """The names of all data sets, sorted; none of their modules is imported."""
    return tuple(sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__)))


def find(name: str) -> ModuleType:
    """The module of a data set. Raises Error for a name that is none, with the nearest one."""
    if name not in names():
        near = difflib.get_close_matches(name, names(), 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise Error(f"unknown data set {name!r}; {hint}allowed: {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")


def source(name: str) -> Dataset:
    """Where the files of a data set come from. Raises Error as `find`."""
    return find(name).SOURCE
