"""A sweep's trials in Ray Tune: here on this machine or on a cluster.

Tune runs trials and reuses their processes; the conductor starts those again whose machine or process died. What Tune would have to restore after a
kill stands in `tasks.sweeps.study.Study` instead: draws, epochs, and with them ASHA's rungs, which are filled again from the epochs.

Trials get the data from Ray's object store, a copy a machine that all its trials share, and on a cluster the code as Ray's working
folder: no machine needs our files. Checkpoints are written on the machine that the sweep was started on; trials elsewhere hand
theirs to an actor there, an epoch at a time.
"""

import os
import shutil
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from ray import tune
from ray.tune.schedulers import ASHAScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tasks.common import devices
from tasks.common.errors import Error
from tasks.common.files import atomic
from tasks.datasets.data import Info
from tasks.learning import training, weights
from tasks.params.experiment import Train
from tasks.sweeps.study import Study, Trial

# A trial whose machine or process dies again and again has itself to blame.
RETRIES = 3
# Beside the data, what Ray keeps in its store itself: bytes.
STORE = 128 << 20


@dataclass(frozen=True)
class Work:
    """What all trials share."""

    arrays: dict[str, tuple[np.ndarray, np.ndarray]]  # split: images and targets, in Ray's object store
    info: Info
    device: str
    seed: int
    threads: int
    fingerprint: str
    folder: Path  # of the checkpoints, on the machine of the sweep
    node: str = ""  # that machine
    files: Any = None  # the actor that reads and writes there

    def examples(self, split: str, device: torch.device) -> training.Examples:
        with warnings.catch_warnings():
            # The object store's memory cannot be written to, and nothing does.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            images, targets = self.arrays[split]
            return training.Examples(torch.from_numpy(images).to(device), torch.from_numpy(targets).to(device))

    @property
    def size(self) -> int:
        """Bytes of the arrays."""
        return sum(array.nbytes for pair in self.arrays.values() for array in pair)

    def mark(self, number: int) -> str:
        """What a trial's checkpoint belongs to."""
        return f"{self.fingerprint}-{number}"


def checkpoint(folder: Path, number: int) -> Path:
    return folder / f"{number:04d}.pt"


class Files:
    """The checkpoints, for trials on other machines."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, number: int) -> bytes | None:
        path = checkpoint(self.folder, number)
        return path.read_bytes() if path.exists() else None

    def write(self, number: int, content: bytes) -> None:
        with atomic(checkpoint(self.folder, number)) as temporary:
            temporary.write_bytes(content)


def fit(
    configuration: weights.Configuration, recipe: Train, work: Work, number: int, path: Path, on_epoch: Callable[[Any], None]
) -> torch.nn.Module:
    """Train a trial's network on from its checkpoint; of one that is finished, give it its weights."""
    device = devices.choose(work.device)
    torch.manual_seed(work.seed)
    network = configuration.build().to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    train, val = (work.examples(split, device) for split in ("train", "val"))
    training.fit(network, train, val, work.info, recipe, work.seed, path, work.mark(number), on_epoch=on_epoch)
    return network


def run_trial(config: dict[str, Any], work: Work) -> None:
    """One trial, in a process of Ray's: reports each epoch, and how it failed."""
    number = config["number"]
    torch.set_num_threads(work.threads)
    at_home = ray.get_runtime_context().get_node_id() == work.node
    elsewhere = Path(tempfile.gettempdir()) / f"darkroom-{os.getuid()}" / work.fingerprint[:16]
    path = checkpoint(work.folder if at_home else elsewhere, number)
    # Trials that compile at the same time clash in a shared cache.
    cache = Path(tempfile.gettempdir()) / f"darkroom-{os.getuid()}" / "compiled" / f"{work.fingerprint[:16]}-{number}"
    os.environ |= {"TORCHINDUCTOR_CACHE_DIR": str(cache), "TRITON_CACHE_DIR": str(cache / "triton")}

    def report(row: Mapping[str, float]) -> None:
        if not at_home:
            ray.get(work.files.write.remote(number, path.read_bytes()))
        tune.report(dict(row))

    try:
        if not at_home and (content := ray.get(work.files.read.remote(number))) is not None:
            with atomic(path) as temporary:
                temporary.write_bytes(content)
        # What a trial that was killed between its checkpoint and its report did not say.
        for row in _history(path, work.mark(number)):
            tune.report(dict(row))
        configuration = weights.Configuration.model_validate_json(config["configuration"])
        fit(configuration, Train.model_validate_json(config["recipe"]), work, number, path, report)
    except Exception as error:
        full = isinstance(error, OSError) and error.errno == 28
        tune.report({"error": "".join(traceback.format_exception(error))[-4000:], "full": full})
    finally:
        shutil.rmtree(cache, ignore_errors=True)
        if not at_home:
            path.unlink(missing_ok=True)


