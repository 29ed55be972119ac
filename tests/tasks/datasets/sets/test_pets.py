import pytest

from tasks import preprocess
from tasks.common.errors import Error
from tasks.datasets import readers
from tasks.datasets.data import Data
from tasks.kinds.classify.data import labels
from tests.tasks.datasets.layouts import block, jpeg, tar


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
    assert sorted(labels(Data(tmp_path / "out", "val"))) == [0, 1]
    tar(raw / "annotations.tar.gz", {"annotations/test.txt": b""})
    with pytest.raises(Error, match=r"no annotations/trainval.txt and test.txt"):
        readers.read(raw, block("pets", task="classify", validation=2, size=24))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("Abyssinian_9", "not enough values"),
        ("Abyssinian_9 x 1 1", "'x' is no whole number"),
        ("Abyssinian_9 38 1 1", "from 1 to 37"),
        ("Abyssinian_1 1 1 1", "listed twice"),
        ("havanese_9 1 2 1", "another breed than Abyssinian"),
    ],
)
def test_a_damaged_line_of_a_list_is_named(raw, line, reason):
    lists = {"trainval.txt": f"# a comment\nAbyssinian_1 1 1 1\n{line}\n", "test.txt": "Abyssinian_2 1 1 1\n"}
    tar(raw / "annotations.tar.gz", {f"annotations/{name}": text.encode() for name, text in lists.items()})
    with pytest.raises(Error, match=rf"annotations/trainval.txt, line 3: .*{reason}"):
        readers.read(raw, block("pets", task="classify", validation=2, size=24))
