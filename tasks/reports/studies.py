"""The report's section of each study: its numbers side by side with those of the same study on other networks, and its figures."""

from collections.abc import Mapping
from typing import Any

from tasks import studies
from tasks.kinds import Metric
from tasks.profile import Profile
from tasks.reports.numbers import number
from tasks.reports.reading import read_json
from tasks.reports.sections import SHOWN, inlined


def results(profile: Profile) -> dict[str, dict[str, Any]]:
    """metrics.json of each study that has run."""
    read = {name: read_json(profile.results(name) / "metrics.json") for name in profile.params.studies}
    return {name: result for name, result in read.items() if result is not None}


def metrics(profile: Profile) -> list[Metric]:
    """The metrics of the studies that the profile has."""
    return [
        metric for study in {block.study for block in profile.params.studies.values()} for metric in studies.find(study).METRICS
    ]


def sections(profile: Profile, found: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A section a study, with a row a block."""
    shown = []
    for study in dict.fromkeys(block.study for block in profile.params.studies.values()):
        module = studies.find(study)
        names = [name for name, block in profile.params.studies.items() if block.study == study and name in found]
        if not names:
            continue
        rows = [
            {"name": n, "numbers": [number(m, found[n]) for m in module.METRICS if m.name in found[n]["metrics"]]} for n in names
        ]
        about = (module.__doc__ or study).strip().splitlines()[0]
        shown.append(
            {"study": study, "about": about, "rows": rows, "figures": [f for n in names for f in _figures(profile, n, module)]}
        )
    return shown


def _figures(profile: Profile, name: str, module: Any) -> list[dict[str, str]]:
    folder = profile.results(name)
    there = [(folder / "plots" / f.file, f) for f in module.FIGURES if (folder / "plots" / f.file).exists()]
    if not there and (folder / SHOWN).exists() and module.FIGURES:
        there = [(folder / SHOWN, module.FIGURES[0])]
    return [{"uri": inlined(path, f), "caption": f"{name}: {f.caption}"} for path, f in there]
