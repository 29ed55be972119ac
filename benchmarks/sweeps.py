"""Sweeps: epochs that Optuna and ASHA save against random search, seconds between trials, and threads against trials at a time."""

import shutil
import statistics
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tasks import config
from tasks.common import cluster
from tasks.common.processors import processors
from tasks.datasets import data
from tasks.kinds.classify.data import examples
from tasks.learning import weights
from tasks.learning.building import describe
from tasks.params.experiment import Experiment
from tasks.profile import Profile
from tasks.sweep import experiment
from tasks.sweeps import driver, resources, tables, worker
from tasks.sweeps.study import Study
from tasks.sweeps.trial import Trial

SEEDS = (0, 1, 2)
TRIALS = 12
EPOCHS = 12
# A recipe and widths on 5,000 digits: an epoch is a second. The rate falls from the first epoch on: in those of a cycle, in which it rises, trials differ little.
SWEEP: dict[str, Any] = {
    "system": "compact",
    "data": "mnist-5k",
    "network": "cnn",
    "architecture": {"widths": [8, 16, 32], "pools": [0, 1]},
    "train": {
        "epochs": EPOCHS,
        "batch_size": 64,
        "loss": "cross-entropy",
        "optimizer": {"name": "nesterov", "lr": 0.05, "weight_decay": 5.0e-4},
        "schedule": {"name": "cosine"},
        "max_parameters": 12000,
    },
    "space": {
        "architecture.widths.0": {"int": [4, 16], "step": 4},
        "architecture.widths.1": {"int": [8, 32], "step": 8},
        "architecture.widths.2": {"int": [8, 48], "step": 8},
        "train.batch_size": {"choice": [64, 128, 256]},
        "train.optimizer.lr": {"float": [1.0e-3, 1.0], "log": True},
        "train.optimizer.weight_decay": {"float": [1.0e-5, 1.0e-2], "log": True},
    },
    "objective": {"name": "loss"},
    "trials": TRIALS,
    "scheduler": {"grace": 1, "reduction": 3, "brackets": 1},
    "time_budget": 10000,
    "seed": 0,
}


class Random(Study):
    """Draws that know nothing of what was tried."""

    def _sampler(self, number: int) -> Any:
        import optuna

        return optuna.samplers.RandomSampler(seed=int(np.random.SeedSequence([self.sweep.seed, number, 1]).generate_state(1)[0]))


def with_sweep(root: Path, **changes: Any) -> Profile:
    """The sample profile with our sweep."""
    return config.load(root, {"sweeps": {"bench": {**SWEEP, **changes}}})


def run_study(profile: Profile, kind: type[Study] = Study) -> Study:
    """Run the sweep in a folder that is thrown away."""
    options = profile.sweep("bench")
    folder = profile.processed(options.data)
    info = data.info(folder)
    arrays = {
        split: {name: np.asarray(array) for name, array in examples(data.Data(folder, split)).items()}
        for split in ("train", "val")
    }
    home = Path(tempfile.mkdtemp(prefix="darkroom-bench-"))
    try:
        study = kind(home, options, info)
        work = worker.Work(arrays, info, "cpu", options.seed, int(options.resources.cpu), "bench", home / "trials")

        def described(trial: Trial) -> tuple[Experiment, weights.Configuration]:
            tried = experiment(options, trial)
            return tried, describe(profile, "bench", info, options.seed, tried)

        with cluster.connected(None, work.size + driver.STORE) as present:
            driver.run(driver.Conductor(study, described, resources.at_once(options, present), lambda trial: None), work)
        return study
    finally:
        shutil.rmtree(home, ignore_errors=True)


def epochs_to(study: Study, loss: float) -> int:
    """Epochs of all trials until one ran to its end with at most this loss; all of them where none did."""
    ends = [trial.at[-1] for trial in study.of("complete") if trial.val_loss is not None and trial.val_loss <= loss]
    first = min(ends, default=float("inf"))
    return sum(at <= first for trial in study.trials for at in trial.at)


def gaps(study: Study) -> list[float]:
    """Seconds from the end of a trial to the first step of the next: to its first epoch's record, less that epoch."""
    trials = sorted((trial for trial in study.trials if trial.at), key=lambda trial: trial.at[0])
    return [later.at[0] - later.rows[0]["seconds"] - earlier.at[-1] for earlier, later in pairwise(trials)]


def seconds(study: Study) -> float:
    """From the first trial's first step to the last one's end."""
    trained: list[Trial] = [trial for trial in study.trials if trial.at]
    return max(t.at[-1] for t in trained) - min(t.at[0] - t.rows[0]["seconds"] for t in trained)


def run(root: Path, seeds: tuple[int, ...] = SEEDS, trials: int = TRIALS, epochs: int = EPOCHS) -> list[dict[str, Any]]:
    recipe = {**SWEEP["train"], "epochs": epochs}
    ratios: list[float] = []
    for seed in seeds:
        # Grace as long as the training: nothing is stopped.
        whole = {"grace": epochs, "reduction": 2, "brackets": 1}
        at_random = run_study(with_sweep(root, seed=seed, trials=trials, train=recipe, scheduler=whole), Random)
        target = min(trial.val_loss for trial in at_random.of("complete") if trial.val_loss is not None)
        # As many trials as it takes, up to the epochs of random search.
        ours = run_study(with_sweep(root, seed=seed, trials=2 * trials, train=recipe))
        ratios.append(len(tables.curves(at_random)) / epochs_to(ours, target))
    alone = run_study(with_sweep(root, trials=max(4, trials // 2), train={**recipe, "epochs": 2}, concurrency=1))
    pauses = gaps(alone)
    # The same trials, none stopped: as many as there are processors of one thread each, or one of all threads.
    short = max(2, epochs // 2)
    same = {
        "trials": max(4, trials // 2),
        "train": {**recipe, "epochs": short},
        "scheduler": {"grace": short, "reduction": 2, "brackets": 1},
    }
    cores = processors()
    many, one = (
        [
            seconds(run_study(with_sweep(root, resources={"cpu": cpu}, **same), Random))
            for _ in range(3 if trials == TRIALS else 1)
        ]
        for cpu in (1, cores)
    )
    speed = [slow / fast for slow, fast in zip(one, many)]
    details = {"cores": cores, "dataset": "mnist-5k"}
    return [
        {
            "name": "sweep_epochs",
            "ratio": round(statistics.mean(ratios), 2),
            "spread": [round(min(ratios), 2), round(max(ratios), 2)],
            "floor": 2.0,
            "unit": "epochs",
            "repeats": len(ratios),
            "description": f"epochs of {trials} trials of random search, none stopped, against those in which Optuna and ASHA reach its loss",
            **details,
        },
        {
            "name": "sweep_overhead",
            "seconds": round(statistics.median(pauses), 2),
            "limit": 2,
            "repeats": len(pauses),
            "description": "from the end of a trial to the first step of the next one, whose process is the same",
            **details,
        },
        {
            "name": "sweep_concurrency",
            "ratio": round(statistics.median(speed), 2),
            "spread": [round(min(speed), 2), round(max(speed), 2)],
            "floor": None,
            "unit": "trials a second",
            "repeats": len(speed),
            "description": f"{cores} trials of one thread at a time against one of {cores} threads",
            **details,
        },
    ]
