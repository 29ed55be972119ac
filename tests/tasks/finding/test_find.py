"""Searching a folder: by words, by a photograph, after changes, and after an interruption."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import PIL.Image
import pytest

from tasks import find
from tasks.common.errors import Error
from tasks.finding import index as indexes
from tasks.finding import parallel
from tasks.finding.encoders import Ours
from tasks.finding.index import Row
from tests.tasks.finding.conftest import COLOURS, picture


def names(found: list[tuple[str, float]]) -> list[str]:
    return [Path(path).name for path, _ in found]


@pytest.mark.parametrize("colour", COLOURS)
def test_words_find_what_they_name(folder: Path, weights_file: Path, colour: str) -> None:
    found, updated = find.find(folder, f"a {colour} photograph", count=2, weights=str(weights_file))
    assert {name[: len(colour)] for name in names(found)} == {colour}
    assert found[0][1] >= found[1][1]
    assert (updated.done, updated.unchanged) == (7, 0)
    [(path, reason)] = updated.unreadable.items()
    assert Path(path).name == "broken.jpg"
    assert reason.startswith("no picture in a format that is read here")


def test_a_photograph_finds_itself_and_its_like(folder: Path, weights_file: Path) -> None:
    found, _ = find.find(folder, like=folder / "blue2.png", count=2, weights=str(weights_file))
    assert {*names(found)} == {"blue2.png", "blue5.png"}
    assert found[0][1] == pytest.approx(1, abs=2e-3)


def test_the_index_is_kept_and_updated_by_content(folder: Path, make: Callable[[], Ours]) -> None:
    find.update(folder, make)
    (folder / "red0.png").rename(folder / "moved.png")
    shutil.copy(folder / "green1.png", folder / "copy.png")
    (folder / "blue2.png").unlink()
    PIL.Image.fromarray(picture("blue", 99, 70)).save(folder / "new.png")
    _, found, updated = find.update(folder, make)
    # What moved or was copied is known; one is new, and one is gone.
    assert (updated.done, updated.unchanged) == (1, 6)
    assert {Path(path).name for path in found.paths} == {
        "moved.png",
        "green1.png",
        "copy.png",
        "new.png",
        "red3.png",
        "green4.png",
        "blue5.png",
    }


def test_an_interrupted_index_goes_on(
    folder: Path, make: Callable[[], Ours], encoder: Ours, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "BATCH", 2)

    def interrupted(items: list[parallel.Item], make: Callable[[], Ours]) -> Iterator[list[Row]]:
        batches = here(items, make)
        yield next(batches)
        yield next(batches)
        raise KeyboardInterrupt

    here = parallel.here
    monkeypatch.setattr(parallel, "here", interrupted)
    with pytest.raises(KeyboardInterrupt):
        find.update(folder, make)
    monkeypatch.setattr(parallel, "here", here)
    _, found, updated = find.update(folder, make)
    assert (updated.done, updated.unchanged) == (3, 4)
    _, whole, _ = find.update(folder, make, folder.parent / "other")
    assert found.paths == whole.paths
    assert found.vectors == pytest.approx(whole.vectors)


def test_a_damaged_part_is_made_again(folder: Path, make: Callable[[], Ours]) -> None:
    index, _, _ = find.update(folder, make)
    next((index.folder / "parts").glob("*.parquet")).write_bytes(b"damaged")
    _, found, updated = find.update(folder, make)
    assert (updated.done, len(found.paths)) == (7, 6)
    (index.folder / "index.json").write_text("{")
    with pytest.raises(Error, match=r"index\.json: damaged; remove"):
        find.update(folder, make)


def test_an_index_of_another_network_is_refused(
    folder: Path, make: Callable[[], Ours], weights_file: Path, tmp_path: Path
) -> None:
    find.update(folder, make)
    index = folder / indexes.FOLDER
    with pytest.raises(Error, match=r"an index of another network \(colours \(colours\.safetensors\), not other\)"):
        indexes.open_index(index, "another", 8, "other")
    with pytest.raises(Error, match="cannot be kept there"):
        (tmp_path / "file").write_text("")
        indexes.open_index(tmp_path / "file" / "index", "another", 8, "other")


def test_what_says_nothing_is_refused_before_any_work(folder: Path, weights_file: Path) -> None:
    def search(**asked: object) -> None:
        find.find(folder, weights=str(weights_file), **asked)  # type: ignore[arg-type]

    with pytest.raises(Error, match="words, or a photograph with --like PHOTO, and not both"):
        search()
    with pytest.raises(Error, match=r"'\.\.\.': no words"):
        search(words="...")
    with pytest.raises(Error, match=r"none of its words is known \(near are green\); say it in other"):
        search(words="greeen")
    with pytest.raises(Error, match="'собака': none of its words is known"):
        search(words="собака")
    with pytest.raises(Error, match=r"broken\.jpg: no picture in a format"):
        search(like=folder / "broken.jpg")
    with pytest.raises(Error, match=r"nothing\.jpg: No such file"):
        search(like=folder / "nothing.jpg")
    os.mkfifo(folder / "pipe.jpg")
    with pytest.raises(Error, match=r"pipe\.jpg: no regular file"):
        search(like=folder / "pipe.jpg")
    assert not (folder / indexes.FOLDER).exists()
    with pytest.raises(Error, match="no photographs in it"):
        (folder / "empty").mkdir()
        find.find(folder / "empty", "red", weights=str(weights_file))


def test_the_command_says_what_was_left_out_and_writes_a_table(
    folder: Path, weights_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"like": None, "count": 3, "weights": str(weights_file), "merges": None, "index": None, "workers": 0}
    find.main(folder, "red " + "unicorn " * 10_000, table=tmp_path / "found.csv", **options)  # type: ignore[arg-type]
    said = capsys.readouterr()
    assert "not known, and left out: unicorn" in said.err
    assert "the first 200 of 10,001 words are read" in said.err
    assert "unreadable" in said.err
    lines = said.out.splitlines()
    assert len(lines) == 3
    assert "red" in lines[0]
    table = (tmp_path / "found.csv").read_text().splitlines()
    assert table[0] == "cosine,path"
    assert len(table) == 4


@pytest.mark.slow
def test_ray_gives_the_same_vectors(folder: Path, make: Callable[[], Ours], weights_file: Path) -> None:
    _, here, _ = find.update(folder, make, workers=0)
    _, spread, _ = find.update(folder, make, folder.parent / "other", workers=1)
    assert here.paths == spread.paths
    assert here.vectors == pytest.approx(spread.vectors, abs=2e-3)
    assert here.unreadable == spread.unreadable
