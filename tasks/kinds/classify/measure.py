"""What an evaluation of a classifier measures and writes: its metrics, the confusion of classes, and its surest mistakes."""

import numpy as np
import pandas as pd
from scipy.special import softmax
from torch import nn

from tasks.datasets.data import Info
from tasks.imaging.figures import save
from tasks.kinds.classify import figures, metrics
from tasks.kinds.classify.data import labels
from tasks.learning.measuring import Out, Test


def measure(test: Test) -> tuple[np.ndarray, dict[str, float]]:
    """Logits (N, classes) of a split, and their metrics; `accuracy_flip` of the mean with the mirrored images' if it trained on such."""
    images, actual = test.data.images, labels(test.data)
    logits = test.predict(images)
    scores = metrics.classify(logits, actual)
    if test.recipe.augment.flip:
        mirrored = test.predict(images[:, :, ::-1].copy())
        scores["accuracy_flip"] = metrics.classify((logits + mirrored) / 2, actual)["accuracy"]
    return logits, scores


def write(test: Test, logits: np.ndarray, out: Out) -> None:
    """Write tables, figures, and each image's probabilities."""
    classes, actual = test.info.classes, labels(test.data)
    probabilities = softmax(logits.astype(np.float64), axis=1)
    predicted = probabilities.argmax(1)
    table = pd.DataFrame(probabilities.astype(np.float32), columns=[f"p_{index}" for index in range(probabilities.shape[1])])
    table.insert(0, "label", actual)
    table.insert(1, "predicted", predicted)
    table.to_parquet(out.predictions / "predictions.parquet", index=False)
    out.table("per_class", metrics.per_class(predicted, actual, classes))
    counts = metrics.confusion(predicted, actual, classes)
    out.table("confusion", counts.reset_index().melt("actual", value_name="count"))
    save(figures.confusion(counts), out.plots / "confusion.png")
    save(figures.confused(test.data.images, actual, probabilities, classes), out.plots / "confused.png")
    if (seen := first_layer(test.network, test.info)) is not None:
        save(figures.weights(seen), out.plots / "first_layer.png")


def first_layer(network: nn.Module, info: Info) -> np.ndarray | None:
    """What the first layer looks for, (units, H, W, C): its kernels, or a picture a unit; None where no layer sees the image."""
    layer = next((m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)), None)
    if layer is None:
        return None
    weight = layer.weight.detach().float().cpu()
    if weight.ndim == 4 and weight.shape[1] != info.channels:
        # What it is given is no picture any more.
        return None
    if weight.ndim == 2:
        weight = weight.view(len(weight), info.channels, info.size, info.size)
    return weight.permute(0, 2, 3, 1).numpy()
