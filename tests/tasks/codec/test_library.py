"""A file is opened by the network that wrote it, of all that are here."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from tasks import config, light, promote
from tasks.codec import file, library
from tasks.common.errors import Error
from tasks.common.files import sha256, write_json
from tasks.learning import weights
from tasks.profile import Profile
from tests.tasks.codec.test_file import photograph, save
from tests.tasks.kinds.compress.test_compress import BLOCK, EXPERIMENT


def save_both(first: Path, second: Path) -> list[Path]:
    """Weights of two networks, which differ in their gains."""
    save(first)
    network, configuration = weights.load(first)
    with torch.no_grad():
        network.gains.add_(0.3)  # type: ignore[operator]
    weights.save(second, network, configuration)
    return [first, second]


@pytest.fixture
def both(tmp_path: Path) -> list[Path]:
    return save_both(tmp_path / "a.safetensors", tmp_path / "b.safetensors")


def profile_of_both(folder: Path) -> tuple[Profile, list[Path]]:
    """A profile whose codec is trained, in a project that carries another, and the weights of both: those that are carried first."""
    params = {
        "root": ".", "device": "cpu", "download": {"photos": {}},
        "preprocess": {"whole": {**BLOCK, "dataset": "photos"}}, "experiments": {"codec": EXPERIMENT},
    }  # fmt: skip
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    carried, trained = (
        folder / "models" / "weights" / "codec.safetensors",
        folder / "results" / "codec" / "weights" / "seed-0.safetensors",
    )
    both = save_both(carried, trained)
    write_json(carried.with_suffix(".json"), {"sha256": sha256(carried)})
    return config.load(folder), both


def test_the_first_writes_and_each_opens_its_own(both: list[Path]) -> None:
    codecs = library.Library(both)
    assert codecs.writer.identity == library.load(both[0]).identity
    assert len(codecs.loaded) == 1, "others are loaded when they are asked for"
    for path in both:
        content = file.compress(library.load(path), file.Picture(photograph(40, 40)), 50)
        reader = codecs.reader(content)
        assert reader.identity == file.identity(content)
        assert file.decompress(reader, content).pixels.shape == (40, 40, 3)


def test_the_codec_that_git_carries_writes_unless_another_is_named(tmp_path: Path) -> None:
    profile, [carried, trained] = profile_of_both(tmp_path)
    assert library.paths(profile) == [carried, trained]
    assert library.paths(profile, "codec") == [trained, carried]


def test_a_retired_codec_opens_its_files_and_writes_none(tmp_path: Path) -> None:
    whole = tmp_path / "codec.safetensors"
    save(whole)
    content = file.compress(library.load(whole), file.Picture(photograph(40, 40)), 50)
    pixels = file.decompress(library.load(whole), content).pixels
    kept = promote.retire(whole, "codec-1")
    assert kept.stat().st_size < whole.stat().st_size
    whole.unlink()
    codecs = library.Library([kept])
    assert np.array_equal(file.decompress(codecs.reader(content), content).pixels, pixels)
    with pytest.raises(Error, match="open files and write none"):
        codecs.writer  # noqa: B018 (a property)
    with pytest.raises(Error, match="open files and write none"):
        light.load(kept)


def test_a_file_of_a_network_that_is_not_here_is_refused(both: list[Path]) -> None:
    content = file.compress(library.load(both[1]), file.Picture(photograph(40, 40)), 50)
    codecs = library.Library(both[:1])
    with pytest.raises(Error, match="written with the network"):
        file.decompress(codecs.reader(content), content)
    with pytest.raises(Error, match="begins otherwise"):
        file.decompress(codecs.reader(b"GIF89a"), b"GIF89a")


def test_sides_are_rounded_up_before_a_picture_is_too_large() -> None:
    assert file.area(1, 1) == 32 * 32
    assert file.area(1 << 21, 1) > file.MOST_PIXELS
    assert file.area(5600, 5600) < file.MOST_PIXELS
