"""One trial of a sweep: what was drawn, how it went, and what it is compared by."""

from dataclasses import dataclass, field
from typing import Any, Literal

from tasks.params.recipe import Recipe

State = Literal["running", "complete", "pruned", "infeasible", "failed"]
ENDS: tuple[State, ...] = ("complete", "pruned", "infeasible", "failed")


@dataclass
class Trial:
    """One trial: `rows` are its epochs as `tasks.learning.loop.fit` reports them, `at` when each was recorded.

    `falling`: the metrics of which less is better.
    """

    number: int
    sampled: dict[str, Any]
    state: State = "running"
    parameters: int = 0
    architecture: dict[str, Any] = field(default_factory=dict)
    recipe: Recipe | None = None
    falling: frozenset[str] = frozenset({"loss"})
    rows: list[dict[str, float]] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    error: str = ""
    run: str | None = None  # MLflow's id
    handle: Any = None  # Optuna's trial; making one draws, so that it is kept

    @property
    def kept(self) -> dict[str, float] | None:
        """The epoch that the recipe keeps, so far."""
        if not self.rows or self.recipe is None or self.recipe.keep == "last":
            return self.rows[-1] if self.rows else None
        key = f"val_{self.recipe.select}"
        better = min if self.recipe.select in self.falling else max
        return better(self.rows, key=lambda row: row[key])

    @property
    def val_loss(self) -> float | None:
        return None if self.kept is None else self.kept["val_loss"]

    @property
    def efficiency(self) -> float | None:
        """1 / (validation loss x parameters)."""
        return 1 / (self.val_loss * self.parameters) if self.val_loss and self.parameters else None

    def cost(self, metric: str, row: dict[str, float] | None = None) -> float | None:
        """The validation metric at an epoch, or at the one that is kept, with its sign such that less is better."""
        row = self.kept if row is None else row
        if row is None:
            return None
        return row[f"val_{metric}"] if metric in self.falling else -row[f"val_{metric}"]
