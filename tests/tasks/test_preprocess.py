import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydantic import TypeAdapter

from tasks import preprocess
from tasks.common.errors import Error
from tasks.datasets.data import SPLITS, Data, info
from tasks.datasets.records import Item, Raw
from tasks.kinds.translate.filters import target
from tasks.params.experiment import AnyPrepare


def block(**values):
    return TypeAdapter(AnyPrepare).validate_python({"dataset": "folder", **values})


def picture(width=60, height=40, seed=0) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind="JPEG", **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.fixture
def raw(tmp_path) -> Path:
    """Twenty photographs in a folder."""
    folder = tmp_path / "raw"
    folder.mkdir()
    for i in range(20):
        (folder / f"{i:02d}.jpg").write_bytes(encoded(picture(60 + i, 40, i)))
    (folder / "origin.json").write_text('{"origin": "package", "licence": "CC0", "files": []}')
    return folder


TRANSLATE = {"task": "translate", "size": 16, "validation": 0.1, "test": 0.2}


def test_a_folder_of_images_becomes_arrays_and_targets(raw, tmp_path):
    result = preprocess.write(raw, block(**TRANSLATE), tmp_path / "out")
    assert result == info(tmp_path / "out")
    assert result.counts == {"train": 14, "val": 2, "test": 4}
    files = set()
    for split in SPLITS:
        data = Data(tmp_path / "out", split)
        assert isinstance(data.images, np.memmap)
        assert data.images.shape == (result.counts[split], 16, 16, 3)
        assert np.array_equal(data.array("targets"), target(np.asarray(data.images), block(**TRANSLATE).target))
        assert not files & set(data.index.file)
        files |= set(data.index.file)
        assert (data.index.height == 40).all()
    assert len(files) == 20
    train = Data(tmp_path / "out", "train").images / 255
    assert result.mean == pytest.approx(train.mean(axis=(0, 1, 2)), abs=1e-5)
    assert result.std == pytest.approx(train.std(axis=(0, 1, 2)), abs=1e-5)


@pytest.mark.parametrize("crop", ["none", "center", "random"])
def test_the_same_raw_data_and_block_give_the_same_bytes(raw, tmp_path, crop):
    first = preprocess.write(raw, block(**TRANSLATE, crop=crop, crops_per_image=3), tmp_path / "a" / "x")
    second = preprocess.write(raw, block(**TRANSLATE, crop=crop, crops_per_image=3), tmp_path / "b" / "x")
    assert first.hash == second.hash
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert len(files) == 2 + 3 * 3
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)
    assert sum(first.counts.values()) == (60 if crop == "random" else 20)


def test_a_changed_pixel_seed_or_target_changes_the_hash(raw, tmp_path):
    blocks = [block(**TRANSLATE), block(**TRANSLATE, seed=1), block(**TRANSLATE, target={"scale": "per-image"})]
    hashes = {preprocess.write(raw, b, tmp_path / "out").hash for b in blocks}
    (raw / "00.jpg").write_bytes(encoded(picture(60, 40, 99)))
    hashes.add(preprocess.write(raw, blocks[0], tmp_path / "out").hash)
    assert len(hashes) == 4


def test_what_does_not_decode_is_listed_and_counted(raw, tmp_path):
    whole = (raw / "03.jpg").read_bytes()
    (raw / "03.jpg").write_bytes(whole[: len(whole) // 2])
    (raw / "04.jpg").write_bytes(b"<html>not found</html>")
    (raw / "05.jpg").write_bytes(b"")
    result = preprocess.write(raw, block(**TRANSLATE, max_bad_share=0.2), tmp_path / "out")
    skipped = pd.read_csv(tmp_path / "out" / "skipped.csv")
    assert result.skipped == 3
    assert sum(result.counts.values()) == 17
    assert skipped.file.tolist() == ["03.jpg", "04.jpg", "05.jpg"]
    assert set(skipped.kind) == {"image"}
    assert "truncated" in skipped.reason[0].lower()


def test_too_many_bad_files_fail_and_leave_what_was_there(raw, tmp_path):
    preprocess.write(raw, block(**TRANSLATE), tmp_path / "out")
    before = (tmp_path / "out" / "dataset.json").read_bytes()
    (raw / "03.jpg").write_bytes(b"no image")
    with pytest.raises(Error, match=r"1 of 20 images .*03\.jpg"):
        preprocess.write(raw, block(**TRANSLATE), tmp_path / "out")
    assert (tmp_path / "out" / "dataset.json").read_bytes() == before
    assert {p.name for p in tmp_path.iterdir()} == {"raw", "out"}


def test_raw_data_that_were_not_downloaded_are_an_error(tmp_path):
    with pytest.raises(Error, match="dvc repro download"):
        preprocess.write(tmp_path / "raw", block(**TRANSLATE), tmp_path / "out")


def test_labels_are_held_out_in_equal_shares():
    labels = [i % 10 for i in range(1000)] + [10] * 100
    pixels = np.zeros((8, 8), np.uint8)
    items = {str(i): Item("train", label) for i, label in enumerate(labels)} | {"t": Item("test", 0)}
    data = Raw(items, lambda: iter((name, pixels) for name in items), tuple("abcdefghijk"))
    splits = preprocess.assign(data, block(task="classify", validation=220))
    held = [items[name].label for name, split in splits.items() if split == "val"]
    assert np.bincount(held).tolist() == [20] * 11
    assert splits == preprocess.assign(data, block(task="classify", validation=220))
    assert splits != preprocess.assign(data, block(task="classify", validation=220, seed=1))
    assert [name for name, split in splits.items() if split == "test"] == ["t"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"task": "classify"}, "validation"),
        ({"task": "classify", "validation": 10}, "holds out 10"),
        ({"task": "classify", "validation": 2, "test": 1}, "published with a test split"),
        ({"task": "detect", "size": 32}, "no boxes"),
    ],
)
def test_a_block_that_does_not_fit_is_refused(values, message):
    items = {str(i): Item("test" if i > 7 else "train", 0) for i in range(10)}
    with pytest.raises(Error, match=message):
        preprocess.assign(Raw(items, lambda: iter(()), ("a",)), block(**values))


def test_an_unknown_name_is_refused_with_the_known_ones(tmp_path, monkeypatch):
    class Params:
        preprocess = {"patches": None}  # noqa: RUF012

    class Profile:
        params = Params

    with pytest.raises(Error, match="allowed: patches"):
        preprocess.prepare(Profile, "patchs")


def test_json_of_the_info_is_valid(raw, tmp_path):
    preprocess.write(raw, block(**TRANSLATE), tmp_path / "out")
    settings = json.loads((tmp_path / "out" / "dataset.json").read_text())["settings"]
    assert settings["target"] == {"filter": "sobel", "scale": "fixed", "seed": 0}
