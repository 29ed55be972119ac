"""What the compression tab computes: others have at most as many bytes, and files are opened by the codec that wrote them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from apps.networks import Choice
from apps.tabs import compression
from tasks import config, promote
from tasks.codec import file, library
from tasks.common.errors import Error
from tests.conftest import ROOT
from tests.tasks.codec.test_file import photograph, save
from tests.tasks.codec.test_library import profile_of_both


def choice(path: Path) -> Choice:
    return Choice(path, "codec", "a test", "none", "cpu")


@pytest.fixture
def found(tmp_path: Path) -> dict[str, Choice]:
    save(tmp_path / "a.safetensors")
    return {"a": choice(tmp_path / "a.safetensors")}


def test_a_file_of_a_retired_codec_is_opened(found: dict[str, Choice], tmp_path: Path) -> None:
    content = file.compress(compression.pictures(found["a"]), file.Picture(photograph(40, 40)), 50)
    kept = promote.retire(found["a"].path, "a-1")
    picture, name = compression.opened({}, content, [kept])
    assert (name, picture.pixels.shape) == ("a-1", (40, 40, 3))
    with pytest.raises(Error):
        compression.opened({}, content)


def test_what_opens_files_alone_is_not_offered() -> None:
    profile = config.load(ROOT)
    retired = {f"{path.stem} (embedded)" for path in library.retired(profile)}
    assert retired
    assert retired.isdisjoint(compression.choices(profile))


def test_the_codec_that_comes_with_the_code_is_first_and_each_opens_its_own(tmp_path: Path) -> None:
    profile, both = profile_of_both(tmp_path)
    found = compression.choices(profile)
    assert [(name, choice.path) for name, choice in found.items()] == [*zip(["codec (embedded)", "codec"], both, strict=True)]
    for name, choice in found.items():
        content = file.compress(compression.pictures(choice), file.Picture(photograph(40, 40)), 50)
        assert compression.opened(found, content)[1] == name


def test_others_have_at_most_as_many_bytes(found: dict[str, Choice]) -> None:
    result = compression.compress(compression.pictures(found["a"]), photograph(64, 64), 80)
    assert {"ours", "jpeg"} <= result.keys()
    assert all(len(one.content) <= len(result["ours"].content) for one in result.values())
    name, size, bits, psnr, similarity = result["ours"].row("Ours", photograph(64, 64))
    assert (name, size) == ("Ours", len(result["ours"].content))
    assert bits == pytest.approx(8 * size / 64**2, abs=1e-3)
    assert psnr > 15
    assert 0 < similarity <= 1


def test_a_file_is_opened_by_the_codec_that_wrote_it(found: dict[str, Choice], tmp_path: Path) -> None:
    from tasks.learning import weights

    network, configuration = weights.load(found["a"].path)
    with torch.no_grad():
        network.gains.add_(0.3)  # type: ignore[operator]
    weights.save(tmp_path / "b.safetensors", network, configuration)
    both = {**found, "b": choice(tmp_path / "b.safetensors")}
    for name, one in both.items():
        content = file.compress(compression.pictures(one), file.Picture(photograph()), 50)
        picture, codec = compression.opened(both, content)
        assert codec == name
        assert np.array_equal(picture.pixels, file.decompress(compression.pictures(one), content).pixels)
    with pytest.raises(Error, match="written with the network"):
        compression.opened(found, content)
    with pytest.raises(Error, match="begins otherwise"):
        compression.opened(found, b"GIF89a")
