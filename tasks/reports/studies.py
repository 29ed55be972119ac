"""The report's sections of studies: the numbers of a study's blocks side by side, each block's figures beside its own numbers."""

from collections.abc import Mapping
from typing import Any

from tasks import studies
from tasks.kinds import Metric
from tasks.profile import Profile
from tasks.reports import curves
from tasks.reports.numbers import number
from tasks.reports.reading import read_json
from tasks.reports.sections import SHOWN, inlined

# The heading of studies that name none.
PAGE = "Studies"
# From here on a number has an exponent.
LARGE = 1e6


def results(profile: Profile) -> dict[str, dict[str, Any]]:
    """metrics.json of each study that has run."""
    read = {name: read_json(profile.results(name) / "metrics.json") for name in profile.params.studies}
    return {name: result for name, result in read.items() if result is not None}


def metrics(profile: Profile) -> list[Metric]:
    """The metrics of the studies that the profile has, in the order of params.yaml."""
    known = dict.fromkeys(block.study for block in profile.params.studies.values())
    return [metric for study in known for metric in studies.find(study).METRICS]


def pages(profile: Profile, found: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The headings, and under each its studies, in the order of params.yaml."""
    shown: dict[str, list[dict[str, Any]]] = {}
    for section in sections(profile, found):
        shown.setdefault(section["page"], []).append(section)
    return [{"title": title, "studies": under} for title, under in shown.items()]


def sections(profile: Profile, found: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A section a study: a column a block, a row a metric that at least one of them has."""
    shown = []
    for study in dict.fromkeys(block.study for block in profile.params.studies.values()):
        module = studies.find(study)
        names = [name for name, block in profile.params.studies.items() if block.study == study and name in found]
        if not names:
            continue
        measured = [m for m in module.METRICS if any(m.name in found[n]["metrics"] for n in names)]
        rows = [{"label": m.label, "numbers": [_number(m, found[n]) for n in names]} for m in measured]
        shown.append(
            {
                "study": study,
                "page": getattr(module, "PAGE", PAGE),
                "about": [" ".join(paragraph.split()) for paragraph in (module.__doc__ or study).split("\n\n")],
                "rows": rows,
                "charts": curves.of_study(study, {n: profile.results(n) for n in names}),
                "blocks": [_block(profile, n, module, found[n]) for n in names],
            }
        )
    return shown


def _number(metric: Metric, result: Mapping[str, Any]) -> str:
    """A metric as text with its unit; a dash where the block does not measure it."""
    if metric.name not in result["metrics"]:
        return "–"
    shown = number(metric, result)
    value = shown.value * metric.factor
    return f"{f'{value:.3e}' if abs(value) >= LARGE else shown.text} {shown.unit}".strip()


def _block(profile: Profile, name: str, module: Any, result: Mapping[str, Any]) -> dict[str, Any]:
    """A block's own part: what it is of, its first numbers, and its figures."""
    headlines = [number(m, result) for m in module.METRICS if m.headline and m.name in result["metrics"]]
    of = {"networks": ", ".join(dict.fromkeys(result.get("networks", {}).values())), "data": result["dataset"]}
    if "backbone" in result:
        of = {"losses of": result["system"], "backbone": result["backbone"], "data": result["dataset"]}
    study = profile.params.studies[name].study
    return {
        "name": name,
        "of": of,
        "headlines": headlines,
        "figures": _figures(profile, name, module),
        "charts": curves.of_result(study, module.FIGURES, profile.results(name), result["dataset"]),
    }


def _figures(profile: Profile, name: str, module: Any) -> list[dict[str, str]]:
    folder = profile.results(name)
    there = [(folder / "plots" / f.file, f) for f in module.FIGURES if (folder / "plots" / f.file).exists()]
    if not there and (folder / SHOWN).exists() and module.FIGURES:
        there = [(folder / SHOWN, module.FIGURES[0])]
    return [{"uri": inlined(path, f), "caption": f.caption} for path, f in there]
