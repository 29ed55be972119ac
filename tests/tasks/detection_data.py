"""Prepared detection data of a second: bright squares of two colours on dark noise, the classes of which are the colours."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from tasks import config
from tasks.common.files import write_json
from tasks.datasets.data import Info
from tasks.profile import Profile

CLASSES = ("red", "green")


def write_scenes(folder: Path, counts: dict[str, int], size: int = 64, classes: tuple[str, ...] = CLASSES) -> None:
    rng = np.random.default_rng(0)
    for split, count in counts.items():
        (folder / split).mkdir(parents=True)
        images = rng.integers(0, 60, (count, size, size, 3), dtype=np.uint8)
        rows: list[tuple[Any, ...]] = []
        # The first image has no objects.
        for image in range(1, count):
            # A quarter of the image each: no object hides another.
            for quarter in rng.choice(4, rng.integers(1, 4), replace=False):
                side = int(rng.integers(size // 4, size * 7 // 16))
                x, y = rng.integers(0, size // 2 - side, 2) + size // 2 * np.array([quarter % 2, quarter // 2])
                label = int(rng.integers(2))
                images[image, y : y + side, x : x + side] = 40
                images[image, y : y + side, x : x + side, label] = 230
                rows.append((image, label % len(classes), x, y, x + side, y + side, len(rows) % 7 == 6))
        np.save(folder / split / "images.npy", images)
        index = pd.DataFrame({"file": [f"{split}-{i}.png" for i in range(count)], "width": size, "height": size})
        index.to_parquet(folder / split / "index.parquet")
        boxes = pd.DataFrame(rows, columns=["image", "label", "x1", "y1", "x2", "y2", "difficult"])
        boxes.astype(dict.fromkeys(("x1", "y1", "x2", "y2"), np.float32)).to_parquet(folder / split / "boxes.parquet")
    info = Info(
        name=folder.name, dataset="scenes", task="detect", origin="package", licence="test", size=size, channels=3, classes=classes,
        counts=counts, mean=(0.3,) * 3, std=(0.2,) * 3, skipped=0, hash="0" * 64, settings={},
    )  # fmt: skip
    write_json(folder / "dataset.json", info.model_dump())


def detection_profile(folder: Path, network: str, counts: dict[str, int] | None = None, **changes: Any) -> Profile:
    """A profile with the one experiment `squares`; `changes` go into its recipe, `architecture` beside it, `classes` into its data."""
    architecture, classes = changes.pop("architecture", {}), changes.pop("classes", CLASSES)
    recipe = {"epochs": 2, "batch_size": 8, "loss": "detection", "optimizer": {"name": "adamw", "lr": 2e-3}, **changes}
    if network in ("yolov8", "yolo11"):
        recipe = {"schedule": {"name": "cosine"}, "trainer": {"warmup_epochs": 0, "nbs": 8}} | recipe
    block = {
        "system": network,
        "data": "squares",
        "network": network,
        "architecture": architecture,
        "train": recipe,
        "seeds": [0],
        "published": [],
    }
    params = {
        "root": ".",
        "device": "cpu",
        "download": {"scenes": {}},
        "preprocess": {"squares": {"dataset": "scenes", "task": "detect", "size": 64}},
        "experiments": {"squares": block},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    if not (folder / "data").exists():
        write_scenes(folder / "data" / "processed" / "squares", counts or {"train": 24, "val": 8, "test": 12}, classes=classes)
    return config.load(folder)
