"""Carry results over a change of code that changes no number, in place of training for days.

    python -m tasks.adopt prove COMMIT [NAME...]     in a profile's folder: train two epochs with COMMIT's code and with today's
    python -m tasks.adopt record [NAME...]           rewrite dvc.lock for what was proved

`record` writes what `dvc repro` would have written if it had run the stage: it takes the recorded hashes of data and outputs, and the
new digest of the code. It refuses a stage whose data or parameters are others by value, whose proof is missing, unequal, or of other
code, and one that was stale already. Outputs that are not here stay recorded.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from tasks import code, config
from tasks.adoption import lockfile, proof
from tasks.adoption.lockfile import Stage
from tasks.common.errors import Error
from tasks.common.flat import flat
from tasks.profile import Profile

# Steps that are adopted, and the kind of name that each has.
STEPS = ("sweep", "train", "evaluate", "calibrate", "reliability", "study")
RENAMED = "renamed.yaml"


@dataclass(frozen=True)
class Renamed:
    """A recorded renaming: stages and places of params.yaml, by their new names; and places that are no more."""

    stages: Mapping[str, str]
    params: Mapping[str, str]
    gone: tuple[str, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> "Renamed":
        """The profile's renamed.yaml; nothing is renamed where there is none."""
        path = folder / RENAMED
        content = yaml.safe_load(path.read_bytes()) if path.exists() else {}
        return cls(content.get("stages", {}), content.get("params", {}), tuple(content.get("gone", ())))

    def old(self, place: str) -> str:
        """What a place of params.yaml was called before; the longest renaming counts."""
        for new in sorted(self.params, key=len, reverse=True):
            if place == new or place.startswith(f"{new}."):
                return self.params[new] + place.removeprefix(new)
        return place


def adopt(profile: Profile, names: list[str] | None = None) -> dict[str, str]:
    """Rewrite dvc.lock for the stages that are proved; return why each of the others is refused.

    `names`: of experiments, sweeps and studies; all that stand in params.yaml by default.
    """
    folder = profile.folder
    code.write(folder)
    recorded, renamed, proofs = lockfile.read(folder), Renamed.read(folder), proof.read(folder)
    wanted = set(names or everything(profile))
    refused: dict[str, str] = {}
    # What an adopted stage's output was recorded as, and is: a stage that took the one takes the other.
    moved: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for name, stage in lockfile.stages(folder).items():
        step, _, key = name.partition("@")
        if step not in STEPS or key not in wanted:
            continue
        old = recorded.get(renamed.stages.get(name, name))
        try:
            if old is None:
                raise Error("it was never recorded")
            recorded[name] = _adopted(profile, stage, step, key, old, renamed, proofs.get(key), moved)
        except Error as error:
            refused[name] = str(error)
            continue
        was = {entry["path"]: entry for entry in old.get("outs", ())}
        moved += [(was[entry["path"]], entry) for entry in recorded[name]["outs"] if entry["path"] in was]
        if (former := renamed.stages.get(name)) and former != name:
            del recorded[former]
    lockfile.write(folder, recorded)
    return refused


def everything(profile: Profile) -> list[str]:
    """The names of all that can be adopted."""
    return [*profile.params.experiments, *profile.params.sweeps, *profile.params.studies]


def _adopted(
    profile: Profile,
    stage: Stage,
    step: str,
    key: str,
    old: Mapping[str, Any],
    renamed: Renamed,
    proved: Mapping[str, Any] | None,
    moved: Sequence[tuple[dict[str, Any], dict[str, Any]]],
) -> dict[str, Any]:
    """What dvc.lock says of a stage from now on. Raises Error where it cannot be adopted."""
    now = code.digest(profile.folder, step, key)
    if any(dep["path"] == f"data/code/{step}/{key}" for dep in old.get("deps", ())):
        entry = lockfile.entry(profile.folder, f"data/code/{step}/{key}")
        if entry in old["deps"]:
            return dict(old)
    if proved is None:
        raise Error(f"there is no proof; run: python -m tasks.adopt prove COMMIT {key}")
    if not proved["equal"]:
        raise Error(
            f"{proved['from'][:12]} and {proved['to'][:12]} give other numbers ({proof.FILE}); run it again: dvc repro {stage.name}"
        )
    if proved["code"].get(step) != now:
        raise Error(f"the proof is of other code than today's; run: python -m tasks.adopt prove {proved['from'][:12]} {key}")
    _check_code(profile, old, proved["from"])
    params = _params(profile, stage, old, renamed)
    before = {entry["path"]: entry for entry in (*old.get("deps", ()), *old.get("outs", ()))}
    deps = [_entry(profile.folder, path, before, here=path.startswith("data/code/")) for path in sorted(stage.deps)]
    deps = [next((entry for was, entry in moved if was == dep), dep) for dep in deps]
    outs = [_entry(profile.folder, path, before, here=True) for path in sorted(stage.outs)]
    return {"cmd": stage.cmd, "deps": deps, "params": {"params.yaml": params}, "outs": outs}


