"""The table and the page of all results: `python -m tasks.report`.

Writes results/table.csv, a row an experiment, and results/report.html, one file that opens without a server or a network.
"""

import json
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel

import models
from tasks import config
from tasks.common.errors import Error
from tasks.common.files import write_text
from tasks.common.flat import flat
from tasks.datasets.data import SPLITS
from tasks.faces import report_faces
from tasks.imaging import figures, pictures
from tasks.params.experiment import Student
from tasks.profile import Profile
from tasks.reports import overview, pages, report_sweeps

logger = logging.getLogger(__name__)

# Which metrics stand in the summary, the first of them as the result in short.
HEADLINES = ("accuracy", "psnr", "map50", "macro_f1", "ssim")
LOWER_IS_BETTER = {"loss", "log_loss", "l1", "ece"}
# How a metric is called, and printed: factor, decimals, unit.
SHOWN: dict[str, tuple[str, float, int, str]] = {
    "accuracy": ("Accuracy", 100, 2, "%"),
    "accuracy_flip": ("Accuracy, flip-averaged", 100, 2, "%"),
    "macro_f1": ("Macro F1", 100, 2, "%"),
    "log_loss": ("Log loss", 1, 3, ""),
    "ece": ("Calibration error", 100, 2, "%"),
    "ece_calibrated": ("Calibration error, calibrated", 100, 2, "%"),
    "coverage": ("Faces with an answer", 100, 2, "%"),
    "accuracy_certain": ("Accuracy of these answers", 100, 2, "%"),
    "psnr": ("PSNR", 1, 2, "dB"),
    "ssim": ("SSIM", 1, 4, ""),
    "l1": ("L1", 1, 4, ""),
    "map50": ("mAP at IoU 0.5", 100, 2, "%"),
    "map50_11point": ("mAP of VOC 2007, 11 points", 100, 2, "%"),
    "map": ("mAP of COCO, IoU 0.5 to 0.95", 100, 2, "%"),
    "map50_coco": ("mAP at IoU 0.5, 101 points", 100, 2, "%"),
    "map75": ("mAP at IoU 0.75, 101 points", 100, 2, "%"),
    "f1": ("F1", 100, 2, "%"),
    "precision": ("Precision", 100, 2, "%"),
    "recall": ("Recall", 100, 2, "%"),
    "loss": ("Loss", 1, 4, ""),
}
# Of those of `tasks.reliability`, what stands beside an experiment's own metrics.
TRUST = ("ece_calibrated", "coverage", "accuracy_certain")
FIGURES = {
    "strip.png": "Test pictures chosen by their place in the order of PSNR, and their absolute difference from the target.",
    "detections.png": "Test pictures by their place in the order of F1 at the threshold: objects white (difficult ones dotted), right detections "
    "green, wrong ones red.",
    "precision_recall.png": "Precision and recall on test, a curve a class; the best, the median and the worst by name, with a dot at the "
    "threshold that was chosen on validation.",
    "errors.png": "Detections from the threshold on, by what became of them: right, found twice, badly placed, of another class, of nothing; to the "
    "left the objects that nothing found.",
    "first_layer.png": "What the first layer looks for: its weights as pictures, grey is 0.",
    "confusion.png": "Confusion matrix on test: counts, coloured by the share of each actual class.",
    "confused.png": "The pairs mistaken most often, with the network's surest mistakes and the probability it gave them.",
    "calibration.png": "How often answers of each probability are right, before and after calibration; accuracy by the share of faces that is "
    "left uncertain, and the threshold that was chosen on validation.",
    "robustness.png": "Test faces that were blurred, and shrunk: left of the lines they are flagged.",
    "progress.webp": "A few validation images after each epoch.",
    "curves.png": "Learning curves, a line a seed.",
}
# Pictures of pixels, not of lines: they go into the page with losses that nobody sees.
PHOTOGRAPHS = {"strip.png", "confused.png", "first_layer.png", "detections.png"}
# From so many experiments on the same data a figure says more than the table.
SEVERAL = 3
# More would not open well on a phone.
LARGEST_PAGE = 5_000_000


