"""A sweep's study: every trial, its sampled values and its epochs, in Optuna's journal.

Optuna's study is the only state of a sweep: what a trial reported stands in it before anything is decided, so that a sweep that
goes on knows all of it, and Tune, which restores neither a scheduler nor what came after its last snapshot, need not restore anything.
(A database takes a third of a second a draw where the journal takes a tenth; draws over the budget are to cost little.)
"""

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tasks import kinds
from tasks.common.errors import Error
from tasks.datasets.data import Info
from tasks.learning.building import count
from tasks.params.spaces import WEIGHED
from tasks.params.sweep import Sweep
from tasks.sweeps.trial import State, Trial

if TYPE_CHECKING:
    import optuna

# Draws in a row that are over the budget, after which nothing within it is looked for any more.
MOST_INFEASIBLE = 200
EPOCH = "epoch-"


class Study:
    """The trials of a sweep, kept in `folder`."""

    def __init__(self, folder: Path, sweep: Sweep, info: Info) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.sweep, self.info = folder, sweep, info
        several = sweep.objective.name == "pareto"
        self.optuna = optuna.create_study(
            storage=_journal(folder / "study.jsonl"),
            sampler=self._sampler(0),
            pruner=optuna.pruners.NopPruner(),
            study_name="sweep",
            load_if_exists=True,
            **({"directions": ["minimize"] * 2} if several else {"direction": self._direction}),
        )
        self._spent: float = self.optuna.user_attrs.get("seconds", 0.0)
        self._start: float | None = None
        self.trials: list[Trial] = []
        if not self._go_on() and not self.optuna.get_trials() and (base := sweep.base()):
            # The block's own values first: a good guess costs nothing.
            self.optuna.enqueue_trial({key: sweep.space[key].code(value) for key, value in base.items()})

    @property
    def metric(self) -> str:
        """The validation metric that trials are compared by."""
        return self.sweep.objective.metric

    @property
    def weighed(self) -> bool:
        """Whether the loss is weighed against the number of parameters."""
        return self.sweep.objective.name in WEIGHED

    # What was, and what is next.

    def running(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.state == "running"]

    def of(self, *states: State) -> list[Trial]:
        return [trial for trial in self.trials if trial.state in states]

    @property
    def trained(self) -> int:
        """Trials that were begun, those over the budget left out."""
        return sum(trial.state != "infeasible" for trial in self.trials)

    def ask(self) -> Trial | None:
        """The next trial to train, drawn with all that is known; None when there are enough, or nothing within the budget is found.

        What is drawn over the budget is recorded on the way, which takes milliseconds. Raises Error where nothing is within it.
        """
        if self.trained >= self.sweep.trials:
            return None
        for _ in range(MOST_INFEASIBLE):
            # A draw depends on the seed, its number and what is known, so that a sweep that goes on draws as one that was never stopped.
            self.optuna.sampler = self._sampler(len(self.trials))
            trial = self._read(self.optuna.ask())
            self.trials.append(trial)
            self._admit(trial)
            if trial.state == "running":
                return trial
        if not self.trained:
            last = self.trials[-1]
            raise Error(f"space: none of {MOST_INFEASIBLE} draws can be trained; the last one: {last.error}")
        return None

    def budget(self) -> int | None:
        """The most parameters that a trial may have. Of `smallest`, what is not smaller than the best cannot win."""
        best = self.best() if self.sweep.objective.name == "smallest" else None
        most = [self.sweep.train.max_parameters, best.parameters - 1 if best else None]
        return min((value for value in most if value is not None), default=None)

    # What trials say.

    def report(self, number: int, row: dict[str, float]) -> bool:
        """Record an epoch. Returns False for one that is known."""
        trial = self.trials[number]
        if row["epoch"] <= len(trial.rows):
            return False
        now = time.time()
        handle = trial.handle
        handle.set_user_attr(f"{EPOCH}{len(trial.rows) + 1}", {**row, "at": now})
        if self.sweep.objective.name != "pareto":
            handle.report(trial.cost(self.metric, row), int(row["epoch"]))
        trial.rows.append(row)
        trial.at.append(now)
        self.optuna.set_user_attr("seconds", self.clock())
        return True

    def finish(self, number: int, state: State, error: str = "") -> Trial:
        """A trial's end. Optuna is told the objective's value, and by how much the trial misses what it must keep to."""
        import optuna

        trial = self.trials[number]
        if state == "complete" and (wrong := [m for m in {"loss", self.metric} if not _finite(trial.cost(m))]):
            state, error = "failed", f"the validation {wrong[0]} is {trial.cost(wrong[0])}"
        handle = trial.handle
        for name, violation in self._violations(trial, state).items():
            if name not in handle.constraints:
                handle.set_constraint(name, violation)
        handle.set_user_attr("error", error)
        handle.set_user_attr("state", state)
        if state == "complete":
            self.optuna.tell(number, self._values(trial))
        else:
            self.optuna.tell(number, state=optuna.trial.TrialState.FAIL if state == "failed" else optuna.trial.TrialState.PRUNED)
        trial.state, trial.error = state, error
        self.optuna.set_user_attr("seconds", self.clock())
        return trial

    def remember_run(self, number: int, run: str) -> None:
        """MLflow's id of a trial."""
        self.trials[number].handle.set_user_attr("run", run)
        self.trials[number].run = run

    @property
    def parent_run(self) -> str | None:
        """MLflow's id of the sweep."""
        found: str | None = self.optuna.user_attrs.get("run")
        return found

    @parent_run.setter
    def parent_run(self, run: str) -> None:
        self.optuna.set_user_attr("run", run)

    def clock(self) -> float:
        """The seconds in which trials ran, in all runs of the sweep."""
        return self._spent if self._start is None else self._spent + time.monotonic() - self._start

    def start(self) -> None:
        """Start the clock."""
        self._start = time.monotonic()

    # What they are compared by.

    def rank(self, number: int, epoch: int) -> float:
        """What ASHA compares at a rung, less is better: the objective's metric, or of objectives that weigh the loss against the number of
        parameters how many trials are, at this epoch, as small and lose as little.

        A small network loses more than a large one at any epoch, so that by loss alone the small ones, which these objectives are
        after, would all be stopped. Nothing that no other trial betters in both is stopped.
        """
        trial = self.trials[number]
        if not self.weighed:
            cost = trial.cost(self.metric, trial.rows[epoch - 1])
            assert cost is not None
            return cost
        loss = trial.rows[epoch - 1]["val_loss"]
        # Those that were there before it, so that the answer is the same whenever it is asked.
        mine = trial.at[epoch - 1]
        others = [other for other in self.trials if len(other.rows) >= epoch and other.at[epoch - 1] < mine]
        return sum(o.parameters <= trial.parameters and o.rows[epoch - 1]["val_loss"] <= loss for o in others)

    def within_bound(self, trial: Trial) -> bool:
        bound = self.sweep.objective.bound
        return bound is None or (trial.val_loss is not None and trial.val_loss <= bound)

    def best(self) -> Trial | None:
        """The winner so far, among the trials within the bound that ran to their end."""
        within = [trial for trial in self.of("complete") if self.within_bound(trial)]
        if not within:
            return None
        match self.sweep.objective.name:
            case "efficiency":
                return max(within, key=lambda trial: trial.efficiency or 0)
            case "smallest":
                return min(within, key=lambda trial: (trial.parameters, _loss(trial)))
            case "pareto" if self.sweep.objective.bound is not None:
                return min(within, key=lambda trial: (trial.parameters, _loss(trial)))
        return min(within, key=self._cost)

    def winner(self) -> Trial:
        """The best, or where none is within the bound what comes nearest. Raises Error where no trial ran to its end."""
        found = self.best() or min(self.of("complete"), key=self._cost, default=None)
        if found is None:
            raise Error(f"none of {self.trained} trials ran to its end; give the sweep more time_budget, or fewer train.epochs")
        return found

    def front(self) -> list[Trial]:
        """The trials that no other one betters in validation loss and parameters, the smallest first."""
        ordered = sorted(self.of("complete"), key=lambda trial: (trial.parameters, _loss(trial)))
        front: list[Trial] = []
        for trial in ordered:
            if not front or _loss(trial) < _loss(front[-1]):
                front.append(trial)
        return front

    @property
    def _direction(self) -> str:
        return "maximize" if self.sweep.objective.name == "efficiency" else "minimize"

    def _violations(self, trial: Trial, state: State) -> dict[str, float]:
        """By how much a trial misses each bound, 0 or less for not at all."""
        if state == "infeasible":
            budget = self.budget()
            return {"parameters": trial.parameters / budget - 1 if budget and trial.parameters else 1.0}
        if state == "failed" or trial.val_loss is None or not math.isfinite(trial.val_loss):
            return {}
        match self.sweep.objective.name:
            case "efficiency" | "smallest":
                return {"loss": trial.val_loss - (self.sweep.objective.bound or 0)}
            case "pareto" if state == "pruned":
                return {"stopped": 1 - len(trial.rows) / self.sweep.train.epochs}
        return {}

    def _values(self, trial: Trial) -> list[float]:
        assert trial.val_loss is not None
        match self.sweep.objective.name:
            case "efficiency":
                return [trial.efficiency or 0.0]
            case "smallest":
                return [float(trial.parameters)]
            case "pareto":
                return [trial.val_loss, float(trial.parameters)]
        return [self._cost(trial)]

    def _cost(self, trial: Trial) -> float:
        cost = trial.cost(self.metric)
        assert cost is not None
        return cost

    def _sampler(self, number: int) -> "optuna.samplers.BaseSampler":
        import optuna

        seed = int(np.random.SeedSequence([self.sweep.seed, number]).generate_state(1)[0])
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup(self.sweep.trials))

    def _read(self, handle: "optuna.Trial | optuna.trial.FrozenTrial") -> Trial:
        """A trial of the study; what was drawn of one that was killed while it was drawn is drawn to its end."""
        number, domains = handle.number, self.sweep.space.items()
        sampled = {key: domain.suggest(handle, key) for key, domain in domains}
        attributes = handle.user_attrs
        falling = kinds.falling(self.info.task)
        error, run = attributes.get("error", ""), attributes.get("run")
        trial = Trial(number, sampled, error=error, run=run, handle=handle, falling=falling)
        while (key := f"{EPOCH}{len(trial.rows) + 1}") in attributes:
            row = dict(attributes[key])
            trial.at.append(row.pop("at"))
            trial.rows.append(row)
        try:
            trial.architecture, trial.recipe = self.sweep.variant(sampled)
            trial.parameters = count(self.sweep.network, trial.architecture, self.info)
        except ValueError as error:
            trial.error = str(error)
        return trial

    def _go_on(self) -> list[Trial]:
        """The trials that the journal knows; what was said of one before a kill, and not to Optuna, is said now."""
        import optuna

        known = [trial for trial in self.optuna.get_trials(deepcopy=False) if trial.state.name != "WAITING"]
        for stored in known:
            if stored.state.is_finished():
                self.trials.append(self._read(stored))
                continue
            self.optuna.sampler = self._sampler(stored.number)
            handle = optuna.Trial(self.optuna, stored._trial_id)
            if len(stored.params) < len(self.sweep.space):
                self._skip(handle, stored)
            self.trials.append(self._read(handle))
        for trial, stored in zip(self.trials, known):
            if stored.state.is_finished():
                trial.state = stored.user_attrs["state"]
        for trial, stored in zip(self.trials, known):
            if trial.state == "running" and (said := stored.user_attrs.get("state")):
                self.finish(trial.number, said, trial.error)
            elif trial.state == "running" and not trial.rows:
                self._admit(trial)
        return self.trials

    def _skip(self, handle: "optuna.Trial", stored: "optuna.trial.FrozenTrial") -> None:
        """Let the sampler draw again what it had drawn of a trial when it was killed: its next numbers are then those that it would have drawn."""
        fixed = stored.system_attrs.get("fixed_params", {})
        for key, distribution in stored.distributions.items():
            if key not in fixed and key not in handle.relative_params:
                self.optuna.sampler.sample_independent(self.optuna, stored, key, distribution)

    def _admit(self, trial: Trial) -> None:
        """Refuse what is over the budget, or cannot be built."""
        if why := self._refusal(trial):
            self.finish(trial.number, "infeasible", why)

    def _refusal(self, trial: Trial) -> str:
        """Why a network is not trained; empty where it is."""
        if trial.error:
            return trial.error
        budget = self.budget()
        return f"{trial.parameters:,} parameters, over the budget of {budget:,}" if budget and trial.parameters > budget else ""


def _journal(path: Path) -> "optuna.storages.BaseStorage":
    """Optuna's storage in a file of JSON lines; a last line that a full disk or a power failure cut off is removed."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.storages.journal._file import BaseJournalFileLock

    class Alone(BaseJournalFileLock):
        """No lock: `tasks.sweep` holds one that a kill releases; that of Optuna stays behind, and the next run waits for it."""

        def acquire(self) -> bool:
            return True

        def release(self) -> None:
            pass

    if path.exists() and not (content := path.read_bytes()).endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)
    return JournalStorage(JournalFileBackend(str(path), lock_obj=Alone()))


def startup(trials: int) -> int:
    """Trials that are drawn at random before the sampler knows enough."""
    return min(10, max(3, trials // 4))


def _loss(trial: Trial) -> float:
    assert trial.val_loss is not None
    return trial.val_loss


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
