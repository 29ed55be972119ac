"""Search for the best of many experiments: `python -m tasks.sweep NAME`.

A sweep that was killed goes on with the same command: trials that ended stand, the others go on from their checkpoints.
"""

import hashlib
import json
import logging
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from tasks import code, config, kinds
from tasks.common import bars, cluster, devices, provenance
from tasks.common.files import atomic, atomic_folder, write_json, write_text
from tasks.common.locks import alone
from tasks.datasets import data
from tasks.imaging import pictures
from tasks.learning import tracking, weights
from tasks.learning.building import describe
from tasks.params.experiment import Experiment
from tasks.params.sweep import Sweep
from tasks.profile import Profile
from tasks.sweeps import driver, figures, resources, tables, worker
from tasks.sweeps.study import Study
from tasks.sweeps.trial import ENDS, Trial

logger = logging.getLogger(__name__)

ALIAS = "champion"
ENDED = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}


def sweep(
    profile: Profile, name: str, out: Path | None = None, on_change: Callable[[Study], None] = lambda study: None
) -> dict[str, Any]:
    """Run a sweep of params.yaml, and return what its metrics.json holds.

    Writes trials.csv and trials.parquet (a row a trial), best.json (the winner, as an experiment), metrics.json and plots/ into
    results/<name>, or into `out`. `on_change`: told of every trial that begins, ends, or has trained another epoch.

    Raises Error for an unknown sweep, data that are not prepared, resources or a cluster that are not there, a sweep that runs
    already, more failed trials than `max_failed_share`, and where no trial ran to its end; OSError where the disk is full.
    """
    options = profile.sweep(name)
    resources.check(profile, name)
    folder = profile.processed(options.data)
    info = data.info(folder)
    out = out or profile.results(name)
    stage = out == profile.results(name)
    home = profile.state("sweep") / name if stage else out / "state"
    fingerprint = _fingerprint(profile, name, options, info)
    home.mkdir(parents=True, exist_ok=True)
    with alone(home / "lock", f"sweep {name} runs already; wait for its end, or stop it"):
        state = home / fingerprint[:12]
        for stale in home.iterdir():
            if stale.is_dir() and stale != state:
                shutil.rmtree(stale)
        study = Study(state, options, info)
        threads = max(1, int(options.resources.cpu))
        kind = kinds.part(info.task, "data")
        arrays = {split: _whole(kind.examples(data.Data(folder, split))) for split in ("train", "val")}
        work = worker.Work(arrays, info, profile.params.device, options.seed, threads, fingerprint, state / "trials")
        settings = {"sweep": name, **options.model_dump(mode="json", by_alias=True, exclude_none=True)}
        tags = {"profile": profile.name, "system": options.system, "data_hash": info.hash}
        tags["git_commit"] = provenance.git_commit(profile.root)
        with tracking.run(profile, name, name, settings, tags, study.parent_run) as parent:
            if parent.id and parent.id != study.parent_run:
                study.parent_run = parent.id
            if study.running() or (study.trained < options.trials and study.clock() < options.time_budget):
                _run(profile, name, study, work, Runs(profile, name, study, parent), on_change)
            counts = Counter(trial.state for trial in study.trials)
            parent.log_metrics({f"trials_{state}": count for state, count in counts.items()})
            result = _write(profile, name, study, fingerprint, out, profile.evaluated(name) if stage else out / "evaluated")
            _register(profile, name, study, work)
        shutil.rmtree(state, ignore_errors=True)
    return result


def experiment(options: Sweep, trial: Trial) -> Experiment:
    """A trial as an experiment."""
    assert trial.recipe is not None
    return Experiment(
        system=options.system,
        data=options.data,
        network=options.network,
        architecture=trial.architecture,
        train=trial.recipe,
        seeds=(options.seed,),
        published=(),
    )


