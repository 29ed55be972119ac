"""VOC's photographs beside Flickr8k's: nothing is learned from them."""

from pathlib import Path

from tasks.datasets import readers
from tasks.datasets.sets import flickr8k, flickr8k_voc
from tests.tasks.datasets.layouts import annotation, block, jpeg, tar
from tests.tasks.datasets.sets.test_flickr8k import write

STEMS = [f"{number:06d}" for number in range(8)]


def test_every_fifth_of_vocs_train_is_validation_and_its_val_is_test(raw: Path) -> None:
    write(raw, "a.jpg#0\tA .\nb.jpg#0\tB .\nc.jpg#0\tC .\nd.jpg#0\tD .\n")
    files = {f"V/Annotations/{stem}.xml": annotation(f"{stem}.jpg", ("dog", 1, 1, 9, 9)) for stem in STEMS[:-1]}
    files |= {f"V/JPEGImages/{stem}.jpg": jpeg() for stem in STEMS}
    files |= {
        "V/ImageSets/Main/train.txt": "\n".join(STEMS[:6]).encode(),
        "V/ImageSets/Main/val.txt": "\n".join(STEMS[6:]).encode(),
    }
    tar(raw / "VOCtrainval_06-Nov-2007.tar", files)
    data = readers.read(raw, block("flickr8k-voc", task="embed", size=32))
    splits = {name: item.split for name, item in data.items.items()}
    assert {name: split for name, split in splits.items() if len(name) == 5} == {
        "a.jpg": "train", "d.jpg": "train", "b.jpg": "val", "c.jpg": "test",
    }  # fmt: skip
    # The last one has no annotation.
    assert {name: split for name, split in splits.items() if len(name) > 5} == {
        "000000.jpg": "val", "000005.jpg": "val", "000006.jpg": "test",
    }  # fmt: skip
    assert {name for name, _ in data.images()} == {*splits}
    assert [problem.file for problem in data.problems] == ["000007.jpg"]


def test_its_files_are_those_of_both_that_are_needed() -> None:
    names = {file.name for file in flickr8k_voc.SOURCE.files}
    assert names == {*(file.name for file in flickr8k.SOURCE.files), "VOCtrainval_06-Nov-2007.tar"}
