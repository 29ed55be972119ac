"""Generation: images out of noise, like those that were learned from; of a class where the network can be asked for one.

What this kind asks of a network is `models.generator.Generator`: `sample(count, generator, condition)` gives images (N, C, H, W) in [0, 1];
`decode` and `latent` are there where an image is made of numbers that can be moved along, `encode` where it can be turned into them, `elbo`
and `nll` where it has a likelihood. It trains by its own `training_step(images, classes, updates)`, over its `parts()` where it has several.
"""

from typing import Any, ClassVar, Literal

from pydantic import Field

from tasks.kinds import Figure, Metric
from tasks.params import recipe
from tasks.params.preparation import Preparation

# Only networks whose file says so make images out of noise (`models.kind`).
OWN_NETWORKS = True

METRICS = (
    Metric("fid_random", "FID, random features", 1, 3, less_is_better=True, tolerance=1.0),
    Metric("fid_small", "FID, judge's features", 1, 2, less_is_better=True, headline=True, tolerance=3.0),
    Metric("fid", "FID", 1, 2, less_is_better=True, headline=True, tolerance=3.0),
    Metric("fid_all", "FID against all images", 1, 2, less_is_better=True, tolerance=3.0),
    Metric("fid_floor", "FID of train", 1, 2, less_is_better=True, tolerance=1.0),
    Metric("kid", "KID", 1, 4, less_is_better=True, tolerance=0.01),
    Metric("elbo", "Evidence lower bound", 1, 2, "nats", headline=True),
    Metric("nll", "Negative log likelihood", 1, 2, "nats", less_is_better=True, headline=True),
    Metric("class_share", "Samples of the class asked for", 100, 1, "%", headline=True),
    Metric("class_share_unseen", "Samples of a class asked for that training never saw", 100, 1, "%", tolerance=0.05),
    Metric("class_entropy", "Evenness of the classes", 100, 1, "%"),
    Metric("spread", "Spread of the samples", 100, 1, "%", tolerance=0.1),
    Metric("precision_manifold", "Manifold precision", 100, 1, "%"),
    Metric("recall_manifold", "Manifold recall", 100, 1, "%"),
    Metric("log_likelihood_z", "Log likelihood of z", 1, 2, "nats"),
    Metric("path_length_z", "Path length in z", 1, 1, less_is_better=True, tolerance=1e9),
    Metric("path_length_w", "Path length in w", 1, 1, less_is_better=True, tolerance=1e9),
    Metric("separability_z", "Linear separability of z", 1, 2, less_is_better=True, tolerance=1e9),
    Metric("separability_w", "Linear separability of w", 1, 2, less_is_better=True, tolerance=1e9),
    Metric("faces_found", "Faces found in samples, beside those in images", 100, 1, "%", tolerance=0.05),
    Metric("samples_per_second", "Samples a second", 1, 0, tolerance=1e9),
)
FIGURES = (
    Figure("samples.png", "Samples, the first that were drawn; a row a class where classes can be asked for.", pixels=True),
    Figure("nearest.png", "The first samples, and below each the training image that is nearest to it in pixels.", pixels=True),
    Figure("interpolation.png", "From one sample to another along an arc of noise, a row a pair.", pixels=True),
    Figure("reconstruction.png", "Test images at even distances, and below each what is left of it after its code.", pixels=True),
    Figure(
        "sentences.png",
        "Sentences and the first sample of each: above those of training, below combinations that it never saw.",
        pixels=True,
    ),
    Figure("mixing.png", "Mixed styles: coarse ones of the left column, fine ones of the top row.", pixels=True),
    Figure("truncation.png", "From the mean of all styles (left) to a sample's own, a row a sample.", pixels=True),
    Figure("latent.png", "The plane of the two latent numbers, at even steps of the prior's probability.", pixels=True),
)


class Prepare(Preparation):
    """Images of `size` pixels a side, with their labels where they have any; what a network makes is held against those of test.

    One draw of each image's pixels as black or white, by `seed`, is kept beside them: what likelihoods are measured on.
    """

    by_count: ClassVar[bool] = True

    task: Literal["generate"]
    size: int = Field(ge=8, le=1024)
    channels: Literal[1, 3] = 1
    samples: int = Field(10_000, ge=10, description="how many samples of a network are measured")
    validation: int | None = Field(None, ge=1, description="needed unless the data set is published with a validation split")
    test: int | None = Field(None, ge=1, description="images held out as test, for sets that are published without a test split")


class Recipe(recipe.Recipe):
    """The recipe of a generator. What it minimises is its network's own."""

    kind: Literal["generate"] = Field("generate", exclude=True, repr=False)
    loss: Literal["own"] = "own"
    augment: recipe.ImageAugment = recipe.ImageAugment()
    binarise: bool = Field(False, description="each batch draws its pixels as black or white, with their grey as probability")
    val_samples: int = Field(1000, ge=10, description="how many samples validation looks at")


def check(experiment: Any, prepare: Any, network: Any) -> None:
    """Raises ValueError for an augmentation that adds what no image has, and for a network that lacks its predecessor."""
    if getattr(network, "AFTER", False) != (getattr(experiment, "after", "none") != "none"):
        raise ValueError(
            "after: the experiment whose autoencoder this network works in; needed for latent_flow, and for no others"
        )
    augment = experiment.train.augment
    if augment.cutout or augment.mixup or augment.jitter:
        raise ValueError("train.augment: a generator learns from pictures as they are; allowed: flip, dihedral, crop")
