"""What the page shows of each experiment, and of the systems that they rebuild."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from tasks import code, kinds
from tasks.common.flat import flat
from tasks.faces import metrics as face_metrics
from tasks.imaging import pictures
from tasks.kinds import Figure
from tasks.params.experiment import NONE
from tasks.profile import Profile
from tasks.reports import curves
from tasks.reports.numbers import Comparison, Number, compare, duration, lines, number
from tasks.reports.reading import read_json

# The one picture of a result that git keeps.
SHOWN = "shown.webp"
# Pixels a side of its copy for a variant, whose system has a better result: a page with a hundred pictures has to open on a phone.
VARIANT = 360
HEADLINES_SHOWN = 2


def section(profile: Profile, name: str, result: Mapping[str, Any], verdict: str = "", variant: bool = False) -> dict[str, Any]:
    """What report.html.j2 shows of an experiment. `verdict`: how it compares with what is committed. `variant`: its system has a better one."""
    experiment, folder = profile.experiment(name), profile.results(name)
    known = kinds.metrics(result["task"])
    numbers = [number(known[metric], result) for metric in known if metric in result["metrics"]]
    trust = read_json(folder / "reliability.json") or {"metrics": {}}
    numbers += [number(m, {**trust, "val_metrics": {}}) for m in face_metrics.TRUST if m.name in trust["metrics"]]
    headline, compared = main_numbers(result), [*comparisons(result), *peers(profile, result)]
    return {
        "name": name,
        "result": result,
        "about": code.about(code.ROOT / "models" / f"{experiment.network}.py"),
        "network": experiment.network,
        "numbers": numbers,
        "main": headline,
        "comparisons": compared,
        "lines": lines(headline, compared),
        "figures": _figures(result["task"], folder, variant),
        "charts": curves.of_result(result["task"], kinds.find(result["task"]).FIGURES, folder, result["dataset"]),
        "template": _template(result["task"]),
        "tables": {path.stem: _records(path) for path in sorted((folder / "tables").glob("*.csv"))},
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
            **({"Precision": result["precision"]} if result.get("precision") else {}),
            "Seeds": ", ".join(map(str, result["seeds"])),
            **({"Against the committed numbers": verdict} if verdict else {}),
            "Commit": result["git_commit"],
            **({"First weights": result["pretrained"]} if "pretrained" in result else {}),
            **({"Trained before": experiment.after} if experiment.after != NONE else {}),
            **({"Judge": experiment.judge} if experiment.judge != NONE else {}),
        },
    }


def main_numbers(result: Mapping[str, Any]) -> list[Number]:
    """The headline metrics of a result, all of them where none is a headline."""
    known = [metric for metric in kinds.metrics(result["task"]).values() if metric.name in result["metrics"]]
    chosen = [metric for metric in known if metric.headline] or known
    return [number(metric, result) for metric in chosen][:HEADLINES_SHOWN]


def comparisons(result: Mapping[str, Any]) -> list[Comparison]:
    """A result beside the numbers that were published for it."""
    known = kinds.metrics(result["task"])
    return [compare(known[p["metric"]], p, result) for p in result["published"] if p["metric"] in result["metrics"]]


def peers(profile: Profile, result: Mapping[str, Any]) -> list[Comparison]:
    """A result beside networks that others published, which were measured here on the same test data (`python -m benchmarks`)."""
    metric = kinds.metrics(result["task"])[kinds.main_metric(result["task"])]
    found = [read_json(path) for path in sorted((profile.folder / "results").glob("peer-*/metrics.json"))]
    return [
        compare(
            metric,
            {
                "value": peer["metrics"][metric.name],
                "source": f"{peer['experiment'].removeprefix('peer-')}, measured here",
                "note": f"{peer['parameters']:,} parameters",
            },
            result,
        )
        for peer in found
        if peer and (peer["task"], peer["dataset"]) == (result["task"], result["dataset"]) and metric.name in result["metrics"]
    ]


def systems(results: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row a system: its best experiment, and the others as its variants.

    What was published was measured on one kind of target: where some experiments of a system stand beside published numbers, one of them is
    the best. Experiments on other data than the first one's do not compare with it, and are variants too.
    """
    groups: dict[str, list[str]] = {}
    for name, result in results.items():
        groups.setdefault(result["system"], []).append(name)
    rows = []
    for system, names in groups.items():
        chosen = [name for name in names if comparisons(results[name])] or names
        first = results[chosen[0]]
        metric = kinds.metrics(first["task"])[kinds.main_metric(first["task"])]
        same = [
            n for n in chosen if results[n]["dataset"] == first["dataset"] and metric.name in results[n]["metrics"]
        ] or chosen[:1]
        sign = 1 if metric.less_is_better else -1
        best = min(same, key=lambda name: sign * results[name]["metrics"].get(metric.name, 0.0))
        shown = {"experiment": best, "result": results[best], "variants": [n for n in names if n != best]}
        rows.append({"system": system, **shown, "lines": lines(main_numbers(results[best]), comparisons(results[best]))})
    return rows


def _figures(task: str, folder: Path, variant: bool = False) -> list[dict[str, Any]]:
    """The figures that are here, with their captions; of a result whose figures are elsewhere the one that git keeps."""
    named = (*kinds.find(task).FIGURES, *face_metrics.FIGURES, *kinds.COMMON_FIGURES)
    found = [
        _figure(place / f.file, f)
        for f in named
        for place in (folder / "plots", folder / "reliability")
        if (place / f.file).exists()
    ]
    if not found and (folder / SHOWN).exists():
        return [_figure(folder / SHOWN, named[0], variant)]
    return found


def _figure(path: Path, figure: Figure, variant: bool = False) -> dict[str, Any]:
    return {"uri": inlined(path, figure, variant), "caption": figure.caption, "kind": Path(figure.file).stem}


def inlined(path: Path, figure: Figure, variant: bool = False) -> str:
    """The data URI of a figure. The small picture that git keeps is lossy already, and stays so: a lossless copy has several times its bytes."""
    content = path.read_bytes()
    if path.name == SHOWN:
        copies = [content, _reduced(content)] if variant else [content]
        return min(*map(pictures.uri, copies), pictures.inline(content, photograph=True), key=len)
    return pictures.inline(content, figure.pixels)


def _reduced(content: bytes) -> bytes:
    """A WebP picture's copy of at most `VARIANT` pixels a side."""
    with Image.open(io.BytesIO(content)) as picture:
        picture.thumbnail((VARIANT, VARIANT), Image.Resampling.LANCZOS)
        smaller = io.BytesIO()
        picture.save(smaller, "webp", quality=50, alpha_quality=50, method=4)
    return smaller.getvalue()


def _template(task: str) -> str | None:
    """The template of what a kind's section adds, seen from tasks/."""
    name = f"kinds/{task}/section.html.j2"
    return name if (Path(__file__).resolve().parents[1] / name).is_file() else None


def _records(path: Path) -> list[dict[str, Any]]:
    try:
        records: list[dict[str, Any]] = pd.read_csv(path).to_dict("records")  # type: ignore[assignment]
    except pd.errors.EmptyDataError:
        return []
    return records


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)
