"""The proof that a change of code changes no number: equal weights after two epochs, old code against new.

Both versions train each experiment on the same small part of its data, from the same seed, and measure it. What has to be equal, to the
last bit, are the tensors and the numbers. A proof is recorded with the digests of the code that it was made for.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from tasks import code
from tasks.common import devices
from tasks.common.errors import Error
from tasks.common.files import write_json
from tasks.params.experiment import NONE
from tasks.profile import Profile

# Examples of each split that a proof looks at.
PART = {"train": 384, "val": 96, "test": 96}
EPOCHS = 2
TRIALS = 3
FILE = "adopted.json"
# Steps whose digests a proof of an experiment holds for.
STEPS = ("train", "evaluate", "calibrate", "reliability")


def read(folder: Path) -> dict[str, Any]:
    """The proofs of a profile by the names of experiments, sweeps and studies."""
    path = folder / FILE
    return json.loads(path.read_bytes()) if path.exists() else {}


def prove(profile: Profile, commit: str, names: Sequence[str]) -> dict[str, Any]:
    """Hold the code of `commit` against the code that is checked out, for experiments, sweeps and studies. Record and return the proofs.

    Raises Error for an unknown commit, changes that are not committed, and data that are not prepared.
    """
    root = profile.root
    new = _git(root, "rev-parse", "HEAD")
    old = _git(root, "rev-parse", "--verify", f"{commit}^{{commit}}")
    if _git(root, "status", "--porcelain", "--untracked-files=no", "--", "tasks", "models"):
        raise Error(
            "tasks/ or models/ differ from the commit that is checked out; commit the change first, so that the proof names it"
        )
    ordered = _in_order(profile, names)
    with _checkout(root, old) as before, _checkout(root, new) as after:
        found = {}
        for version, folder in (("old", before), ("new", after)):
            _profile(profile, folder, ordered)
            found[version] = _run(folder, ordered)
    proofs = read(profile.folder)
    for name in ordered:
        ours, theirs = found["new"].get(name), found["old"].get(name)
        equal = ours is not None and ours == theirs and "error" not in ours
        proofs[name] = {
            "from": old,
            "to": new,
            "equal": equal,
            "epochs": EPOCHS,
            "examples": PART,
            "code": {step: _digest(profile, step, name) for step in _steps(profile, name)},
            **({"found": ours} if equal else {"old": theirs, "new": ours}),
        }
        if "trials" in (proofs[name].get("found") or {}):
            proofs[name]["found"]["trials"] = len(proofs[name]["found"]["trials"])
        write_json(profile.folder / FILE, dict(sorted(proofs.items())))
    return {name: proofs[name] for name in ordered}


def _steps(profile: Profile, name: str) -> list[str]:
    if name in profile.params.sweeps:
        return ["sweep"]
    if name in profile.params.studies:
        return ["study"]
    return ["train", "evaluate", *(["calibrate", "reliability"] if name in profile.params.calibrate else [])]


def _digest(profile: Profile, step: str, name: str) -> str:
    return code.digest(profile.folder, step, name)


def _in_order(profile: Profile, names: Sequence[str]) -> list[str]:
    """The names, each after those whose weights it needs."""
    ordered: list[str] = []

    def add(name: str) -> None:
        needed: list[str] = []
        if block := profile.params.experiments.get(name):
            needed = [before for before in (block.after, block.judge) if before != NONE]
        elif study := profile.params.studies.get(name):
            needed = [*study.networks().values()]
        for before in needed:
            add(before)
        if name not in ordered:
            ordered.append(name)

    for name in names:
        add(name)
    return ordered


@contextmanager
def _checkout(root: Path, commit: str) -> Iterator[Path]:
    """A working tree of a commit, for as long as the block."""
    with tempfile.TemporaryDirectory(prefix="darkroom-adopt-") as temporary:
        folder = Path(temporary) / commit[:12]
        _git(root, "worktree", "add", "--detach", "--quiet", str(folder), commit)
        try:
            yield folder
        finally:
            _git(root, "worktree", "remove", "--force", str(folder))


def _profile(profile: Profile, root: Path, names: Sequence[str]) -> None:
    """A profile in `root`/short of that version's own params.yaml, with few epochs and a part of the data."""
    own = root / profile.folder.resolve().relative_to(profile.root) / "params.yaml"
    params = yaml.safe_load(own.read_bytes())
    blocks = {section: params.get(section) or {} for section in ("experiments", "winners", "students", "sweeps")}
    # Both versions compute in one precision: what `auto` stands for is no part of the proof.
    auto = devices.precision("auto", devices.choose(profile.params.device))
    for block in [block for section in blocks.values() for block in section.values()]:
        block["train"] = {"precision": auto, **block.get("train", {}), "epochs": EPOCHS}
        block["train"].pop("early_stopping", None)
        if critical := block["train"].get("self_critical"):
            # A phase at the end is one of the epochs.
            block["train"]["self_critical"] = {**critical, "epochs": EPOCHS - 1}
        if "seeds" in block:
            block["seeds"] = block["seeds"][:1]
    for block in blocks["sweeps"].values():
        block |= {"trials": TRIALS, "concurrency": 1, "scheduler": {"grace": 1}, "time_budget": 3600.0}
    # The root is where the code stands, one folder above: results and state stay in the temporary tree.
    params |= {"root": "..", "annotate": {}, "comparisons": {}}
    target = root / "short"
    target.mkdir()
    (target / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    sections = (profile.params.experiments, profile.params.sweeps, profile.params.studies)
    wanted = {section[name].data for section in sections for name in names if name in section}
    for data in sorted(wanted):
        _shorten(profile.processed(data), target / "data" / "processed" / data)
    for name in names:
        sweep = getattr(profile.params.experiments.get(name), "sweep", NONE)
        if sweep != NONE:
            best = profile.results(sweep) / "best.json"
            (target / "results" / sweep).mkdir(parents=True, exist_ok=True)
            shutil.copy(best, target / "results" / sweep)


def _shorten(source: Path, to: Path) -> None:
    """The first examples of each split of prepared data, as prepared data."""
    if not (source / "dataset.json").exists():
        raise Error(f"{source}: not prepared; run: dvc repro preprocess@{source.name}")
    info = json.loads((source / "dataset.json").read_bytes())
    for split, most in PART.items():
        (to / split).mkdir(parents=True)
        index = pd.read_parquet(source / split / "index.parquet")
        # At even distances, so that each class is there.
        rows = (
            np.unique(np.linspace(0, max(len(index) - 1, 0), min(most, len(index))).astype(int))
            if len(index)
            else np.array([], int)
        )
        info["counts"][split] = len(rows)
        for path in (source / split).iterdir():
            if path.suffix == ".npy":
                np.save(to / split / path.name, np.load(path, mmap_mode="r")[rows])
            elif path.name == "index.parquet":
                index.iloc[rows].reset_index(drop=True).to_parquet(to / split / path.name, index=False)
            else:
                table = pd.read_parquet(path)
                place = {int(row): number for number, row in enumerate(rows)}
                kept = table[table["image"].isin(place)]
                kept.assign(image=kept["image"].map(place)).reset_index(drop=True).to_parquet(to / split / path.name, index=False)
    info["hash"] = f"{info['hash'][:48]}-short"
    (to / "dataset.json").write_text(json.dumps(info), encoding="utf-8")
    for path in source.iterdir():
        if path.is_file() and path.name not in ("dataset.json", "skipped.csv"):
            shutil.copy(path, to)


def _run(root: Path, names: Sequence[str]) -> Mapping[str, Any]:
    out = root / "short.json"
    environment = os.environ | {
        "PYTHONPATH": str(root),
        "MLFLOW_TRACKING_URI": f"sqlite:///{root / 'mlflow.db'}",
        "PYTHONWARNINGS": "ignore",
    }
    script = Path(__file__).with_name("short_run.py")
    command = [sys.executable, str(script), str(root / "short"), str(out), *names]
    done = subprocess.run(command, cwd=root / "short", env=environment, stdout=subprocess.DEVNULL, check=False)
    if not out.exists():
        raise Error(f"{root.name}: the short run ended with {done.returncode} before anything was measured; see its output above")
    found: dict[str, Any] = json.loads(out.read_bytes())
    return found


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Error(
            f"git {' '.join(arguments[:3])}: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}"
        )
    return done.stdout.strip()
