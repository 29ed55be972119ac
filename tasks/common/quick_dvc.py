"""DVC without what it does again at each stage: `bin/dvc ARGUMENTS`, as `dvc ARGUMENTS`.

After each stage, DVC parses its whole lock file with a parser that keeps comments, and writes it anew. That takes 1.2 s at 70 stages, nine
tenths of its own cost, and grows with the square of their number. Here the text of the stage alone is replaced. It is made by DVC's own
writer, so that the file's bytes are the same. A file that DVC has not laid out itself goes DVC's own way.

For each stage, DVC parses the whole params.yaml too, and searches all of it for each key. That is half of what a rebuild costs that has
nothing to do. Here the file is parsed once as long as it stays the same, and a key is looked up.

This file starts with every rebuild, and imports nothing of ours.
"""

import os
import re
import sys
from collections.abc import Sequence
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

from dvc.dependency import param
from dvc.dvcfile import Lockfile
from dvc.fs import FileSystem, LocalFileSystem
from dvc.log import logger
from dvc.stage import serialize
from dvc.utils.serialize import YAMLFileCorruptedError, dumps_yaml, parse_yaml

HEAD = "schema: '2.0'\nstages:\n"
# A line that a stage begins with, and that none of its others looks like.
BEGINS = re.compile(r"^  (?=[^ ])", re.MULTILINE)
KEY = re.compile(r"  [^ ?#-].*:")
# A name for a value, and a reference to it. DVC counts the names anew in each file, so they cannot stay in a text of parts.
REFERENCE = re.compile(r" [&*]id\d+$", re.MULTILINE)

logger = logger.getChild(__name__)
_dump_whole = Lockfile.dump_stages
_search_file = param.read_param_file


def split(text: str) -> dict[str, str] | None:
    """A lock file's text as each stage's, by its first line, in order. None for a file that is not laid out as DVC does it."""
    if REFERENCE.search(text):
        text = without_references(text)
    if not text.startswith(HEAD):
        return None
    _, *blocks = BEGINS.split(text.removeprefix(HEAD)) or [""]
    stages = {block.partition("\n")[0]: f"  {block}" for block in blocks}
    whole = HEAD + "".join(stages.values())
    regular = all(KEY.fullmatch(f"  {key}") for key in stages) and text.endswith("\n")
    return stages if blocks and regular and whole == text else None


def copied(value: Any) -> Any:
    """A value of a YAML file, in which no dictionary and no list is the same object as another."""
    if isinstance(value, dict):
        return {key: copied(inner) for key, inner in value.items()}
    return [copied(inner) for inner in value] if isinstance(value, list) else value


def without_references(text: str) -> str:
    """A lock file's text, in which each value stands wherever it is meant. Nothing for a file that has comments, or that is damaged."""
    if re.search(r"^ *#", text, re.MULTILINE):
        return ""
    try:
        return dumps_yaml(copied(parse_yaml(text, "dvc.lock")))
    except YAMLFileCorruptedError:
        return ""


def written(stage: dict[str, Any]) -> dict[str, str]:
    """The text of a stage, {name: contents}, as DVC writes it; by its first line."""
    return split(dumps_yaml({"schema": "2.0", "stages": copied(stage)})) or {}


def dump_stages(lock: Lockfile, stages: list[Any], **options: Any) -> None:
    """Write stages into the lock file, in place of what it has of them, or at its end: DVC's `Lockfile.dump_stages`."""
    path = Path(lock.path)
    text = path.read_bytes().decode("utf-8", "replace") if path.exists() else ""
    before = split(text)
    new = [written(serialize.to_lockfile(stage, **options)) for stage in stages]
    if before is None or not all(len(block) == 1 for block in new):
        _dump_whole(lock, stages, **options)
        return
    after = dict(before)
    for block in new:
        after.update(block)
    if after != before:
        logger.info("Updating lock file '%s'", lock.relpath)
        whole = path.with_name(f"{path.name}.{os.getpid()}")
        whole.write_text(HEAD + "".join(after.values()), encoding="utf-8", newline="\n")
        whole.replace(path)
        lock.repo.scm_context.track_file(lock.relpath)


@lru_cache(maxsize=8)
def parsed(path: str, _: tuple[int, ...]) -> Any:
    """A file of parameters, which is parsed again where its state is another."""
    return param.load_path(path, LocalFileSystem())


def read_param_file(
    fs: FileSystem, path: str, key_paths: Sequence[str] | None = None, flatten: bool = False, **options: Any
) -> Any:
    """The values of keys by their names, those that there are: DVC's `read_param_file`, which does what is not so plain."""
    plain = isinstance(fs, LocalFileSystem) and key_paths and flatten and not options
    if not plain or re.search(r"[*?\[\]]", "".join(key_paths or ())):
        return _search_file(fs, path, key_paths, flatten, **options)
    state = os.stat(path)
    whole = parsed(path, (state.st_mtime_ns, state.st_size, state.st_ino))
    found = {}
    for key in key_paths or ():
        value = whole
        for part in key.split("."):
            if not isinstance(value, dict) or part not in value:
                return _search_file(fs, path, key_paths, flatten)
            value = value[part]
        found[key] = deepcopy(value)
    return found


if __name__ == "__main__":
    from dvc.cli import main

    Lockfile.dump_stages = dump_stages
    param.read_param_file = read_param_file
    sys.exit(main())