def report(profile: Profile) -> Path:
    """Write table.csv and report.html of the experiments in params.yaml, and return the page's path.

    Folders of results/ that no experiment names are left out; an experiment without a result is named in a warning and on the
    page. The same results give the same bytes. Raises Error where there is no result at all, and for a file that is not JSON.
    """
    names = profile.experiments
    results = {name: result for name in names if (result := _read(profile.results(name) / "metrics.json")) is not None}
    missing = [name for name in names if name not in results]
    if not results:
        raise Error(f"{profile.folder / 'results'}: nothing is evaluated yet; run the experiments first: dvc repro")
    for name in missing:
        logger.warning("%s has no metrics.json and is missing from the report; run: dvc repro evaluate@%s", name, name)
    folder = profile.folder / "results"
    write_text(
        folder / "table.csv",
        table([*results.values(), *report_faces.results(profile).values()]).to_csv(
            index=False, float_format="%.6g", lineterminator="\n"
        ),
    )

    page = pages.render(
        "report.html.j2",
        profile=profile.name,
        experiments=[_section(profile, name, result) for name, result in results.items()],
        missing=missing,
        overview=_overview(profile, results) + _comparisons(profile, results),
        commits=_distinct(result["git_commit"] for result in results.values()),
        devices=_distinct(result["device"] for result in results.values()),
        versions=_distinct(", ".join(f"{k} {v}" for k, v in result["versions"].items()) for result in results.values()),
        datasets=_datasets(profile, results),
        annotated=report_faces.sections(profile),
        sweeps=report_sweeps.sections(profile),
        benchmarks=(_read(profile.root / "results" / "bench.json") or {}).get("benchmarks", []),
    )
    if len(page.encode()) > LARGEST_PAGE:
        logger.warning("report.html has %.1f MB, more than opens well on a phone", len(page.encode()) / 1e6)
    write_text(folder / "report.html", page)
    return folder / "report.html"


def table(results: Any) -> pd.DataFrame:
    """A row an experiment; a metric that something was published for has columns <metric>_published and <metric>_difference."""
    rows = []
    for result in results:
        row = {key: result[key] for key in ("experiment", "system", "task", "dataset", "data_origin")}
        row |= {f"n_{split}": result[f"n_{split}"] for split in SPLITS} | result["metrics"]
        for published in reversed(result["published"]):  # of several, the first one stays
            metric, value = published["metric"], published["value"]
            row[f"{metric}_published"] = value
            comparable = metric in result["metrics"] and published.get("dataset") in (None, result["dataset"])
            row[f"{metric}_difference"] = result["metrics"][metric] - value if comparable else None
        row |= {key: result[key] for key in ("parameters", "epochs", "train_seconds", "peak_memory_mb", "device", "threads")}
        row |= {"seeds": " ".join(map(str, result["seeds"])), "git_commit": result["git_commit"]}
        rows.append(row)
    frame = pd.DataFrame(rows)
    measured = [c for c in frame.columns if c.split("_published")[0].split("_difference")[0] in SHOWN]
    ranked = sorted(measured, key=lambda c: [*SHOWN].index(c.split("_published")[0].split("_difference")[0]))
    first = ["experiment", "system", "task", "dataset", "data_origin", *(f"n_{split}" for split in SPLITS)]
    return frame[[*first, *ranked, *(c for c in frame.columns if c not in {*first, *ranked})]]


class Number(BaseModel):
    """A metric as the page shows it."""

    metric: str
    label: str
    value: float
    text: str
    unit: str
    spread: str = ""
    validation: str = ""


class Comparison(BaseModel):
    """Our value beside a published one; widths in percent of the longer bar."""

    label: str
    ours: str
    published: str
    difference: str
    better: bool
    source: str
    note: str
    width: float
    width_published: float


