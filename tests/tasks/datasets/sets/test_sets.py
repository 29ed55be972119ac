import subprocess
import sys
from pathlib import Path

import pytest

from tasks.common.errors import Error
from tasks.datasets import sets
from tasks.datasets.sources import DATASETS, Dataset

ROOT = Path(__file__).parents[4]
HEAVY = ("cv2", "matplotlib", "numpy", "pandas", "PIL", "scipy", "torch")


def python(code: str, root: Path = ROOT) -> str:
    """What a fresh process prints that has the code of `root`."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=root, env={"PYTHONPATH": str(root)}, stdout=subprocess.PIPE, text=True, check=True).stdout


def test_a_data_set_is_found_by_its_name() -> None:
    assert {"mnist-5k", "patches", "coco-mini", "wider-face", "people"} <= set(sets.names())
    assert list(sets.names()) == sorted(sets.names())
    for name in sets.names():
        assert isinstance(sets.source(name), Dataset)
        assert DATASETS[name] is sets.source(name)
    assert list(DATASETS) == list(sets.names())


@pytest.mark.parametrize("name", ["mnist-5", "mnist_5k", "os", "..", "sets.mnist", "", "__init__"])
def test_an_unknown_name_is_a_sentence(name: str) -> None:
    with pytest.raises(Error, match=r"unknown data set .*allowed: .*mnist-5k"):
        sets.find(name)
    assert name not in DATASETS
    with pytest.raises(KeyError):
        DATASETS[name]


def test_the_nearest_name_is_named() -> None:
    with pytest.raises(Error, match=r"did you mean mnist-5k\?"):
        sets.find("mnist-5")


def test_names_are_known_without_an_import_and_sources_without_a_heavy_one() -> None:
    names = "import sys; from tasks.datasets import sets; sets.names(); print([m for m in sys.modules if 'datasets.sets.' in m])"
    assert python(names).strip() == "[]"
    sources = (
        "import sys; from tasks.datasets.sources import DATASETS; assert len([*DATASETS.items()]) == len(DATASETS); "
        f"print([m for m in {HEAVY} if m in sys.modules])"
    )
    assert python(sources).strip() == "[]"


def test_adding_a_data_set_touches_one_file(tmp_path: Path) -> None:
    """A copy of the code with one file more downloads and prepares another data set."""
    for path in (ROOT / "tasks").rglob("*.py"):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    (tmp_path / "models").symlink_to(ROOT / "models")
    toy = '''
"""Toy: three photographs, a split each."""

from tasks.datasets.records import Item, Raw
from tasks.datasets.sources import Dataset, Packaged

SPLITS = {"chelsea.png": "train", "coffee.png": "val", "astronaut.png": "test"}
SOURCE = Dataset(
    "CC0", "https://example.org", packaged=tuple(Packaged(name, "scikit-image", f"skimage/data/{name}", "CC0") for name in SPLITS)
)


def read(folder, block):
    items = {name: Item(split, label) for label, (name, split) in enumerate(SPLITS.items())}
    return Raw(items, lambda: ((name, (folder / name).read_bytes()) for name in items), ("cat", "cup", "woman"))
'''
    (tmp_path / "tasks" / "datasets" / "sets" / "toy_set.py").write_text(toy)
    preparation = "preprocess: {toys: {dataset: toy-set, task: classify, size: 16}}"
    (tmp_path / "params.yaml").write_text(
        f"{{root: ., device: cpu, download: {{toy-set: {{}}}}, {preparation}, experiments: {{}}}}"
    )
    code = (
        "from tasks import config, download, preprocess; profile = config.load(); download.download(profile, 'toy-set'); "
        "info = preprocess.prepare(profile, 'toys'); print(info.dataset, info.classes, info.counts)"
    )
    assert python(code, tmp_path).strip() == "toy-set ('cat', 'cup', 'woman') {'train': 1, 'val': 1, 'test': 1}"
