import gzip
import io
import json
import struct
import tarfile
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydantic import TypeAdapter

from tasks import preprocess
from tasks.common.errors import Error
from tasks.datasets import readers
from tasks.datasets.data import SPLITS, Data
from tasks.params.preparation import Prepare


def block(dataset, **values):
    return TypeAdapter(Prepare).validate_python({"dataset": dataset, **values})


def jpeg(width=40, height=30) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (9, 99, 199)).save(out, "JPEG")
    return out.getvalue()


def tar(path, files):
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "origin.json").write_text('{"origin": "package", "licence": "CC0", "files": []}')
    return folder


def test_mnist_reads_idx_and_refuses_a_short_file(raw):
    images = np.arange(3 * 28 * 28, dtype=np.uint8).reshape(3, 28, 28)
    for name in ("train", "t10k"):
        head = struct.pack(">4B3I", 0, 0, 8, 3, 3, 28, 28)
        (raw / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + images.tobytes()))
        (raw / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(struct.pack(">4BI", 0, 0, 8, 1, 3) + bytes([4, 5, 6])))
    data = readers.read(raw, block("mnist", task="classify", validation=1))
    assert [item.label for item in data.items.values()] == [4, 5, 6, 4, 5, 6]
    assert np.array_equal(dict(data.images())["t10k-2"], images[2])
    (raw / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + images.tobytes()[:-1]))
    with pytest.raises(Error, match="IDX"):
        readers.read(raw, block("mnist", task="classify", validation=1))


def test_cifar_planes_become_rgb_pixels(raw):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    rows = b"".join(bytes([label]) + p.transpose(2, 0, 1).tobytes() for label, p in zip((3, 1), pixels, strict=True))
    files = {"c/batches.meta.txt": b"a\nb\nc\nd\n\n", "c/data_batch_1.bin": rows, "c/test_batch.bin": rows}
    tar(raw / "cifar-10-binary.tar.gz", files)
    data = readers.read(raw, block("cifar10", task="classify", validation=1))
    assert data.classes == ("a", "b", "c", "d")
    assert [item.label for item in data.items.values()] == [3, 1, 3, 1]
    assert np.array_equal(dict(data.images())["test-1"], pixels[1])
    tar(raw / "cifar-10-binary.tar.gz", files | {"c/test_batch.bin": rows[:-1]})
    with pytest.raises(Error, match="cut short"):
        readers.read(raw, block("cifar10", task="classify", validation=1))


def annotation(name, *objects, width=40, height=30) -> bytes:
    boxes = "".join(
        f"<object><name>{label}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
        for label, a, b, c, d in objects
    )
    size = f"<size><width>{width}</width><height>{height}</height></size>"
    return f"<annotation><filename>{name}</filename>{size}{boxes}</annotation>".encode()


def test_boxes_are_scaled_clipped_and_listed(raw, tmp_path):
    bad = [("cat", 30, 5, 10, 9), ("cat", 99, 5, 120, 9), ("unicorn", 1, 1, 9, 9), ("cat", 6, 5, 5, 9)]
    annotations = {
        "a": annotation("a.jpg", ("dog", 1, 1, 40, 30), ("cat", 11, 11, 60, 20), *bad),
        "b": annotation("b.jpg"),
        "c": annotation("other.jpg"),
        "d": b"<annotation><filename>",
        "e": annotation("e.jpg", width=400, height=300),
        "f": annotation("f.jpg", ("dog", 1, 1, 4, 4)),
    }
    files = {"V/ImageSets/Main/train.txt": b"a\nb\nc\nd\ne\nf\ng\n", "V/ImageSets/Main/val.txt": b"h\n"}
    files |= {"V/Annotations/h.xml": annotation("h.jpg", ("dog", 1, 1, 4, 4))}
    files |= {f"V/Annotations/{stem}.xml": content for stem, content in annotations.items()}
    files |= {f"V/JPEGImages/{stem}.jpg": jpeg() for stem in "abcdefh"}
    tar(raw / "VOCtrainval_06-Nov-2007.tar", files)
    settings = block("voc2007", task="detect", size=80, validation=0, max_bad_share=0.6)
    result = preprocess.write(raw, settings, tmp_path / "out")
    assert result.counts == {"train": 3, "val": 0, "test": 1}
    assert result.skipped == 4
    train = Data(tmp_path / "out", "train")
    assert train.index.file.tolist() == ["a.jpg", "b.jpg", "f.jpg"]
    boxes = [tuple(row) for row in train.boxes[["image", "label", "x1", "y1", "x2", "y2"]].itertuples(index=False)]
    dog, cat = readers.VOC.index("dog"), readers.VOC.index("cat")
    assert boxes == [(0, dog, 0, 0, 80, 60), (0, cat, 20, 20, 80, 40), (2, dog, 0, 0, 8, 8)]
    skipped = pd.read_csv(tmp_path / "out" / "skipped.csv")
    reasons = [reason.split(":")[0] for reason in skipped[skipped.kind == "box"].reason]
    assert sorted(reasons) == ["clipped", "inverted", "no area", "outside the image", "unknown class"]
    assert skipped[skipped.kind != "box"].file.tolist() == ["c.jpg", "d.jpg", "e.jpg", "g.jpg"]


