"""Evaluate an experiment on its test split: `python -m tasks.evaluate EXPERIMENT`. The only step that opens test."""

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from torch import nn

from tasks import config, kinds
from tasks.common import bars, devices
from tasks.common.errors import Error
from tasks.common.files import atomic_folder, write_json
from tasks.datasets import data
from tasks.datasets.data import Data
from tasks.imaging import figures, pictures
from tasks.learning import tracking, weights
from tasks.learning.measuring import Out, Test
from tasks.params.experiment import NONE, Experiment
from tasks.profile import Profile

# What stands in a result as the training wrote it.
KEPT = (
    "epochs", "parameters", "train_seconds", "peak_memory_mb", "device", "precision", "threads", "seeds", "trained_on", "pretrained", "after",
    "git_commit", "versions"
)  # fmt: skip


def evaluate(profile: Profile, name: str, out: Path | None = None, trained: Path | None = None) -> dict[str, Any]:
    """Measure every seed of an experiment on test; write metrics.json, tables/, plots/, shown.webp and the predictions.

    Returns what metrics.json holds. `trained`: the folder that `tasks.train` wrote, results/<name> by default. `out`: where to write
    instead of the stage's results/<name> and data/evaluated/<name> (whose files go to `out`/evaluated). Tables, figures and
    predictions are the first seed's; `metrics` is the mean over seeds.

    Raises Error for an unknown experiment, for data or weights that are not there, for weights that were trained on other data,
    and for a training that diverged.
    """
    experiment = profile.experiment(name)
    folder = profile.processed(experiment.data)
    info = data.info(folder)
    trained = trained or profile.results(name)
    record = _training(trained)
    device = devices.choose(profile.params.device)
    judge = _judge(profile, experiment)
    files = {seed: trained / "weights" / f"seed-{seed}.safetensors" for seed in record["seeds"]}
    networks = {seed: weights.load(file, device) for seed, file in files.items()}
    for seed, (_, configuration) in networks.items():
        if configuration.data_hash != info.hash:
            raise Error(f"{files[seed]}: trained on another version of {experiment.data}; train again: dvc repro train@{name}")

    kind = kinds.part(info.task, "measure")
    split, validated = Data(folder, "test"), record["val_metrics"]
    # As it was trained: fp32 weights are not measured in bf16 because this processor has it.
    precision = record.get("precision") or devices.precision(experiment.train.precision, device)
    results: dict[int, dict[str, float]] = {}
    first: tuple[Test, np.ndarray] | None = None
    for seed, (network, configuration) in bars.track(networks.items(), f"{name}: test"):
        test = Test(network, configuration, split, info, experiment.train, precision, device, validated, judge, first is None)
        try:
            outputs, results[seed] = kind.measure(test)
        except Error as error:
            raise Error(f"{files[seed]}: {error}") from None
        kinds.check_measured(info.task, results[seed])
        first = (test, outputs) if first is None else first
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
        "val_metrics": validated,
        "published": [published.model_dump(exclude_none=True) for published in experiment.published],
        **{key: record[key] for key in KEPT if key in record},
    }
    out = out or profile.results(name)
    evaluated = profile.evaluated(name) if out == profile.results(name) else out / "evaluated"
    main = kinds.metrics(info.task)[kinds.main_metric(info.task)]
    with atomic_folder(out / "plots") as plots, atomic_folder(out / "tables") as tables, atomic_folder(evaluated) as predictions:
        history = pd.read_csv(trained / "history.csv")
        figures.save(
            figures.curves(history, main.name, f"{main.label}{f' ({main.unit})' if main.unit == 'dB' else ''}"),
            plots / "curves.png",
        )
        if (animation := trained / "weights" / "progress.webp").exists():
            shutil.copy(animation, plots)
        kind.write(*first, Out(plots, tables, predictions))
        write_json(predictions / "metrics.json", result)
        write_json(predictions / "dataset.json", info.dump())
    show(info.task, out)
    write_json(out / "metrics.json", result, durable=True)
    _track(profile, name, record.get("mlflow_runs", {}), results, out / "plots")
    return result


def show(task: str, out: Path) -> None:
    """Write shown.webp, the one picture of a result that git keeps: the first figure of its kind that there is, made small."""
    named = [out / "plots" / figure.file for figure in (*kinds.find(task).FIGURES, *kinds.COMMON_FIGURES[::-1])]
    first = next((file for file in named if file.exists()), None)
    if first is not None:
        pictures.write_small(first, out / "shown.webp")


def _judge(profile: Profile, experiment: Experiment) -> tuple[nn.Module, weights.Configuration] | None:
    """The network that takes part in the evaluation. Raises Error where it is not trained yet."""
    if experiment.judge == NONE:
        return None
    path = profile.weights(experiment.judge)
    if not path.is_file():
        raise Error(f"{path}: no such weights; train the judge first: dvc repro train@{experiment.judge}")
    return weights.load(path, devices.choose(profile.params.device))


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
