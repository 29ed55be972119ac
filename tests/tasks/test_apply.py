import csv
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image

from tasks import apply as application
from tasks import train
from tasks.apply import Applied, apply
from tasks.common import files
from tasks.common.errors import Error
from tasks.datasets import data
from tasks.imaging.tiles import filter_image
from tasks.learning import weights
from tasks.profile import Profile

ROOT = Path(__file__).parents[2]
PHOTO = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


@pytest.fixture
def profile(make_profile: Callable[..., Profile]) -> Profile:
    """A profile whose `pairs` has weights, as a training leaves them."""
    made = make_profile()
    save(made, "pairs")
    return made


def save(profile: Profile, name: str, seed: int = 0) -> None:
    info = data.info(profile.processed(profile.experiment(name).data))
    configuration = train.describe(profile, name, info, 0)
    torch.manual_seed(seed)
    weights.save(profile.results(name) / "weights" / "seed-0.safetensors", configuration.build(), configuration)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def folder_of(folder: Path, contents: dict[str, bytes]) -> Path:
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def png(seed: int = 0) -> bytes:
    return encoded(Image.fromarray(np.random.default_rng(seed).integers(0, 256, (12, 9, 3), dtype=np.uint8)))


def test_a_photograph_keeps_its_size(profile: Profile, tmp_path: Path) -> None:
    Image.fromarray(PHOTO).save(tmp_path / "photo.png")
    applied = apply(profile, "pairs", tmp_path / "photo.png", tmp_path / "filtered.png")
    assert applied == Applied(done=["photo.png"])
    network, _ = application.load(profile, "pairs")
    with Image.open(tmp_path / "filtered.png") as picture:
        assert picture.size == (30, 20)
        assert np.array_equal(np.asarray(picture), filter_image(network, PHOTO)[..., 0])


def test_a_photograph_goes_into_a_folder_under_its_own_name(profile: Profile, tmp_path: Path) -> None:
    source = folder_of(tmp_path, {"photo.jpg": encoded(Image.fromarray(PHOTO), "JPEG")}) / "photo.jpg"
    apply(profile, "pairs", source, tmp_path / "new" / "out.v2")
    assert (tmp_path / "new" / "out.v2" / "photo.png").exists()


@pytest.mark.parametrize(
    ("to", "message"),
    [("photo.png", "would replace the photograph"), (".", "would replace"), ("out.jpg", "written as PNG")],
)
def test_a_photograph_is_never_overwritten(profile: Profile, tmp_path: Path, to: str, message: str) -> None:
    source = folder_of(tmp_path, {"photo.png": png()}) / "photo.png"
    with pytest.raises(Error, match=message):
        apply(profile, "pairs", source, tmp_path / to)
    assert source.read_bytes() == png()


def test_a_picture_beside_a_photograph_is_not_replaced_by_one_of_its_name(profile: Profile, tmp_path: Path) -> None:
    source = folder_of(tmp_path, {"photo.jpg": encoded(Image.fromarray(PHOTO), "JPEG"), "photo.png": png()}) / "photo.jpg"
    with pytest.raises(Error, match=r"photo\.png: is there already, beside the photograph"):
        apply(profile, "pairs", source, tmp_path)
    assert (tmp_path / "photo.png").read_bytes() == png()


