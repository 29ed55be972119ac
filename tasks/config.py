"""`params.yaml`, read once into typed, frozen models.

An unknown key, a missing one or a value out of range is refused before any work, naming line, key and what is allowed:

    python -m tasks.config [PARAMS]        check a file, and say what is in it
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tasks import code, kinds
from tasks.common.errors import Error
from tasks.params import explain, lines, traps
from tasks.params.experiment import CHECK, NONE, merged
from tasks.params.params import Params
from tasks.profile import TOP, Profile

SECTIONS = ("download", "preprocess", "experiments", "sweeps", "annotate", "studies")
# What needs the networks' files, which import torch.
HEAVY = ("experiments", "calibrate", "comparisons", "sweeps", "studies")


def load(
    folder: Path | str = ".", changes: Mapping[str, Any] | None = None, experiments: bool = True, networks: bool = True
) -> Profile:
    """Read `folder/params.yaml`. Raises Error that names each wrong key with its line, and what is allowed there.

    `changes`: blocks like the file's, which replace what they name and leave the rest. `experiments`: whether they are read.
    `networks`: whether architectures are held against their networks' files. Without either nothing of torch is imported.
    """
    kinds.check()
    path = Path(folder) / "params.yaml"
    checked = _checked(path) if networks and experiments and not changes else None
    networks = networks and not (checked and checked.exists())
    values = read(path)
    if changes:
        values = merged(values, changes)
    if not experiments and isinstance(values, Mapping):
        values = {**values, **{section: {} for section in HEAVY}}
    _refuse(path, traps.infinite(values), changes)
    try:
        params = Params.model_validate(with_kinds(values, str(path)), context={CHECK: networks})
    except ValidationError as error:
        _refuse(path, explain.every(error, Params), changes)
        raise
    _refuse(path, (*traps.choices(params), *(traps.truths(params) if networks else ())), changes)
    profile = Profile(folder=Path(folder), params=params)
    if profile.name == TOP and profile.folder.resolve() != profile.root:
        raise Error(f"{path}: {TOP} is the name of the profile of {profile.root}, whose state would be shared; rename the folder")
    if checked and networks:
        checked.touch()
    return profile


def _checked(path: Path) -> Path | None:
    """The file by which the stages of one rebuild know that all architectures of a params.yaml fit their networks; None outside of one.

    It is that of the parameters and of the code as they are: after a change all is checked again. A stage's own network is checked in any case.
    """
    rebuild = os.environ.get("DARKROOM_WARM", "")
    if not (path.is_file() and Path(rebuild, "socket").exists()):
        return None
    profile = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    return Path(rebuild) / f"checked-{profile}-{code.changed(path.parent)}"


def _refuse(path: Path, sentences: Iterable[str], changes: Mapping[str, Any] | None) -> None:
    """Raises Error with the sentences, if there are any, each with the line of its key; `changes` may stand in no line."""
    said = []
    for sentence in sentences:
        line = None if changes else lines.line(path.read_text(encoding="utf-8"), sentence.partition(": ")[0])
        said.append(f"{path}: {f'line {line}: ' if line else ''}{sentence}")
    if said:
        raise Error("\n".join(said)) from None


class _Loader(yaml.CSafeLoader):
    """YAML without its traps: a key that stands twice, and numbers that are none to people, are refused."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[Any, int] = {}
    for key_node, _ in node.value:
        key = key_node.value
        if key_node.tag != "tag:yaml.org,2002:merge" and key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key!r} stands in line {seen[key]} too, and the last one would win", key_node.start_mark
            )
        seen[key] = key_node.start_mark.line + 1
    loader.flatten_mapping(node)
    return dict(loader.construct_pairs(node, deep=True))


def _whole(loader: _Loader, node: yaml.ScalarNode) -> int:
    """A whole number as people write it: `010` (eight) and `1:30` (ninety) are YAML 1.1's own."""
    text = loader.construct_scalar(node)
    digits = text.lstrip("+-").replace("_", "")
    if ":" in text or (len(digits) > 1 and digits.startswith("0") and digits[1:2].isdigit()):
        raise yaml.constructor.ConstructorError(
            None,
            None,
            f"{text} is read as {loader.construct_yaml_int(node)} by YAML; write the number out, or put it in quotes",
            node.start_mark,
        )
    return int(loader.construct_yaml_int(node))


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor("tag:yaml.org,2002:int", _whole)


def read(path: Path) -> Any:
    """A params.yaml as plain tables and lists. Raises Error, naming the line, for what is not YAML or not UTF-8."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError:
        raise Error(f"{path}: no such file; a profile is a folder with a params.yaml (see README)") from None
    except UnicodeDecodeError as error:
        raise Error(f"{path}: not UTF-8 ({error.reason} at byte {error.start}); save it in UTF-8") from None
    except yaml.YAMLError as error:
        raise Error(f"{path}: not YAML: {error}") from None


def with_kinds(values: Any, where: str = "params.yaml") -> Any:
    """The tables of a params.yaml with each recipe told its kind, which is that of its data.

    A recipe's keys depend on its kind, and its kind stands in its data's block of `preprocess`. Raises Error where a file says it.
    """
    if not isinstance(values, Mapping):
        return values
    prepared = values.get("preprocess")
    known: dict[Any, Any] = dict(prepared) if isinstance(prepared, Mapping) else {}
    told = dict(values)
    for section in ("experiments", "sweeps"):
        blocks = values.get(section)
        if not isinstance(blocks, Mapping):
            continue
        told[section] = {name: _told(block, known, f"{where}: {section}.{name}") for name, block in blocks.items()}
    return told


def _told(block: Any, preprocess: Mapping[Any, Any], where: str) -> Any:
    if not (isinstance(block, Mapping) and isinstance(block.get("train"), Mapping)):
        return block
    if "kind" in block["train"]:
        raise Error(f"{where}.train.kind: unknown key; the kind is that of the data, preprocess.{block.get('data')}.task")
    if block.get("sweep", NONE) != NONE:
        return block
    data = preprocess.get(block.get("data"))
    kind = data.get("task") if isinstance(data, Mapping) else None
    # A wrong name is found later, and said there.
    return {**block, "train": {"kind": kind if kind in kinds.names() else kinds.names()[0], **block["train"]}}


def main(params: Path = Path("params.yaml")) -> None:
    """Check a params.yaml (unknown keys, missing ones, values out of range) and list what is in it."""
    profile = load(params.parent)
    for section in SECTIONS:
        print(f"{section}: {', '.join(getattr(profile.params, section)) or '-'}")


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
