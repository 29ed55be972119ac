"""Load and use models that MLflow kept, with nothing importable but what their requirements name: `python served.py MODEL IMAGES OUT [MODEL ...]`.

Run it in a folder other than the project's. It prints, as JSON, what each model answered with, and the modules of ours that it imported.
"""

import importlib
import json
import sys
from importlib.metadata import distribution, packages_distributions
from pathlib import Path
from typing import Any

import numpy as np
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

OURS = ("tasks", "models")


def installed(requirements: list[str]) -> set[str]:
    """The distributions that pip would install for requirements: with what they require themselves."""
    waiting, found = [Requirement(line) for line in requirements], set()
    seen: set[str] = set()
    while waiting:
        wanted = waiting.pop()
        if wanted.marker and not any(wanted.marker.evaluate({"extra": extra}) for extra in ("", *wanted.extras)):
            continue
        if (key := f"{wanted.name}[{','.join(sorted(wanted.extras))}]") in seen:
            continue
        seen.add(key)
        found.add(canonicalize_name(wanted.name))
        for line in distribution(wanted.name).requires or ():
            inner = Requirement(line)
            if not inner.marker or any(inner.marker.evaluate({"extra": extra}) for extra in ("", *wanted.extras)):
                inner.marker = None
                waiting.append(inner)
    return found


def hidden(allowed: set[str]) -> set[str]:
    """The modules of this environment that only distributions which are not allowed bring."""
    owners = packages_distributions().items()
    return {module for module, names in owners if module not in OURS and not allowed & {canonicalize_name(n) for n in names}}


class Hiding:
    """A finder of modules that finds none of some names, as if they were not installed."""

    def __init__(self, finder: Any, names: set[str]) -> None:
        self.finder, self.names = finder, names

    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:
        return None if name.partition(".")[0] in self.names else self.finder.find_spec(name, path, target)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.finder, name)


def main(images: str, *folders: str) -> None:
    requirements = [Path(folder, "requirements.txt").read_text().splitlines() for folder in folders]
    assert len({tuple(lines) for lines in requirements}) == 1
    names = hidden(installed(requirements[0]))
    sys.meta_path[:] = [Hiding(finder, names) for finder in sys.meta_path]
    from mlflow import pyfunc

    pixels = np.load(images)
    answers = [list(pyfunc.load_model(folder).predict(pixels).shape) for folder in folders]
    # What other networks and kinds would import.
    import models
    from tasks import kinds

    for kind in kinds.names():
        kinds.part(kind, "use")
    for network in models.names():
        importlib.import_module(f"models.{network}")
    print("ANSWERS", json.dumps({"answers": answers, "code": [models.__file__, kinds.__file__], "hidden": sorted(names)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