def _section(profile: Profile, name: str, result: Mapping[str, Any]) -> dict[str, Any]:
    experiment = profile.experiment(name)
    numbers = [_number(metric, result) for metric in result["metrics"]]
    trust = _read(profile.results(name) / "reliability.json") or {"metrics": {}}
    numbers += [_number(m, {**trust, "val_metrics": {}}) for m in TRUST if m in trust["metrics"]]
    comparisons = [_compare(published, result) for published in result["published"] if published["metric"] in result["metrics"]]
    main = [n for n in numbers if n.metric in HEADLINES] or numbers
    main.sort(key=lambda n: HEADLINES.index(n.metric) if n.metric in HEADLINES else 0)
    plots = profile.results(name) / "plots"
    per_class = plots / "per_class.csv"
    return {
        "name": name,
        "result": result,
        "about": models.about(experiment.network),
        "network": experiment.network,
        "numbers": numbers,
        "main": main,
        "comparisons": comparisons,
        "figures": [
            {
                "uri": pictures.inline((folder / file).read_bytes(), file in PHOTOGRAPHS),
                "caption": caption,
                "kind": Path(file).stem,
            }
            for file, caption in FIGURES.items()
            for folder in (plots, profile.results(name) / "reliability")
            if (folder / file).exists()
        ],
        "classes": pd.read_csv(per_class).to_dict("records") if per_class.exists() else [],
        "recipe": {
            key: _listed(value)
            for key, value in flat(
                {
                    "network": experiment.network,
                    **experiment.architecture,
                    **experiment.train.model_dump(mode="json", exclude_defaults=True),
                    "seeds": list(experiment.seeds),
                }
            ).items()
        },
        "cost": {
            "Parameters": f"{result['parameters']:,}",
            "Epochs": result["epochs"],
            "Training": duration(result["train_seconds"]),
            "Peak memory": f"{result['peak_memory_mb']:,.0f} MB",
            "Device": f"{result['device']}, {result['threads']} threads",
            "Seeds": ", ".join(map(str, result["seeds"])),
            "Commit": result["git_commit"],
            **({"Backbone's weights": result["pretrained"]} if "pretrained" in result else {}),
            **({"Teacher, trained before": experiment.teacher.experiment} if isinstance(experiment, Student) else {}),
        },
    }


