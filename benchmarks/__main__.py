"""`python -m benchmarks [NAME...]`: run the comparisons and write results/bench.json."""

import importlib
import json
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table

from tasks.common import devices, provenance
from tasks.common.errors import Error
from tasks.common.files import write_json

ROOT = Path(__file__).parents[1]
BENCHMARKS = (
    "preprocess", "training", "fractional", "accuracy", "neighbours", "adversarial", "detection", "filters", "sweeps", "emotions",
    "annotate", "large_photographs", "faces", "emotion_peers", "rebuild", "prefect_rebuild", "stages", "saliency", "style", "generation", "captions", "compress",
)  # fmt: skip


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"of {', '.join(BENCHMARKS)}; all of them by default")] = None,
) -> None:
    """Compare with what a user would otherwise run, in alternating repeats of one run, and write results/bench.json."""
    unknown = set(names or ()) - set(BENCHMARKS)
    if unknown:
        raise Error(f"unknown benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    path = ROOT / "results" / "bench.json"
    # Those that are not run again keep their rows, each with the machine and the commit that it was measured with.
    kept: list[dict[str, Any]] = json.loads(path.read_text())["benchmarks"] if path.exists() else []
    origin = {
        "git_commit": provenance.git_commit(ROOT),
        "device": devices.describe(torch.device("cpu")),
        "versions": provenance.versions(),
    }
    for name in names or BENCHMARKS:
        rows = importlib.import_module(f"benchmarks.{name}").run(ROOT)
        kept = [row for row in kept if row["group"] != name] + [{"group": name, **row, **origin} for row in rows]
        write_json(path, {"benchmarks": kept})
        _show(rows)


def _show(rows: list[dict[str, Any]]) -> None:
    table = Table("benchmark", "ratio, seconds or MB", "spread", "promised")
    for row in rows:
        if "ratio" in row:
            spread = "{} to {}".format(*row["spread"])
            table.add_row(row["name"], f"{row['ratio']} x", spread, f">= {row['floor']} x" if row["floor"] else "")
        elif "megabytes" in row:
            table.add_row(row["name"], f"{row['megabytes']} MB", "", f"<= {row['limit']} MB")
        else:
            table.add_row(row["name"], f"{row['seconds']} s", "", f"<= {row['limit']} s")
    Console().print(table)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
