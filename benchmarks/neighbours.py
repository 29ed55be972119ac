"""k nearest neighbours against scikit-learn's brute force, on the same images and in the same precision."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.neighbors import KNeighborsClassifier

import models
from benchmarks.timing import compare
from benchmarks.training import prepared
from tasks.datasets import data
from tasks.kinds.classify.data import labels, shape
from tasks.learning.tensors import predict

QUERIES = 2000
K = 10


def run(root: Path) -> list[dict[str, Any]]:
    profile, name = prepared(root, "knn")
    folder = profile.processed(profile.experiment(name).data)
    info = data.info(folder)
    train, val = data.Data(folder, "train"), data.Data(folder, "val")
    queries = val.images[:QUERIES]
    # Channels before rows and columns, as networks have them.
    known, asked = (np.moveaxis(images, 3, 1).reshape(len(images), -1) for images in (train.images, queries))

    # What a training leaves in the network, without its search for k.
    network = models.build("knn", shape(info), {"candidates": (K,)})
    network.load_state_dict(
        {
            "images": torch.from_numpy(known),
            "labels": torch.from_numpy(labels(train)),
            "k": torch.tensor(K),
        }
    )
    reference = KNeighborsClassifier(K, algorithm="brute").fit(known.astype(np.float32) / 255, labels(train))
    flat = asked.astype(np.float32) / 255
    found: dict[str, np.ndarray] = {}

    def ours() -> int:
        found["ours"] = predict(network, queries, precision="fp32").argmax(1)
        return len(queries)

    def theirs() -> int:
        found["theirs"] = reference.predict(flat)
        return len(queries)

    row = compare(
        "nearest_neighbours",
        ours,
        theirs,
        unit="images",
        description=f"k nearest neighbours of {len(queries)} among {len(train)} images ({info.dataset}): "
        "our blocked search against scikit-learn's KNeighborsClassifier, brute force",
        floor=1.0,
        repeats=3,
        dataset=info.dataset,
    )
    # Where votes are equal, ours goes to the nearer neighbours and scikit-learn to the first class.
    return [{**row, "agreement": round(float((found["ours"] == found["theirs"]).mean()), 4)}]
