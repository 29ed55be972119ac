"""Train an experiment: `python -m tasks.train EXPERIMENT`."""

import csv
import hashlib
import importlib
import io
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import nn

import models
from tasks import config
from tasks.common import devices, provenance
from tasks.common.errors import Error
from tasks.common.files import atomic_folder, sha256, write_json, write_text
from tasks.config import Profile
from tasks.datasets import data
from tasks.learning import augment, distillation, optimizers, progress, tracking, training, weights
from tasks.params.experiment import Experiment, Pretrained, Student


def train(profile: Profile, name: str, out: Path | None = None) -> Path:
    """Train every seed of an experiment, and write weights/seed-<n>.safetensors, history.csv and training.json.

    `out`: another folder than the stage's results/<name>. A training that was interrupted goes on where it stopped.
    Raises Error for an unknown experiment, data that are not prepared, and a network over its budget.
    """
    experiment = profile.experiment(name)
    info = data.info(profile.processed(experiment.data))
    device = devices.choose(profile.params.device)
    parameters = check_budget(name, experiment, info)
    out = out or profile.results(name)
    # A run of its own has a state of its own; what the stage has done so far is not mixed with it.
    state = profile.state("train") / name if out == profile.results(name) else out / "state"

    folder = profile.processed(experiment.data)
    examples = {s: training.Examples.of(data.Data(folder, s), info.task, device) for s in ("train", "val")}
    if experiment.train.split == "train+val":
        examples["train"] = examples["train"] + examples["val"]
    teacher = _teacher(profile, experiment) if isinstance(experiment, Student) else None
    fingerprint = _fingerprint(experiment, info, teacher)
    fit = fitter(experiment)
    followed = progress.Followed(examples["val"].images, state / "progress") if info.task == "translate" else None
    histories: dict[int, list[dict[str, float]]] = {}
    scores: dict[int, dict[str, float]] = {}
    runs: dict[str, str | None] = {}
    seconds = 0.0
    for seed in experiment.seeds:
        torch.manual_seed(seed)
        configuration = describe(profile, name, info, seed)
        network = configuration.build()
        origin = _pretrain(network, experiment.train.pretrained)
        network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        learner = network
        if teacher and isinstance(experiment, Student):
            learner = distillation.taught(network, teacher, experiment, info, device)
        run_file = state / f"seed-{seed}.run"
        run_id = run_file.read_text() if run_file.exists() else None
        settings = {
            "experiment": name,
            "seed": seed,
            **experiment.model_dump(include={"data", "network", "architecture", "train", "teacher"}),
        }
        tags = {"profile": profile.name, "system": experiment.system, "data_hash": info.hash, "data_origin": info.origin,
                "git_commit": configuration.git_commit, "device": devices.describe(device), "parameters": str(parameters), "pretrained": origin}  # fmt: skip
        with tracking.run(profile, name, f"{name}-seed-{seed}", settings, tags, run_id) as tracked:
            if tracked.id:
                write_text(run_file, tracked.id)
            steps = max(1, len(examples["train"]) // experiment.train.batch_size)
            with Bar(f"{name}, seed {seed}", experiment.train.epochs, steps) as bar:

                def on_epoch(row: dict[str, float]) -> None:
                    values = {k: v for k, v in row.items() if k != "epoch"}
                    if followed and seed == experiment.seeds[0]:  # noqa: B023 (used within the iteration)
                        tracked.log_artifact(followed.draw(network, int(row["epoch"])), "progress")  # noqa: B023
                    tracked.log_metrics(values, int(row["epoch"]))
                    bar.epoch(row)

                result = fit(
                    learner,
                    examples["train"],
                    examples["val"],
                    info,
                    experiment.train,
                    seed,
                    checkpoint=state / f"seed-{seed}.pt",
                    fingerprint=fingerprint,
                    on_batch=bar.batch,
                    on_epoch=on_epoch,
                )
            saved = state / f"seed-{seed}.safetensors"
            weights.save(saved, network, configuration.model_copy(update={"threshold": result.val().get("threshold")}))
            tracked.log_model(saved, np.asarray(data.Data(folder, "val").images[:2]))
        histories[seed], scores[seed], runs[str(seed)] = result.history, result.val(), tracked.id
        seconds += result.seconds

    with atomic_folder(out / "weights") as building:
        for seed in experiment.seeds:
            shutil.copy(state / f"seed-{seed}.safetensors", building)
        if followed:
            followed.animate(building / "progress.webp")
    write_text(out / "history.csv", _history_csv(histories))
    write_json(
        out / "training.json",
        {
            "experiment": name,
            "epochs": max(len(rows) for rows in histories.values()),
            "parameters": parameters,
            "train_seconds": round(seconds, 3),
            "peak_memory_mb": round(devices.peak_memory_mb(device), 1),
            "device": devices.describe(device),
            "threads": torch.get_num_threads(),
            "seeds": list(experiment.seeds),
            "trained_on": experiment.train.split,
            **({"pretrained": experiment.train.pretrained.source} if experiment.train.pretrained else {}),
            **({"teacher": experiment.teacher.experiment} if isinstance(experiment, Student) else {}),
            "git_commit": provenance.git_commit(profile.root),
            "versions": provenance.versions(),
            "data_hash": info.hash,
            "val_metrics": _mean(scores),
            "val_metrics_std": _std(scores),
            "mlflow_runs": runs,
        },
    )
    shutil.rmtree(state, ignore_errors=True)
    return out


def describe(
    profile: Profile, name: str, info: data.Info, seed: int, experiment: Experiment | None = None
) -> weights.Configuration:
    """What the experiment's network is built from. `experiment`: one that stands in no params.yaml."""
    experiment = experiment or profile.experiment(name)
    standardised = info.task == "classify" and not models.takes_raw_pixels(experiment.network)
    return weights.Configuration(
        experiment=name,
        task=info.task,
        network=experiment.network,
        architecture=experiment.architecture,
        inputs=info.channels,
        outputs=info.outputs,
        size=info.size,
        classes=info.classes,
        mean=info.mean if standardised else None,
        std=info.std if standardised else None,
        seed=seed,
        git_commit=provenance.git_commit(profile.root),
        data_hash=info.hash,
        split=experiment.train.split,
    )


def fitter(experiment: Experiment) -> Callable[..., training.Run]:
    """What trains the network: our loop, or a trainer of its own with the same contract."""
    trainer = models.trainer(experiment.network)
    fit: Callable[..., training.Run] = importlib.import_module(f"tasks.learning.{trainer}").fit if trainer else training.fit
    return fit


def check_budget(name: str, experiment: Experiment, info: data.Info) -> int:
    """The network's parameters, counted without making any. Raises Error where they are over `max_parameters`."""
    try:
        parameters = count(experiment.network, experiment.architecture, info)
    except ValueError as error:
        raise Error(f"experiments.{name}.{error}") from None
    budget = experiment.train.max_parameters
    if budget is not None and parameters > budget:
        raise Error(
            f"experiments.{name}.train.max_parameters: the network has {parameters:,} parameters, over its budget of {budget:,}"
        )
    return parameters


def count(network: str, architecture: Mapping[str, Any], info: data.Info) -> int:
    """A network's parameters, counted without making any. Raises ValueError for one that cannot be built."""
    with torch.device("meta"):
        built: nn.Module = models.build(network, models.Shape(info.channels, info.outputs, info.size), architecture)
    return models.count_parameters(built)


def code(network: str, task: str) -> list[str]:
    """SHA-256 of the files that a training's numbers depend on."""
    files = [Path(models.__path__[0]) / f"{network}.py"]
    files += [Path(str(module.__file__)) for module in (training, optimizers, augment)]
    if task == "detect":
        files += [Path(str(training.__file__)).with_name(f"{name}.py") for name in ("detect", models.trainer(network)) if name]
    return [sha256(path) for path in files]


def _teacher(profile: Profile, student: Student) -> Path:
    """The weights that teach. Raises Error where they are not trained yet."""
    name = student.teacher.experiment
    path = profile.results(name) / "weights" / f"seed-{profile.experiment(name).seeds[0]}.safetensors"
    if not path.is_file():
        raise Error(f"{path}: no such weights; train the teacher first: dvc repro train@{name}")
    return path


def _fingerprint(experiment: Experiment, info: data.Info, teacher: Path | None) -> str:
    """What a checkpoint belongs to: parameters, data, and the code that the stage depends on."""
    parts = {
        "experiment": experiment.model_dump(mode="json", include={"network", "architecture", "train", "teacher"}),
        "data": info.hash,
        "code": code(experiment.network, info.task),
        **({"teacher": [sha256(teacher), sha256(Path(str(distillation.__file__)))]} if teacher else {}),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _pretrain(network: nn.Module, pretrained: Pretrained | None) -> str:
    """See `tasks.learning.pretrained.load`; its imports take seconds, which a training from nothing does not spend."""
    if pretrained is None:
        return "none"
    from tasks.learning.pretrained import load

    return load(network, pretrained)


def _mean(scores: Mapping[int, Mapping[str, float]]) -> dict[str, float]:
    first = next(iter(scores.values()))
    return {key: float(np.mean([s[key] for s in scores.values()])) for key in first}


def _std(scores: Mapping[int, Mapping[str, float]]) -> dict[str, float]:
    """The sample's standard deviation over seeds; empty for a single one."""
    if len(scores) < 2:
        return {}
    first = next(iter(scores.values()))
    return {key: float(np.std([s[key] for s in scores.values()], ddof=1)) for key in first}


def _history_csv(histories: Mapping[int, list[dict[str, float]]]) -> str:
    rows = [{"seed": seed, **row} for seed, history in histories.items() for row in history]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()})
    return text.getvalue()


