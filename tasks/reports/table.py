"""The table of all results: a row an experiment."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from tasks.datasets.data import SPLITS


def table(results: Iterable[Mapping[str, Any]], order: Sequence[str]) -> pd.DataFrame:
    """A row an experiment; a metric that something was published for has columns <metric>_published and <metric>_difference.

    `arithmetic` is what was computed in, bf16 or fp32.
    `order`: the names of metrics, in the order of their columns.
    """
    rows = []
    for result in results:
        row = {key: result[key] for key in ("experiment", "system", "task", "dataset", "data_origin")}
        row |= {f"n_{split}": result[f"n_{split}"] for split in SPLITS} | result["metrics"]
        for published in reversed(result["published"]):  # of several, the first one stays
            metric, value = published["metric"], published["value"]
            row[f"{metric}_published"] = value
            comparable = metric in result["metrics"] and published.get("dataset") in (None, result["dataset"])
            row[f"{metric}_difference"] = result["metrics"][metric] - value if comparable else None
        row |= {key: result[key] for key in ("parameters", "epochs", "train_seconds", "peak_memory_mb", "device")}
        # Not `precision`, which is a metric of detectors.
        row |= {"arithmetic": result.get("precision"), "threads": result["threads"]}
        row |= {"seeds": " ".join(map(str, result["seeds"])), "git_commit": result["git_commit"]}
        rows.append(row)
    frame = pd.DataFrame(rows)
    measured = [column for column in frame.columns if _metric(column) in order]
    ranked = sorted(measured, key=lambda column: order.index(_metric(column)))
    first = ["experiment", "system", "task", "dataset", "data_origin", *(f"n_{split}" for split in SPLITS)]
    return frame[[*first, *ranked, *(column for column in frame.columns if column not in {*first, *ranked})]]


def _metric(column: str) -> str:
    return column.removesuffix("_published").removesuffix("_difference")
