"""`python -m benchmarks.gpu`: training on one GPU against the usual loop on the same card, into results/gpu.json.

The images are made here, in CIFAR-10's shape, so that nothing needs to be downloaded.
The usual loop is torch's DataLoader over torchvision's transforms, in fp32 and contiguous memory.
"""

import hashlib
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
import typer

from benchmarks.timing import compare
from benchmarks.training import our_loop, plain_network, usual_loop
from tasks import config
from tasks.common import devices, provenance
from tasks.common.errors import Error
from tasks.common.files import write_json
from tasks.common.processors import processors
from tasks.datasets.data import Info, info
from tasks.profile import Profile

ROOT = Path(__file__).parents[1]
EXPERIMENTS = ("cnn", "fractional", "resnet32", "compact")


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"of {', '.join(EXPERIMENTS)}; all of them by default")] = None,
    device: Annotated[str, typer.Option(help="cuda; cpu shows that the benchmark runs, and writes no file")] = "cuda",
    images: Annotated[int, typer.Option(min=1000, help="how many images are made")] = 20_000,
    steps: Annotated[int, typer.Option(min=1, help="training steps in each repeat")] = 50,
) -> None:
    """Compare the training of CIFAR-10's classifiers with the usual loop on the same device, and write results/gpu.json."""
    if unknown := set(names or ()) - set(EXPERIMENTS):
        raise Error(f"unknown experiment {', '.join(sorted(unknown))}; there are {', '.join(EXPERIMENTS)}")
    where = devices.choose(device)
    profile = config.load(ROOT / "full")
    rows = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "made"
        make_images(folder, images)
        for name in names or EXPERIMENTS:
            rows.append(row := measured(profile, name, folder, where, steps))
            typer.echo(f"{name}: {row['ratio']} x ({row['spread'][0]} to {row['spread'][1]}), {row['ours']} {row['unit']}")
    if where.type == "cuda":
        origin = {"git_commit": provenance.git_commit(ROOT), "device": devices.describe(where), "versions": provenance.versions()}
        write_json(ROOT / "results" / "gpu.json", {**origin, "benchmarks": rows})


def make_images(folder: Path, count: int) -> None:
    """Write prepared data of CIFAR-10's shape, (count, 32, 32, 3) in uint8 and ten classes: noise whose mean tells the class."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, count)
    images = rng.integers(0, 128, (count, 32, 32, 3), dtype=np.uint8) + (labels * 12).astype(np.uint8)[:, None, None, None]
    (folder / "train").mkdir(parents=True)
    np.save(folder / "train" / "images.npy", images)
    pd.DataFrame({"label": labels}).to_parquet(folder / "train" / "index.parquet")
    card = Info(
        name="made", dataset="made", task="classify", origin="made", licence="none", size=32, channels=3,
        classes=tuple("0123456789"), counts={"train": count}, mean=(0.46,) * 3, std=(0.2,) * 3, skipped=0,
        hash=hashlib.sha256(images.tobytes()).hexdigest(), settings={},
    )  # fmt: skip
    write_json(folder / "dataset.json", card.model_dump())


def measured(profile: Profile, name: str, folder: Path, device: torch.device, steps: int) -> dict[str, Any]:
    """The row of one experiment: its own recipe in our loop, and its network in the usual one."""
    recipe = profile.experiment(name).train
    network = plain_network(profile, name, info(folder))
    workers = min(8, processors())
    return compare(
        name,
        our_loop(profile, name, steps, folder, device),
        usual_loop(network, recipe, folder, steps, workers, device),
        unit="images",
        description=f"training of full's {name} on made images of 32 x 32 x 3: our loop against DataLoader({workers} workers), "
        "PIL transforms, fp32, on the same device",
        floor=None,
        precision=devices.precision(recipe.precision, device),
    )


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
