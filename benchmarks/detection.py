"""Detectors: images a second at batch 1 and 16, the training step against the usual one, and the time of an evaluation."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

import models
from benchmarks.timing import compare, rate
from tasks import config
from tasks.common import devices
from tasks.datasets import data
from tasks.datasets.data import Data, Info
from tasks.kinds.detect import coco, detections
from tasks.kinds.detect.data import boxes, shape
from tasks.kinds.detect.data import examples as arrays
from tasks.kinds.detect.objective import Objective
from tasks.learning import weights
from tasks.learning.loop import batches
from tasks.learning.optimizers import Updates
from tasks.learning.tensors import Examples, autocast
from tasks.profile import Profile

NETWORKS = ("yolo_v1", "faster_rcnn", "yolov8")
SIZE, CLASSES, STEPS, IMAGES = 224, 20, 4, 2508
LIMIT = 10.0  # seconds that an evaluation may take


class Pictures(Dataset[tuple[Tensor, Tensor]]):
    """Images and boxes one by one, as a detection data set usually hands them out, with torchvision's transforms."""

    def __init__(self, examples: Examples) -> None:
        self.examples = examples
        self.transform = v2.Compose(
            [v2.RandomHorizontalFlip(), v2.RandomAffine(0, (0.15, 0.15), (0.7, 1.4), fill=114), v2.ColorJitter(0.3, 0.3, 0.3),
             v2.ToDtype(torch.float32, scale=True)]
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, rows = self.examples.images[index], self.examples.targets[index]
        corners: Any = tv_tensors.BoundingBoxes(rows[:, :4], format="XYXY", canvas_size=image.shape[:2])
        pixels, moved = self.transform(tv_tensors.Image(image.permute(2, 0, 1)), corners)
        return torch.as_tensor(pixels), torch.cat([torch.as_tensor(moved), rows[:, 4:]], 1)


def run(root: Path) -> list[dict[str, Any]]:
    return [*speeds(root), *steps(root), evaluation(root)]


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    return models.build(name, models.Shape(3, CLASSES, SIZE), {})


def speeds(root: Path) -> list[dict[str, Any]]:
    """Images a second of each network, bf16 in channels_last against fp32 contiguous, with the detections it ends in."""
    rows = []
    for name in NETWORKS:
        trained = root / "full" / "results" / name.replace("_", "-") / "weights" / "seed-0.safetensors"
        network = weights.load(trained)[0] if trained.exists() else build(name).eval()
        plain = build(name).eval()
        plain.load_state_dict(network.state_dict())
        network.to(memory_format=torch.channels_last)
        for batch in (1, 16):
            images = torch.rand(batch, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
            ours = images.to(memory_format=torch.channels_last)

            @torch.inference_mode()
            def fast(network: nn.Module = network, images: Tensor = ours) -> int:
                with autocast(images.device, "bf16"):
                    network(images)
                return len(images)

            @torch.inference_mode()
            def usual(network: nn.Module = plain, images: Tensor = images) -> int:
                network(images)
                return len(images)

            rows.append(
                compare(
                    f"detect_{name}_batch_{batch}",
                    fast,
                    usual,
                    unit="images",
                    description=f"{name} at {SIZE} px and batch {batch}: bf16 in channels_last against fp32 contiguous",
                    floor=None,
                    trained=trained.exists(),
                )
            )
    return rows


def steps(root: Path) -> list[dict[str, Any]]:
    """The training of yolo-v1: augmentation and steps of an epoch whose versions are new, and of one whose versions come back."""
    profile, info, examples = prepared(root)
    recipe = profile.experiment("yolo-v1").train
    architecture = profile.experiment("yolo-v1").architecture
    count = STEPS * recipe.batch_size
    few = Examples({name: tensor[:count] for name, tensor in examples.tensors.items()})

    def network() -> nn.Module:
        torch.manual_seed(0)
        return models.build("yolo_v1", shape(info), architecture)

    def ours(views: int) -> Any:
        own = recipe.model_copy(update={"augment": recipe.augment.model_copy(update={"views": views})})
        net = network().to(memory_format=torch.channels_last)
        objective = Objective(own, info, net, devices.precision(own.precision, examples.device))
        updates = Updates(net, own, 10_000)
        epoch = 0

        def work() -> int:
            nonlocal epoch
            objective.begin(few, 0, epoch)
            net.train()
            for rows in batches(len(few), own.batch_size, np.random.default_rng(epoch)):
                objective.step(*objective.draw(few, rows, np.random.default_rng(0)), updates)
            epoch += 1
            return len(few)

        return work

    usual = network()
    optimizer = torch.optim.AdamW([p for p in usual.parameters() if p.requires_grad], recipe.optimizer.lr)
    loader = DataLoader(Pictures(few), recipe.batch_size, shuffle=True, drop_last=True)

    def theirs() -> int:
        usual.train()
        for images, targets in loader:
            loss = torch.stack([*usual.losses(usual.stem(images), targets).values()]).sum()  # type: ignore[operator]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return len(few)

    words = "training of yolo-v1 against the same network in fp32, contiguous, with per-image transforms in a DataLoader"
    return [
        compare(
            f"training_yolo_v1_{name}", ours(views), theirs, unit="images", description=f"{words}; {what}", floor=floor, repeats=3,
            dataset=info.dataset,
        )
        for name, views, what, floor in (
            ("new_views", 0, "each image drawn anew and through the frozen layers", None),
            ("kept_views", 1, "versions that come back, as after the first epochs of the recipe", 1.5),
        )
    ]  # fmt: skip


def evaluation(root: Path) -> dict[str, Any]:
    """VOC's and COCO's numbers of 2,508 images with 100 detections each: objects of VOC 2007 where it is prepared."""
    rng = np.random.default_rng(0)
    folder = config.load(root / "full").processed("voc2007")
    real = (folder / "dataset.json").exists()
    if real:
        objects = boxes(Data(folder, "test"))
    else:
        corners = rng.uniform(0, 150, (3 * IMAGES, 2))
        objects = pd.DataFrame(np.hstack([corners, corners + rng.uniform(10, 74, corners.shape)]), columns=detections.CORNERS)
        objects = objects.assign(
            image=np.arange(len(objects)) % IMAGES, label=rng.integers(0, CLASSES, len(objects)), difficult=False
        )
    found = np.zeros((IMAGES, 100, 6), np.float32)
    near = objects.iloc[rng.integers(0, len(objects), found.shape[0] * 100)]
    found[..., :4] = (near[detections.CORNERS].to_numpy() + rng.normal(0, 8, (len(near), 4))).reshape(IMAGES, 100, 4)
    found[..., 4] = rng.uniform(0.01, 1, found.shape[:2])
    found[..., 5] = rng.integers(0, CLASSES, found.shape[:2])
    # Half of each image's detections are near its own objects.
    images = objects["image"].to_numpy()
    for image in np.unique(images).tolist():
        picked = objects.iloc[rng.choice(np.flatnonzero(images == image), 50)]
        found[image, :50, :4] = picked[detections.CORNERS] + rng.normal(0, 5, (50, 4))
        found[image, :50, 5] = picked["label"]
    found[..., 2:4] = np.maximum(found[..., 2:4], found[..., :2] + 1)
    classes = [str(label) for label in range(CLASSES)]

    def work() -> int:
        detections.summary(found, objects, classes, 0.3)
        coco.average_precision(found, objects, classes)
        return 1

    start = time.perf_counter()
    rate(work)
    return {
        "name": "evaluation_2508_images",
        "seconds": round(time.perf_counter() - start, 2),
        "limit": LIMIT,
        "description": "VOC's and COCO's average precision of 250,800 detections on 2,508 images",
        "dataset": "voc2007" if real else "random",
    }


def prepared(root: Path) -> tuple[Profile, Info, Examples]:
    """VOC 2007 where the full profile has prepared it, else the sample's scenes."""
    full = config.load(root / "full")
    profile = full if (full.processed("voc2007") / "dataset.json").exists() else config.load(root)
    folder = profile.processed(profile.experiment("yolo-v1").data)
    return profile, data.info(folder), Examples.of(arrays(Data(folder, "train")), "cpu")
