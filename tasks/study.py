"""Run a study of trained networks: `python -m tasks.study NAME`, for a key of `studies` in params.yaml. It trains nothing."""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from tasks import config, studies
from tasks.common import devices, provenance
from tasks.common.errors import Error
from tasks.common.files import atomic_folder, write_json
from tasks.datasets import data as prepared
from tasks.datasets.data import SPLITS, Info
from tasks.imaging import pictures
from tasks.learning import tracking, weights
from tasks.learning.measuring import Out
from tasks.params.experiment import NONE
from tasks.params.params import known_to_user
from tasks.params.study import EMBEDDED, Study
from tasks.profile import Profile


@dataclass(frozen=True)
class Studied:
    """What a study is given: the block, the prepared data, and the networks that it names, in evaluation mode.

    `networks`: by the block's keys `network` and `other`, each with its configuration; embedded weights stand for `network`.
    """

    block: Study
    data: Path
    info: Info
    device: torch.device
    networks: dict[str, tuple[torch.nn.Module, weights.Configuration]]


def study(profile: Profile, name: str, out: Path | None = None) -> dict[str, Any]:
    """Run the study `name`; write metrics.json, tables/, plots/ and shown.webp, and return the metrics.

    `out`: another folder than results/<name>. Raises Error for an unknown study, networks that are not trained, data that are not
    prepared, and a number that the study does not declare.
    """
    known_to_user(name, profile.params.studies, "study")
    block = profile.params.studies[name]
    module, options = studies.find(block.study), block.settings().model_dump(mode="json")
    folder = profile.processed(block.data)
    info, device = prepared.info(folder), devices.choose(profile.params.device)
    networks = {key: _load(profile, experiment, device) for key, experiment in block.networks().items()}
    named = block.networks()
    if block.embedded != NONE:
        named = {"network": block.embedded, **named}
        networks["network"] = weights.load(weights.verified(EMBEDDED / f"{block.embedded}.safetensors"), device)
    stage = out is None
    out = out or profile.results(name)
    start = time.perf_counter()
    studied = Studied(block, folder, info, device, networks)
    evaluated = profile.evaluated(name) if stage else out / "evaluated"
    with atomic_folder(out / "plots") as plots, atomic_folder(out / "tables") as tables, atomic_folder(evaluated) as kept:
        metrics = {key: float(value) for key, value in module.run(profile, name, studied, Out(plots, tables, kept)).items()}
        if unknown := sorted({*metrics} - {metric.name for metric in module.METRICS}):
            raise Error(f"tasks/studies: {block.study} measures {', '.join(unknown)}, which its METRICS do not declare")
        result = {
            "experiment": name,
            "system": block.study,
            "task": "study",
            "dataset": info.dataset,
            **{f"n_{split}": info.counts[split] for split in SPLITS},
            "data_origin": info.origin,
            "metrics": metrics,
            "val_metrics": {},
            "published": [],
            "networks": named,
            "parameters": 0,
            "epochs": 0,
            "train_seconds": 0.0,
            "seconds": round(time.perf_counter() - start, 3),
            "peak_memory_mb": round(devices.peak_memory_mb(device), 1),
            "device": devices.describe(device),
            "precision": "fp32",
            "threads": torch.get_num_threads(),
            "seeds": [options["seed"]] if "seed" in options else [],
            "options": options,
            "git_commit": provenance.git_commit(profile.root),
            "versions": provenance.versions(),
            **(module.facts(block) if hasattr(module, "facts") else {}),
        }
        # By this copy the stage of the report knows of the result.
        write_json(kept / "metrics.json", result)
    tags = {"task": "study", "study": block.study, "git_commit": result["git_commit"]}
    with tracking.run(profile, name, name, block.model_dump(mode="json"), tags) as run:
        run.log_metrics(metrics)
        run.log_artifact(out / "plots", "plots")
    shown = next((out / "plots" / figure.file for figure in module.FIGURES if (out / "plots" / figure.file).exists()), None)
    if shown:
        pictures.write_small(shown, out / "shown.webp")
    write_json(out / "metrics.json", result)
    return result


def _load(profile: Profile, experiment: str, device: torch.device) -> tuple[torch.nn.Module, weights.Configuration]:
    path = profile.weights(experiment)
    if not path.is_file():
        raise Error(f"{path}: no such weights; train {experiment} first: dvc repro train@{experiment}")
    return weights.load(path, device)


def main(name: Annotated[str, typer.Argument(help="a key of `studies` in params.yaml")]) -> None:
    """Run a study of trained networks: numbers, tables and figures in results/NAME. Nothing is trained."""
    print(json.dumps(study(config.load(), name)["metrics"], indent=2), file=sys.stderr)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
