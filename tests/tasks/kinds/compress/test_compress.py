"""A codec from preparation to its tables, on made photographs: what is measured are real files."""

from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
import pytest
import yaml

from tasks import config
from tasks.common.files import write_json
from tasks.datasets.data import Data
from tasks.evaluate import evaluate
from tasks.kinds.compress import codecs, data, objective
from tasks.preprocess import prepare
from tasks.profile import Profile
from tasks.train import train
from tests.models.test_codec import SMALL
from tests.tasks.codec.test_file import photograph

EXPERIMENT = {
    "system": "codec", "data": "whole", "network": "codec", "architecture": SMALL, "seeds": [0], "published": [],
    "after": "none", "judge": "none", "sweep": "none",
    "train": {
        "epochs": 1, "batch_size": 8, "loss": "rate-distortion", "optimizer": {"name": "adam", "lr": 0.002},
        "augment": {"dihedral": True}, "precision": "fp32", "keep": "best", "select": "bd_rate_jpeg",
    },
}  # fmt: skip
BLOCK = {
    "dataset": "my-pictures",
    "task": "compress",
    "size": 32,
    "crops_per_image": 3,
    "shrink": 1.5,
    "validation": 0.2,
    "test": 0.2,
}


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    from tasks.datasets import pictures, readers

    monkeypatch.setattr(readers, "read", lambda folder, block: pictures.read(folder, block))
    raw = tmp_path / "data" / "raw" / "photos"
    raw.mkdir(parents=True)
    for number in range(10):
        PIL.Image.fromarray(photograph(90 + number, 120)).save(raw / f"{number}.png")
    write_json(raw / "origin.json", {"origin": "made", "licence": "none"})
    params = {
        "root": ".", "device": "cpu", "download": {"photos": {}},
        "preprocess": {"whole": {**BLOCK, "dataset": "photos"}}, "experiments": {"codec": EXPERIMENT},
    }  # fmt: skip
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.chdir(tmp_path)
    return config.load(tmp_path)


def test_test_photographs_are_kept_whole_and_others_are_squares(made: Profile) -> None:
    info = prepare(made, "whole")
    assert info.counts == {"train": 6 * 3, "val": 2 * 3, "test": 2}
    folder = made.processed("whole")
    assert Data(folder, "train").images.shape == (18, 32, 32, 3)
    assert Data(folder, "train").table("whole").empty
    found = dict(data.photographs(Data(folder, "test")))
    assert len(found) == 2
    for name, pixels in found.items():
        assert np.array_equal(pixels, photograph(90 + int(Path(name).stem), 120))


def test_a_codec_is_trained_and_measured_by_its_files(made: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.kinds.compress import measure

    monkeypatch.setattr(measure, "QUALITIES", (0, 50, 100))
    prepare(made, "whole")
    train(made, "codec")
    result = evaluate(made, "codec")
    assert result["task"] == "compress"
    assert {"bpp", "psnr", "ms_ssim", "overhead"} <= result["metrics"].keys()
    assert {"loss", "bpp", "psnr", "bd_rate_jpeg"} == result["val_metrics"].keys()
    tables = made.results("codec") / "tables"
    rates = pd.read_csv(tables / "rates.csv")
    assert [*rates.columns] == ["codec", "quality", "bpp", "psnr", "ms_ssim", "encode_seconds", "decode_seconds"]
    assert {"ours", "jpeg"} <= set(rates["codec"]) <= {"ours", "jpeg", "webp", "avif", "jxl"}
    ours = rates[rates["codec"] == "ours"]
    assert ours["bpp"].is_monotonic_increasing
    assert (ours["psnr"] > 10).all()
    assert len(pd.read_csv(tables / "per_image.csv")) == 2
    for name in ("rates.png", "crops.png", "bits.png", "curves.png"):
        assert (made.results("codec") / "plots" / name).stat().st_size > 1000


def test_the_estimate_is_within_two_percent_of_the_file(made: Profile) -> None:
    import torch

    from tasks.codec import file
    from tasks.codec.library import load

    prepare(made, "whole")
    train(made, "codec")
    codec = load(made.weights("codec"))
    pixels = photograph(512, 384)
    content = file.compress(codec, file.Picture(pixels), 60)
    with torch.inference_mode():
        estimated, _ = codec.network.measure(torch.tensor(pixels).permute(2, 0, 1)[None] / 255, 0.6 * 5)
    assert 8 * len(content) / pixels[..., 0].size == pytest.approx(estimated.item(), rel=0.02)


@pytest.mark.parametrize("codec", codecs.available())
def test_the_other_codecs_file_of_a_size(codec: str) -> None:
    pixels = photograph(120, 160)
    largest = len(codecs.write(codec, pixels, 95))
    content, quality = codecs.of_size(codec, pixels, largest // 3)
    assert len(content) <= largest // 3 < len(codecs.write(codec, pixels, min(100, quality + 3)))
    assert np.abs(codecs.read(content).astype(int) - pixels).mean() < 20


def test_the_curve_that_validation_is_held_against_is_jpegs() -> None:
    pixels = photograph(512, 64)
    bits, quality = objective._jpeg(pixels, 80)
    assert bits == 8 * len(codecs.write("jpeg", pixels, 80)) / (512 * 64)
    assert 25 < quality < 45
