"""What an evaluation of a generator measures and writes: its samples beside the test images, its likelihood, and pictures by rule."""

import hashlib
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tasks.common import bars, devices
from tasks.common.errors import Error
from tasks.datasets import sets
from tasks.datasets.data import SPLITS, Data, info
from tasks.generation.distances import frechet, kernel
from tasks.generation.features import inception_features
from tasks.generation.inception import INSTALL, PACKAGE, installed
from tasks.generation.manifold import manifold
from tasks.imaging.figures import save
from tasks.kinds.generate import data, features, figures, halves, styles
from tasks.kinds.generate.objective import bounds, samples, spread
from tasks.learning.measuring import Out, Test
from tasks.learning.tensors import to_bytes, to_float

# Of the likelihood: samples an image, and images at once.
IMPORTANCE, BATCH = 200, 100
# So many samples are looked at by FID's Inception, where a data set asks for as many.
WHOLE = 10_000
# Of the manifolds (Kynkäänniemi et al. 2019), and how many of each set are looked at.
NEIGHBOURS, MOST = 3, 5000
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outputs:
    """`samples`, uint8 (N, H, W, C), the classes that they were asked for, (N,), where they were, and what was measured with what."""

    samples: np.ndarray
    asked: np.ndarray | None
    measured: dict[str, object]


def measure(test: Test) -> tuple[Outputs, dict[str, float]]:
    """Samples of a generator, and its metrics on test.

    The distances and manifolds in the features of Inception are of 10,000 samples: against test, and where test has fewer
    images against all images (`fid_all`). They are left out where Inception's package is not installed, and the log says so.

    Raises Error for samples that are not finite, and for a judge of other images.
    """
    network, device = test.network, test.device
    count = int(test.info.settings["samples"])  # type: ignore[call-overload]
    judge = _judge(test)
    asked = network.asked(count)  # type: ignore[operator]
    start = time.perf_counter()
    fake = samples(network, count, condition=asked, precision=test.precision)
    seconds = time.perf_counter() - start
    pictures = to_bytes(fake)
    # What others see are bytes; they are measured as such.
    fake, real = to_float(torch.from_numpy(pictures)), to_float(torch.from_numpy(np.asarray(test.data.images)))
    labels = torch.from_numpy(data.labels(test.data))
    theirs, ours = (features.features(features.random_network(test.info.channels), x) for x in (fake, real))
    numbers = {"fid_random": frechet(theirs, ours), "spread": spread(theirs, ours), "samples_per_second": count / seconds}
    measured: dict[str, object] = {"samples": count, "test": len(real)}
    if judge:
        numbers |= _judged(judge, fake, real, asked, len(test.info.classes), _seen(test))
        measured |= {"judge": judge.configuration.experiment, "judge_sha256": judge.digest()}
        if test.info.classes:
            measured["judge_right_on_test"] = round(float((judge.look(real)[1] == labels.numpy()).mean()), 4)
    if hasattr(network, "elbo"):
        bits = torch.from_numpy(test.data.array("bits"))
        binary = data.binary(bits, test.data.images.shape[1:]).to(device)
        numbers["elbo"] = bounds(network, binary, labels.to(device)).mean().item()
        numbers["nll"] = likelihood(network, binary, labels.to(device)).mean().item()
        measured |= {"bits_sha256": hashlib.sha256(bits.numpy().tobytes()).hexdigest(), "importance_samples": IMPORTANCE}
    if styles.has_styles(network):
        numbers |= styles.path_lengths(network)
        numbers |= _faces(test, pictures, measured)
    if hasattr(network, "log_density"):
        numbers["log_likelihood_z"] = _log_likelihood(network, real.to(device), labels.to(device))
    if count >= WHOLE:
        if installed():
            numbers |= _inception(test, pictures[:WHOLE], measured)
        else:
            log.warning("fid, kid and the manifolds are not measured: %s has Inception's weights; run: %s", PACKAGE, INSTALL)
    return Outputs(pictures, asked.cpu().numpy() if asked is not None else None, measured), numbers


