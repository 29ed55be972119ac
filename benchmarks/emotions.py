"""Emotions of faces in batches against DeepFace face by face, with the same weights, on the same crops."""

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import skimage.data
import torch

from benchmarks.timing import compare, rate
from tasks.faces.emotions import BATCH, EMBEDDED, EMOTIONS, Emotions, export

FACES = 1000
WEIGHTS = EMBEDDED.with_name("emotion-deepface.safetensors")


def run(root: Path) -> list[dict[str, Any]]:
    faces = crops(FACES)
    with TemporaryDirectory() as home:
        # DeepFace downloads what it does not find there.
        os.environ["DEEPFACE_HOME"] = home
        export(WEIGHTS, Path(home))
        return _compare(faces)


def crops(count: int) -> list[np.ndarray]:
    """Crops of a face as a detector gives them: at many sizes, shifted, mirrored."""
    rng = np.random.default_rng(0)
    photograph = skimage.data.astronaut()
    found = []
    for _ in range(count):
        (y, x), side = rng.integers((20, 145), (50, 165)), int(rng.integers(110, 160))
        face = photograph[y : y + side, x : x + side][:, :: int(rng.choice((-1, 1)))]
        size = int(rng.integers(40, 200))
        found.append(
            cv2.resize(np.ascontiguousarray(face), (size, int(size * rng.uniform(0.9, 1.3))), interpolation=cv2.INTER_AREA)
        )
    return found


def _compare(faces: list[np.ndarray]) -> list[dict[str, Any]]:
    from deepface import DeepFace

    network = Emotions.load(WEIGHTS).network
    batched, exact = Emotions(network), Emotions(network, precision="fp32")
    # DeepFace takes pictures in BGR order.
    pictures = [np.ascontiguousarray(face[..., ::-1]) for face in faces]
    found: dict[str, np.ndarray] = {}

    def ours() -> int:
        found["ours"] = batched.probabilities(faces)
        return len(faces)

    def deepface(detector: str, count: int) -> Callable[[], int]:
        def analyse() -> int:
            results = [
                DeepFace.analyze(picture, ["emotion"], enforce_detection=False, detector_backend=detector, silent=True)[0]
                for picture in pictures[:count]
            ]
            found[detector] = np.array([[result["emotion"][name] / 100 for name in EMOTIONS] for result in results])
            return count

        return analyse

    made = f"{len(faces)} crops of a face, 40 to 200 pixels wide; DeepFace's network, one set of weights; bf16 in batches of {BATCH} against "
    rows = [
        compare(
            "emotions_batched",
            ours,
            deepface("skip", len(faces)),
            unit="emotions",
            description=f"{made}DeepFace.analyze(detector_backend='skip') face by face",
            floor=7.0,
            threads=torch.get_num_threads(),
        ),
        compare(
            "emotions_published",
            ours,
            deepface("opencv", len(faces) // 4),
            unit="emotions",
            description=f"{made}the published call, which detects again inside each crop (a quarter of them)",
            floor=25.0,
            repeats=3,
            threads=torch.get_num_threads(),
        ),
    ]
    theirs, fp32 = found["skip"], exact.probabilities(faces)
    rows[0] |= {
        "same_class_fp32": float((fp32.argmax(1) == theirs.argmax(1)).mean()),
        "same_class_bf16": float((found["ours"].argmax(1) == theirs.argmax(1)).mean()),
        "within_0.02_bf16": float((np.abs(found["ours"] - theirs).max(1) <= 0.02).mean()),
        "largest_difference_bf16": round(float(np.abs(found["ours"] - theirs).max()), 5),
        "by_batch": {str(size): round(rate(_in_batches(batched, faces, size)), 1) for size in (1, 16, 64, 256)},
        "fp32": round(rate(_in_batches(exact, faces, BATCH)), 1),
    }
    return rows


def _in_batches(emotions: Emotions, faces: list[np.ndarray], size: int) -> Callable[[], int]:
    def work() -> int:
        for start in range(0, len(faces), size):
            emotions.logits(faces[start : start + size], size)
        return len(faces)

    return work
