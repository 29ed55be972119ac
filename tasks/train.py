"""Train an experiment: `python -m tasks.train EXPERIMENT`."""

import csv
import hashlib
import io
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

import models
from tasks import code, config, kinds
from tasks.common import bars, devices, provenance
from tasks.common.files import atomic_folder, sha256, write_json, write_text
from tasks.common.locks import alone
from tasks.datasets import data
from tasks.learning import progress, tracking, weights
from tasks.learning.building import check_budget, describe, fitter, predecessor, predecessor_network, pretrain
from tasks.learning.tensors import Examples
from tasks.params.experiment import Experiment
from tasks.profile import Profile


def train(profile: Profile, name: str, out: Path | None = None) -> Path:
    """Train every seed of an experiment, and write weights/seed-<n>.safetensors, history.csv and training.json.

    `out`: another folder than the stage's results/<name>. A training that was interrupted goes on where it stopped.
    Raises Error for an unknown experiment, data that are not prepared, a network over its budget, a predecessor that is not trained,
    and where another training writes the same folder.
    """
    experiment = profile.experiment(name)
    folder = profile.processed(experiment.data)
    info = data.info(folder)
    device = devices.choose(profile.params.device)
    precision = devices.precision(experiment.train.precision, device)
    parameters = check_budget(name, experiment, info)
    out = out or profile.results(name)
    # A run of its own has a state of its own; what the stage has done so far is not mixed with it.
    state = profile.state("train") / name if out == profile.results(name) else out / "state"
    before = predecessor(profile, experiment)
    busy = f"{name} is being trained already; wait for the end of that training, or stop it"
    with alone(state / LOCK, busy):
        torch.use_deterministic_algorithms(profile.params.deterministic)
        trained = _train(profile, name, experiment, info, device, precision, state, before)
        with atomic_folder(out / "weights") as building:
            for seed in experiment.seeds:
                shutil.copy(state / f"seed-{seed}.safetensors", building)
            progress.Followed(trained.val, state / "progress").animate(building / "progress.webp")
        write_text(out / "history.csv", _history_csv(trained.histories))
        write_json(
            out / "training.json",
            {
                "experiment": name,
                "epochs": max(len(rows) for rows in trained.histories.values()),
                "parameters": parameters,
                "train_seconds": round(trained.seconds, 3),
                "peak_memory_mb": round(devices.peak_memory_mb(device), 1),
                "device": devices.describe(device),
                "precision": precision,
                "threads": torch.get_num_threads(),
                "seeds": list(experiment.seeds),
                "trained_on": experiment.train.split,
                **({"pretrained": experiment.train.pretrained.source} if experiment.train.pretrained else {}),
                **({"after": experiment.after} if before else {}),
                "git_commit": provenance.git_commit(profile.root),
                "versions": provenance.versions(),
                "data_hash": info.hash,
                "val_metrics": _mean(trained.scores),
                "val_metrics_std": _std(trained.scores),
                "mlflow_runs": trained.runs,
            },
        )
        for path in state.iterdir():
            if path.name != LOCK:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    return out


LOCK = "lock"


class Trained:
    """What the seeds of an experiment have come to, by their numbers."""

    def __init__(self, val: Examples) -> None:
        self.val = val
        self.histories: dict[int, list[dict[str, float]]] = {}
        self.scores: dict[int, dict[str, float]] = {}
        self.runs: dict[str, str | None] = {}
        self.seconds = 0.0


