"""Measure on validation when a network's answers can be trusted: `python -m tasks.calibrate EXPERIMENT`, for experiments on faces.

Faces are also blurred and shrunk here, as those in photographs are. Nothing of test is opened.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import pandas as pd
import typer
from scipy.special import softmax

from tasks import config
from tasks.common import bars, devices
from tasks.common.errors import Error
from tasks.common.files import write_json
from tasks.datasets import data
from tasks.faces.calibration import Calibration, fit_temperature, floor_of, threshold_for
from tasks.faces.emotions import SIZE, Emotions, sharpness
from tasks.kinds.classify.data import labels as labels_of
from tasks.profile import Profile

# Standard deviations of the Gaussian that blurs, and sides that faces are shrunk to, in pixels of a face of 48.
SIGMAS = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
SIDES = (40, 32, 24, 20, 16, 12, 10, 8)


def calibrate(profile: Profile, name: str, out: Path | None = None) -> Calibration:
    """Choose temperature, threshold and the rules of flags on validation; write them to results/<name>/calibration.json.

    `out`: another folder. Raises Error for an unknown experiment, one that `calibrate` of params.yaml does not name, one that is not
    trained, and one on other data than emotions of grey faces.
    """
    wanted = profile.params.calibrate.get(name)
    if wanted is None:
        raise Error(f"calibrate: no {name!r} there; allowed: {', '.join(profile.params.calibrate) or 'nothing in this profile'}")
    emotions = trained(profile, name)
    val = data.Data(profile.processed(profile.experiment(name).data), "val")
    labels, faces = labels_of(val), list(val.images[..., 0])
    logits = emotions.logits(faces)
    temperature = fit_temperature(logits, labels)
    confidence = softmax(logits / temperature, axis=1).max(1)
    threshold = threshold_for(confidence, wanted.coverage)
    table = worsened(emotions, faces, labels)
    least = (logits.argmax(1) == labels).mean() - wanted.loss
    blurred = table[table["side"] == SIZE]
    shrunk = table[table["sigma"] == 0]
    calibration = Calibration(
        temperature=temperature,
        threshold=threshold,
        coverage=float((confidence >= threshold).mean()),
        blurred=floor_of(blurred["sharpness"].to_numpy(), blurred["correct"].to_numpy(), least),
        small=floor_of(shrunk["side"].to_numpy(), shrunk["correct"].to_numpy(), least),
    )
    write_json((out or profile.results(name)) / "calibration.json", calibration.model_dump())
    return calibration


def trained(profile: Profile, name: str, calibration: Calibration = Calibration()) -> Emotions:
    """The first seed of an experiment as it is used on photographs. Raises Error as `Emotions.load` does."""
    device = devices.choose(profile.params.device)
    loaded = Emotions.load(profile.weights(name))
    return Emotions(loaded.network, calibration, device, profile.experiment(name).train.precision)


def worsened(emotions: Emotions, faces: list[np.ndarray], labels: np.ndarray) -> pd.DataFrame:
    """A row for each face as it is, blurred and shrunk: sigma, side (pixels), sharpness, confidence, correct."""
    parts = []
    ways = [(0.0, SIZE), *((sigma, SIZE) for sigma in SIGMAS), *((0.0, side) for side in SIDES)]
    for sigma, side in bars.track(ways, "blurred and shrunk faces"):
        worse = list(_worsen(faces, sigma, side))
        probabilities = emotions.probabilities(worse)
        part = pd.DataFrame({"sharpness": [sharpness(face) for face in worse]})
        part["confidence"], part["correct"] = probabilities.max(1), probabilities.argmax(1) == labels
        parts.append(part.assign(sigma=sigma, side=side))
    return pd.concat(parts, ignore_index=True)


def _worsen(faces: list[np.ndarray], sigma: float, side: int) -> Iterator[np.ndarray]:
    for face in faces:
        worse = cv2.GaussianBlur(face, (0, 0), sigma) if sigma else face
        yield cv2.resize(worse, (side, side), interpolation=cv2.INTER_AREA) if side < SIZE else worse


def main(experiment: Annotated[str, typer.Argument(help="a key of `calibrate` in params.yaml, trained before")]) -> None:
    """Choose on validation: the temperature, below which probability an emotion is uncertain, which faces count as blurred or small."""
    chosen = calibrate(config.load(), experiment)
    print(f"calibrated {experiment}: {', '.join(f'{key} {value:.4g}' for key, value in chosen)}", file=sys.stderr)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