RED = Image.new("RGB", (8, 4), (200, 30, 40))
EXIF = Image.Exif()
EXIF[0x0112] = 6
GOOD = {
    "a/palette.png": encoded(RED.quantize(4)),
    "a/b/cmyk.jpg": encoded(RED.convert("CMYK"), "JPEG"),
    "deep.png": encoded(Image.fromarray(np.full((4, 8), 40000, np.uint16))),
    "grey-alpha.png": encoded(Image.new("LA", (8, 4), (90, 128))),
    "animated.gif": encoded(RED, "GIF", save_all=True, append_images=[Image.new("RGB", (8, 4))]),
    "several.tiff": encoded(RED, "TIFF", save_all=True, append_images=[RED]),
    "turned.jpg": encoded(RED, "JPEG", exif=EXIF),
    "one.PNG": encoded(RED.resize((1, 1))),
    "name with ümlaut.webp": encoded(RED, "WEBP"),
}
BAD = {
    "text.txt": (b"hello", "no picture in a format that is read here"),
    "truncated.jpg": (encoded(Image.fromarray(PHOTO), "JPEG")[:-200], "truncated"),
    "empty.png": (b"", "no picture"),
    # The width in the header, with its checksum.
    "no-pixels.bmp": (encoded(RED, "BMP")[:18] + bytes(4) + encoded(RED, "BMP")[22:], ""),
    "bomb.png": (encoded(Image.new("1", (20_000, 20_000))), "omb"),
}