def _train(
    profile: Profile,
    name: str,
    experiment: Experiment,
    info: data.Info,
    device: torch.device,
    precision: str,
    state: Path,
    before: Path | None,
) -> Trained:
    """Train the seeds one after another; their weights are left in `state`."""
    folder = profile.processed(experiment.data)
    kind, objectives = kinds.part(info.task, "data"), kinds.part(info.task, "objective")
    examples = {s: Examples.of(kind.examples(data.Data(folder, s)), device) for s in ("train", "val")}
    if experiment.train.split == "train+val":
        examples["train"] = examples["train"] + examples["val"]
    previous = predecessor_network(before, info, experiment.train.split, device) if before else None
    fingerprint = _fingerprint(profile, name, experiment, info, precision, before)
    fit = fitter(experiment)
    followed = progress.Followed(examples["val"], state / "progress")
    done = Trained(examples["val"])
    for seed in experiment.seeds:
        torch.manual_seed(seed)
        configuration = describe(profile, name, info, seed)
        network = configuration.build()
        origin = pretrain(network, experiment)
        network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        objective = objectives.Objective(experiment.train, info, network, precision, previous)
        run_file = state / f"seed-{seed}.run"
        run_id = run_file.read_text() if run_file.exists() else None
        settings = {
            "experiment": name,
            "seed": seed,
            **experiment.model_dump(include={"data", "network", "architecture", "train", "after"}),
        }
        tags = {"profile": profile.name, "system": experiment.system, "data_hash": info.hash, "data_origin": info.origin, "precision": precision,
                "git_commit": configuration.git_commit, "device": devices.describe(device), "parameters": str(models.count_parameters(network)),
                "pretrained": origin}  # fmt: skip
        with tracking.run(profile, name, f"{name}-seed-{seed}", settings, tags, run_id) as tracked:
            if tracked.id:
                write_text(run_file, tracked.id)
            steps = max(1, len(examples["train"]) // experiment.train.batch_size)
            title, epochs = f"{name}, seed {seed}", experiment.train.epochs
            shown = f"val_{kinds.main_metric(info.task)}"
            with bars.bar(title, epochs * steps) as bar:

                def on_epoch(row: dict[str, float]) -> None:
                    values = {k: v for k, v in row.items() if k != "epoch"}
                    epoch = int(row["epoch"])
                    if seed == experiment.seeds[0] and (picture := followed.draw(objective, network, epoch)):  # noqa: B023 (used within the iteration)
                        tracked.log_artifact(picture, "progress")
                    tracked.log_metrics(values, epoch)
                    main = next(key for key in (shown, "val_loss", "train_loss") if key in row)  # noqa: B023
                    score = f"{main} {row[main]:.4f}"
                    bar.show(completed=epoch * steps, words=score)  # noqa: B023
                    bar.log(f"{title}: epoch {epoch}/{epochs}, {score}, {row['seconds']:.0f} s")  # noqa: B023

                result = fit(
                    network,
                    examples["train"],
                    examples["val"],
                    objective,
                    seed,
                    checkpoint=state / f"seed-{seed}.pt",
                    fingerprint=fingerprint,
                    on_batch=bar.advance,
                    on_epoch=on_epoch,
                )
            saved = state / f"seed-{seed}.safetensors"
            weights.save(saved, network, configuration.model_copy(update={"threshold": result.val().get("threshold")}))
            tracked.log_model(saved, np.asarray(data.Data(folder, "val").images[:2]))
        done.histories[seed], done.scores[seed], done.runs[str(seed)] = result.history, result.val(), tracked.id
        done.seconds += result.seconds
    return done


def _fingerprint(
    profile: Profile, name: str, experiment: Experiment, info: data.Info, precision: str, before: Path | None
) -> str:
    """What a checkpoint belongs to: parameters, data, precision, and the code that the stage depends on."""
    parts = {
        "experiment": experiment.model_dump(mode="json", include={"network", "architecture", "train", "after"}),
        "data": info.hash,
        "precision": precision,
        "code": code.digest(profile.folder, "train", name),
        **({"after": sha256(before)} if before else {}),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


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
    """A row an epoch of each seed; what an epoch has not measured is empty."""
    rows = [{"seed": seed, **row} for seed, history in histories.items() for row in history]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()})
    return text.getvalue()


def main(experiment: Annotated[str, typer.Argument(help="a key of `experiments` in params.yaml")]) -> None:
    """Train an experiment of the params.yaml in this folder; a training that was interrupted goes on where it stopped."""
    profile = config.load()
    print(f"trained {experiment}: {train(profile, experiment)}")


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
