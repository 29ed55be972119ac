"""The stage `annotate`: the photographs of a data set, and how well their faces were found: `python -m tasks.annotated NAME`.

NAME is a key of `annotate` in params.yaml. Writes data/annotated/NAME (tables, pictures, contact sheet) and results/annotate-NAME
(metrics.json, tables/, plots/, shown.webp). Where the data set has boxes of faces, what was found is measured against them.
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
import typer
from PIL import Image

import models
from tasks import annotate as annotating
from tasks import config, preprocess
from tasks.common import devices, provenance
from tasks.common.errors import Error
from tasks.common.files import atomic, atomic_folder, sha256, write_json
from tasks.datasets import readers
from tasks.datasets.records import Raw
from tasks.faces import face_weights, found_faces
from tasks.faces.detector import read
from tasks.imaging import pictures
from tasks.kinds import detect
from tasks.learning.measuring import Out
from tasks.profile import Profile

SHOWN = 6  # annotated photographs on the report's page
SIDE = 900  # pixels of their long side


def annotated(profile: Profile, name: str) -> dict[str, Any]:
    """Annotate the photographs of the block `name`, and return its metrics.

    Interrupted, it goes on. Raises Error for an unknown name, a data set that is not downloaded, and as `annotate` does.
    """
    if name not in profile.params.annotate:
        raise Error(f"annotate: unknown photographs {name!r}; allowed: {', '.join(profile.params.annotate) or 'none'}")
    settings = profile.params.annotate[name]
    raw, chosen = photographs(profile, settings.source, settings.split)
    state = _state(profile, name, chosen)
    write_photographs(raw, chosen, state / "photographs")
    summary = annotating.annotate(profile, state / "photographs", state / "out", settings, name=name, relative=True)
    origin = json.loads((profile.raw(settings.source) / "origin.json").read_bytes())
    table = pd.read_parquet(state / "out" / "faces.parquet")
    files = face_weights.find(profile, settings)
    result: dict[str, Any] = {
        "experiment": f"annotate-{name}",
        "system": "annotate",
        "task": "annotate",
        "dataset": settings.source,
        "n_train": 0,
        "n_val": 0,
        "n_test": summary["photographs"],
        "data_origin": origin["origin"],
        "metrics": {},
        "val_metrics": {},
        "published": [],
        "counts": {k: v for k, v in summary.items() if isinstance(v, int) and k not in ("done", "unchanged", "workers")},
        "reasons": summary["reasons"],
        "weights": summary["weights"],
        "thresholds": summary["thresholds"],
        "photographs_per_second": summary["photographs_per_second"],
        "parameters": models.count_parameters(read(files.faces)),
        "epochs": 0,
        "train_seconds": 0.0,
        "seconds": summary["seconds"],
        "peak_memory_mb": round(devices.peak_memory_mb(torch.device("cpu")), 1),
        "device": devices.describe(torch.device("cpu")),
        "precision": summary["precision"],
        "threads": torch.get_num_threads(),
        "seeds": [],
        "git_commit": provenance.git_commit(profile.root),
        "versions": provenance.versions(),
    }
    results = profile.results(f"annotate-{name}")
    evaluated = profile.evaluated(f"annotate-{name}")
    with (
        atomic_folder(results / "plots") as plots,
        atomic_folder(results / "tables") as tables,
        atomic_folder(evaluated) as rows,
    ):
        out = Out(plots, tables, rows)
        out.table("counts", pd.DataFrame([*result["counts"].items()], columns=["what", "count"]))
        if any(raw.items[file].boxes is not None for file in chosen):
            truth = {file: raw.items[file] for file in chosen}
            result["metrics"] = found_faces.measure(files, settings, truth, state / "photographs", out)
        _pictures(table, state / "out", plots)
        # By which the report's stage knows of it.
        write_json(rows / "metrics.json", result)
    _show(results, state / "photographs", table)
    with atomic_folder(profile.folder / "data" / "annotated" / name) as to:
        for file in ("faces.parquet", "faces.csv", "contact-sheet.html"):
            shutil.copy(state / "out" / file, to)
        if (state / "out" / "pictures").exists():
            shutil.copytree(state / "out" / "pictures", to / "pictures")
    write_json(results / "metrics.json", result)
    shutil.rmtree(state.parent)
    return result


def _state(profile: Profile, name: str, chosen: list[str]) -> Path:
    """The folder of what an interrupted run has done, named after the data set's hash and the photographs that were chosen of it.

    What was done for other photographs is removed.
    """
    origin = sha256(profile.raw(profile.params.annotate[name].source) / "origin.json")
    fingerprint = hashlib.sha256(json.dumps([origin, sorted(chosen)]).encode()).hexdigest()[:16]
    folder = profile.state("annotate") / name
    for other in folder.glob("*"):
        if other.name != fingerprint:
            shutil.rmtree(other)
    return folder / fingerprint


def photographs(profile: Profile, source: str, split: str | None) -> tuple[Raw, list[str]]:
    """A data set as it was downloaded, and the names of a split's photographs, or of all. Raises Error where nothing draws splits."""
    blocks = [block for block in profile.params.preprocess.values() if block.dataset == source]
    block = next(iter(blocks), detect.Prepare(dataset=source, task="detect", size=640))
    raw = readers.read(profile.raw(source), block)
    if split is None:
        return raw, list(raw.items)
    if not blocks:
        raise Error(f"annotate: split: {split} needs a block of `preprocess` for {source}, which draws it")
    splits = preprocess.assign(raw, block)
    return raw, [name for name in raw.items if splits[name] == split]


