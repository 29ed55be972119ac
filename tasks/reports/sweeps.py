"""The report's section of each sweep: what it found, what it cost, and its figures."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from tasks.imaging import pictures
from tasks.profile import Profile
from tasks.reports.sections import SHOWN

FIGURES = {
    "front.png": "Validation loss and parameters of every trial that trained, and those that no other one betters in both.",
    "parallel.png": "A line a trial across what was drawn for it; the winner in orange, trials that were stopped faint.",
    "importance.png": "How much of the spread of the validation loss each value explains (Optuna, fANOVA), over trials that ran to their end.",
    "rungs.png": "Every trial's validation loss by epoch; dotted, ASHA's rungs, above them how many trials reached each.",
    "cost.png": "Seconds of training a trial.",
}
TRIALS = 12


def sections(profile: Profile) -> list[dict[str, Any]]:
    """What report_sweeps.html.j2 shows of each sweep that has run."""
    found = []
    for name, options in profile.params.sweeps.items():
        folder = profile.results(name)
        if not (folder / "metrics.json").exists():
            continue
        result, best = (json.loads((folder / file).read_bytes()) for file in ("metrics.json", "best.json"))
        trials = pd.read_csv(folder / "trials.csv")
        ended = trials[trials["state"] == "complete"].sort_values(["parameters", "val_loss"])
        found.append(
            {
                "name": name,
                "result": result,
                "best": best,
                "space": [*options.space],
                "trials": ended.head(TRIALS).to_dict("records"),
                "ended": len(ended),
                "winners": [winner for winner, block in profile.params.experiments.items() if block.sweep == name],
                "figures": _figures(folder),
            }
        )
    return found


def _figures(folder: Path) -> list[dict[str, str]]:
    """The figures that are here, otherwise the one that git keeps."""
    found = [(folder / "plots" / file, caption) for file, caption in FIGURES.items() if (folder / "plots" / file).exists()]
    if not found and (folder / SHOWN).exists():
        found = [(folder / SHOWN, FIGURES["front.png"])]
    return [{"uri": pictures.inline(path.read_bytes()), "caption": caption} for path, caption in found]
