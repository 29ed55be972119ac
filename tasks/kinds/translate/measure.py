"""What an evaluation of an image-to-image network measures and writes: its metrics, each image's, and a strip chosen by rule."""

import numpy as np

from tasks.common.errors import Error
from tasks.imaging.figures import SHOWN, save
from tasks.kinds.translate import figures, metrics
from tasks.learning.measuring import Out, Test
from tasks.learning.tensors import to_bytes


def measure(test: Test) -> tuple[np.ndarray, dict[str, float]]:
    """Outputs uint8 (N, H, W, C) of a split, and their metrics. Raises Error for a training that diverged."""
    outputs = test.predict(test.data.images)
    if not np.isfinite(outputs).all():
        raise Error("its outputs are not finite: the training diverged; lower its learning rate, or set `clip`")
    pictures = to_bytes(outputs)
    return pictures, metrics.translate(pictures, test.data.array("targets"))


def write(test: Test, outputs: np.ndarray, out: Out) -> None:
    """Write the table of images, the strip, and the outputs."""
    targets = test.data.array("targets")
    np.save(out.predictions / "outputs.npy", outputs)
    table = metrics.per_image(outputs, targets)
    out.table("per_image", table.rename_axis("image").reset_index())
    order = np.argsort(table["psnr"].to_numpy(), kind="stable")
    shown = [order[round(share * (len(order) - 1))] for share in SHOWN.values()]
    titles = [f"{words}\n{table['psnr'][index]:.1f} dB" for words, index in zip(SHOWN, shown)]
    save(figures.strip(test.data.images[shown], targets[shown], outputs[shown], titles), out.plots / "strip.png")