def _judge(test: Test) -> features.Judge | None:
    """The judge, where there is one. Raises Error for one that looks at other images."""
    if test.judge is None:
        return None
    network, configuration = test.judge
    if halves.fits(configuration, test.info):
        return halves.Halves(network, configuration)
    theirs, ours = ((c.inputs, c.size, c.classes) for c in (configuration, test.configuration))
    learned = dataset(test.data.folder.parent, configuration.data_hash)
    if configuration.task != "classify" or theirs != ours or learned not in (None, test.info.dataset):
        raise Error(
            f"judge: {configuration.experiment} ({configuration.task}) learned from {learned or 'other data'}, {configuration.size} px, "
            f"{configuration.inputs} channels, {len(configuration.classes)} classes, and not from what {test.info.name} is of; take a "
            f"classifier of {test.info.dataset}"
        )
    return features.Judge(network, configuration)


def dataset(processed: Path, digest: str) -> str | None:
    """The data set that data of a hash were prepared from, where they are in the folder `processed`."""
    found = (info(path.parent) for path in sorted(processed.glob("*/dataset.json")))
    return next((one.dataset for one in found if one.hash == digest), None)


def _seen(test: Test) -> np.ndarray:
    """Which classes training has seen, (K,)."""
    train = data.labels(Data(test.data.folder, "train"))
    return np.isin(np.arange(len(test.info.classes)), train)


def _log_likelihood(network: Any, images: Tensor, labels: Tensor) -> float:
    """The exact log likelihood, in nats, of one z an image that the autoencoder draws; the mean over images."""
    noise = torch.randn(len(images), network.latent, generator=torch.Generator().manual_seed(0)).to(images.device)
    with torch.no_grad():
        return float(network.log_density(network.codes(images, noise), network.said(len(images), labels)).mean())


def _judged(
    judge: features.Judge, fake: Tensor, real: Tensor, asked: Tensor | None, classes: int, known: np.ndarray
) -> dict[str, float]:
    """What the judge says of samples: their distance from the images, their classes, and whether they are those asked for.

    `known`: which classes training has seen; the others are counted apart.
    """
    (theirs, seen), (ours, _) = judge.look(fake), judge.look(real)
    shares = np.bincount(seen, minlength=classes) / len(seen)
    entropy = -(shares[shares > 0] * np.log(shares[shares > 0])).sum() / np.log(classes)
    numbers = {"fid_small": frechet(theirs, ours), "class_entropy": float(entropy)}
    if asked is not None:
        wanted = asked.cpu().numpy()
        right, ours_too = seen == wanted, known[wanted]
        numbers["class_share"] = float(right[ours_too].mean())
        if not ours_too.all():
            numbers["class_share_unseen"] = float(right[~ours_too].mean())
    return numbers


def likelihood(network: torch.nn.Module, binary: Tensor, labels: Tensor, seed: int = 0) -> Tensor:
    """Negative log likelihoods of binary images (N, C, H, W) in nats, (N,), of 200 importance samples each."""
    generator = torch.Generator().manual_seed(seed)
    batches = [*zip(binary.split(BATCH), labels.split(BATCH), strict=True)]
    return torch.cat([network.nll(x, y, generator, IMPORTANCE) for x, y in bars.track(batches, "likelihood")])  # type: ignore[operator]


def _faces(test: Test, pictures: np.ndarray, measured: dict[str, object]) -> dict[str, float]:
    """Of samples of faces: whether lines tell their attributes, and in how many a face is found, as a share of those with one in test."""
    known = sets.find(test.info.dataset) if test.info.dataset in sets.names() else None
    numbers: dict[str, float] = {}
    if attributes := getattr(known, "attributes", None):
        found, right = styles.separabilities(test.network, Data(test.data.folder, "train"), test.data, attributes)
        numbers |= found
        measured |= {f"sorter_right_{name}": round(share, 4) for name, share in right.items()}
    if getattr(known, "FACES", False):
        from tasks.generation.faces import share_found

        ours = np.asarray(test.data.images)
        theirs, real = share_found(pictures[: len(ours)]), share_found(ours)
        numbers["faces_found"] = theirs / max(real, 1e-9)
        measured |= {"faces_found_samples": round(theirs, 4), "faces_found_images": round(real, 4)}
    return numbers


