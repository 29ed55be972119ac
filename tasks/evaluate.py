"""Evaluate an experiment on its test split: `python -m tasks.evaluate EXPERIMENT`. The only step that opens test."""

import importlib
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from rich.console import Console
from rich.progress import track
from torch import nn

from tasks import config
from tasks.common import devices
from tasks.common.errors import Error
from tasks.common.files import atomic_folder, write_json
from tasks.config import Profile
from tasks.datasets import data
from tasks.datasets.data import Data, Info
from tasks.evaluation import figures
from tasks.learning import tracking, weights

# What stands in a result as the training wrote it.
KEPT = (
    "epochs", "parameters", "train_seconds", "peak_memory_mb", "device", "threads", "seeds", "trained_on", "pretrained", "git_commit", "versions"
)  # fmt: skip
# What is measured and written is the task's: a module each, read when it is asked for, since those of boxes take seconds to import.
KINDS = {"classify": "classified", "translate": "translated", "detect": "detected"}


def evaluate(profile: Profile, name: str, out: Path | None = None, trained: Path | None = None) -> dict[str, Any]:
    """Measure every seed of an experiment on test; write metrics.json, plots/ and the predictions, and return the metrics.

    `trained`: the folder that `tasks.train` wrote, results/<name> by default. `out`: where to write instead of the stage's
    results/<name> and data/evaluated/<name> (whose files go to `out`/evaluated). Tables, figures and predictions are the first
    seed's; `metrics` is the mean over seeds.

    Raises Error for an unknown experiment, for data or weights that are not there, for weights that were trained on other data,
    and for a training that diverged.
    """
    experiment = profile.experiment(name)
    folder = profile.processed(experiment.data)
    info = data.info(folder)
    trained = trained or profile.results(name)
    training_record = _training(trained)
    device = devices.choose(profile.params.device)
    files = {seed: trained / "weights" / f"seed-{seed}.safetensors" for seed in training_record["seeds"]}
    networks = {seed: weights.load(file, device) for seed, file in files.items()}
    for seed, (_, configuration) in networks.items():
        if configuration.data_hash != info.hash:
            raise Error(f"{files[seed]}: trained on another version of {experiment.data}; train again: dvc repro train@{name}")

    test = Data(folder, "test")
    task = kind(info.task)
    console = Console(stderr=True)
    results: dict[int, dict[str, float]] = {}
    first: np.ndarray | None = None
    for seed, (network, _) in track(networks.items(), f"{name}: test", console=console, disable=not console.is_terminal):
        try:
            outputs, results[seed] = task.measure(network, test, info, experiment.train, device, training_record["val_metrics"])
        except Error as error:
            raise Error(f"{files[seed]}: {error}") from None
        first = outputs if first is None else first
    assert first is not None

    result = {
        "experiment": name,
        "system": experiment.system,
        "task": info.task,
        "dataset": info.dataset,
        **{f"n_{split}": info.counts[split] for split in data.SPLITS},
        **({"n_train": info.counts["train"] + info.counts["val"]} if experiment.train.split == "train+val" else {}),
        "data_origin": info.origin,
        **summary(results),
        "val_metrics": training_record["val_metrics"],
        "published": [published.model_dump(exclude_none=True) for published in experiment.published],
        **{key: training_record[key] for key in KEPT if key in training_record},
    }
    out = out or profile.results(name)
    evaluated = profile.evaluated(name) if out == profile.results(name) else out / "evaluated"
    with atomic_folder(out / "plots") as plots, atomic_folder(evaluated) as predictions:
        history = pd.read_csv(trained / "history.csv")
        figures.save(figures.curves(history, task.MAIN), plots / "curves.png")
        if (animation := trained / "weights" / "progress.webp").exists():
            shutil.copy(animation, plots)
        if (seen := first_layer(next(iter(networks.values()))[0], info)) is not None:
            figures.save(figures.weights(seen), plots / "first_layer.png")
        task.write(test, info, first, training_record["val_metrics"], plots, predictions)
        write_json(predictions / "metrics.json", result)
        write_json(predictions / "dataset.json", info.model_dump(mode="json"))
    write_json(out / "metrics.json", result)
    _track(profile, name, training_record.get("mlflow_runs", {}), results, out / "plots")
    return result


def kind(task: str) -> Any:
    """The module that measures and writes a task's outputs."""
    return importlib.import_module(f"tasks.evaluation.{KINDS[task]}")


def summary(results: Mapping[int, Mapping[str, float]]) -> dict[str, Any]:
    """`metrics`, the mean over seeds; where there are several also `metrics_std`, of the sample, and `metrics_by_seed`."""
    table = pd.DataFrame([*results.values()])
    values: dict[str, Any] = {"metrics": table.mean().to_dict()}
    if len(table) > 1:
        values["metrics_std"] = table.std(ddof=1).to_dict()
        values["metrics_by_seed"] = {str(seed): dict(scores) for seed, scores in results.items()}
    return values


def _training(folder: Path) -> dict[str, Any]:
    """training.json. Raises Error where nothing was trained."""
    path = folder / "training.json"
    try:
        record: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise Error(f"{path}: no such file; train the experiment first: dvc repro, or python -m tasks.train EXPERIMENT") from None
    return record


def first_layer(network: nn.Module, info: Info) -> np.ndarray | None:
    """What a classifier's first layer looks for, (units, H, W, C): its kernels, or a picture a unit; None where no layer sees the image."""
    layer = next((m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)), None)
    if info.task != "classify" or layer is None:
        return None
    weight = layer.weight.detach().float().cpu()
    if weight.ndim == 4 and weight.shape[1] != info.channels:
        # What it is given is no picture any more.
        return None
    if weight.ndim == 2:
        weight = weight.view(len(weight), info.channels, info.size, info.size)
    return weight.permute(0, 2, 3, 1).numpy()


def _track(
    profile: Profile, name: str, runs: Mapping[str, str | None], results: Mapping[int, Mapping[str, float]], plots: Path
) -> None:
    """Add the numbers of test, and the figures, to the runs of the training."""
    for seed, scores in results.items():
        if run_id := runs.get(str(seed)):
            with tracking.run(profile, name, f"{name}-seed-{seed}", {}, {}, run_id) as run:
                run.log_metrics({f"test_{metric}": value for metric, value in scores.items()})
                if seed == next(iter(results)):
                    run.log_artifact(plots, "plots")


def main(experiment: Annotated[str, typer.Argument(help="a key of `experiments` in params.yaml, trained before")]) -> None:
    """Measure a trained experiment on the test images of its data; write results/EXPERIMENT/metrics.json and plots/."""
    result = evaluate(config.load(), experiment)
    numbers = ", ".join(f"{name} {value:.4f}" for name, value in result["metrics"].items())
    print(f"evaluated {experiment} on {result['n_test']} test images: {numbers}", file=sys.stderr)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