def test_fer2013_rows_and_a_bad_one(raw, tmp_path):
    face = " ".join(["7", "77", "255"] * 768)
    rows = [f"{i},{face},{use}" for i, use in enumerate(["Training", "Training", "PublicTest", "PrivateTest"])]
    rows += [f"1,{face[:-2]}999,Training", "9,1 2 3,Training"]
    (raw / "fer2013.csv.gz").write_bytes(gzip.compress("\n".join(["emotion,pixels,Usage", *rows]).encode()))
    result = preprocess.write(raw, block("fer2013", task="classify", max_bad_share=0.5), tmp_path / "out")
    assert result.counts == {"train": 2, "val": 1, "test": 1}
    assert result.skipped == 2
    assert Data(tmp_path / "out", "train").images[1].ravel()[:4].tolist() == [7, 77, 255, 7]
    assert Data(tmp_path / "out", "test").labels.tolist() == [3]


def test_coco_takes_what_was_downloaded(raw, tmp_path):
    (raw / "train2017").mkdir()
    instances = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 40, "height": 30} for i in range(4)],
        "annotations": [{"image_id": 1, "category_id": 90, "bbox": [1, 2, 3, 4], "iscrowd": 1}],
        "categories": [{"id": 90, "name": "toothbrush"}, {"id": 1, "name": "person"}],
    }
    (raw / "instances_minitrain2017.json").write_text(json.dumps(instances))
    with zipfile.ZipFile(raw / "annotations_trainval2017.zip", "w") as archive:
        archive.writestr("annotations/instances_val2017.json", json.dumps(instances))
    for i in (0, 1):
        (raw / "train2017" / f"{i}.jpg").write_bytes(jpeg())
    (raw / "val2017").mkdir()
    (raw / "val2017" / "3.jpg").write_bytes(jpeg())
    files = [{"file": f"train2017/{i}.jpg"} for i in range(3)] + [{"file": "val2017/3.jpg"}]
    (raw / "origin.json").write_text(json.dumps({"origin": "package", "licence": "CC0", "files": files}))
    result = preprocess.write(raw, block("coco-mini", task="detect", size=40, validation=0, max_bad_share=0.5), tmp_path / "out")
    assert result.classes == ("person", "toothbrush")
    assert result.counts == {"train": 2, "val": 0, "test": 1}
    assert result.skipped == 1
    boxes = Data(tmp_path / "out", "train").boxes
    assert boxes.iloc[0].tolist() == [1, 1, 1, 2, 4, 6, True]


