"""Annotate the faces of a folder of photographs, on demand or on a schedule of an inbox. `python -m flows.annotate --help`"""

from pathlib import Path
from typing import Annotated, Any

import typer
from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from flows.paths import reach
from tasks import annotate as annotation
from tasks import config
from tasks.imaging.suffixes import SUFFIXES

INBOX, ANNOTATED = "runs/inbox", "runs/annotated"

run_annotation = task(name="annotate", cache_policy=NO_CACHE, log_prints=True)(annotation.annotate)


@task(cache_policy=NO_CACHE)
def publish(summary: dict[str, Any], to: Path) -> None:
    """Show the counts beside the run."""
    shown = ("photographs", "done", "unchanged", "faces", "without_face", "unreadable", "photographs_per_second")
    rows = [{"what": key.replace("_", " "), "count": summary[key]} for key in shown]
    rows += [{"what": f"not annotated: {reason}", "count": count} for reason, count in summary["reasons"].items()]
    rows += [
        {"what": key.replace("_", " "), "count": value} for key, value in summary.items() if key.startswith(("emotion_", "flag_"))
    ]
    create_table_artifact(rows, key="annotate", description=f"{summary['faces']} faces; open {to / 'contact-sheet.html'}")


@flow(flow_run_name="annotate-{source}")
def annotate(
    source: str = INBOX, to: str = ANNOTATED, profile: str = ".", workers: int | None = None, wait: bool = False
) -> dict[str, Any] | None:
    """Annotate the photographs of a folder, a glob or a list into a folder; what is finished is not done again.

    Paths are seen from the project's folder. `wait`: an empty or missing folder is no error, as an inbox may be. Nothing is said of one.
    """
    loaded, found, out = config.load(reach(profile), experiments=False), reach(source), reach(to)
    if wait:
        found.mkdir(parents=True, exist_ok=True)
        if not any(path.suffix.lower() in SUFFIXES for path in found.rglob("*")):
            return None
    summary = run_annotation(loaded, str(found), out, workers=workers)
    publish(summary, out)
    return summary


def main(
    source: Annotated[str, typer.Argument(metavar="IN", help="a folder, a 'glob', or a .txt file with a path a line")],
    to: Annotated[Path, typer.Argument(metavar="OUT", help="the folder for tables, pictures and contact sheet")],
    profile: Annotated[str, typer.Option(help="the folder of a params.yaml, seen from the project's")] = ".",
    workers: Annotated[int | None, typer.Option(min=0, help="actors; 0: in this process; by default a processor each")] = None,
) -> None:
    """Annotate photographs under Prefect."""
    summary = annotate(str(Path(source).absolute()), str(to.absolute()), profile, workers)
    assert summary is not None
    annotation.report(summary, to)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
