"""Two sets of faces as one: what each one's splits are, and that nothing of test is learned from."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from tasks import preprocess
from tasks.datasets import readers
from tasks.datasets.data import Data
from tasks.datasets.lookalikes import lookalikes
from tests.tasks.datasets.layouts import annotation, block, tar, zipped

SHARES = {"task": "detect", "size": 64, "validation": 0.2, "test": 0.2}
STEMS = [f"img_{number}" for number in range(10)]
NAMES = [f"0--Parade/{number}.jpg" for number in range(5)]


def picture(seed: int, size: tuple[int, int] = (40, 30), quality: int = 90) -> bytes:
    """Smooth, and like no other."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(coarse).resize((160, 120), Image.Resampling.BICUBIC).resize(size).save(out, "JPEG", quality=quality)
    return out.getvalue()


def write(raw: Path, pictures: dict[str, bytes]) -> None:
    """`pictures`: of WIDER FACE, in place of its own."""
    files = {"FDDB2007/ImageSets/Main/train.txt": "\n".join(STEMS).encode()}
    files |= {f"FDDB2007/Annotations/{stem}.xml": annotation(f"{stem}.jpg", ("face", 3, 3, 12, 12)) for stem in STEMS}
    files |= {f"FDDB2007/JPEGImages/{stem}.jpg": picture(seed) for seed, stem in enumerate(STEMS)}
    tar(raw / "FDDB2007.tar", files)
    (raw / "wider_face_train_bbx_gt.txt").write_text("".join(f"{name}\n1\n4 3 10 6 0 0 0 0 0 0\n" for name in NAMES))
    zipped(
        raw / "WIDER_train.zip",
        {f"WIDER_train/images/{name}": pictures.get(name, picture(100 + seed)) for seed, name in enumerate(NAMES)},
    )


def test_each_ones_split_is_that_which_it_has_alone(raw: Path, tmp_path: Path) -> None:
    write(raw, {})
    alone = block("fddb", **SHARES)
    expected = preprocess.assign(readers.read(raw, alone), alone)
    result = preprocess.write(raw, block("fddb-wider-face", **SHARES), tmp_path / "out")
    found = {name: split for split in ("train", "val", "test") for name in Data(tmp_path / "out", split).index["file"]}
    assert {name: found[name] for name in expected} == expected
    others = [found[name] for name in NAMES]
    assert (others.count("train"), others.count("val")) == (4, 1)
    assert result.counts == {"train": 10, "val": 3, "test": 2}


def test_what_shows_what_a_photograph_of_test_shows_is_not_learned_from(raw: Path, tmp_path: Path) -> None:
    alone = block("fddb", **SHARES)
    write(raw, {})
    splits = preprocess.assign(readers.read(raw, alone), alone)
    twins = [STEMS.index(Path(name).stem) for name, split in splits.items() if split == "test"]
    # The same photograph at another size and quality, and one of what may be learned from.
    learned = next(STEMS.index(Path(name).stem) for name, split in splits.items() if split == "train")
    write(raw, {NAMES[0]: picture(twins[0], (160, 120), 60), NAMES[1]: picture(learned)})
    settings = block("fddb-wider-face", **SHARES, max_bad_share=0.5)
    preprocess.write(raw, settings, tmp_path / "out")
    skipped = pd.read_csv(tmp_path / "out" / "skipped.csv")
    assert skipped.values.tolist() == [[NAMES[0], "image", f"it shows what {STEMS[twins[0]]}.jpg of test shows"]]
    found = {name for split in ("train", "val", "test") for name in Data(tmp_path / "out", split).index["file"]}
    assert found == {f"{stem}.jpg" for stem in STEMS} | set(NAMES[1:])


def test_damaged_pictures_show_nothing() -> None:
    assert lookalikes([("a", b"no picture")], [("b", picture(0))]) == {}
    assert lookalikes([("a", picture(0))], []) == {}
    grey = np.full((30, 40), 128, np.uint8)
    assert lookalikes([("a", grey)], [("b", np.stack([grey] * 3, 2)), ("c", picture(0))]) == {"b": "a"}