def test_every_kind_of_file_is_used_or_listed_with_its_reason(profile: Profile, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", GOOD | {name: content for name, (content, _) in BAD.items()})
    (source / "gone.jpg").symlink_to(tmp_path / "nowhere")
    (source / "linked").symlink_to(tmp_path)
    os.mkfifo(source / "pipe.png")
    to = tmp_path / "out"
    applied = apply(profile, "pairs", source, to)

    assert sorted(applied.done) == sorted(GOOD)
    pictures = {path.relative_to(to).as_posix() for path in to.rglob("*.png")}
    assert pictures == {str(Path(name).with_suffix(".png")) for name in GOOD}
    with Image.open(to / "turned.png") as picture:
        assert picture.size == (4, 8)
    with Image.open(to / "one.png") as picture:
        assert picture.size == (1, 1)
    assert set(applied.notes) == {"animated.gif", "several.tiff"}
    assert {row["file"]: row["note"] for row in rows(to / "applied.csv") if row["note"]} == applied.notes

    skipped = {row["file"]: row["reason"] for row in rows(to / "skipped.csv")}
    assert skipped == applied.skipped
    assert set(skipped) == {*BAD, "gone.jpg", "linked", "pipe.png"}
    for name, (_, reason) in BAD.items():
        assert reason in skipped[name]
        assert skipped[name]


def test_a_single_file_that_cannot_be_used_is_an_error(profile: Profile, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(Error, match=r"text.png: no picture in a format that is read here \(JPEG, PNG"):
        apply(profile, "pairs", tmp_path / "text.png", tmp_path / "out.png")
    assert not (tmp_path / "out.png").exists()


def test_what_is_finished_is_not_done_again(profile: Profile, tmp_path: Path) -> None:
    source, to = folder_of(tmp_path / "in", {f"{i}.png": png(i) for i in range(4)} | {"bad.png": b""}), tmp_path / "out"
    assert len(apply(profile, "pairs", source, to).done) == 4
    before = {path.name: path.stat().st_mtime_ns for path in to.glob("*.png")}

    (source / "1.png").write_bytes(png(10))
    (to / "2.png").unlink()
    (source / "3.png").touch()
    applied = apply(profile, "pairs", source, to)
    assert applied.done == ["1.png", "2.png"]
    assert applied.unchanged == ["0.png", "3.png"]
    assert set(applied.skipped) == {"bad.png"}
    assert {path.name for path in to.glob("*.png") if path.stat().st_mtime_ns == before[path.name]} == {"0.png", "3.png"}
    assert [row["file"] for row in rows(to / "applied.csv")] == ["0.png", "1.png", "2.png", "3.png"]

    save(profile, "pairs", seed=1)
    assert len(apply(profile, "pairs", source, to).done) == 4


def test_a_killed_run_goes_on(profile: Profile, tmp_path: Path) -> None:
    large = encoded(Image.fromarray(np.tile(PHOTO, (30, 30, 1))), "BMP")
    source, to = folder_of(tmp_path / "in", {f"{i:03}.bmp": large[:-1] + bytes([i]) for i in range(40)}), tmp_path / "out"
    command = [sys.executable, "-m", "tasks.apply", "pairs", str(source), str(to)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=profile.folder, env=environment, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 200
    while len(list(to.glob("[0-9]*.png"))) < 3 and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = rows(to / "applied.csv")
    assert 0 < len(finished) < 40
    # As if the kill had come within a line.
    table = to / "applied.csv"
    table.write_bytes(table.read_bytes()[:-20])
    applied = apply(profile, "pairs", source, to)
    assert len(applied.unchanged) == len(finished) - 1
    assert len(applied.done) == 40 - len(applied.unchanged)
    assert len(rows(table)) == len(list(to.glob("*.png"))) == 40


def test_names_that_would_meet_are_kept_apart(profile: Profile, tmp_path: Path) -> None:
    jpeg = encoded(RED, "JPEG")
    names = ["photo.jpg", "photo.png", "Photo.png.jpg", "only.jpg", "only.xmp", "bare"]
    source = folder_of(tmp_path / "in", dict.fromkeys(names, jpeg))
    applied = apply(profile, "pairs", source, tmp_path / "out")
    assert sorted(applied.done) == sorted(names)
    outputs = {row["file"]: row["output"] for row in rows(tmp_path / "out" / "applied.csv")}
    assert outputs["only.jpg"] == "only.png"
    assert outputs["only.xmp"] == "only.xmp.png"
    assert outputs["photo.jpg"] == "photo.jpg.png"
    assert len({output.casefold() for output in outputs.values()}) == len(names)
    assert apply(profile, "pairs", source, tmp_path / "out").done == []


def test_pictures_within_the_source_are_not_filtered_again(profile: Profile, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", {"a.png": png()})
    for _ in range(2):
        apply(profile, "pairs", source, source / "out")
    assert [path.name for path in (source / "out").rglob("*.png")] == ["a.png"]
    for to in (source, tmp_path):
        with pytest.raises(Error, match="among the photographs"):
            apply(profile, "pairs", source, to)


def test_two_at_one_output_are_refused(profile: Profile, tmp_path: Path) -> None:
    source, to = folder_of(tmp_path / "in", {"a.png": png()}), tmp_path / "out"
    to.mkdir()
    with FileLock(to / application.LOCK), pytest.raises(Error, match="another apply is writing there"):
        apply(profile, "pairs", source, to)
    assert apply(profile, "pairs", source, to).done == ["a.png"]


def test_wrong_arguments_are_refused_before_any_work(profile: Profile, tmp_path: Path) -> None:
    source, to = folder_of(tmp_path / "in", {"a.png": png()}), tmp_path / "out"
    (tmp_path / "file").touch()
    own = profile.results("pairs") / "weights" / "seed-0.safetensors"
    save(profile, "classes")
    for arguments, message in (
        (("pair", source, to), "did you mean pairs"),
        (("classes", source, to), "task classify makes no pictures; allowed: compress, detect, translate"),
        (("classes", source, to, own), "weights of pairs, not of classes"),
        (("pairs", tmp_path / "nowhere", to), "no such file or folder"),
        (("pairs", source, tmp_path / "file"), "give another folder"),
        (("pairs", source, to, source / "a.png"), "not a weights file"),
    ):
        with pytest.raises(Error, match=message):
            apply(profile, *arguments)
    own.unlink()
    with pytest.raises(Error, match="pairs is not trained; train it: dvc repro train@pairs"):
        apply(profile, "pairs", source, to)
    assert not to.exists()


def test_weights_that_git_carries_are_used_before_any_training(profile: Profile, tmp_path: Path) -> None:
    trained = application.find_weights(profile, "pairs")
    embedded = profile.root / "models" / "weights" / "pairs.safetensors"
    embedded.parent.mkdir(parents=True)
    shutil.copy(trained, embedded)
    assert application.find_weights(profile, "pairs") == trained
    trained.unlink()
    assert application.find_weights(profile, "pairs") == embedded
    # Another profile's experiment may have come along too; what is nowhere is unknown.
    other = embedded.rename(embedded.with_stem("of-another-profile"))
    assert application.find_weights(profile, "of-another-profile") == other
    network, configuration = weights.load(other)
    weights.save(other, network, configuration.model_copy(update={"experiment": "of-another-profile"}))
    files.write_json(other.with_suffix(".json"), {"sha256": files.sha256(other)})
    assert application.load(profile, "of-another-profile", other)[1].experiment == "of-another-profile"
    with pytest.raises(Error, match="unknown experiment 'of-no-profile'"):
        application.find_weights(profile, "of-no-profile")
    with pytest.raises(Error, match="did you mean of-another-profile"):
        application.find_weights(profile, "of-other-profile")


def test_weights_that_git_carries_are_used_with_their_card_alone(profile: Profile, tmp_path: Path) -> None:
    trained = application.find_weights(profile, "pairs")
    embedded = profile.root / "models" / "weights" / "pairs.safetensors"
    embedded.parent.mkdir(parents=True)
    shutil.move(trained, embedded)
    with pytest.raises(Error, match=r"pairs\.json: no such file, and so nothing says that pairs\.safetensors is whole"):
        application.load(profile, "pairs")
    files.write_json(embedded.with_suffix(".json"), {"sha256": files.sha256(embedded)})
    assert application.load(profile, "pairs")[1].experiment == "pairs"
    content = bytearray(embedded.read_bytes())
    content[-1] ^= 1
    embedded.write_bytes(content)
    with pytest.raises(Error, match=r"damaged: its SHA-256 is not the one in pairs\.json"):
        application.load(profile, "pairs")


def test_a_table_of_another_origin_is_not_overwritten(profile: Profile, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", {"a.png": png()})
    to = folder_of(tmp_path / "out", {"applied.csv": b"mine,all mine\n1,2\n"})
    with pytest.raises(Error, match="not written by"):
        apply(profile, "pairs", source, to)
    assert (to / "applied.csv").read_text() == "mine,all mine\n1,2\n"


@pytest.mark.parametrize("name", ["a.png", "skipped.csv"])
def test_what_a_folder_held_before_is_not_replaced(profile: Profile, tmp_path: Path, name: str) -> None:
    source, to = folder_of(tmp_path / "in", {"a.png": png()}), folder_of(tmp_path / "out", {name: b"mine"})
    with pytest.raises(Error, match=f"{name}: not written for a folder by tasks.apply, and would be replaced"):
        apply(profile, "pairs", source, to)
    assert [path.name for path in to.glob("*.*") if path.name != application.LOCK] == [name]
    assert (to / name).read_bytes() == b"mine"


def test_pictures_of_another_experiment_are_not_replaced(profile: Profile, tmp_path: Path) -> None:
    source, to = folder_of(tmp_path / "in", {"a.png": png()}), tmp_path / "out"
    apply(profile, "pairs", source, to)
    table = (to / "applied.csv").read_text()
    (to / "applied.csv").write_text(table.replace(",pairs,", ",other,"))
    before = (to / "a.png").read_bytes()
    with pytest.raises(Error, match="holds pictures of other, which would be replaced; give another folder"):
        apply(profile, "pairs", source, to)
    assert (to / "a.png").read_bytes() == before


def test_the_command_says_what_it_did(profile: Profile, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", {"a.png": png(), "b.gif": GOOD["animated.gif"], "c.png": b""})
    command = [sys.executable, "-m", "tasks.apply", "pairs", str(source), str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=profile.folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "seed-0.safetensors" in done.stderr
    assert "2 done, 0 unchanged, 1 skipped" in done.stderr
    assert "note: b.gif: the first of several pictures" in done.stderr
    assert "skipped: c.png:" in done.stderr