def photographs(folder):
    """Every pixel of every photograph has a colour of its own."""
    for i in range(3):
        value = np.random.default_rng(i).permutation(256 * 256).reshape(256, 256)
        pixels = np.stack([value % 256, value // 256, np.full_like(value, i)], axis=-1).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"p{i}.png")


@pytest.mark.parametrize(
    "settings",
    [
        block("patches", task="classify", validation=60, test=90),
        block("photos", task="translate", size=16),
    ],
    ids=["patches", "photos"],
)
def test_no_pixel_of_a_photograph_is_in_two_splits(raw, settings, monkeypatch):
    monkeypatch.setattr(readers.regions, "PATCHES_TRAIN", 300)
    photographs(raw)
    data = readers.read(raw, settings)
    seen = {split: set() for split in SPLITS}
    for name, image in data.images():
        seen[data.items[name].split].update(map(tuple, image.reshape(-1, 3).tolist()))
    assert all(seen.values())
    assert not seen["train"] & seen["val"]
    assert not seen["train"] & seen["test"]
    assert not seen["val"] & seen["test"]


def test_scenes_have_boxes_that_hardly_overlap_and_come_again_by_seed(raw, monkeypatch):
    monkeypatch.setattr(readers.regions, "SCENES", 60)
    photographs(raw)
    digits = np.zeros((100, 785), np.uint8)
    for row in digits:
        row[:784].reshape(28, 28)[4:24, 10:18] = 255
    digits[:, -1] = np.arange(100) % 10
    (raw / "mnist_5k.csv.gz").write_bytes(gzip.compress("\n".join(",".join(map(str, row)) for row in digits.tolist()).encode()))
    settings = block("scenes", task="detect", size=64)
    data, again = readers.read(raw, settings), readers.read(raw, settings)
    assert data.items == again.items
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(data.images(), again.images(), strict=True))
    assert sorted({item.split for item in data.items.values()}) == ["test", "train", "val"]
    for item in data.items.values():
        assert 1 <= len(item.boxes) <= 4
        for i, a in enumerate(item.boxes):
            assert 0 <= a.x1 < a.x2 <= 64
            assert 0 <= a.y1 < a.y2 <= 64
            for b in item.boxes[:i]:
                assert min(a.x2, b.x2) - max(a.x1, b.x1) <= 2 or min(a.y2, b.y2) - max(a.y1, b.y1) <= 2


def test_a_missing_file_says_how_to_get_it(raw):
    with pytest.raises(Error, match="dvc repro download@mnist"):
        readers.read(raw, block("mnist", task="classify", validation=1))


def test_cifar100_takes_the_fine_labels(raw, tmp_path):
    """cifar-100-binary/{train,test}.bin: a row is the coarse label, the fine one, and the planes."""
    pixels = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    rows = [bytes([i % 2, 3 + i]) + p.transpose(2, 0, 1).tobytes() for i, p in enumerate(pixels)]
    names = {"fine_label_names.txt": "".join(f"fine_{i}\n" for i in range(100)), "coarse_label_names.txt": "c0\nc1\n"}
    files = {"train.bin": b"".join(rows[:4]), "test.bin": b"".join(rows[4:])}
    files |= {name: text.encode() for name, text in names.items()}
    tar(raw / "cifar-100-binary.tar.gz", {f"cifar-100-binary/{name}": content for name, content in files.items()})
    result = preprocess.write(raw, block("cifar100", task="classify", validation=1), tmp_path / "out")
    assert result.counts == {"train": 3, "val": 1, "test": 2}
    assert (len(result.classes), result.classes[7], result.size, result.channels) == (100, "fine_7", 32, 3)
    test = Data(tmp_path / "out", "test")
    assert test.labels.tolist() == [7, 8]
    assert np.array_equal(test.images, pixels[4:])
    assert sorted([*Data(tmp_path / "out", "train").labels, *Data(tmp_path / "out", "val").labels]) == [3, 4, 5, 6]


def test_pets_have_breeds_and_the_publishers_split(raw, tmp_path):
    """Lines are: image, breed from 1 to 37, species, breed within the species. The archives hold more than the lists name."""
    trainval = "Abyssinian_1 1 1 1\nAbyssinian_10 1 1 1\nhavanese_2 2 2 1\nhavanese_3 2 2 1\n"
    test = "Abyssinian_2 1 1 1\nhavanese_1 2 2 1\n"
    lists = {"trainval.txt": trainval, "test.txt": test, "list.txt": f"#Image CLASS-ID SPECIES BREED ID\n{trainval}{test}"}
    lists |= {"xmls/Abyssinian_1.xml": "<annotation/>", "._trainval.txt": "\0"}
    tar(raw / "annotations.tar.gz", {f"annotations/{name}": text.encode() for name, text in lists.items()})
    stems = [line.split()[0] for line in (trainval + test).splitlines()]
    photographs = {f"images/{stem}.jpg": jpeg(40 + i, 30) for i, stem in enumerate(stems)}
    tar(raw / "images.tar.gz", photographs | {"images/extra.mat": b"matlab", "images/._Abyssinian_1.jpg": b"mac"})
    result = preprocess.write(raw, block("pets", task="classify", validation=2, size=24), tmp_path / "out")
    assert result.classes == ("Abyssinian", "havanese")
    assert result.counts == {"train": 2, "val": 2, "test": 2}
    assert result.skipped == 0
    index = Data(tmp_path / "out", "test").index
    assert index[["file", "label"]].to_numpy().tolist() == [["images/Abyssinian_2.jpg", 0], ["images/havanese_1.jpg", 1]]
    assert sorted(Data(tmp_path / "out", "val").labels) == [0, 1]
    tar(raw / "annotations.tar.gz", {"annotations/test.txt": b""})
    with pytest.raises(Error, match=r"no annotations/trainval.txt and test.txt"):
        readers.read(raw, block("pets", task="classify", validation=2, size=24))


def test_wider_face_has_boxes_of_faces_and_photographs_without(raw, tmp_path):
    """A face is x, y, width, height, blur, expression, illumination, invalid, occlusion, pose."""
    boxes = "0--Parade/a.jpg\n2\n4 3 10 6 0 0 0 0 0 0 \n20 10 5 5 2 0 0 1 2 0 \n1--Handshaking/b.jpg\n0\n0 0 0 0 0 0 0 0 0 0 \n"
    (raw / "wider_face_val_bbx_gt.txt").write_text(boxes)
    with zipfile.ZipFile(raw / "WIDER_val.zip", "w") as archive:
        for name in ("0--Parade/a.jpg", "1--Handshaking/b.jpg", "1--Handshaking/unlisted.jpg"):
            archive.writestr(f"WIDER_val/images/{name}", jpeg())
    result = preprocess.write(raw, block("wider-face", task="detect", size=80), tmp_path / "out")
    assert (result.classes, result.counts) == (("face",), {"train": 0, "val": 0, "test": 2})
    data = Data(tmp_path / "out", "test")
    assert data.index.file.tolist() == ["0--Parade/a.jpg", "1--Handshaking/b.jpg"]
    assert data.boxes[["image", "x1", "y1", "x2", "y2", "difficult"]].to_numpy().tolist() == [
        [0, 8, 6, 28, 18, False],
        [0, 40, 20, 50, 30, True],
    ]
    (raw / "wider_face_val_bbx_gt.txt").write_text("0--Parade/a.jpg\n3\n4 3 10 6 0 0 0 0 0 0\n")
    with pytest.raises(Error, match="not WIDER FACE's list of boxes"):
        readers.read(raw, block("wider-face", task="detect", size=80))


def test_fddb_is_held_out_of_by_share(raw, tmp_path):
    stems = [f"img_{i}" for i in range(10)]
    files = {"FDDB2007/ImageSets/Main/train.txt": "\n".join(stems).encode()}
    files |= {f"FDDB2007/Annotations/{stem}.xml": annotation(f"{stem}.jpg", ("face", 3, 3, 12, 12)) for stem in stems}
    files |= {f"FDDB2007/JPEGImages/{stem}.jpg": jpeg() for stem in stems}
    tar(raw / "FDDB2007.tar", files)
    result = preprocess.write(raw, block("fddb", task="detect", size=40, validation=0.25, test=0.2), tmp_path / "out")
    assert (result.classes, result.counts) == (("face",), {"train": 6, "val": 2, "test": 2})
    assert Data(tmp_path / "out", "test").boxes[["x1", "y1", "x2", "y2"]].to_numpy().tolist() == [[2, 2, 12, 12]] * 2


def digits(folder, count=100):
    """Digits that look like bars, each with an ink of its own."""
    table = np.zeros((count, 785), np.uint8)
    for i, row in enumerate(table):
        row[:784].reshape(28, 28)[4:24, 10:18] = 255 - i
    table[:, -1] = np.arange(count) % 10
    text = "\n".join(",".join(map(str, row)) for row in table.tolist())
    (folder / "mnist_5k.csv.gz").write_bytes(gzip.compress(text.encode()))
    return table


def test_mnist_5k_has_as_many_held_out_of_each_digit(raw, tmp_path):
    table = digits(raw)
    result = preprocess.write(raw, block("mnist-5k", task="classify", validation=20, test=30), tmp_path / "out")
    assert result.counts == {"train": 50, "val": 20, "test": 30}
    for split, each in (("train", 5), ("val", 2), ("test", 3)):
        assert np.bincount(Data(tmp_path / "out", split).labels).tolist() == [each] * 10
    data = Data(tmp_path / "out", "train")
    row = int(data.index.file[0].removeprefix("row-"))
    assert np.array_equal(data.images[0].reshape(-1), table[row, :784])
    (raw / "mnist_5k.csv.gz").write_bytes((raw / "mnist_5k.csv.gz").read_bytes()[:-9])
    with pytest.raises(Error, match=r"mnist_5k.csv.gz: cannot be read"):
        readers.read(raw, block("mnist-5k", task="classify", validation=20, test=30))


def test_no_digit_and_no_pixel_of_a_scene_is_in_two_splits(raw, monkeypatch):
    """What each split is made from is watched where it is used: scaled and blended, it cannot be told apart any more."""
    monkeypatch.setattr(readers.regions, "SCENES", 120)
    photographs(raw)
    digits(raw)
    drawn, pixels = [], []
    place, crop = readers.regions._place, readers.regions._crop

    def watched_place(scene, digit, *rest):
        drawn[-1].add(int(digit.max()))
        return place(scene, digit, *rest)

    def watched_crop(cell, *rest):
        drawn.append(set())
        pixels.append(set((cell.astype(int) @ (1, 256, 65536)).ravel().tolist()))
        return crop(cell, *rest)

    monkeypatch.setattr(readers.regions, "_place", watched_place)
    monkeypatch.setattr(readers.regions, "_crop", watched_crop)
    data = readers.read(raw, block("scenes", task="detect", size=64))
    assert len(drawn) == len(data.items) == 120
    for used in (drawn, pixels):
        seen = {split: set() for split in SPLITS}
        for item, values in zip(data.items.values(), used, strict=True):
            seen[item.split] |= values
        assert all(seen.values())
        assert not seen["train"] & seen["val"]
        assert not (seen["train"] | seen["val"]) & seen["test"]
