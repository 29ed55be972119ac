"""Measure on validation when a network's answers can be trusted: `python -m tasks.calibrate EXPERIMENT`, for experiments on faces.

Faces are also blurred and shrunk here, as those in photographs are. Nothing of test is opened.
"""

import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import pandas as pd
import typer

from tasks import config
from tasks.common import bars, devices
from tasks.common.errors import Error
from tasks.common.files import write_json
from tasks.datasets import data
from tasks.faces import conditions
from tasks.faces.calibration import Calibration, fit_temperature, floor_of, log_loss, threshold_for
from tasks.faces.emotions import SIZE, Emotions, sharpness
from tasks.kinds.classify.data import labels as labels_of
from tasks.profile import Profile

# Standard deviations of the Gaussian that blurs, in pixels of a face of 48, and sides that faces are shrunk to, all with all.
SIGMAS = (0.0, 0.5, 1.0, 2.0, 3.0)
SIDES = (48, 40, 32, 24, 16, 12)
# The share of the answers that must be right, whatever the size and the detail of a face.
ACCURACY = 0.77


def calibrate(profile: Profile, name: str, out: Path | None = None) -> Calibration:
    """Choose temperature, conditions, thresholds and the rules of flags on validation; write them to results/<name>/calibration.json.

    A face is read together with its mirror image where that has the lower log loss.

    `out`: another folder. Raises Error for an unknown experiment, one that `calibrate` of params.yaml does not name, one that is not
    trained, and one on other data than emotions of grey faces.
    """
    wanted = profile.params.calibrate.get(name)
    if wanted is None:
        raise Error(f"calibrate: no {name!r} there; allowed: {', '.join(profile.params.calibrate) or 'nothing in this profile'}")
    val = data.Data(profile.processed(profile.experiment(name).data), "val")
    labels, faces = labels_of(val), list(val.images[..., 0])
    emotions = min(
        (trained(profile, name, Calibration(mirrored=both)) for both in (False, True)), key=partial(_loss, faces, labels)
    )
    mirrored = emotions.calibration.mirrored
    seen = worsened(emotions, faces, labels)
    temperature = fit_temperature(seen.logits[seen.whole], labels)
    fitted = conditions.fit(seen.logits / temperature, seen.measures, seen.labels)
    calibration = Calibration(mirrored=mirrored, temperature=temperature, conditions=fitted)
    table = seen.answered(calibration)
    threshold = threshold_for(table["confidence"][seen.whole].to_numpy(), wanted.coverage)
    right = table["correct"][seen.whole & (table["confidence"] >= threshold)].mean()
    # Where faces as they are do not reach the share, it is what they reach.
    readability, thresholds = conditions.choose(table, min(ACCURACY, right), threshold)
    fitted = fitted.model_copy(update={"readability": readability, "threshold": thresholds})
    table = seen.answered(calibration.model_copy(update={"conditions": fitted}))
    least = table["correct"][seen.whole].mean() - wanted.loss
    blurred, shrunk = table[table["side"] == SIZE], table[table["sigma"] == 0]
    calibration = Calibration(
        mirrored=mirrored,
        temperature=temperature,
        threshold=threshold,
        coverage=float(table["certain"][seen.whole].mean()),
        blurred=floor_of(blurred["sharpness"].to_numpy(), blurred["correct"].to_numpy(), least),
        small=floor_of(shrunk["side"].to_numpy(), shrunk["correct"].to_numpy(), least),
        conditions=fitted,
    )
    write_json((out or profile.results(name)) / "calibration.json", calibration.model_dump())
    return calibration


def _loss(faces: list[np.ndarray], labels: np.ndarray, emotions: Emotions) -> float:
    """The log loss of faces as they are, at the best temperature."""
    logits = emotions.logits(faces)
    return log_loss(logits, labels, fit_temperature(logits, labels))


def trained(profile: Profile, name: str, calibration: Calibration = Calibration()) -> Emotions:
    """The first seed of an experiment as it is used on photographs. Raises Error as `Emotions.load` does."""
    device = devices.choose(profile.params.device)
    loaded = Emotions.load(profile.weights(name))
    return Emotions(loaded.network, calibration, device, profile.experiment(name).train.precision)


@dataclass(frozen=True)
class Worsened:
    """Faces as they are, blurred, and shrunk, and what the network says of them; nothing of it is calibrated."""

    table: pd.DataFrame  # a row a face: sigma, side (pixels), sharpness
    logits: np.ndarray
    measures: np.ndarray
    labels: np.ndarray

    @property
    def whole(self) -> np.ndarray:
        """Which rows are those of faces as they are."""
        return ((self.table["sigma"] == 0) & (self.table["side"] == SIZE)).to_numpy()

    def answered(self, calibration: Calibration) -> pd.DataFrame:
        """The table with what the calibration makes of the logits: readability, answer, confidence, correct, certain; and the label."""
        probabilities = calibration.probabilities(self.logits, self.measures)
        answer, confidence = probabilities.argmax(1), probabilities.max(1)
        return self.table.assign(
            readability=calibration.conditions.readable(self.measures) if calibration.conditions else 1.0,
            label=self.labels,
            answer=answer,
            confidence=confidence,
            correct=answer == self.labels,
            certain=confidence >= calibration.thresholds(self.measures),
        )


def worsened(emotions: Emotions, faces: list[np.ndarray], labels: np.ndarray) -> Worsened:
    """Each face on each way: as it is, blurred, shrunk, and both."""
    tables, logits, seen = [], [], []
    ways = [*itertools.product(SIDES, SIGMAS)]
    for side, sigma in bars.track(ways, "blurred and shrunk faces"):
        worse = list(_worsen(faces, sigma, side))
        logits.append(emotions.logits(worse))
        seen.append(conditions.measures(worse))
        tables.append(pd.DataFrame({"sigma": sigma, "side": side, "sharpness": [sharpness(face) for face in worse]}))
    return Worsened(
        pd.concat(tables, ignore_index=True), np.concatenate(logits), np.concatenate(seen), np.tile(labels, len(ways))
    )


def _worsen(faces: list[np.ndarray], sigma: float, side: int) -> Iterator[np.ndarray]:
    for face in faces:
        worse = cv2.GaussianBlur(face, (0, 0), sigma) if sigma else face
        yield cv2.resize(worse, (side, side), interpolation=cv2.INTER_AREA) if side < SIZE else worse


def main(experiment: Annotated[str, typer.Argument(help="a key of `calibrate` in params.yaml, trained before")]) -> None:
    """Choose on validation: the temperature, below which probability an emotion is uncertain, which faces count as blurred or small."""
    chosen = calibrate(config.load(), experiment)
    numbers = chosen.model_dump(exclude={"mirrored", "conditions"})
    print(
        f"calibrated {experiment}{', with mirror images' if chosen.mirrored else ''}: "
        f"{', '.join(f'{key} {value:.4g}' for key, value in numbers.items())}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
