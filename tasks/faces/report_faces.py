"""What the report shows of annotated photographs: pictures, counts, speed, and how well faces were found where they are known."""

import json
from typing import Any

from tasks.datasets.emotions import EMOTIONS
from tasks.faces.annotations import FLAGS, UNCERTAIN
from tasks.faces.metrics import FOUND
from tasks.imaging import pictures
from tasks.profile import Profile


def results(profile: Profile) -> dict[str, dict[str, Any]]:
    """metrics.json of each block of `annotate` that has one."""
    found = {}
    for name in profile.params.annotate:
        path = profile.results(f"annotate-{name}") / "metrics.json"
        if path.exists():
            found[name] = json.loads(path.read_bytes())
    return found


def sections(profile: Profile) -> list[dict[str, Any]]:
    """A section a block. Where its pictures are elsewhere it has the one that git keeps."""
    shown = []
    for name, result in results(profile).items():
        folder, counts = profile.results(f"annotate-{name}"), result["counts"]
        photographs, figure = sorted((folder / "plots").glob("photograph-*.webp")), folder / "plots" / "found_faces.png"
        if not photographs and not figure.exists():
            photographs = [*folder.glob("shown.webp")]
        shown.append(
            {
                "name": f"annotate-{name}",
                "result": result,
                "photographs": [pictures.inline(path.read_bytes(), True) for path in photographs],
                "figure": pictures.inline(figure.read_bytes(), False) if figure.exists() else "",
                "measured": measured(profile, name, result),
                "emotions": [(emotion, counts[f"emotion_{emotion}"]) for emotion in (*EMOTIONS, UNCERTAIN)],
                "flags": [(flag, counts[f"flag_{flag}"]) for flag in FLAGS],
            }
        )
    return shown


def measured(profile: Profile, name: str, result: dict[str, Any]) -> dict[str, Any]:
    """How well faces were found, ours and each peer's (`python -m benchmarks faces`): a row a detector; empty where no faces are known."""
    found = {"ours": result} if result["metrics"] else {}
    for path in sorted(profile.folder.glob(f"results/peer-*-{name}/metrics.json")):
        peer = path.parent.name.removeprefix("peer-").removesuffix(f"-{name}")
        found |= {peer: json.loads(path.read_bytes())} if found else {}
    shown = [metric for metric in FOUND if any(metric.name in of["metrics"] for of in found.values())]
    rows = [
        (
            who,
            [
                f"{metric.text(of['metrics'][metric.name])} {metric.unit}" if metric.name in of["metrics"] else ""
                for metric in shown
            ],
        )
        for who, of in found.items()
    ]
    return {"head": [metric.label for metric in shown], "rows": rows} if rows else {}