class Bar:
    """A bar over all steps with the latest validation score; in a log file, a line every epoch."""

    def __init__(self, title: str, epochs: int, steps: int) -> None:
        self.title, self.epochs, self.steps = title, epochs, steps
        self.console = Console(stderr=True)
        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
            TextColumn("{task.fields[score]}"), console=self.console, disable=not self.console.is_terminal,
        )  # fmt: skip
        self.task = self.bar.add_task(title, total=epochs * steps, score="")

    def __enter__(self) -> "Bar":
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def batch(self) -> None:
        self.bar.advance(self.task)

    def epoch(self, row: Mapping[str, float]) -> None:
        main = next(k for k in ("val_accuracy", "val_psnr", "val_map50", "val_loss") if k in row)
        score = f"{main} {row[main]:.4f}"
        self.bar.update(self.task, score=score, completed=row["epoch"] * self.steps)
        if not self.console.is_terminal:
            print(f"{self.title}: epoch {row['epoch']}/{self.epochs}, {score}, {row['seconds']:.0f} s", file=sys.stderr)


def main(experiment: Annotated[str, typer.Argument(help="a key of `experiments` in params.yaml")]) -> None:
    """Train an experiment of the params.yaml in this folder; a training that was interrupted goes on where it stopped."""
    profile = config.load()
    print(f"trained {experiment}: {train(profile, experiment)}")


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