def _overview(profile: Profile, results: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """Figures of quality beside size and cost for each prepared data set that several networks were trained on."""
    groups: dict[str, list[str]] = {}
    for name in results:
        groups.setdefault(profile.experiment(name).data, []).append(name)
    drawn = []
    for data, names in groups.items():
        metric = next((m for m in HEADLINES if m in results[names[0]]["metrics"]), None)
        if metric is None or len(names) < SEVERAL:
            continue
        label, factor, _, unit = SHOWN[metric]
        rows = pd.DataFrame(
            {
                "name": names,
                "value": [factor * results[name]["metrics"][metric] for name in names],
                "published": [factor * _published(metric, results[name]) for name in names],
                "parameters": [results[name]["parameters"] for name in names],
                "train_seconds": [results[name]["train_seconds"] for name in names],
            }
        )
        words = f"{label} ({unit})" if unit else label
        for figure, caption in (
            (overview.ladder(rows, words), f"{label} on test of {data}, ours and published, with size and cost."),
            (overview.sizes(rows, words), f"{label} on test of {data}, against size and cost."),
        ):
            drawn.append({"uri": pictures.inline(figures.png(figure)), "caption": caption})
    return drawn


def _published(metric: str, result: Mapping[str, Any]) -> float:
    """What was published on the same data, or not a number."""
    values = [p["value"] for p in result["published"] if p["metric"] == metric and p.get("dataset") in (None, result["dataset"])]
    return float(values[0]) if values else float("nan")


def _comparisons(profile: Profile, results: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """The learning curves of experiments that params.yaml compares."""
    drawn = []
    for title, names in profile.params.comparisons.items():
        files = {name: profile.results(name) / "history.csv" for name in names if name in results}
        histories = {name: pd.read_csv(file) for name, file in files.items() if file.exists()}
        if not histories:
            continue
        first = next(iter(histories.values()))
        metric = next((m for m in HEADLINES if f"val_{m}" in first), "loss")
        seen = [name for name in histories if results[name].get("trained_on") == "train+val"]
        uri = pictures.inline(figures.png(overview.compared(histories, metric, seen)))
        caption = f"{title.replace('-', ' ').capitalize()}: learning curves on validation."
        if seen:
            caption += " Dotted: trained on validation as well, which is then no test of them."
        drawn.append({"uri": uri, "caption": caption})
    return drawn


def _number(metric: str, result: Mapping[str, Any]) -> Number:
    value, validation = result["metrics"][metric], result["val_metrics"].get(metric)
    label, factor, decimals, unit = SHOWN.get(metric, (metric, 1, 4, ""))
    spread = result.get("metrics_std", {}).get(metric)
    return Number(
        metric=metric,
        label=label,
        value=value,
        text=f"{value * factor:.{decimals}f}",
        unit=unit,
        spread="" if spread is None else f"± {spread * factor:.{decimals}f}",
        validation="" if validation is None else f"{validation * factor:.{decimals}f}",
    )


def _compare(published: Mapping[str, Any], result: Mapping[str, Any]) -> Comparison:
    metric, value = published["metric"], published["value"]
    ours = result["metrics"][metric]
    label, factor, decimals, unit = SHOWN.get(metric, (metric, 1, 4, ""))
    # Numbers of another data set stand beside ours, and are not compared with them.
    comparable = published.get("dataset") in (None, result["dataset"])
    # Of percentages the difference is in points.
    difference = (
        ""
        if not comparable
        else f"{(ours - value) * factor:+.{decimals}f}{' points' if unit == '%' else f' {unit}' if unit else ''}"
    )
    # Shares are drawn on their whole scale, others against the larger one.
    longest = 1 if metric in SHOWN and (unit == "%" or metric == "ssim") else max(abs(ours), abs(value)) or 1
    return Comparison(
        label=label,
        ours=f"{ours * factor:.{decimals}f} {unit}".strip(),
        published=f"{value * factor:.{decimals}f} {unit}".strip(),
        difference=difference.replace("-", "\N{MINUS SIGN}"),
        better=ours <= value if metric in LOWER_IS_BETTER else ours >= value,
        source=published["source"],
        note=published["note"] if comparable else f"{published['note']} on {published['dataset']}".strip(),
        width=round(100 * abs(ours) / longest, 2),
        width_published=round(100 * abs(value) / longest, 2),
    )


def duration(seconds: float) -> str:
    """42 s, 3 min 20 s or 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def _datasets(profile: Profile, results: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row a data set: its name, where it came from, and its licence where the evaluation recorded it."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for name, result in results.items():
        known = _read(profile.evaluated(name) / "dataset.json") or {}
        key = (result["dataset"], result["data_origin"])
        rows.setdefault(key, {"dataset": key[0], "origin": key[1], "licence": known.get("licence", ""), "experiments": []})
        rows[key]["experiments"].append(name)
    return [rows[key] for key in sorted(rows)]


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)


def _distinct(values: Any) -> list[str]:
    return list(dict.fromkeys(values))


def _read(path: Path) -> Any:
    """A JSON file, or None where there is none."""
    if not path.exists():
        return None
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise Error(f"{path}: not JSON ({error}); delete it and run again: dvc repro") from None


def main() -> None:
    """Write results/table.csv and results/report.html from the results of the experiments in params.yaml."""
    print(f"report: {report(config.load())}", file=sys.stderr)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
