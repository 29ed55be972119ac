"""Weights in open_clip's layout: a small random file of it, searched with, and what is wrong with others."""

import gzip
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tasks import find, light
from tasks.common.errors import Error
from tasks.finding import byte_pairs, encoders, foreign_clip
from tests.models.test_open_clip import SIZES, tensors

MERGES = [("r", "e"), ("re", "d</w>"), ("d", "o"), ("do", "g</w>")]


@pytest.fixture
def merges(tmp_path: Path) -> Path:
    path = tmp_path / byte_pairs.FILE
    path.write_bytes(gzip.compress("\n".join(["#version", *(" ".join(pair) for pair in MERGES), ""]).encode()))
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A small random file of the layout, with as many pieces of words as the merges make."""
    path = tmp_path / "open_clip_model.safetensors"
    save_file(tensors(replace(SIZES, words=512 + len(MERGES) + 2)), path)
    return path


def test_a_folder_is_searched_with_it(file: Path, merges: Path, folder: Path, weights_file: Path) -> None:
    found, updated = find.find(folder, like=folder / "red0.png", count=2, weights=str(file), merges=merges)
    assert found[0][1] == pytest.approx(1, abs=2e-3)
    assert {Path(path).name for path, _ in found} == {"red0.png", "red3.png"}
    assert updated.done == 7
    again, updated = find.find(folder, "a red dog", weights=str(file), merges=merges)
    assert len(again) == 6
    assert (updated.done, updated.unchanged) == (0, 7)
    with pytest.raises(Error, match=r"an index of another network \(open_clip_model\.safetensors, not colours"):
        find.find(folder, "red", weights=str(weights_file))


def test_checkpoints_of_torch_give_the_same_vectors(file: Path, merges: Path, tmp_path: Path) -> None:
    made = {f"module.{name}": tensor for name, tensor in foreign_clip.load_file(file).items()}
    torch.save({"epoch": 1, "name": "ViT-B-32", "state_dict": made}, tmp_path / "epoch.pt")
    squares = [np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)]
    first, second = (encoders.choose(str(path), merges, "cpu").images(squares) for path in (file, tmp_path / "epoch.pt"))
    assert first == pytest.approx(second)


def test_sentences_are_cut_off_and_said_so(file: Path, merges: Path) -> None:
    encoder = encoders.choose(str(file), merges, "cpu")
    vector, notes = encoder.sentence("red dog")
    assert vector.shape == (16,)
    assert notes == []
    assert encoder.sentence("red dog " * 5_000)[1] == ["longer than the 12 pieces that are read"]
    with pytest.raises(Error, match="no words"):
        encoder.sentence("  ")


def test_what_cannot_be_read_is_a_sentence(file: Path, merges: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def choose(name: str, content: bytes) -> None:
        (tmp_path / name).write_bytes(content)
        encoders.choose(str(tmp_path / name), merges, "cpu")

    with pytest.raises(Error, match="cannot be read as weights"):
        choose("a.pt", b"text")
    with pytest.raises(Error, match="not a file of tensors"):
        choose("a.safetensors", b"text")
    with pytest.raises(Error, match=r"give one, or a name of laion400m_e32, laion2b_e16"):
        encoders.choose("laion", merges, "cpu")
    with pytest.raises(Error, match="its SHA-256 begins with"):
        choose(foreign_clip.SOURCES["laion400m_e32"].file, b"another content")
    torch.save({"state_dict": {"more": torch.zeros(1)}}, tmp_path / "b.pt")
    with pytest.raises(Error, match="not in the layout of open_clip"):
        encoders.choose(str(tmp_path / "b.pt"), merges, "cpu")
    (tmp_path / "few.gz").write_bytes(gzip.compress(b"#version\na b\n"))
    with pytest.raises(Error, match="knows 518 pieces of words, and the merges make 515"):
        encoders.choose(str(file), tmp_path / "few.gz", "cpu")
    shutil.copytree(tmp_path, tmp_path.parent / "hub" / "darkroom")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path.parent / "hub"))
    with pytest.raises(Error, match=r"the published vit_b_32-quickgelu-laion400m_e32-46683a32\.pt with 46683a32"):
        foreign_clip.fetch("laion400m_e32")


def test_published_names_say_which_gelu() -> None:
    assert all(foreign_clip.is_quick(Path(source.file)) == source.quick for source in foreign_clip.SOURCES.values())


def test_a_file_without_its_backbone_is_whole_again(weights_file: Path, tmp_path: Path) -> None:
    """As embedded weights are: the backbone of the package is put in, and what is of another kind is refused."""
    from tasks.learning import pretrained, weights

    network, configuration = light.load(weights_file)
    try:
        published = pretrained.read(pretrained.SOURCES["mobilenet_v2"], light.PACKAGED)
    except Error as error:
        pytest.skip(str(error))
    weights.save(tmp_path / "light.safetensors", light.split(network, [light.BACKBONE]), configuration, half=True)
    assert (tmp_path / "light.safetensors").stat().st_size < weights_file.stat().st_size / 50
    loaded, _ = light.load(tmp_path / "light.safetensors")
    network.backbone.load_pretrained(published)
    image = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        assert torch.allclose(loaded(image), network(image), atol=2e-2)
    other = Path(weights.__file__).parents[2] / "models" / "weights" / "emotion.safetensors"
    with pytest.raises(Error, match="weights of the task classify, which has no sentences"):
        encoders.Ours(other)