def _history(path: Path, mark: str) -> list[dict[str, float]]:
    """The epochs of a checkpoint."""
    if not path.exists():
        return []
    state = torch.load(path, map_location="cpu", weights_only=True)
    return state["run"]["history"] if state["fingerprint"] == mark else []


class Conductor:
    """Stands between the study and Tune: what to run next, what to do with an epoch, and when to end."""

    def __init__(
        self,
        study: Study,
        describe: Callable[[Trial], weights.Configuration],
        concurrency: int,
        on_change: Callable[[Trial], None],
    ) -> None:
        self.study, self.describe, self.concurrency, self.on_change = study, describe, concurrency, on_change
        self.waiting = study.running()
        self.live: dict[str, int] = {}  # Tune's id of a trial: its number
        self.deaths: Counter[int] = Counter()  # of the processes of a trial
        self.drawn = False  # all that there are to be
        self.fatal: Exception | None = None
        self.out_of_time = False
        self.asha = Rungs(self)
        for trial in sorted(study.trials, key=lambda t: t.at[:1]):
            self.asha.admit(trial.number)
        for _, number, epoch in sorted((at, t.number, i + 1) for t in study.trials for i, at in enumerate(t.at)):
            stop = self.asha.decide(number, epoch)
            trial = study.trials[number]
            # It was killed after it was told to stop and before that was written down.
            if trial.state == "running" and stop and epoch == len(trial.rows) and epoch < study.sweep.train.epochs:
                self.waiting.remove(trial)
                self.on_change(study.finish(number, "pruned"))

    def next(self, tune_id: str) -> dict[str, Any] | str | None:
        """The next trial's configuration, None where there are enough at a time, FINISHED where there is none."""
        if self.fatal or self.out_of_time:
            return str(Searcher.FINISHED)
        if len(self.live) >= self.concurrency:
            return None
        with self.guard():
            trial = self.waiting.pop(0) if self.waiting else None if self.drawn else self.study.ask()
            if trial is None:
                self.drawn = True
                # The process of one that lives may die, and Tune asks no more once it was told the end.
                return None if self.live else str(Searcher.FINISHED)
            assert trial.recipe is not None
            self.asha.admit(trial.number)
            self.live[tune_id] = trial.number
            self.on_change(trial)
            recipe, configuration = trial.recipe.model_dump_json(), self.describe(trial).model_dump_json()
            return {"number": trial.number, "recipe": recipe, "configuration": configuration}
        return str(Searcher.FINISHED)

    def hear(self, tune_id: str, result: Mapping[str, Any]) -> bool:
        """Take what a trial reports. Returns whether it should stop."""
        number = self.live.get(tune_id)
        if number is None or self.fatal:
            return False
        with self.guard():
            if "error" in result:
                if result["full"]:
                    raise OSError(28, os.strerror(28), str(self.study.folder))
                self._end(tune_id, "failed", result["error"])
                return True
            row = {key: result[key] for key in result if key in ROW or key.startswith(("train_", "val_"))}
            if "epoch" not in row or not self.study.report(number, row):
                return False
            self.on_change(self.study.trials[number])
            epoch = int(row["epoch"])
            if epoch < self.study.sweep.train.epochs and self.asha.decide(number, epoch):
                self._end(tune_id, "pruned")
                return True
        return False

    def end(self, tune_id: str, error: bool) -> None:
        """A trial has ended on its own, or its process has died: then it goes on in another one, a few times."""
        if tune_id not in self.live or self.fatal or self.out_of_time:
            return
        number = self.live[tune_id]
        self.deaths[number] += error
        if error and self.deaths[number] <= RETRIES:
            del self.live[tune_id]
            self.waiting.append(self.study.trials[number])
            return
        with self.guard():
            self._end(
                tune_id, "failed" if error else "complete", f"its process died {self.deaths[number]} times" if error else ""
            )

    def _end(self, tune_id: str, state: Any, error: str = "") -> None:
        study = self.study
        trial = study.finish(self.live.pop(tune_id), state, error)
        if trial.state != "complete":
            checkpoint(study.folder / "trials", trial.number).unlink(missing_ok=True)
        self.on_change(trial)
        failed, allowed = study.of("failed"), study.sweep.max_failed_share * study.sweep.trials
        if len(failed) > allowed:
            raise Error(
                f"{len(failed)} trials failed, more than max_failed_share allows ({allowed:g} of {study.sweep.trials}); the last one:\n"
                f"{failed[-1].error.strip()}\nput it right, delete {study.folder} and run the same command again"
            )

    def should_end(self) -> bool:
        if not self.out_of_time and self.study.clock() > self.study.sweep.time_budget:
            self.out_of_time = True
        return self.out_of_time or self.fatal is not None

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Tune takes what goes wrong here for a trial's failure: it is kept, and ends the sweep."""
        try:
            yield
        except Exception as error:
            self.fatal = error


