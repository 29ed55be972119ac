"""The command line: a folder becomes files and pictures again; what cannot be used is named, and the rest is done."""

import json
import os
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from tasks import compress, kinds
from tasks.codec import file, library
from tasks.common.errors import Error
from tests.tasks.codec.test_file import photograph, save
from tests.tasks.codec.test_library import profile_of_both


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    save(tmp_path / "small.safetensors")
    return tmp_path / "small.safetensors"


def run(source: Path, to: Path, weights: Path | None, **options: object) -> None:
    compress.main(source, to, **{"quality": 50, "opens": False, "experiment": None, "weights": weights, "jobs": 2, **options})  # type: ignore[arg-type]


def test_a_folder_is_compressed_and_opened(tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photographs = tmp_path / "in"
    (photographs / "deep").mkdir(parents=True)
    PIL.Image.fromarray(photograph(200, 180)).save(photographs / "a.png")
    PIL.Image.fromarray(photograph(60, 50)).save(photographs / "a.jpg")
    PIL.Image.fromarray(np.dstack([photograph(), photograph()[..., 0]])).save(photographs / "deep" / "b.webp", lossless=True)
    (photographs / "broken.png").write_bytes(b"no picture")
    run(photographs, tmp_path / "out", weights)
    assert sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.drc")) == [
        "a.jpg.drc", "a.png.drc", "deep/b.drc",
    ]  # fmt: skip
    said = capsys.readouterr().err
    assert "broken.png: no picture in a format that is read here" in said
    assert "3 done, 1 skipped" in said
    assert (tmp_path / "out" / "a.png.drc").stat().st_size < (photographs / "a.png").stat().st_size
    run(tmp_path / "out", tmp_path / "back", weights, opens=True)
    with PIL.Image.open(tmp_path / "back" / "a.png.png") as opened:
        assert opened.size == (180, 200)
        assert np.abs(np.asarray(opened).astype(int) - photograph(200, 180)).mean() < 12
    with PIL.Image.open(tmp_path / "back" / "deep" / "b.png") as opened:
        assert opened.mode == "RGBA"


def test_names_that_could_be_one_keep_their_ending(tmp_path: Path, weights: Path) -> None:
    photographs = tmp_path / "in"
    photographs.mkdir()
    names = ["photo.jpg", "photo.png", "photo.jpg.png", "other.png"]
    for number, name in enumerate(names):
        PIL.Image.fromarray(photograph(20 + number, 20)).save(photographs / name)
    run(photographs, tmp_path / "out", weights)
    run(tmp_path / "out", tmp_path / "back", weights, opens=True)
    opened = {path.name: file.read_picture(path.read_bytes()).pixels.shape[0] for path in (tmp_path / "back").iterdir()}
    assert opened == {"photo.jpg.png": 20, "photo.png.png": 21, "photo.jpg.png.png": 22, "other.png": 23}


def test_a_file_that_was_not_made_here_is_not_replaced(tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    original = tmp_path / "photo.png"
    PIL.Image.fromarray(photograph()).save(original)
    before = original.read_bytes()
    run(tmp_path, tmp_path, weights)
    # The same command again, at another quality.
    run(tmp_path, tmp_path, weights, quality=80)
    assert "skipped: " not in capsys.readouterr().err
    run(tmp_path, tmp_path, weights, opens=True)
    assert original.read_bytes() == before
    assert "photo.png is there already and holds something else" in capsys.readouterr().err
    with pytest.raises(Error, match="holds something else; remove it, or give another folder"):
        run(tmp_path / "photo.drc", original, weights, opens=True)
    for _ in range(2):
        run(tmp_path / "photo.drc", tmp_path / "opened.png", weights, opens=True)
    # Meshes of Draco have the same ending.
    (tmp_path / "photo.drc").write_bytes(b"DRACO")
    with pytest.raises(Error, match="holds something else"):
        run(original, tmp_path / "photo.drc", weights)
    assert (tmp_path / "photo.drc").read_bytes() == b"DRACO"


def test_the_codec_that_git_carries_writes_whatever_is_trained_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, [carried, trained] = profile_of_both(tmp_path)
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "a.png"
    PIL.Image.fromarray(photograph()).save(source)
    for name, options, expected in (
        ("default", {}, carried),
        ("experiment", {"experiment": "codec"}, trained),
        ("weights", {"weights": trained}, trained),
    ):
        written = tmp_path / f"{name}.drc"
        run(source, written, **{"weights": None, **options})
        assert file.identity(written.read_bytes()) == library.load(expected).identity
        run(written, tmp_path / f"{name}.png", None, opens=True)
    carried.unlink()
    with pytest.raises(Error, match=r"codec\.safetensors: no such weights; name a codec that is trained here with --experiment"):
        run(source, tmp_path / "b.drc", None)


def test_strange_names_are_taken_and_a_pipe_is_named(tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photographs = tmp_path / "in"
    photographs.mkdir()
    PIL.Image.fromarray(photograph(20, 20)).save(tmp_path / "a.png")
    names = [b"-a.png", b".b.png", b"new\nline.png", b"\xff.png", b" c .png", "u\u0308.png".encode(), b"l" * 251 + b".png"]
    for name in names:
        (photographs / os.fsdecode(name)).write_bytes((tmp_path / "a.png").read_bytes())
    os.mkfifo(photographs / "pipe.png")
    run(photographs, tmp_path / "out", weights)
    assert {os.fsencode(path.stem) + b".png" for path in (tmp_path / "out").iterdir()} == {*names}
    said = capsys.readouterr().err
    assert "pipe.png: no regular file" in said
    assert f"{len(names)} done, 1 skipped" in said


def test_a_single_file_that_cannot_be_used_is_an_error(tmp_path: Path, weights: Path) -> None:
    (tmp_path / "a.drc").write_bytes(b"GIF89a")
    with pytest.raises(Error, match=r"a\.drc: not a file of this codec"):
        run(tmp_path / "a.drc", tmp_path / "b.png", weights, opens=True)
    assert not (tmp_path / "b.png").exists()
    with pytest.raises(Error, match="no such file or folder"):
        run(tmp_path / "nothing", tmp_path / "out", weights)
    with pytest.raises(Error, match=r"b\.jpg: what is written are \.png files"):
        run(tmp_path / "a.drc", tmp_path / "b.jpg", weights, opens=True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(Error, match="nothing to compress"):
        run(tmp_path / "empty", tmp_path / "out", weights)


def test_weights_of_another_network_are_refused(tmp_path: Path, weights: Path) -> None:
    PIL.Image.fromarray(photograph()).save(tmp_path / "a.png")
    root = Path(compress.__file__).parents[1]
    with pytest.raises(Error, match="which is no codec"):
        run(tmp_path / "a.png", tmp_path / "out", root / "models" / "weights" / "emotion.safetensors")


def test_apply_shows_what_is_left_of_a_photograph(tmp_path: Path, weights: Path) -> None:
    from tasks.learning.weights import load

    network, configuration = load(weights)
    shares: list[float] = []
    kinds.part("compress", "use").apply(network, configuration, photograph(), "a.png", tmp_path / "a.png", shares.append)
    with PIL.Image.open(tmp_path / "a.png") as opened:
        assert np.abs(np.asarray(opened).astype(int) - photograph()).mean() < 15
    assert sum(shares) == 1
    assert json.loads(configuration.model_dump_json())["task"] == "compress"
