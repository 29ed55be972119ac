"""The table and the page of all results: `python -m tasks.report`.

Writes results/table.csv, a row an experiment, and results/report.html, one file that opens without a server or a network. Both are
made of what is there: of an experiment whose pictures are not here the page shows the one that git keeps.
"""

import logging
import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from tasks import config, kinds, verify
from tasks.common import pages
from tasks.common.errors import Error
from tasks.common.files import write_text
from tasks.faces import metrics as face_metrics
from tasks.faces import report_faces
from tasks.kinds import Metric
from tasks.profile import Profile
from tasks.reports import overview, sections, studies, sweeps
from tasks.reports.reading import read_json
from tasks.reports.table import table

logger = logging.getLogger(__name__)

HERE = Path(__file__).resolve().parent
# Where the page's templates stand: its own, the faces', and each kind's.
TEMPLATES = (HERE / "reports", HERE / "faces", HERE)
# More would not open well on a phone.
LARGEST_PAGE = 4_000_000


def report(profile: Profile) -> Path:
    """Write table.csv and report.html of the experiments in params.yaml, and return the page's path.

    Folders of results/ that no experiment names are left out; an experiment without a result is named in a warning and on the
    page. The same results give the same bytes. Raises Error where there is no result at all, and for a file that is not JSON.
    """
    names = [*profile.params.experiments]
    results = {name: result for name in names if (result := read_json(profile.results(name) / "metrics.json")) is not None}
    missing = [name for name in names if name not in results]
    if not results:
        raise Error(f"{profile.folder / 'results'}: nothing is evaluated yet; run the experiments first: dvc repro")
    for name in missing:
        logger.warning("%s has no metrics.json and is missing from the report; run: dvc repro evaluate@%s", name, name)
    folder = profile.folder / "results"
    studied = studies.results(profile)
    rows = [*results.values(), *studied.values(), *report_faces.results(profile).values()]
    text = table(rows, [*declared(profile)]).to_csv(index=False, float_format="%.6g", lineterminator="\n")
    write_text(folder / "table.csv", text)

    verdicts = _verdicts(profile)
    systems = sections.systems(results)
    best = {row["experiment"] for row in systems}
    # Most of the time goes to making pictures smaller, which Pillow does beside Python.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        shown = [
            *pool.map(lambda n: sections.section(profile, n, results[n], verdicts.get(n, ""), variant=n not in best), results)
        ]
    page = pages.render(
        "report.html.j2",
        TEMPLATES,
        profile=profile.name,
        systems=systems,
        experiments=shown,
        missing=missing,
        overview=overview.figures_of(profile, results),
        commits=_distinct(result["git_commit"] for result in results.values()),
        devices=_distinct(f"{r['device']}{', ' + r['precision'] if r.get('precision') else ''}" for r in results.values()),
        versions=_distinct(", ".join(f"{k} {v}" for k, v in result["versions"].items()) for result in results.values()),
        datasets=_datasets(profile, results),
        annotated=report_faces.sections(profile),
        sweeps=sweeps.sections(profile),
        studies=studies.pages(profile, studied),
        benchmarks=_benchmarks(profile.root / "results"),
    )
    if len(page.encode()) > LARGEST_PAGE:
        logger.warning("report.html has %.1f MB, more than opens well on a phone", len(page.encode()) / 1e6)
    write_text(folder / "report.html", page)
    return folder / "report.html"


def _benchmarks(folder: Path) -> list[dict[str, Any]]:
    """The rows of bench.json, and behind them those of gpu.json, which stand under one commit and device."""
    every, gpu = (read_json(folder / name) or {} for name in ("bench.json", "gpu.json"))
    own = {key: gpu[key] for key in ("git_commit", "device") if key in gpu}
    return [*every.get("benchmarks", []), *({**own, **row} for row in gpu.get("benchmarks", []))]


def _verdicts(profile: Profile) -> dict[str, str]:
    """How what was rebuilt here compares with the committed numbers; empty outside a repository."""
    with suppress(Error, OSError, ValueError):
        return {one.name: one.verdict for one in verify.verify(profile) if one.verdict not in ("new", "not rebuilt")}
    return {}


def declared(profile: Profile) -> dict[str, Metric]:
    """All metrics by their names, each from its one declaration: of kinds, studies and faces."""
    known = kinds.all_metrics()
    for metric in (*studies.metrics(profile), *face_metrics.METRICS):
        known.setdefault(metric.name, metric)
    return known


def _datasets(profile: Profile, results: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row a data set: its name, where it came from, and its licence where the evaluation recorded it."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for name, result in results.items():
        known = read_json(profile.evaluated(name) / "dataset.json") or {}
        key = (result["dataset"], result["data_origin"])
        rows.setdefault(key, {"dataset": key[0], "origin": key[1], "licence": known.get("licence", ""), "experiments": []})
        rows[key]["experiments"].append(name)
    return [rows[key] for key in sorted(rows)]


def _distinct(values: Any) -> list[str]:
    return list(dict.fromkeys(values))


def main() -> None:
    """Write results/table.csv and results/report.html from the results of the experiments in params.yaml."""
    print(f"report: {report(config.load(networks=False))}", file=sys.stderr)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