ROW = {"epoch", "lr", "seconds"}


class Draws(Searcher):
    """The conductor as Tune's searcher."""

    def __init__(self, conductor: Conductor) -> None:
        super().__init__(metric="val_loss", mode="min")
        self.conductor = conductor

    def suggest(self, trial_id: str) -> Any:
        return self.conductor.next(trial_id)

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        self.conductor.end(trial_id, error)

    def save(self, checkpoint_path: str) -> None:
        """The study keeps all."""

    def restore(self, checkpoint_path: str) -> None:
        """See `save`."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class Numbered:
    """All that ASHA wants to know of a trial."""

    trial_id: str


class Rungs(ASHAScheduler):
    """Ray's ASHA on `Study.rank`, by numbers of the study instead of Tune's, so that it can be told again what was told before."""

    def __init__(self, conductor: Conductor) -> None:
        sweep = conductor.study.sweep
        options = sweep.scheduler
        # One more than the epochs: a trial that reaches the last one is finished, not stopped.
        super().__init__("epoch", "rank", "min", sweep.train.epochs + 1, options.grace, options.reduction, options.brackets)
        self.conductor = conductor

    def admit(self, number: int) -> None:
        """Give a trial its bracket, always the same."""
        if str(number) in self._trial_info:
            return
        # As Ray draws it, from a seed: brackets of more rungs are likelier.
        rungs = np.array([len(bracket._rungs) for bracket in self._brackets])
        shares = np.exp(rungs - rungs.max())
        drawn = np.random.default_rng([self.conductor.study.sweep.seed, number]).choice(len(rungs), p=shares / shares.sum())
        self._trial_info[str(number)] = self._brackets[drawn]

    def decide(self, number: int, epoch: int) -> bool:
        """Whether a trial stops after an epoch that the study knows."""
        if epoch >= self.conductor.study.sweep.train.epochs:
            return False
        result = {"epoch": epoch, "rank": self.conductor.study.rank(number, epoch)}
        action = super().on_trial_result(None, Numbered(str(number)), result)  # type: ignore[arg-type]
        return bool(action == TrialScheduler.STOP)

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        pass

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        stop = self.conductor.hear(trial.trial_id, result)
        return str(TrialScheduler.STOP if stop else TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        pass

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        pass

    def __getstate__(self) -> dict[str, Any]:
        return {}


class Ending(tune.Stopper):
    """The conductor as Tune's stopper."""

    def __init__(self, conductor: Conductor) -> None:
        self.conductor = conductor

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self.conductor.should_end()

    def __getstate__(self) -> dict[str, Any]:
        return {}


def run(conductor: Conductor, work: Work) -> None:
    """Run the study's trials to their end, in the Ray that is connected. Raises what ended the sweep early.

    Trials that time ran out for are recorded as stopped.
    """
    study = conductor.study
    study.start()
    sweep = study.sweep
    work.folder.mkdir(exist_ok=True)
    node = ray.get_runtime_context().get_node_id()
    home = NodeAffinitySchedulingStrategy(node, soft=False)
    files: Any = ray.remote(Files).options(num_cpus=0, scheduling_strategy=home).remote(work.folder)
    scratch = study.folder / "tune"
    shutil.rmtree(scratch, ignore_errors=True)
    trainable = tune.with_resources(
        tune.with_parameters(run_trial, work=replace(work, node=node, files=files)),
        {"cpu": sweep.resources.cpu, "gpu": sweep.resources.gpu},
    )
    # By itself Tune waits for a trial's process before it asks for the next trial.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(conductor.concurrency)
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=Draws(conductor),
            scheduler=conductor.asha,
            num_samples=-1,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: f"trial-{trial.config['number']:04d}-{trial.trial_id}",
        ),
        run_config=tune.RunConfig(
            name="trials",
            storage_path=str(scratch),
            stop=Ending(conductor),
            verbose=0,
            # Tune gives up a trial whose process dies before its first step, so that the conductor counts.
            failure_config=tune.FailureConfig(max_failures=0),
        ),
    )
    try:
        tuner.fit()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        with suppress(Exception):
            ray.kill(files)
    if conductor.fatal:
        raise conductor.fatal
    for trial in study.running():
        study.finish(trial.number, "pruned", "out of time")
        conductor.on_change(trial)