def _run(profile: Profile, name: str, study: Study, work: worker.Work, runs: "Runs", on_change: Callable[[Study], None]) -> None:
    """Train what is left to train."""
    options = study.sweep
    with bars.bar(name, options.trials, done(study)) as bar:
        shown = Shown(name, study, bar)

        def changed(trial: Trial) -> None:
            runs.follow(trial)
            shown.show(trial)
            on_change(study)

        def described(trial: Trial) -> tuple[Experiment, weights.Configuration]:
            tried = experiment(options, trial)
            return tried, describe(profile, name, study.info, options.seed, tried)

        with cluster.connected(profile.params.ray.address, work.size + driver.STORE) as present:
            resources.enough(options, name, present, "the cluster")
            driver.run(driver.Conductor(study, described, resources.at_once(options, present), changed), work)


def _whole(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays in memory, for Ray to send."""
    return {name: np.asarray(array) for name, array in arrays.items()}


class Runs:
    """The sweep's MLflow run and a child of it for each trial."""

    def __init__(self, profile: Profile, name: str, study: Study, parent: tracking.Run) -> None:
        self.profile, self.name, self.study, self.parent = profile, name, study, parent
        self.open: dict[int, tracking.Run] = {}
        self.written = {trial.number: len(trial.rows) for trial in study.trials}

    def follow(self, trial: Trial) -> None:
        """Write what is new of a trial."""
        if not self.parent.id:
            return
        if trial.number not in self.open:
            tags = {"mlflow.parentRunId": self.parent.id, "trial": str(trial.number)}
            title = f"{self.name}-{trial.number:04d}"
            self.open[trial.number] = tracking.start(self.profile, self.name, title, trial.sampled, tags, trial.run)
            if (run := self.open[trial.number]).id and run.id != trial.run:
                self.study.remember_run(trial.number, str(run.id))
                run.log_metrics({"parameters": trial.parameters})
        run = self.open[trial.number]
        for row in trial.rows[self.written.get(trial.number, 0) :]:
            run.log_metrics({key: value for key, value in row.items() if key != "epoch"}, int(row["epoch"]))
        self.written[trial.number] = len(trial.rows)
        if trial.state in ENDED:
            if trial.error:
                run.tag({"error": trial.error})
            run.end(ENDED[trial.state])
            del self.open[trial.number]


def _register(profile: Profile, name: str, study: Study, work: worker.Work) -> None:
    """Make the winner's network a version of MLflow's registered model of the sweep's name."""
    winner = study.winner()
    checkpoint = worker.checkpoint(study.folder / "trials", winner.number)
    if winner.run is None or not checkpoint.exists():
        return
    options, info = study.sweep, study.info
    tried = experiment(options, winner)
    described = describe(profile, name, info, options.seed, tried)
    with tempfile.TemporaryDirectory() as temporary:
        saved = Path(temporary) / "weights.safetensors"
        # The checkpoint is of the last epoch: nothing is left to train.
        weights.save(saved, worker.fit(described, tried, work, winner.number, checkpoint, lambda row: None), described)
        with tracking.run(profile, name, f"{name}-{winner.number:04d}", {}, {}, winner.run) as run:
            run.log_model(saved, work.arrays["val"]["images"][:2])
            run.register(name, ALIAS)


def _write(profile: Profile, name: str, study: Study, fingerprint: str, out: Path, evaluated: Path) -> dict[str, Any]:
    options, info, winner = study.sweep, study.info, study.winner()
    within = study.within_bound(winner)
    if not within:
        logger.warning(
            "%s: no trial is within the bound of %s; the nearest has %.4f", name, options.objective.bound, winner.val_loss
        )
    table, curves, device = tables.trials(study), tables.curves(study), devices.choose(profile.params.device)
    assert winner.kept is not None
    found = experiment(options, winner)
    best = {
        "sweep": name,
        "objective": options.objective.model_dump(exclude_none=True),
        "within_bound": within,
        "trial": winner.number,
        "val_loss": winner.val_loss,
        "parameters": winner.parameters,
        "efficiency": winner.efficiency,
        "sampled": winner.sampled,
        **found.model_dump(mode="json", include={"data", "network", "architecture", "train"}),
        "front": [{"trial": t.number, "parameters": t.parameters, "val_loss": t.val_loss} for t in study.front()],
        # The data and the code that it was found with: what is made of it is stale when they change.
        "data_hash": info.hash,
        "code": fingerprint,
    }
    result = {
        "experiment": name,
        "system": options.system,
        "task": "sweep",
        "dataset": info.dataset,
        **{f"n_{split}": info.counts[split] for split in data.SPLITS},
        "data_origin": info.origin,
        "metrics": {},
        "val_metrics": {key.removeprefix("val_"): value for key, value in winner.kept.items() if key.startswith("val_")},
        "published": [published.model_dump(exclude_none=True) for published in options.published],
        "parameters": winner.parameters,
        "efficiency": winner.efficiency,
        "within_bound": within,
        "trials": {state: len(study.of(state)) for state in ENDS},
        "epochs": len(curves),
        "train_seconds": round(float(table["seconds"].sum()), 3),
        "wall_seconds": round(study.clock(), 3),
        "peak_memory_mb": round(devices.peak_memory_mb(device), 1),
        "device": devices.describe(device),
        "precision": devices.precision(found.train.precision, device),
        "threads": max(1, int(options.resources.cpu)),
        "seeds": [options.seed],
        "git_commit": provenance.git_commit(profile.root),
        "versions": provenance.versions(),
    }
    write_text(out / "trials.csv", table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
    with atomic(out / "trials.parquet") as temporary:
        table.to_parquet(temporary, index=False)
    with atomic_folder(out / "plots") as plots, atomic_folder(out / "tables") as written, atomic_folder(evaluated) as kept:
        figures.draw(study, plots, written)
        curves.to_parquet(kept / "curves.parquet", index=False)
        write_json(kept / "metrics.json", result)
        write_json(kept / "dataset.json", info.dump())
    pictures.write_small(out / "plots" / "front.png", out / "shown.webp")
    write_json(out / "best.json", best)
    write_json(out / "metrics.json", result)
    return result


def _fingerprint(profile: Profile, name: str, options: Sweep, info: data.Info) -> str:
    """What a sweep's state belongs to. More trials or time, or another machine, go on with it."""
    parts = {
        "sweep": options.model_dump(
            mode="json",
            include={"data", "network", "architecture", "train", "space", "objective", "scheduler", "seed"},
            by_alias=True,
        ),
        "data": info.hash,
        "code": code.digest(profile.folder, "sweep", name),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Shown:
    """A sweep on its bar: trials done, the best so far, and the time left; in a log file a line a trial."""

    def __init__(self, name: str, study: Study, bar: bars.Bar) -> None:
        self.name, self.study, self.bar = name, study, bar

    def show(self, trial: Trial) -> None:
        """Bring the bar up to date after a change of a trial."""
        self.bar.show(completed=done(self.study), words=self.words())
        if trial.state != "running":
            loss = "" if trial.val_loss is None else f", val_loss {trial.val_loss:.4f}"
            ended = f"trial {trial.number} {trial.state} after {len(trial.rows)} epochs{loss}, {trial.parameters:,} parameters"
            self.bar.log(f"{self.name}: {ended}; {done(self.study)}/{self.study.sweep.trials} done, {self.words()}")

    def words(self) -> str:
        best = self.study.best()
        found = f"best {best.val_loss:.4f} with {best.parameters:,} parameters" if best else "none within the bound yet"
        return f"{found}, {duration(self.left())} left"

    def left(self) -> float:
        """Seconds: what the budget leaves, or less where the trials will be done before, at the speed so far."""
        spent, ended = self.study.clock(), done(self.study)
        budget = max(0.0, self.study.sweep.time_budget - spent)
        return min(budget, spent / ended * (self.study.sweep.trials - ended)) if ended else budget


def done(study: Study) -> int:
    """How many trials have ended, those over the budget left out."""
    return len(study.of("complete", "pruned", "failed"))


def duration(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(seconds))


def main(name: Annotated[str, typer.Argument(help="a key of `sweeps` in params.yaml")]) -> None:
    """Run a sweep of the params.yaml in this folder; one that was interrupted goes on where it stopped."""
    result = sweep(config.load(), name)
    counts = ", ".join(f"{count} {state}" for state, count in result["trials"].items())
    found = f"validation loss {result['val_metrics']['loss']:.4f} with {result['parameters']:,} parameters"
    print(f"swept {name}: {counts}; {found}", file=sys.stderr)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