def write_photographs(raw: Raw, chosen: list[str], folder: Path) -> None:
    """The photographs as files; what stands there from an earlier run is not written again."""
    wanted = set(chosen)
    for name, image in raw.images():
        path = folder / name
        if name not in wanted or path.exists():
            continue
        with atomic(path) as temporary:
            if isinstance(image, bytes):
                temporary.write_bytes(image)
            else:
                Image.fromarray(np.asarray(image)).save(temporary)


def _pictures(table: pd.DataFrame, out: Path, plots: Path) -> None:
    """A few annotated photographs for the page: those with the most faces, by rule and not by eye."""
    faces = table[table["picture"] != ""].groupby("picture").size().sort_values(ascending=False, kind="stable")
    for number, name in enumerate(faces.index[:SHOWN]):
        with Image.open(out / str(name)) as picture:
            picture.thumbnail((SIDE, SIDE))
            picture.convert("RGB").save(plots / f"photograph-{number}.webp", quality=82)


def _show(results: Path, photographs: Path, table: pd.DataFrame) -> None:
    """Write shown.webp, the one picture of a result that git keeps: the first annotated photograph, or the figure of what was found.

    Where there is neither, it is the first photograph that could be read. Raises Error where none could.
    """
    readable = [photographs / path for path in table.loc[table["width"] > 0, "image_path"][:1]]
    candidates = [*sorted((results / "plots").glob("photograph-*.webp")), results / "plots" / "found_faces.png", *readable]
    first = next((file for file in candidates if file.exists()), None)
    if first is None:
        raise Error(f"{photographs}: none of the photographs can be read; download them again")
    pictures.write_small(first, results / "shown.webp")


def main(name: Annotated[str, typer.Argument(help="a key of `annotate` in params.yaml")]) -> None:
    """Annotate the photographs of a data set, and measure what was found where their faces are known."""
    result = annotated(config.load(experiments=False), name)
    numbers = ", ".join(f"{key} {value:.4f}" for key, value in result["metrics"].items() if isinstance(value, float))
    print(f"annotated {name}: {result['counts']['faces']} faces in {result['n_test']} photographs; {numbers}", file=sys.stderr)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
