"""How far a calibrated network of emotions can be trusted, on test: `python -m tasks.reliability EXPERIMENT`.

A part of evaluation: it opens test, and chooses nothing (`tasks.calibrate` does, on validation).
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from scipy.special import softmax

from tasks import config
from tasks.calibrate import trained, worsened
from tasks.common.errors import Error
from tasks.common.files import atomic_folder, sha256, write_json
from tasks.datasets import data
from tasks.faces import reliability_figures
from tasks.faces.calibration import Calibration, accuracy_by_coverage, bins
from tasks.imaging import figures
from tasks.kinds.classify.data import labels as labels_of
from tasks.kinds.classify.metrics import calibration_error, macro_f1
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
    seen = worsened(emotions, list(test.images[..., 0]), labels_of(test))
    table = seen.answered(calibration)
    raw, labels = seen.logits[seen.whole], seen.labels[seen.whole]
    before = softmax(raw, axis=1).max(1), raw.argmax(1) == labels
    own = table[seen.whole]
    after = own["confidence"].to_numpy(), own["correct"].to_numpy()
    by_coverage = accuracy_by_coverage(*after, COVERAGES)
    summary = summarise(table, calibration)
    result = {
        "experiment": name,
        "dataset": info.dataset,
        "n_val": info.counts["val"],
        "n_test": len(labels),
        "weights": sha256(profile.weights(name)),
        **calibration.model_dump(exclude={"coverage", "conditions"}),
        "metrics": {
            "accuracy": float(after[1].mean()),
            "macro_f1": macro_f1(own["answer"].to_numpy(), labels, len(info.classes)),
            "ece": calibration_error(*before),
            "ece_calibrated": calibration_error(*after),
            "coverage": float(own["certain"].mean()),
            "accuracy_certain": float(own["correct"][own["certain"]].mean()) if own["certain"].any() else 0.0,
            "accuracy_at_80": float(by_coverage[np.flatnonzero(np.isclose(COVERAGES, 0.8))[0]]),
        },
        "worst": worst(summary),
        "ways": {_way(row): _numbers(row) for row in summary.to_dict("records")},
    }
    with atomic_folder(folder / "reliability") as plots, atomic_folder(_evaluated(profile, name)) as rows:
        diagram = pd.concat([bins(*before).assign(calibrated=False), bins(*after).assign(calibrated=True)])
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


def summarise(table: pd.DataFrame, calibration: Calibration) -> pd.DataFrame:
    """A row a way of worsening: how often answers and confidence are right, how many faces get an answer, which are flagged.

    `most`: of the classes, the one that is answered most often in proportion to how often it is there, among the faces with an answer;
    `most_of_all`: among all faces.
    """
    rows = []
    groups: Any = table.groupby(["sigma", "side"], sort=False)
    for (sigma, side), part in groups:
        answers = part[part["certain"]]
        rows.append(
            {
                "sigma": sigma,
                "side": side,
                "sharpness": part["sharpness"].median(),
                "readability": part["readability"].mean(),
                "accuracy": part["correct"].mean(),
                "ece": calibration_error(part["confidence"].to_numpy(), part["correct"].to_numpy()),
                "answers": len(answers),
                "uncertain": 1 - len(answers) / len(part),
                "accuracy_certain": answers["correct"].mean() if len(answers) else np.nan,
                "most": _most(answers["answer"], answers["label"]),
                "most_of_all": _most(answers["answer"], part["label"]),
                "blurred": (part["sharpness"] < calibration.blurred).mean(),
                "small": float(side < calibration.small),
            }
        )
    return pd.DataFrame(rows)


def _way(row: Mapping[Any, Any]) -> str:
    return f"{row['side']} px" + (f", blurred {row['sigma']:g}" if row["sigma"] else "")


def _numbers(row: Mapping[Any, Any]) -> dict[str, float | None]:
    """What reliability.json has of a way; None where there are no answers."""
    kept = ("accuracy", "ece", "uncertain", "accuracy_certain", "most", "most_of_all")
    return {name: None if np.isnan(row[name]) else float(row[name]) for name in kept}


def worst(summary: pd.DataFrame) -> dict[str, float]:
    """The worst way's numbers; of answers where at least 1 % of the faces get one."""
    answered = summary[summary["uncertain"] <= 0.99]
    return {
        "ece": float(summary["ece"].max()),
        "accuracy_certain": float(answered["accuracy_certain"].min()) if len(answered) else 0.0,
        "most": float(answered["most"].max()) if len(answered) else 0.0,
    }


def _most(answers: pd.Series, labels: pd.Series) -> float:
    """The largest ratio of a class's count among `answers` to that among `labels`; a class that is not there counts as there once."""
    counts = answers.value_counts()
    there = labels.value_counts().reindex(counts.index).fillna(1)
    return float((counts / there).max()) if len(counts) else np.nan


def main(experiment: Annotated[str, typer.Argument(help="a key of `calibrate` in params.yaml, calibrated before")]) -> None:
    """Measure on test how far a calibrated network's answers can be trusted: calibration, coverage, blurred and small faces."""
    result = reliability(config.load(), experiment)
    numbers = ", ".join(f"{name} {value:.4f}" for name, value in result["metrics"].items())
    print(f"reliability of {experiment} on {result['n_test']} test faces: {numbers}", file=sys.stderr)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
