"""Weights in models/weights/ are used with their card alone, whatever uses them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from apps.networks import Choice
from tasks import carried
from tasks.caption import caption
from tasks.codec import library
from tasks.common import files
from tasks.common.errors import Error
from tasks.finding.encoders import Ours
from tasks.learning import weights
from tasks.looks import asked
from tasks.params import study
from tasks.profile import Profile
from tests.conftest import ROOT

NO_CARD = r"\.json: no such file, and so nothing says that .* is whole; take both: git checkout --"
USERS: dict[str, tuple[str, Callable[[Path, Profile], object]]] = {
    "the page": ("squeezenet", lambda path, profile: Choice(path, "squeezenet", "", "", "cpu").load()),
    "find": ("clip", lambda path, profile: Ours(path, "cpu")),
    "compress": ("codec", lambda path, profile: library.load(path)),
    "caption": ("clip", lambda path, profile: caption(profile, "clip", path.parent, path.parents[2] / "out", path)),
    "look": ("squeezenet", lambda path, profile: asked.find_network(profile, "classes")),
}


@pytest.mark.parametrize("user", USERS)
def test_weights_without_a_card_are_a_sentence(
    user: str, make_profile: Callable[..., Profile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, use = USERS[user]
    folder = tmp_path.joinpath(*carried.FOLDER)
    folder.mkdir(parents=True)
    path = folder / f"{'classes' if user == 'look' else name}.safetensors"
    shutil.copy(ROOT / "models" / "weights" / f"{name}.safetensors", path)
    for module in (asked, study):
        monkeypatch.setattr(module, "EMBEDDED", folder)
    profile = make_profile()
    with pytest.raises(Error, match=NO_CARD):
        use(path, profile)
    card = json.loads((ROOT / "models" / "weights" / f"{name}.json").read_bytes())
    files.write_json(path.with_suffix(".json"), {**card, "sha256": "0" * 64})
    with pytest.raises(Error, match="damaged: its SHA-256 is not the one in"):
        use(path, profile)


def test_weights_of_elsewhere_need_no_card(tmp_path: Path) -> None:
    path = tmp_path / "emotion.safetensors"
    shutil.copy(ROOT / "models" / "weights" / "emotion.safetensors", path)
    assert carried.verified(path) == path
    path.write_bytes(b"nothing")
    with pytest.raises(Error, match="not a weights file"):
        carried.verified(path)


def test_every_file_that_git_carries_is_whole() -> None:
    for path in sorted((ROOT / "models" / "weights").glob("*.safetensors")):
        assert weights.card(carried.verified(path))
