"""A folder of photographs gets sentences; what is finished is not done again, and what cannot be read has its reason."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
import pytest

from tasks import config
from tasks.caption import STATE, WRITTEN, caption
from tasks.common.errors import Error
from tasks.datasets.data import info
from tasks.learning import weights
from tasks.profile import Profile
from tasks.words.captioner import Settings
from tests.conftest import ROOT
from tests.tasks import captioner

MakeProfile = Callable[..., Profile]
SCRIPT = """
import sys
from pathlib import Path
from tasks import config
from tasks.caption import caption
from tasks.words import captioner
if __name__ == "__main__":
    captioner.BATCH = 1
    caption(config.load(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), path=Path(sys.argv[4]), workers=0, part=1)
"""


def photographs(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
        PIL.Image.fromarray(pixels).resize((80, 60)).save(folder / f"{number:03d}.png")
    return folder


def test_a_folder_gets_sentences_once(make_profile: MakeProfile, tmp_path: Path) -> None:
    source, to, profile = photographs(tmp_path / "in", 5), tmp_path / "out", make_profile()
    (source / "deeper").mkdir()
    (source / "deeper" / "copy.png").write_bytes((source / "000.png").read_bytes())
    (source / "broken.jpg").write_bytes(b"no picture")
    path = captioner.write(tmp_path / "w.safetensors")
    summary = caption(profile, source, to, path=path)
    assert (summary["photographs"], summary["captions"], summary["unreadable"], summary["done"]) == (7, 6, 1, 6)
    table = pd.read_parquet(to / "captions.parquet")
    by_name = table.set_index(table["image_path"].map(lambda p: Path(p).name))
    assert "no picture in a format that is read here" in by_name.loc["broken.jpg", "reason"]
    assert by_name.loc["broken.jpg", "caption"] == ""
    assert by_name.loc["copy.png", "caption"] == by_name.loc["000.png", "caption"]
    assert (by_name.loc["000.png", "width"], by_name.loc["000.png", "height"]) == (80, 60)
    for sentence in table["caption"]:
        assert {*sentence.split()} <= {*captioner.WORDS[4:]}
    assert [*pd.read_csv(to / "captions.csv")["caption"].fillna("")] == [*table["caption"]]
    page = (to / "contact-sheet.html").read_text()
    assert page.count("<figure ") == 6
    assert "broken.jpg" in page
    photographs(tmp_path / "more", 6)
    (tmp_path / "more" / "005.png").rename(source / "005.png")
    again = caption(profile, source, to, path=path)
    assert (again["done"], again["unchanged"]) == (1, 6)
    part = next((to / STATE / "parts").glob("*/*.parquet"))
    part.write_bytes(part.read_bytes()[:50])
    assert caption(profile, source, to, path=path)["captions"] == 7
    assert caption(profile, source, to, path=path, settings=Settings(beam=1))["done"] == 7
    assert json.loads((to / "summary.json").read_text())["beam"] == 1


def test_sentences_have_the_length_penalty_that_they_were_measured_with(tmp_path: Path) -> None:
    source, path = photographs(tmp_path / "in", 1), captioner.write(tmp_path / "w.safetensors")
    full = config.load(ROOT / "full")
    assert full.experiment("caption-attention").train.length_penalty == 1.0  # type: ignore[attr-defined]
    for profile, penalty in ((full, 1.0), (config.load(ROOT), 0.7)):
        assert caption(profile, source, tmp_path / "out", path=path)["length_penalty"] == penalty
    assert len([*(tmp_path / "out" / STATE / "parts").iterdir()]) == 2, "what another penalty has chosen is another sentence"


def test_its_first_line_says_what_it_learned_from(
    make_profile: MakeProfile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, profile = photographs(tmp_path / "in", 1), make_profile()
    network, configuration = weights.load(captioner.write(tmp_path / "w.safetensors"))
    for hash_, words in (
        (info(profile.processed("tiny-pairs")).hash, "learned from tiny-pairs; it says nothing but the 7 words"),
        ("of no data here", "learned from data that are not prepared in this folder; it says nothing but the 7 words"),
    ):
        path = tmp_path / "of.safetensors"
        weights.save(path, network, configuration.model_copy(update={"data_hash": hash_}))
        caption(profile, source, tmp_path / "out", path=path, workers=0)
        assert words in capsys.readouterr().err.splitlines()[0]


@pytest.mark.slow
def test_killed_it_goes_on(make_profile: MakeProfile, tmp_path: Path) -> None:
    source, to, profile = photographs(tmp_path / "in", 12), tmp_path / "out", make_profile()
    path = captioner.write(tmp_path / "w.safetensors")
    command = [sys.executable, "-c", SCRIPT, str(profile.folder), str(source), str(to), str(path)]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    end = time.monotonic() + 240
    while process.poll() is None and time.monotonic() < end and not [*to.glob(f"{STATE}/parts/*/[!.]*.parquet")]:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    whole = {p.name for p in to.glob(f"{STATE}/parts/*/[!.]*.parquet")}
    assert whole
    summary = caption(profile, source, to, path=path, workers=0)
    assert summary["captions"] == 12
    assert summary["unchanged"] >= 1


@pytest.mark.slow
def test_actors_say_what_one_process_says(make_profile: MakeProfile, tmp_path: Path) -> None:
    source, profile = photographs(tmp_path / "in", 20), make_profile()
    path = captioner.write(tmp_path / "w.safetensors")
    caption(profile, source, tmp_path / "one", path=path, workers=0)
    caption(profile, source, tmp_path / "two", path=path, workers=2)
    one, two = (pd.read_parquet(tmp_path / name / "captions.parquet")["caption"] for name in ("one", "two"))
    assert [*one] == [*two]


def test_what_cannot_be_done_is_a_sentence(make_profile: MakeProfile, tmp_path: Path) -> None:
    source, profile = photographs(tmp_path / "in", 1), make_profile()
    path = captioner.write(tmp_path / "w.safetensors")
    with pytest.raises(Error, match="the photographs are in it"):
        caption(profile, source, source, path=path)
    with pytest.raises(Error, match="no such folder, file or list"):
        caption(profile, tmp_path / "nowhere", tmp_path / "out", path=path)
    network, configuration = weights.load(path)
    weights.save(path, network, configuration.model_copy(update={"task": "classify"}))
    with pytest.raises(Error, match="which is of the kind classify; give those of a captioner"):
        caption(profile, source, tmp_path / "out", path=path)


@pytest.mark.parametrize("name", WRITTEN)
def test_what_a_folder_held_before_is_not_replaced(make_profile: MakeProfile, tmp_path: Path, name: str) -> None:
    source, to = photographs(tmp_path / "in", 1), tmp_path / "out"
    to.mkdir()
    (to / name).write_text("mine")
    with pytest.raises(Error, match=f"{name}: not of a captioner, and would be overwritten"):
        caption(make_profile(), source, to, path=captioner.write(tmp_path / "w.safetensors"))
    assert [path.name for path in to.iterdir()] == [name]
    assert (to / name).read_text() == "mine"
