"""A profile's `dvc.lock`: what DVC recorded of a stage, and what it would record now.

DVC's own format is written: MD5 of a file, and of a folder the MD5 of the sorted list of its files' MD5.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from dvc.utils.serialize import parse_yaml

from tasks.common import quick_dvc
from tasks.common.errors import Error
from tasks.common.files import write_text

# Files that DVC leaves out of a folder's hash: those of .dvcignore.
IGNORED = ("__pycache__", ".pyc")


@dataclass(frozen=True)
class Stage:
    """A stage of dvc.yaml with its names filled in."""

    name: str
    cmd: str
    deps: tuple[str, ...]
    params: tuple[str, ...]
    outs: tuple[str, ...]


def stages(folder: Path) -> dict[str, Stage]:
    """The stages of a profile's dvc.yaml by their names."""
    params = yaml.safe_load((folder / "params.yaml").read_bytes())
    text = yaml.safe_load((folder / "dvc.yaml").read_bytes())["stages"]
    found = {}
    for name, block in text.items():
        if "foreach" in block:
            section = str(block["foreach"]).strip("${}")
            for key, item in (params.get(section) or {}).items():
                found[f"{name}@{key}"] = _stage(f"{name}@{key}", block["do"], {"key": key, "item": item, "root": params["root"]})
        else:
            found[name] = _stage(name, block, {"root": params["root"]})
    return found


def _stage(name: str, block: Mapping[str, Any], values: Mapping[str, Any]) -> Stage:
    def filled(text: str) -> str:
        return re.sub(r"\$\{([^}]+)\}", lambda match: str(value_at(values, match[1])), text)

    def paths(*keys: str) -> tuple[str, ...]:
        entries = [entry for key in keys for entry in block.get(key, ())]
        named = [filled(next(iter(entry)) if isinstance(entry, Mapping) else entry) for entry in entries]
        return tuple(path.removeprefix("./") for path in named)

    return Stage(name, filled(block["cmd"]), paths("deps"), paths("params"), paths("outs", "metrics", "plots"))


def value_at(values: Any, path: str) -> Any:
    """The value at a place such as `experiments.cnn.train`. Raises KeyError where there is none. Names may hold dots."""
    if path in values:
        return values[path]
    for end in range(len(path) - 1, 0, -1):
        if path[end] == "." and path[:end] in values and isinstance(values[path[:end]], Mapping):
            return value_at(values[path[:end]], path[end + 1 :])
    raise KeyError(path)


def read(folder: Path) -> dict[str, Any]:
    """The recorded stages by their names. Raises Error where nothing is recorded."""
    path = folder / "dvc.lock"
    if not path.exists():
        raise Error(f"{path}: no such file; nothing was recorded here that could be adopted")
    recorded: dict[str, Any] = yaml.safe_load(path.read_bytes())["stages"]
    return recorded


def write(folder: Path, recorded: Mapping[str, Any]) -> None:
    """Write the stages, laid out as DVC does it; the file appears whole or not at all."""
    text = yaml.safe_dump({"schema": "2.0", "stages": dict(recorded)}, sort_keys=False, allow_unicode=True)
    # DVC's own reader: of YAML 1.2, to which other words are numbers.
    stages = parse_yaml(text, "dvc.lock")["stages"]
    blocks = [block for name, stage in stages.items() for block in quick_dvc.written({name: stage}).values()]
    write_text(folder / "dvc.lock", quick_dvc.HEAD + "".join(blocks))


def entry(folder: Path, path: str) -> dict[str, Any] | None:
    """What DVC records of a file or folder that is here; None where there is none."""
    place = folder / path
    if place.is_file():
        content = place.read_bytes()
        return {"path": path, "hash": "md5", "md5": hashlib.md5(content).hexdigest(), "size": len(content)}
    if not place.is_dir():
        return None
    files = [(file.relative_to(place).as_posix(), file.read_bytes()) for file in _files(place)]
    listed = [{"md5": hashlib.md5(content).hexdigest(), "relpath": name} for name, content in sorted(files)]
    digest = hashlib.md5(json.dumps(listed, sort_keys=True).encode()).hexdigest()
    size = sum(len(content) for _, content in files)
    return {"path": path, "hash": "md5", "md5": f"{digest}.dir", "size": size, "nfiles": len(files)}


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part in path.as_posix() for part in IGNORED):
            yield path