def _inception(test: Test, fake: np.ndarray, measured: dict[str, object]) -> dict[str, float]:
    """Distances and manifolds in the features of Inception."""
    parts = {name: Data(test.data.folder, name).images for name in SPLITS}
    whole = len(parts["test"]) >= WHOLE
    real = parts["test"] if whole else np.concatenate([*parts.values()])
    precision = devices.precision("auto", test.device)

    def look(images: np.ndarray, title: str) -> np.ndarray:
        return inception_features(
            np.ascontiguousarray(images[:WHOLE]), _kept(test.data.folder), test.device, f"Inception: {title}", precision
        )

    theirs, ours = look(fake, "samples"), look(real, "test" if whole else "images")
    inside, covered = manifold(ours[:MOST], theirs[:MOST], NEIGHBOURS)
    numbers = {"kid": kernel(theirs, ours), "precision_manifold": inside, "recall_manifold": covered}
    numbers["fid" if whole else "fid_all"] = frechet(theirs, ours)
    if whole:
        train = parts["train"]
        chosen = np.linspace(0, len(train) - 1, min(WHOLE, len(train))).astype(int)
        numbers["fid_floor"] = frechet(look(train[chosen], "train"), ours)
    measured |= {"inception_samples": len(theirs), "inception_images": len(ours), "inception_precision": precision}
    return numbers


def _kept(folder: Path) -> Path:
    """Where features are kept: data/features of the profile whose data/processed/<name> is `folder`."""
    return folder.parents[1] / "features"


def write(test: Test, outputs: Outputs, out: Out) -> None:
    """Write what was measured with what, the samples, and the figures that the network has."""
    out.table("measured", pd.DataFrame({"what": [*outputs.measured], "value": [str(v) for v in outputs.measured.values()]}))
    np.savez_compressed(out.predictions / "samples.npz", samples=outputs.samples[:1000])
    save(figures.grid(figures.chosen(outputs)), out.plots / "samples.png")
    shown = outputs.samples[: figures.COLUMNS]
    train = Data(test.data.folder, "train").images
    save(figures.rows({"sample": shown, "nearest": nearest(shown, train)}), out.plots / "nearest.png")
    if test.network.latent:
        save(figures.interpolation(test.network), out.plots / "interpolation.png")
    if styles.has_styles(test.network):
        save(figures.grid(styles.mixed(test.network), styles.SIDE + 1), out.plots / "mixing.png")
        save(figures.grid(styles.truncated(test.network), len(styles.TRUNCATIONS)), out.plots / "truncation.png")
    if outputs.asked is not None and not (known := _seen(test)).all():
        save(figures.sentences(outputs, known, test.info.classes), out.plots / "sentences.png")
    if test.network.latent == 2 and not test.network.classes:
        save(figures.plane(test.network), out.plots / "latent.png")
    if hasattr(test.network, "encode"):
        chosen = np.linspace(0, len(test.data) - 1, figures.COLUMNS).astype(int)
        images, classes = test.data.images[chosen], torch.from_numpy(data.labels(test.data)[chosen])
        save(
            figures.rows({"image": images, "from its code": figures.again(test.network, images, classes)}),
            out.plots / "reconstruction.png",
        )


def nearest(pictures: np.ndarray, train: np.ndarray) -> np.ndarray:
    """For each picture, uint8 (N, H, W, C), the image of `train` (M, H, W, C) at the least distance in pixels."""
    known = torch.from_numpy(np.asarray(train)).flatten(1).float()
    distances = torch.cdist(torch.from_numpy(pictures).flatten(1).float(), known)
    return np.asarray(train)[distances.argmin(1).numpy()]
