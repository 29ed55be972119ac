"""What an evaluation of a codec measures and writes: real files of the test photographs, ours and others', written and read back."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from tasks.codec import file
from tasks.codec.pictures import Pictures
from tasks.imaging.figures import save
from tasks.kinds.compress import codecs, data, figures, metrics
from tasks.learning.measuring import Out, Test

QUALITIES = (0, 15, 30, 50, 65, 80, 100)
MIDDLE = 50
# Data sets whose test photographs are Kodak's.
KODAK = ("kodak", "wider-kodak")
# Pixels a side of the crops that are shown, and which photographs by their place in the order of PSNR.
CROP = 192
SHOWN = {"best": 1.0, "median": 0.5, "worst": 0.0}


def measure(test: Test) -> tuple[pd.DataFrame, dict[str, float]]:
    """A row a photograph, codec and quality, and the numbers of the middle quality with Bjøntegaard's rates.

    A rate is left out where two curves have no quality in common.
    """
    ours = Pictures(test.network, test.precision)  # type: ignore[arg-type]
    rows: list[dict[str, object]] = []
    estimated = 0.0
    for name, pixels in data.photographs(test.data):
        estimated += float(ours.bits(pixels, MIDDLE).sum()) / pixels[..., 0].size
        rows += [_row(name, "ours", quality, pixels, *_ours(ours, pixels, quality)) for quality in QUALITIES]
        if test.first:
            for codec in codecs.available():
                for quality in codecs.QUALITIES[codec]:
                    encode = partial(codecs.write, codec, pixels, quality)
                    rows.append(_row(name, codec, quality, pixels, encode, codecs.read))
    table = pd.DataFrame(rows)
    middle = table[(table["codec"] == "ours") & (table["quality"] == MIDDLE)]
    curves = {codec: _curve(part) for codec, part in table.groupby("codec")}
    numbers = {name: float(middle[name].mean()) for name in ("bpp", "psnr", "ms_ssim")}
    # A header of some bytes is part of a file.
    numbers["overhead"] = float(middle["bpp"].sum() / estimated - 1)
    for codec in ("jpeg", "webp", "avif"):
        if codec in curves and (rate := metrics.bd_rate(curves["ours"], curves[codec])) is not None:
            numbers[f"bd_rate_{codec}"] = rate
    return table, numbers


def _ours(ours: Pictures, pixels: np.ndarray, quality: int) -> tuple[Callable[[], bytes], Callable[[bytes], np.ndarray]]:
    encode = partial(file.compress, ours, file.Picture(pixels), quality)
    return encode, lambda content: file.decompress(ours, content).pixels


def _row(
    name: str,
    codec: str,
    quality: int,
    pixels: np.ndarray,
    encode: Callable[[], bytes],
    decode: Callable[[bytes], np.ndarray],
) -> dict[str, object]:
    done = codecs.made(encode, decode)
    return {
        "file": name,
        "codec": codec,
        "quality": quality,
        "bpp": 8 * done.size / pixels[..., 0].size,
        "psnr": metrics.psnr(done.picture, pixels),
        "ms_ssim": metrics.ms_ssim(done.picture, pixels),
        "encode_seconds": done.encode_seconds,
        "decode_seconds": done.decode_seconds,
    }


def _means(table: pd.DataFrame) -> pd.DataFrame:
    """A row a codec and quality: means over photographs."""
    return table.drop(columns="file").groupby(["codec", "quality"], sort=False).mean().reset_index()


def _curve(table: pd.DataFrame) -> list[tuple[float, float]]:
    means = _means(table)
    return list(zip(means["bpp"], means["psnr"], strict=True))


def write(test: Test, outputs: pd.DataFrame, out: Out) -> None:
    """Write the tables of rates and of photographs, the curves, and crops beside JPEG and WebP of at most as many bytes."""
    means = _means(outputs)
    out.table("rates", means)
    middle = outputs[(outputs["codec"] == "ours") & (outputs["quality"] == MIDDLE)].reset_index(drop=True)
    out.table("per_image", middle.drop(columns=["codec"]))
    outputs.to_parquet(out.predictions / "files.parquet", index=False)
    save(figures.rates(means, published=test.info.dataset in KODAK), out.plots / "rates.png")
    order = np.argsort(middle["psnr"].to_numpy(), kind="stable")
    chosen = {middle["file"][order[round(share * (len(order) - 1))]]: words for words, share in SHOWN.items()}
    ours = Pictures(test.network, test.precision)  # type: ignore[arg-type]
    pictures = {name: pixels for name, pixels in data.photographs(test.data) if name in chosen}
    save(figures.crops([(words, _beside(ours, pictures[name])) for name, words in chosen.items()]), out.plots / "crops.png")
    blocks = {name: ours.bits(pixels, MIDDLE) for name, pixels in pictures.items()}
    save(figures.bits([(words, pictures[name], blocks[name]) for name, words in chosen.items()]), out.plots / "bits.png")


def _beside(ours: Pictures, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """The middle of a photograph as it is, of ours, and of JPEG and WebP of at most as many bytes, by titles."""
    content = file.compress(ours, file.Picture(pixels), MIDDLE)
    shown = {"original": pixels, _title("ours", len(content), pixels): file.decompress(ours, content).pixels}
    for codec in ("jpeg", "webp"):
        if codec in codecs.available():
            other, _ = codecs.of_size(codec, pixels, len(content))
            shown[_title(codec, len(other), pixels)] = codecs.read(other)
    height, width = pixels.shape[:2]
    top, left = max(0, (height - CROP) // 2), max(0, (width - CROP) // 2)
    return {title: picture[top : top + CROP, left : left + CROP] for title, picture in shown.items()}


def _title(codec: str, size: int, pixels: np.ndarray) -> str:
    return f"{codec}, {8 * size / pixels[..., 0].size:.2f} bpp"
