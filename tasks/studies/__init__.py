"""What is done with trained networks and trains nothing: a file each, found by its name.

A study's file defines

    Block      a pydantic model of its options in params.yaml
    METRICS    what it measures (`tasks.kinds.Metric`)
    FIGURES    what it draws (`tasks.kinds.Figure`)
    run(profile, name, block, out) -> Mapping[str, float]
               measures, and writes figures into `out.plots` and tables into `out.tables` (`tasks.study.Out`)
    PAGE           the heading in the report that it stands under (optional)
    facts(block)   what metrics.json says otherwise than other studies' do, such as `system` (optional)

No list names the studies: a new file is a new study.
"""

import difflib
import importlib
import pkgutil
from functools import cache
from typing import Any

FACTS = ("Block", "METRICS", "FIGURES", "run")


@cache
def names() -> tuple[str, ...]:
    """The studies that there are: the files of this folder. A hyphen in a name is an underscore in its file's."""
    return tuple(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def find(name: str) -> Any:
    """A study's module. Raises ValueError for an unknown one, and for a file that lacks a part."""
    if name not in names():
        near = difflib.get_close_matches(name, names(), 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"unknown study {name!r}; {hint}allowed: {', '.join(names()) or 'none, since tasks/studies/ is empty'}")
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    if lacking := [fact for fact in FACTS if not hasattr(module, fact)]:
        raise ValueError(f"{module.__file__}: lacks {', '.join(lacking)}; a study defines {', '.join(FACTS)}")
    return module
