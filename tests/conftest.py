"""What the tests share: a tiny profile whose prepared data are made here, so that a test of one step needs no other step."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from tasks import config
from tasks.common.cli import QUIET
from tasks.common.files import write_json
from tasks.datasets.data import Info

ROOT = Path(__file__).parents[1]


# Minutes each: `make test` gives the files of a run to two processes in this order, and the last one should be a short one.
LONGEST = ("test_serve.py", "test_sweep_survives.py", "test_sweep.py", "test_demo_browser.py", "test_train.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(autouse=True)
def _same_first_weights() -> None:
    """Untrained networks of a test have the same weights whichever tests ran before, so that no test passes by luck."""
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def _quiet(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No library reports home, and none writes into the user's home."""
    patch = pytest.MonkeyPatch()
    for name, value in QUIET.items():
        patch.setenv(name, value)
    patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db")
    # Tiny networks: a second thread costs more than it does, on a busy machine much more.
    torch.set_num_threads(1)
    patch.setenv("OMP_NUM_THREADS", "1")


def experiment(task: str, **train: Any) -> dict[str, Any]:
    """A block of `experiments` that trains in a second."""
    classify = task == "classify"
    return {
        "system": "cnn" if classify else "sobel-autoencoder",
        "data": "tiny-classes" if classify else "tiny-pairs",
        "network": "cnn" if classify else "autoencoder",
        "architecture": {"widths": [8, 8]} if classify else {"widths": [4]},
        "train": {
            "epochs": 2,
            "batch_size": 16,
            "loss": "cross-entropy" if classify else "l1",
            "optimizer": {"name": "adam", "lr": 0.01},
            **train,
        },
        "seeds": [0],
        "published": [],
    }


def write_prepared(folder: Path, task: str, counts: dict[str, int], size: int = 16) -> None:
    """Prepared data in the layout of `tasks.datasets.data`: three classes of coloured noise, or images and their green channel."""
    rng = np.random.default_rng(0)
    classes = ("red", "green", "blue") if task == "classify" else ()
    for split, count in counts.items():
        (folder / split).mkdir(parents=True)
        images = rng.integers(0, 128, (count, size, size, 3), dtype=np.uint8)
        index = pd.DataFrame({"file": [f"{i}.png" for i in range(count)], "width": size, "height": size})
        if classes:
            index["label"] = np.arange(count) % 3
            images[np.arange(count), :, :, index["label"]] += 90
        else:
            np.save(folder / split / "targets.npy", images[..., 1:2])
        np.save(folder / split / "images.npy", images)
        index.to_parquet(folder / split / "index.parquet")
    info = Info(
        name=folder.name, dataset="patches" if classes else "photos", task=task, origin="package", licence="test", size=size, channels=3,
        classes=classes, counts=counts, mean=(0.3,) * 3, std=(0.2,) * 3, skipped=0, hash=hashlib.sha256(task.encode()).hexdigest(), settings={},
    )  # fmt: skip
    write_json(folder / "dataset.json", info.model_dump())


@pytest.fixture
def make_profile(tmp_path: Path) -> Callable[..., config.Profile]:
    """Make a profile with the experiments `classes` and `pairs`; keyword arguments change their recipe, or that of `only` one."""

    def make(only: str | None = None, **train: Any) -> config.Profile:
        folder = tmp_path / "profile"
        changes = {name: train if only in (None, name) else {} for name in ("classes", "pairs")}
        params = {
            "root": ".",
            "device": "cpu",
            "download": {"patches": {}, "photos": {}},
            "preprocess": {
                "tiny-classes": {"dataset": "patches", "task": "classify", "validation": 10},
                "tiny-pairs": {"dataset": "photos", "task": "translate", "size": 16},
            },
            "comparisons": {"rates": ["classes"]},
            "experiments": {
                "classes": experiment("classify", **changes["classes"]),
                "pairs": experiment("translate", **changes["pairs"]),
            },
        }
        folder.mkdir(exist_ok=True)
        (folder / "params.yaml").write_text(yaml.safe_dump(params))
        for name, task in (("tiny-classes", "classify"), ("tiny-pairs", "translate")):
            if not (folder / "data" / "processed" / name).exists():
                write_prepared(folder / "data" / "processed" / name, task, {"train": 48, "val": 24, "test": 24})
        return config.load(folder)

    return make
