"""How far a calibrated network of emotions can be trusted, on test: `python -m tasks.reliability EXPERIMENT`.

A part of evaluation: it opens test, and chooses nothing (`tasks.calibrate` does, on validation).
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from scipy.special import softmax

from tasks import config
from tasks.calibrate import trained, worsened
from tasks.common.errors import Error
from tasks.common.files import atomic_folder, write_json
from tasks.datasets import data
from tasks.faces import reliability_figures
from tasks.faces.calibration import Calibration, accuracy_by_coverage, bins
from tasks.imaging import figures
from tasks.kinds.classify.data import labels as labels_of
from tasks.kinds.classify.metrics import calibration_error, classify
from tasks.profile import Profile

# Shares of the faces that get an answer.
COVERAGES = np.arange(1, 21) / 20


def reliability(profile: Profile, name: str) -> dict[str, Any]:
    """Measure calibration, coverage and robustness on test; write results/<name>/reliability.json, reliability/, and the faces' rows.

    Faces go the way that those of photographs go (`tasks.faces.emotions`). Raises Error where the experiment is not calibrated.
    """
    folder = profile.results(name)
    try:
        calibration = Calibration.model_validate_json((folder / "calibration.json").read_bytes())
    except FileNotFoundError:
        raise Error(f"{folder / 'calibration.json'}: no such file; run: dvc repro calibrate@{name}") from None
    emotions = trained(profile, name, calibration)
    processed = profile.processed(profile.experiment(name).data)
    info, test = data.info(processed), data.Data(processed, "test")
    labels, faces = labels_of(test), list(test.images[..., 0])
    logits = emotions.logits(faces)
    before, after = (softmax(values, axis=1).max(1) for values in (logits, logits / calibration.temperature))
    correct = logits.argmax(1) == labels
    certain = after >= calibration.threshold
    by_coverage = accuracy_by_coverage(after, correct, COVERAGES)
    table = worsened(emotions, faces, labels)
    scores = classify(logits, labels)
    result = {
        "experiment": name,
        "dataset": info.dataset,
        "n_val": info.counts["val"],
        "n_test": len(labels),
        **calibration.model_dump(exclude={"coverage"}),
        "metrics": {
            "accuracy": scores["accuracy"],
            "macro_f1": scores["macro_f1"],
            "ece": calibration_error(before, correct),
            "ece_calibrated": calibration_error(after, correct),
            "coverage": float(certain.mean()),
            "accuracy_certain": float(correct[certain].mean()) if certain.any() else 0.0,
            "accuracy_at_80": float(by_coverage[np.flatnonzero(np.isclose(COVERAGES, 0.8))[0]]),
        },
    }
    summary = _summary(table, calibration)
    with atomic_folder(folder / "reliability") as plots, atomic_folder(_evaluated(profile, name)) as rows:
        diagram = pd.concat([bins(before, correct).assign(calibrated=False), bins(after, correct).assign(calibrated=True)])
        coverage = pd.DataFrame({"coverage": COVERAGES, "uncertain": 1 - COVERAGES, "accuracy": by_coverage})
        for file, values in (("bins", diagram), ("coverage", coverage), ("worsened", summary)):
            values.to_csv(plots / f"{file}.csv", index=False, float_format="%.4f", lineterminator="\n")
        figures.save(reliability_figures.trust(diagram, coverage, result), plots / "calibration.png")
        figures.save(reliability_figures.robustness(table, summary, calibration), plots / "robustness.png")
        table.to_parquet(rows / "worsened.parquet", index=False)
    write_json(folder / "reliability.json", result)
    return result


def _evaluated(profile: Profile, name: str) -> Path:
    return profile.evaluated(f"{name}-reliability")


def _summary(table: pd.DataFrame, calibration: Calibration) -> pd.DataFrame:
    """A row a way of worsening: accuracy, the shares that are flagged, and the accuracy of what is not uncertain."""
    rows = []
    groups: Any = table.groupby(["sigma", "side"], sort=False)
    for (sigma, side), part in groups:
        certain = part["confidence"] >= calibration.threshold
        rows.append(
            {
                "sigma": sigma,
                "side": side,
                "sharpness": part["sharpness"].median(),
                "accuracy": part["correct"].mean(),
                "uncertain": 1 - certain.mean(),
                "accuracy_certain": part["correct"][certain].mean() if certain.any() else np.nan,
                "blurred": (part["sharpness"] < calibration.blurred).mean(),
                "small": float(side < calibration.small),
            }
        )
    return pd.DataFrame(rows)


def main(experiment: Annotated[str, typer.Argument(help="a key of `calibrate` in params.yaml, calibrated before")]) -> None:
    """Measure on test how far a calibrated network's answers can be trusted: calibration, coverage, blurred and small faces."""
    result = reliability(config.load(), experiment)
    numbers = ", ".join(f"{name} {value:.4f}" for name, value in result["metrics"].items())
    print(f"reliability of {experiment} on {result['n_test']} test faces: {numbers}", file=sys.stderr)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
