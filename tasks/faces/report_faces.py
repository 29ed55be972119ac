"""What the report shows of annotated photographs: pictures, counts, speed, and how well faces were found where they are known."""

import json
from typing import Any

import pandas as pd

from tasks.datasets.emotions import EMOTIONS
from tasks.faces.annotations import FLAGS, UNCERTAIN
from tasks.imaging import pictures
from tasks.profile import Profile

# Of metrics, what the page calls them.
MEASURED = {
    "map50": "AP at IoU 0.5",
    "recall": "Recall",
    "precision": "Precision",
    "f1": "F1",
    "map50_without_tiles": "AP without tiles",
    "recall_without_tiles": "Recall without tiles",
    "precision_without_tiles": "Precision without tiles",
}


def results(profile: Profile) -> dict[str, dict[str, Any]]:
    """metrics.json of each block of `annotate` that has one."""
    found = {}
    for name in profile.params.annotate:
        path = profile.results(f"annotate-{name}") / "metrics.json"
        if path.exists():
            found[name] = json.loads(path.read_bytes())
    return found


def sections(profile: Profile) -> list[dict[str, Any]]:
    """A section a block."""
    shown = []
    for name, result in results(profile).items():
        plots, counts = profile.results(f"annotate-{name}") / "plots", result["counts"]
        shown.append(
            {
                "name": f"annotate-{name}",
                "result": result,
                "photographs": [pictures.inline(path.read_bytes(), True) for path in sorted(plots.glob("photograph-*.webp"))],
                "figure": pictures.inline((plots / "found_faces.png").read_bytes(), False)
                if (plots / "found_faces.png").exists()
                else "",
                "measured": [
                    (words, f"{100 * result['metrics'][key]:.2f} %")
                    for key, words in MEASURED.items()
                    if key in result["metrics"]
                ],
                "emotions": [(emotion, counts[f"emotion_{emotion}"]) for emotion in (*EMOTIONS, UNCERTAIN)],
                "flags": [(flag, counts[f"flag_{flag}"]) for flag in FLAGS],
                "tables": [
                    (words, pd.read_csv(plots / f"{file}.csv").to_dict("records"))
                    for file, words in (("recall_by_size", "pixels"), ("recall_by_count", "faces"))
                    if (plots / f"{file}.csv").exists()
                ],
            }
        )
    return shown
