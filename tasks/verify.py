"""Whether a rebuild agrees with the numbers that git keeps: `python -m tasks.verify`.

On one machine equal code gives equal numbers, to the last bit. Between processors they move, since sums are taken in other orders: of a
seed by up to four points of accuracy. A rebuild agrees where it is within the metric's tolerance, or within three standard deviations
over the recorded seeds. A result that is the commit's own file, as it is after a clone or once weights were fetched from a cache, was not
rebuilt.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table

from tasks import config, kinds
from tasks.common.errors import Error
from tasks.kinds import Metric
from tasks.profile import Profile
from tasks.reports.reading import read_json

Verdict = Literal["identical", "agrees", "differs", "new", "not rebuilt"]
DEVIATIONS = 3


@dataclass(frozen=True)
class Verified:
    """An experiment's verdict, and the metric that is furthest from what is committed, in shares of what is allowed."""

    name: str
    verdict: Verdict
    metric: Metric | None = None
    committed: float = 0.0
    here: float = 0.0
    share: float = 0.0


def verify(profile: Profile) -> list[Verified]:
    """Hold the results of every experiment that was rebuilt here against those of the commit that is checked out.

    Raises Error outside a git repository.
    """
    return [_verified(profile, name) for name in profile.params.experiments]


def _verified(profile: Profile, name: str) -> Verified:
    path = profile.results(name) / "metrics.json"
    here, committed = read_json(path), _committed(profile, path)
    if here is None or (committed is not None and path.read_bytes() == committed):
        return Verified(name, "not rebuilt")
    if committed is None:
        return Verified(name, "new")
    return compare(name, json.loads(committed), here)


def compare(name: str, committed: Mapping[str, Any], here: Mapping[str, Any]) -> Verified:
    """The verdict of two results of one experiment."""
    if committed["metrics"] == here["metrics"]:
        return Verified(name, "identical")
    known = kinds.metrics(here["task"])
    worst = Verified(name, "agrees")
    for key, value in committed["metrics"].items():
        if key not in here["metrics"]:
            return Verified(name, "differs", known.get(key), value, float("nan"), float("inf"))
        metric = known[key]
        spread = DEVIATIONS * committed.get("metrics_std", {}).get(key, 0.0)
        # A number that is all but nothing has no share of itself to move by: what is not seen in the table does not count.
        unseen = 10.0**-metric.decimals / metric.factor
        share = abs(here["metrics"][key] - value) / max(metric.allowed(value), spread, unseen)
        if share >= worst.share:
            worst = Verified(name, "agrees" if share <= 1 else "differs", metric, value, here["metrics"][key], share)
    return worst


def _committed(profile: Profile, path: Path) -> bytes | None:
    """A file as the commit that is checked out has it; None where it has none."""
    place = path.resolve().relative_to(profile.root).as_posix()
    done = subprocess.run(["git", "show", f"HEAD:./{place}"], cwd=profile.root, capture_output=True, check=False)
    if done.returncode:
        if b"not a git repository" in done.stderr:
            raise Error(f"{profile.root}: not a git repository, so nothing is committed that results could be held against")
        return None
    return done.stdout


def main() -> None:
    """Hold the results of this folder's profile against those of the commit that is checked out: a table, and 1 where one differs."""
    profile = config.load(networks=False)
    found = verify(profile)
    if all(one.verdict == "not rebuilt" for one in found):
        raise Error("nothing was rebuilt here; run: make rebuild, then make verify")
    # Names are read whole on narrow terminals, too.
    named, said = Column("experiment", no_wrap=True, overflow="fold"), Column("verdict", no_wrap=True)
    table = Table(named, said, "metric", "committed", "here", "of allowed", box=SIMPLE_HEAD)
    for one in found:
        if one.metric:
            numbers = (one.metric.label, one.metric.text(one.committed), one.metric.text(one.here), f"{100 * one.share:.0f} %")
        else:
            numbers = ("", "", "", "")
        table.add_row(one.name, one.verdict, *numbers)
    Console().print(table)
    if differing := [one.name for one in found if one.verdict == "differs"]:
        sys.exit(f"{len(differing)} of {len(found)} differ: {', '.join(differing)}")


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
