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
                "measured": [
                    (metric.label, f"{metric.text(result['metrics'][metric.name])} {metric.unit}")
                    for metric in FOUND
                    if metric.name in result["metrics"]
                ],
                "emotions": [(emotion, counts[f"emotion_{emotion}"]) for emotion in (*EMOTIONS, UNCERTAIN)],
                "flags": [(flag, counts[f"flag_{flag}"]) for flag in FLAGS],
            }
        )
    return shown
