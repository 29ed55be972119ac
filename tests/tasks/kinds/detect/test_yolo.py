"""ultralytics' trainer under our contract: history, checkpoints, and an evaluation that compares."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tasks import train
from tasks.common.errors import Error
from tasks.evaluate import evaluate
from tasks.kinds.detect import yolo
from tasks.learning.tensors import Examples
from tests.tasks.detection_data import detection_profile
from tests.tasks.training import ready


def test_a_trained_network_is_evaluated_by_our_own_metrics(tmp_path: Path) -> None:
    profile = detection_profile(tmp_path / "profile", "yolov8", {"train": 16, "val": 4, "test": 6}, keep="best", select="map50")
    train.train(profile, "squares")
    out = profile.results("squares")
    record = json.loads((out / "training.json").read_bytes())
    assert {"loss", "map50", "map50_11point", "precision", "recall", "f1", "threshold"} == set(record["val_metrics"])
    header = (out / "history.csv").read_text().splitlines()[0].split(",")
    assert {"seed", "epoch", "lr", "seconds", "train_loss", "train_box", "val_loss", "val_map50"} <= set(header)
    tensors = load_file(out / "weights" / "seed-0.safetensors")
    assert all(isinstance(tensor, torch.Tensor) for tensor in tensors.values())
    assert not list(profile.root.rglob("*.pt"))  # none of ultralytics' pickles

    result = evaluate(profile, "squares")
    assert {"map50", "map50_11point", "map", "precision", "recall"} <= set(result["metrics"])
    assert result["task"] == "detect"
    for name in ("precision_recall.png", "errors.png", "detections.png"):
        assert (out / "plots" / name).stat().st_size > 0
    for name in ("per_class.csv", "curves.csv", "recall_by_size.csv"):
        assert (out / "tables" / name).stat().st_size > 0
    assert (profile.evaluated("squares") / "detections.parquet").exists()


def fitted(
    folder: Path, stop_after: int | None = None, on_batch: Callable[[], object] = lambda: None, gathered: int = 4
) -> dict[str, torch.Tensor]:
    """The weights of three epochs of three batches of 4; a step is made of the gradients of `gathered` images."""
    profile = detection_profile(
        folder / "profile",
        "yolov8",
        {"train": 12, "val": 4, "test": 2},
        epochs=3,
        batch_size=4,
        trainer={"nbs": gathered, "warmup_epochs": 1.0},
    )
    made = ready(profile, "squares")

    def on_epoch(row: dict[str, float]) -> None:
        if row["epoch"] == stop_after:
            raise KeyboardInterrupt

    yolo.fit(*made, 0, folder / "state.pt", "same", on_batch, on_epoch)
    return made.network.state_dict()


@pytest.mark.parametrize("gathered", [4, 8])
def test_a_training_that_was_killed_ends_where_an_uninterrupted_one_ends(tmp_path: Path, gathered: int) -> None:
    whole = fitted(tmp_path / "a", gathered=gathered)
    (tmp_path / "b").mkdir()
    with pytest.raises(KeyboardInterrupt):
        fitted(tmp_path / "b", stop_after=2, gathered=gathered)
    # Other threads of a process draw from `random` at any time.
    resumed = fitted(tmp_path / "b", on_batch=random.random, gathered=gathered)
    for name, tensor in whole.items():
        assert torch.equal(tensor, resumed[name]), name
    # A finished one is read and not done again.
    again = fitted(tmp_path / "b", gathered=gathered)
    assert all(torch.equal(tensor, again[name]) for name, tensor in whole.items())


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp32", torch.float32)])
def test_it_trains_in_the_precision_and_on_the_threads_that_are_asked_for(
    tmp_path: Path, precision: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, set[torch.dtype]] = {"network": set(), "losses": set()}
    threads = torch.get_num_threads()

    class Watched(yolo.Losses):
        def get_assigned_targets_and_loss(self, preds: dict[str, torch.Tensor], batch: dict[str, object]) -> object:
            seen["losses"] |= {preds["boxes"].dtype, preds["scores"].dtype}
            return super().get_assigned_targets_and_loss(preds, batch)

    monkeypatch.setattr(yolo, "Losses", Watched)
    profile = detection_profile(tmp_path, "yolov8", {"train": 4, "val": 2, "test": 1}, batch_size=4, precision=precision)
    made = ready(profile, "squares")

    def watch(module: torch.nn.Module, inputs: object, output: torch.Tensor) -> None:
        if module.training:
            seen["network"].add(output.dtype)

    made.network.model.model[0].conv.register_forward_hook(watch)
    yolo.fit(*made, 0)
    assert seen == {"network": {dtype}, "losses": {torch.float32}}
    assert torch.get_num_threads() == threads
    assert not torch.is_autocast_enabled("cpu")


def test_the_files_of_the_data_set_hold_our_boxes(tmp_path: Path) -> None:
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (2, 40, 80, 3), dtype=np.uint8))
    targets = torch.tensor([[[8.0, 4, 24, 12, 2, 0]], [[0, 0, 0, 0, -1, 0]]])
    yolo.write_dataset(tmp_path, "train", Examples({"images": images, "targets": targets}))
    assert (tmp_path / "labels" / "train" / "000000.txt").read_text() == "2 0.200000 0.200000 0.200000 0.200000\n"
    assert (tmp_path / "labels" / "train" / "000001.txt").read_text() == ""
    pixels = yolo.cv2.imread(str(tmp_path / "images" / "train" / "000001.png"))[..., ::-1]
    np.testing.assert_array_equal(pixels, images[1].numpy())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"augment": {"flip": True}}, "augment: the network has ultralytics' own"),
        ({"schedule": {"name": "plateau"}}, "no plateau; allowed: cosine, constant"),
        ({"trainer": {"mosaik": 1.0}}, "unknown mosaik; allowed: box"),
    ],
)
def test_what_its_trainer_does_not_do_is_refused(tmp_path: Path, change: dict[str, object], words: str) -> None:
    profile = detection_profile(tmp_path / "profile", "yolov8", **change)
    with pytest.raises(Error, match=words):
        train.train(profile, "squares")


def test_weights_may_be_measured_as_they_come(tmp_path: Path) -> None:
    change = {"epochs": 1, "schedule": {"name": "constant"}, "trainer": {"untouched": True}, "architecture": {"coco": [0, 1]}}
    profile = detection_profile(
        tmp_path / "profile", "yolo11", {"train": 4, "val": 2, "test": 1}, pretrained={"source": "none"}, **change
    )
    made = ready(profile, "squares")
    before = {name: tensor.clone() for name, tensor in made.network.state_dict().items()}
    rows: list[dict[str, float]] = []
    run = yolo.fit(*made, 0, on_epoch=rows.append)
    assert run.history == rows
    assert set(run.val()) >= {"map50", "loss", "threshold"}
    assert all(torch.equal(tensor, before[name]) for name, tensor in made.network.state_dict().items())
