"""Whether the winner of a sweep is better than the present champion, by what MLflow has of both."""

from typing import TYPE_CHECKING, Any, NamedTuple

from tasks import kinds

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PARENT = "mlflow.parentRunId"


class Trial(NamedTuple):
    """A trial of a sweep: the data that it learned from, its sweep's settings, and the validation metrics of the epoch that it kept."""

    data: str
    settings: dict[str, str]
    kept: dict[str, float]
    parameters: float

    def cost(self, settings: dict[str, str]) -> tuple[bool, float, float]:
        """What the objective of a sweep's `settings` says of it, less is better: whether it misses the bound comes first."""
        loss, objective = self.kept["loss"], settings.get("objective.name", "loss")
        bound = float(settings["objective.bound"]) if "objective.bound" in settings else None
        missed = bound is not None and loss > bound
        if missed or (objective == "pareto" and bound is None):
            return missed, loss, self.parameters
        if objective in ("smallest", "pareto"):
            return missed, self.parameters, loss
        if objective == "efficiency":
            return missed, loss * self.parameters, loss
        return missed, _cost(objective, self.kept[objective]), loss


def read(client: "MlflowClient", run: "Run") -> Trial:
    """A trial as its run, and its sweep's, tell of it. Raises what MLflow raises, and KeyError where something was never logged."""
    parent = client.get_run(run.data.tags[PARENT]).data
    histories: dict[int, dict[str, float]] = {}
    for key in run.data.metrics:
        if key.startswith("val_"):
            for point in client.get_metric_history(run.info.run_id, key):
                histories.setdefault(point.step, {})[key.removeprefix("val_")] = point.value
    select = parent.params.get("train.select", "loss")
    if parent.params.get("train.keep") == "best":
        kept = min(histories.items(), key=lambda row: (_cost(select, row[1][select]), row[0]))[1]
    else:
        kept = histories[max(histories)]
    return Trial(parent.tags["data_hash"], parent.params, kept, run.data.metrics["parameters"])


def why_not(client: "MlflowClient", run: "Run", holder: "Run") -> str:
    """Why the run's network is not better than that of `holder`, by the objective of the run's own sweep; empty where it is."""
    try:
        new, old = read(client, run), read(client, holder)
        if new.data != old.data:
            return "it learned from other data"
        return "" if new.cost(new.settings) < old.cost(new.settings) else "it is no better on the same data"
    except KeyError as error:
        return f"nothing is known of {error} of both"


def _cost(metric: str, value: float) -> float:
    """A metric with its sign such that less is better."""
    known: Any = kinds.all_metrics().get(metric)
    return value if known is None or known.less_is_better else -value
