from tasks import preprocess
from tasks.datasets.data import Data
from tasks.kinds.detect.data import boxes
from tests.tasks.datasets.layouts import annotation, block, jpeg, tar


def test_fddb_is_held_out_of_by_share(raw, tmp_path):
    stems = [f"img_{i}" for i in range(10)]
    files = {"FDDB2007/ImageSets/Main/train.txt": "\n".join(stems).encode()}
    files |= {f"FDDB2007/Annotations/{stem}.xml": annotation(f"{stem}.jpg", ("face", 3, 3, 12, 12)) for stem in stems}
    files |= {f"FDDB2007/JPEGImages/{stem}.jpg": jpeg() for stem in stems}
    tar(raw / "FDDB2007.tar", files)
    result = preprocess.write(raw, block("fddb", task="detect", size=40, validation=0.25, test=0.2), tmp_path / "out")
    assert (result.classes, result.counts) == (("face",), {"train": 6, "val": 2, "test": 2})
    assert boxes(Data(tmp_path / "out", "test"))[["x1", "y1", "x2", "y2"]].to_numpy().tolist() == [[2, 2, 12, 12]] * 2
