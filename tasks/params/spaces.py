"""What a sweep of `params.yaml` is made of beside its experiment: the space, the objective, the scheduler, what a trial takes.

A key of the space is a place in the experiment, and its domain one of

    architecture.widths.0: {int: [8, 64], step: 8}                 # whole numbers, both bounds included; `log: true` for a log scale
    train.optimizer.lr:    {float: [0.01, 0.5], log: true}         # or `step`
    train.batch_size:      {choice: [32, 64, 128]}                 # anything YAML can say: lists, too
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from tasks.params.block import Block

KINDS = ("choice", "int", "float")


class Domain(Block):
    """Where one value is looked for: exactly one of `choice`, `int` and `float`."""

    choice: tuple[Any, ...] | None = None
    whole: tuple[int, int] | None = Field(None, alias="int")
    real: tuple[float, float] | None = Field(None, alias="float")
    step: float | None = Field(None, gt=0)
    log: bool = False

    @model_validator(mode="before")
    @classmethod
    def _one_kind(cls, values: Any) -> Any:
        allowed = "{choice: [...]}, {int: [LOW, HIGH]} or {float: [LOW, HIGH]}, with `step: N` or `log: true`"
        if not isinstance(values, Mapping) or sum(kind in values for kind in KINDS) != 1 or {*values} - {*KINDS, "step", "log"}:
            raise ValueError(f"a domain is {allowed}, not {values!r}")
        return values

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> "Domain":
        if self.choice is not None:
            if len({self.code(value) for value in self.choice}) != len(self.choice) or not self.choice:
                raise ValueError(f"choice: an empty list, or a value twice: {[*self.choice]}")
            if self.step or self.log:
                raise ValueError("choice takes neither step nor log")
            return self
        low, high = self.bounds
        kind = "int" if self.whole else "float"
        if low >= high:
            raise ValueError(f"{kind}: an empty or inverted range: {low} is not below {high}")
        if self.log and (low <= 0 or self.step):
            raise ValueError(f"{kind}: a log scale needs a lower bound above 0, not {low}, and no step")
        if self.step and self.step > high - low:
            raise ValueError(f"step: {self.step} is wider than the range from {low} to {high}")
        if self.whole and self.step and self.step != int(self.step):
            raise ValueError(f"step: whole numbers have a whole step, not {self.step}")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        bounds = self.whole or self.real
        assert bounds is not None
        return bounds

    def extremes(self) -> tuple[Any, ...]:
        """The values whose validity tells that of all: every choice, or both bounds."""
        return self.choice if self.choice is not None else self.bounds

    @staticmethod
    def code(value: Any) -> Any:
        """A choice as Optuna takes it: numbers and words as they are, lists and tables as JSON."""
        return value if value is None or isinstance(value, bool | int | float | str) else json.dumps(value)

    def suggest(self, trial: Any, name: str) -> Any:
        """The value that an Optuna trial draws here; whole numbers are ints."""
        if self.choice is not None:
            coded = {self.code(value): value for value in self.choice}
            return coded[trial.suggest_categorical(name, [*coded])]
        low, high = self.bounds
        if self.step:
            # The last step that is not beyond the bound.
            high = low + math.floor((high - low) / self.step + 1e-9) * self.step
        if self.whole:
            return int(trial.suggest_int(name, int(low), int(high), step=int(self.step or 1), log=self.log))
        return float(trial.suggest_float(name, low, high, step=self.step, log=self.log))

    def contains(self, value: Any) -> bool:
        """Whether a value lies here, on its step."""
        if self.choice is not None:
            return self.code(value) in [self.code(choice) for choice in self.choice]
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        low, high = self.bounds
        steps = (value - low) / self.step if self.step else 0.0
        return low <= value <= high and abs(steps - round(steps)) < 1e-9


# Objectives that weigh the validation loss against the number of parameters.
WEIGHED = ("efficiency", "smallest", "pareto")


class Objective(Block):
    """What is best.

    `loss`, or any other metric that the data's kind declares: its best value on validation. `efficiency`: the highest
    1 / (validation loss x parameters). `smallest`: the fewest parameters. Both of these among trials whose validation loss is at most
    `bound`. `pareto`: validation loss and parameters, both low, by Optuna's multi-objective sampler. The winner on its Pareto front is
    the smallest within `bound`, or without one the lowest loss.
    """

    name: str = Field(description=f"a validation metric, or one of {', '.join(WEIGHED)}")
    bound: float | None = Field(None, gt=0, allow_inf_nan=False, description="the highest validation loss that counts")

    @property
    def metric(self) -> str:
        """The validation metric that trials are compared by."""
        return "loss" if self.name in WEIGHED else self.name

    @model_validator(mode="after")
    def _bound_fits(self) -> "Objective":
        if self.name in ("efficiency", "smallest") and self.bound is None:
            raise ValueError(f"bound: {self.name} needs one, since the smallest network that learns nothing would win")
        if self.name not in WEIGHED and self.bound is not None:
            raise ValueError(f"bound: {self.name} takes none")
        return self


class Asha(Block):
    """Asynchronous successive halving (Li et al. 2018): at `grace` x `reduction`^k epochs a trial goes on if it is in the best 1 / `reduction`.

    By what trials are compared is in `tasks.sweeps.study.Study.rank`.
    """

    grace: int = Field(1, ge=1, description="epochs that every trial gets")
    reduction: int = Field(2, ge=2)
    brackets: int = Field(1, ge=1, description="bracket b starts at rung b; most trials are in the first")


class Resources(Block):
    """Of one trial. A fraction of a GPU lets several trials share one."""

    cpu: float = Field(1, gt=0, allow_inf_nan=False)
    gpu: float = Field(0, ge=0, allow_inf_nan=False, description="0: the trial trains on the processor")

    @model_validator(mode="after")
    def _whole_above_one(self) -> "Resources":
        for name, value in (("cpu", self.cpu), ("gpu", self.gpu)):
            if value > 1 and value != int(value):
                raise ValueError(f"{name}: a fraction is below 1, not {value}")
        return self


class Ray(Block):
    """Where trials run."""

    address: str | None = Field(
        None, description="HOST:PORT of a cluster that this machine is a node of; null: this machine alone"
    )


def replaced(values: Any, path: str, value: Any) -> Any:
    """A copy of nested tables and lists with one place changed. Raises ValueError where there is no such place.

    Tables grow a key that they do not have: whether it is allowed is for the models to say.
    """
    key, _, rest = path.partition(".")
    if isinstance(values, Mapping):
        inner = values.get(key)
        if rest and inner is None:
            inner = {}
        return {**values, key: replaced(inner, rest, value) if rest else value}
    if isinstance(values, list | tuple):
        if not key.isdigit() or int(key) >= len(values):
            raise ValueError(f"{key} is not a place of the list {[*values]}")
        index = int(key)
        return [*values[:index], replaced(values[index], rest, value) if rest else value, *values[index + 1 :]]
    raise ValueError(f"{key} is below {values!r}, which is neither a table nor a list")


def found(values: Any, path: str) -> Any:
    """The value at a place of nested tables and lists, or None."""
    for key in path.split("."):
        if isinstance(values, Mapping):
            values = values.get(key)
        elif isinstance(values, list | tuple) and key.isdigit() and int(key) < len(values):
            values = values[int(key)]
        else:
            return None
    return values