def _entry(folder: Path, path: str, before: Mapping[str, Any], here: bool) -> dict[str, Any]:
    """A dependency or an output: as it is here, or as it was recorded. `here`: what is here comes first."""
    found = lockfile.entry(folder, path) if here or path not in before else None
    entry = found or before.get(path)
    if entry is None:
        raise Error(f"{path} is neither here nor was it recorded")
    return dict(entry)


def _check_code(profile: Profile, old: Mapping[str, Any], commit: str) -> None:
    """Raises Error where the files of ours that were recorded are not those of the commit that the proof starts from."""
    for dep in old.get("deps", ()):
        path = dep["path"].removeprefix("../")
        if not path.startswith(("tasks/", "models/")) or path.startswith("models/weights/"):
            continue
        shown = subprocess.run(["git", "show", f"{commit}:{path}"], cwd=profile.root, capture_output=True, check=False)
        if shown.returncode or hashlib.md5(shown.stdout).hexdigest() != dep["md5"]:
            raise Error(f"it was stale already at {commit[:12]}: {path}; prove it from the commit that it was recorded with")


def _params(profile: Profile, stage: Stage, old: Mapping[str, Any], renamed: Renamed) -> dict[str, Any]:
    """The stage's parameters as they are now. Raises Error where one has another value than the recorded one."""
    values = yaml.safe_load((profile.folder / "params.yaml").read_bytes())
    now = {key: lockfile.value_at(values, key) for key in stage.params}
    then = flat(old.get("params", {}).get("params.yaml", {}))
    ours = flat(now)
    for place, value in ours.items():
        former = renamed.old(place)
        if former in then and _number(then[former]) != _number(value):
            raise Error(f"{place} was {then[former]!r}, and is {value!r}")
    known = {renamed.old(place) for place in ours} | {place for place, value in then.items() if value in ({}, [])}
    sections = {renamed.old(key) for key in stage.params}
    for place in then:
        ours_once = any(place == section or place.startswith(f"{section}.") for section in sections)
        if ours_once and place not in known and place not in renamed.gone:
            raise Error(f"{place} was {then[place]!r}, and is no more")
    return now


def _number(value: Any) -> Any:
    """The value with its texts as the numbers that they spell: YAML 1.1 takes `5e-05` for a text, and our steps take it for a number."""
    if isinstance(value, list):
        return [_number(one) for one in value]
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return value


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__.splitlines()[0] if __doc__ else None)


@app.command("prove")
def prove_command(
    commit: Annotated[str, typer.Argument(help="whose code the recorded results were made with")],
    names: Annotated[list[str] | None, typer.Argument(help="experiments, sweeps and studies; all by default")] = None,
) -> None:
    """Train and measure two epochs with a commit's code and with today's, on a part of the data, and record whether all is equal."""
    profile = config.load()
    found = proof.prove(profile, commit, names or everything(profile))
    for name, one in found.items():
        print(f"{name}: {'equal' if one['equal'] else 'NOT EQUAL'}")
    if unequal := [name for name, one in found.items() if not one["equal"]]:
        raise Error(f"other numbers: {', '.join(unequal)}; {proof.FILE} has both")


@app.command("record")
def record_command(
    names: Annotated[list[str] | None, typer.Argument(help="experiments, sweeps and studies; all by default")] = None,
) -> None:
    """Rewrite dvc.lock for what was proved, and say what was refused and why."""
    profile = config.load()
    refused = adopt(profile, names)
    for name, why in refused.items():
        print(f"{name}: {why}", file=sys.stderr)
    if refused:
        raise Error(f"{len(refused)} stages were not adopted; the others were")
    print(json.dumps({"adopted": True}))


if __name__ == "__main__":
    from tasks.common.cli import run

    run(app)
