import csv
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
from filelock import FileLock
from PIL import Image

from tasks.annotate import STATE, annotate
from tasks.common.errors import Error
from tasks.faces import annotations, annotator
from tasks.faces.annotator import Annotator
from tasks.faces.face_weights import find
from tasks.faces.photographs import decode
from tasks.params.face_settings import Weights
from tasks.profile import Profile
from tests.conftest import ROOT
from tests.tasks import people
from tests.tasks.people import FACES, QUICK

MakeProfile = Callable[..., Profile]
SCRIPT = """
import sys
from pathlib import Path
from tasks import config
from tasks.annotate import annotate
from tests.tasks.people import QUICK
if __name__ == "__main__":
    annotate(config.load(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), QUICK, workers=int(sys.argv[4]), part=1)
"""


def start(profile: Profile, source: Path, to: Path, workers: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", SCRIPT, str(profile.folder), str(source), str(to), str(workers)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True)


def parts(to: Path) -> int:
    return len(list(to.glob(f"{STATE}/parts/*/[!.]*.parquet")))


def kill_after(process: "subprocess.Popen[str]", to: Path, count: int, patience: float = 240) -> bool:
    """SIGKILL as soon as `count` parts are there; whether it came in time."""
    end = time.monotonic() + patience
    while process.poll() is None and time.monotonic() < end:
        if parts(to) >= count:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return True
        time.sleep(0.01)
    assert process.poll() == 0
    return False


def table(to: Path) -> pd.DataFrame:
    return pd.read_parquet(to / "faces.parquet")


def test_a_folder_is_annotated(make_profile: MakeProfile, tmp_path: Path) -> None:
    source = people.write(tmp_path / "in", 4)
    (source / "deeper").mkdir()
    (source / "deeper" / "copy.png").write_bytes((source / "000.png").read_bytes())
    people.save(source / "turned.jpg", np.rot90(people.portrait(), 1), exif=_orientation(6), quality=95)
    summary = annotate(make_profile(), source, to := tmp_path / "out", QUICK)
    rows = table(to)
    assert list(rows.columns) == annotations.COLUMNS
    assert rows["image_path"].is_monotonic_increasing
    assert summary["photographs"] == rows["image_path"].nunique() == 6
    assert (summary["distinct"], summary["done"], summary["unreadable"]) == (5, 5, 0)
    by_name = {Path(path).name: own for path, own in rows.groupby("image_path")}
    wall = by_name["wall.png"].iloc[0]
    assert (wall["reason"], wall["width"], wall["height"]) == ("no face", 120, 90)
    assert pd.isna(wall["face"])
    for name in ("000.png", "turned.jpg"):
        face = by_name[name].iloc[0]
        # The astronaut's face, in pixels of the photograph as it is seen.
        assert 55 < (face["x1"] + face["x2"]) / 2 < 145
        assert 50 < (face["y1"] + face["y2"]) / 2 < 150
        probabilities = face[list(annotations.EMOTIONS)].to_numpy(float)
        assert probabilities.sum() == pytest.approx(1, abs=1e-3)
        assert face["emotion_confidence"] == pytest.approx(probabilities.max())
        uncertain = "uncertain" in face["flags"].split()
        assert face["emotion"] == ("uncertain" if uncertain else annotations.EMOTIONS[probabilities.argmax()])
    same = ["face", "x1", "y1", "emotion", "sharpness", "sha256", "picture"]
    assert by_name["copy.png"][same].to_numpy().tolist() == by_name["000.png"][same].to_numpy().tolist()
    csv = pd.read_csv(to / "faces.csv")
    assert len(csv) == len(rows)
    assert json.loads((to / "summary.json").read_text())["faces"] == rows["face"].notna().sum()
    with Image.open(to / by_name["000.png"].iloc[0]["picture"]) as picture:
        assert (picture.format, picture.size) == ("PNG", (200, 200))
        assert not np.array_equal(np.asarray(picture), people.portrait())
    assert wall["picture"] == ""


def _orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def test_what_is_finished_is_not_done_again_and_what_is_new_is(make_profile: MakeProfile, tmp_path: Path) -> None:
    profile, source, to = make_profile(), people.write(tmp_path / "in", 3), tmp_path / "out"
    annotate(profile, source, to, QUICK)
    before = table(to)
    people.save(source / "new.png", people.portrait()[20:])
    summary = annotate(profile, source, to, QUICK)
    assert (summary["done"], summary["unchanged"]) == (1, 3)
    pd.testing.assert_frame_equal(table(to)[lambda t: ~t["image_path"].str.endswith("new.png")].reset_index(drop=True), before)
    picture = to / table(to).loc[lambda t: t["picture"] != "", "picture"].iloc[0]
    picture.unlink()
    assert annotate(profile, source, to, QUICK)["done"] == 1
    assert picture.exists()
    # Other numbers are another result.
    changed = QUICK.model_copy(update={"emotions": QUICK.emotions.model_copy(update={"uncertain": 1.0})})
    assert annotate(profile, source, to, changed)["done"] == 4
    assert set(table(to).loc[lambda t: t["face"].notna(), "emotion"]) == {"uncertain"}


def test_a_crowd_has_boxes_alone_and_a_legend_beside_it() -> None:
    tiles = np.tile(people.portrait(), (2, 3, 1))
    photograph = decode(_png(np.pad(tiles, ((0, 2600), (0, 2600), (0, 0)))), "crowd", 4096)
    row = {"x1": 50.0, "y1": 40.0, "x2": 110.0, "y2": 120.0, "emotion": "happy", "emotion_confidence": 0.9}
    rows = [row, row | {"x1": 250.0, "x2": 310.0, "emotion": "uncertain"}]
    drawn = annotator.draw(photograph, rows)
    assert drawn.shape[1] > 3200
    beside = {tuple(pixel) for pixel in drawn[:400, 3200:].reshape(-1, 3).tolist()}
    assert {annotator.COLOURS["happy"], annotator.COLOURS["uncertain"]} <= beside
    assert annotator.COLOURS["sad"] not in beside
    alone = decode(_png(people.portrait()), "one", 4096)
    assert annotator.draw(alone, rows[:1]).shape == (200, 200, 3)


def test_a_killed_run_goes_on_to_the_same_table(make_profile: MakeProfile, tmp_path: Path) -> None:
    profile, source = make_profile(), people.write(tmp_path / "in", 9)
    people.save(source / "twice.png", people.portrait())
    (source / "broken.jpg").write_bytes(b"none")
    annotate(profile, source, tmp_path / "undisturbed", QUICK)
    to = tmp_path / "out"
    assert kill_after(start(profile, source, to, 0), to, 3)
    assert not (to / "faces.parquet").exists()
    done = parts(to)
    summary = annotate(profile, source, to, QUICK)
    assert 0 < summary["done"] <= 11 - done
    pd.testing.assert_frame_equal(table(to), table(tmp_path / "undisturbed"))
    assert (to / "faces.csv").read_bytes() == (tmp_path / "undisturbed" / "faces.csv").read_bytes()
    assert not list(to.rglob("*-tmp-*"))


@pytest.mark.slow
def test_ray_killed_again_and_again_gives_the_same_table_and_leaves_nothing(make_profile: MakeProfile, tmp_path: Path) -> None:
    profile, source = make_profile(), people.write(tmp_path / "in", 40)
    annotate(profile, source, tmp_path / "undisturbed", QUICK, workers=0)
    to = tmp_path / "out"
    family: list[psutil.Process] = []
    for count in (1, 3):
        process = start(profile, source, to, 2)
        end = time.monotonic() + 240
        while parts(to) < count and process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        if process.poll() is None:
            family += psutil.Process(process.pid).children(recursive=True)
            process.kill()
        process.wait()
    annotate(profile, source, to, QUICK, workers=2)
    pd.testing.assert_frame_equal(table(to), table(tmp_path / "undisturbed"))
    # Ray's two agents try for a minute to tell the dead cluster of its death.
    _, alive = psutil.wait_procs(family, 120)
    assert not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow
def test_the_answers_of_ray_and_of_this_process_are_the_same(make_profile: MakeProfile, tmp_path: Path) -> None:
    profile, source = make_profile(), people.write(tmp_path / "in", 6)
    (source / "broken.jpg").write_bytes(b"none")
    annotate(profile, source, tmp_path / "here", QUICK, workers=0)
    summary = annotate(profile, source, tmp_path / "ray", QUICK, workers=1)
    assert summary["done"] == 7
    pd.testing.assert_frame_equal(table(tmp_path / "ray"), table(tmp_path / "here"))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_a_photograph_does_not_depend_on_its_neighbours(make_profile: MakeProfile, precision: Any, batch: int) -> None:
    settings = QUICK.model_copy(update={"precision": precision, "faces": FACES.model_copy(update={"batch": batch})})
    annotator = Annotator(find(make_profile(), settings), settings, threads=1)
    rng = np.random.default_rng(0)
    photographs = []
    for i in range(4):
        pixels = np.roll(people.portrait(), 9 * i, axis=1) if i % 2 else people.portrait()[: 190 - 9 * i]
        noisy = (pixels + rng.integers(0, 30, pixels.shape)).clip(0, 255).astype(np.uint8)
        photographs.append(decode(_png(noisy), str(i), 4096))
    together = annotator(photographs)
    assert sum(row.get("face") is not None for rows in together for row in rows) >= 3
    assert [annotator([photograph])[0] for photograph in photographs] == together
    assert annotator(photographs[::-1])[::-1] == together
    assert annotator(photographs[1:3]) == together[1:3]


def _png(pixels: np.ndarray) -> bytes:
    import io

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def test_bad_photographs_have_a_row_with_the_reason(make_profile: MakeProfile, tmp_path: Path) -> None:
    source, to = people.write(tmp_path / "in", 2), tmp_path / "out"
    whole = (source / "000.png").read_bytes()
    (source / "text.jpg").write_bytes(b"Dear diary")
    (source / "half.png").write_bytes(whole[: len(whole) // 2])
    (source / "empty.png").write_bytes(b"")
    Image.new("1", (10_000, 10_000)).save(source / "bomb.png")
    Image.new("F", (20, 20)).save(source / "float.tif")
    (source / "lost.jpg").symlink_to(source / "nowhere.jpg")
    for mode in ("L", "LA", "P", "RGBA", "I;16", "1", "CMYK"):
        face = Image.fromarray(people.portrait())
        suffix = "tif" if mode == "CMYK" else "png"
        (Image.fromarray(np.asarray(face.convert("L"), np.uint16) << 8) if mode == "I;16" else face.convert(mode)).save(
            source / f"mode-{mode.replace(';', '-')}.{suffix}"
        )
    people.save(source / "huge.png", np.full((40, 5000, 3), 90, np.uint8))
    summary = annotate(make_profile(), source, to, QUICK)
    reasons = {Path(path).name: reason for path, reason in zip(table(to)["image_path"], table(to)["reason"])}
    for name, reason in (
        ("text.jpg", "no picture in a format"), ("half.png", "truncated"), ("empty.png", "no picture in a format"),
        ("bomb.png", "decompression bomb"), ("float.tif", "no known range"), ("lost.jpg", "FileNotFoundError"),
    ):  # fmt: skip
        assert reason in reasons[name]
    # Whether a face is found in black and white alone is for the detector to say.
    assert {reasons[name] for name in reasons if name.startswith("mode-")} <= {"", "no face"}
    assert reasons["mode-RGBA.png"] == reasons["mode-I-16.png"] == reasons["mode-CMYK.tif"] == ""
    assert reasons["huge.png"] == "no face"
    assert table(to).loc[lambda t: t["image_path"].str.endswith("huge.png"), "width"].item() == 5000
    assert summary["unreadable"] == 6


def test_what_cannot_be_started_is_refused(make_profile: MakeProfile, tmp_path: Path) -> None:
    profile, source, to = make_profile(), people.write(tmp_path / "in", 2), tmp_path / "out"
    with pytest.raises(Error, match="no such folder"):
        annotate(profile, tmp_path / "none", to, QUICK)
    (tmp_path / "empty").mkdir()
    with pytest.raises(Error, match="no photographs in it"):
        annotate(profile, tmp_path / "empty", to, QUICK)
    assert not to.exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(Error, match="give another folder"):
        annotate(profile, source, tmp_path / "file" / "out", QUICK)
    with pytest.raises(Error, match="the photographs are in it"):
        annotate(profile, source, source, QUICK)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "faces.csv").write_text("my,data")
    with pytest.raises(Error, match="would be overwritten"):
        annotate(profile, source, tmp_path / "mine", QUICK)
    with pytest.raises(Error, match="another annotator"), FileLock(_lock(to)):
        annotate(profile, source, to, QUICK)
    for key, weights, message in (
        ("faces", Weights(source="path", path=str(tmp_path / "none.pt")), "no such file"),
        ("faces", Weights(source="path", path=str(tmp_path / "file"), sha256="0" * 64), "has the SHA-256"),
        ("emotions", Weights(source="path", path=str(ROOT / "models/weights/face.safetensors")), "not those of emotions"),
        ("faces", Weights(source="path", path=str(ROOT / "models/weights/emotion.safetensors")), "not of a face detector"),
    ):
        block = getattr(QUICK, key).model_copy(update={"weights": weights})
        with pytest.raises(Error, match=message):
            annotate(profile, source, to, QUICK.model_copy(update={key: block}))
    assert not (to / "faces.parquet").exists()


def _lock(to: Path) -> Path:
    (to / STATE).mkdir(parents=True)
    return to / STATE / "lock"


def test_a_list_and_a_glob_name_photographs(make_profile: MakeProfile, tmp_path: Path) -> None:
    source = people.write(tmp_path / "in", 4)
    (tmp_path / "list.txt").write_text("in/001.png\n\nin/000.png\nin/gone.png\n")
    annotate(make_profile(), tmp_path / "list.txt", to := tmp_path / "out", QUICK)
    assert [Path(path).name for path in table(to)["image_path"].unique()] == ["000.png", "001.png", "gone.png"]
    annotate(make_profile(), f"{source}/00[12].png", to, QUICK)
    assert [Path(path).name for path in table(to)["image_path"].unique()] == ["001.png", "002.png"]


def test_pictures_are_left_out_and_an_output_among_the_photographs_is_not_annotated(
    make_profile: MakeProfile, tmp_path: Path
) -> None:
    profile, source = make_profile(), people.write(tmp_path / "in", 3)
    assert annotate(profile, source, source / "out", QUICK)["photographs"] == 3
    assert annotate(profile, source, tmp_path / "other", QUICK)["photographs"] == 3
    annotate(profile, source, source / "out", QUICK.model_copy(update={"pictures": False}))
    assert not table(source / "out")["picture"].any()


def test_damaged_parts_are_done_again(make_profile: MakeProfile, tmp_path: Path) -> None:
    profile, source, to = make_profile(), people.write(tmp_path / "in", 3), tmp_path / "out"
    annotate(profile, source, to, QUICK, part=1)
    before = table(to)
    next(to.glob(f"{STATE}/parts/*/*.parquet")).write_bytes(b"PAR1")
    assert annotate(profile, source, to, QUICK)["done"] == 1
    pd.testing.assert_frame_equal(table(to), before)


def test_a_folder_without_any_face_has_a_sheet(make_profile: MakeProfile, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    people.save(tmp_path / "in" / "wall.png", np.full((90, 120, 3), 128, np.uint8))
    summary = annotate(make_profile(), tmp_path / "in", tmp_path / "out", QUICK)
    assert (summary["faces"], summary["without_face"], summary["reasons"]) == (0, 1, {"no face": 1})
    assert "0 faces in 1 photographs" in " ".join((tmp_path / "out" / "contact-sheet.html").read_text().split())


@pytest.mark.slow
def test_a_processor_without_bf16_annotates_in_fp32(tmp_path: Path) -> None:
    photograph = people.save(tmp_path / "portrait.png", people.portrait())
    command = [sys.executable, "-m", "tasks.annotate", str(photograph), str(to := tmp_path / "out"), "--no-pictures"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ONEDNN_MAX_CPU_ISA": "AVX2"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    summary = json.loads((to / "summary.json").read_text())
    assert (summary["faces"], summary["precision"]) == (1, "fp32")


NAMES = (
    "line\nbreak.png", "return\rhere.png", "-dash.png", ".dot.png", "quote\",comma.png", "<b>&.png", "café.png", "cafe\u0301.png",
    "l" * 251 + ".png", "sep\u2028arator.png", " space .png", "日本.png",
)  # fmt: skip


def test_strange_names_are_taken_and_lose_nothing_of_the_rest(make_profile: MakeProfile, tmp_path: Path) -> None:
    source, to = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for number, name in enumerate(NAMES):
        people.save(source / name, people.portrait()[: 200 - number])
    (source / os.fsdecode(b"\xff.png")).write_bytes((source / NAMES[0]).read_bytes())
    os.mkfifo(source / "pipe.jpg")
    summary = annotate(make_profile(), source, to, QUICK)
    assert (summary["photographs"], summary["faces"], summary["unreadable"]) == (len(NAMES) + 2, len(NAMES), 2)
    rows = table(to)
    faces = rows[rows["face"].notna()]
    assert {os.path.relpath(path, source) for path in faces["image_path"]} == set(NAMES)
    assert all((to / picture).is_file() for picture in faces["picture"])
    assert faces["picture"].nunique() == len(NAMES)
    reasons = {os.path.basename(path): reason for path, reason in zip(rows["image_path"], rows["reason"]) if reason}
    assert reasons == {r"\udcff.png": "its name is not UTF-8; rename it", "pipe.jpg": "a pipe, not a file"}
    # The same names in the table for people, read by others than pandas too.
    assert pd.read_csv(to / "faces.csv", keep_default_na=False)["image_path"].tolist() == rows["image_path"].tolist()
    with (to / "faces.csv").open(newline="", encoding="utf-8") as file:
        assert [row["image_path"] for row in csv.DictReader(file)] == rows["image_path"].tolist()


BOX = ["x1", "y1", "x2", "y2"]


def test_an_orientation_is_the_same_in_all_formats_and_by_all_ways(make_profile: MakeProfile, tmp_path: Path) -> None:
    profile, source, to = make_profile(), tmp_path / "in", tmp_path / "out"
    source.mkdir()
    # Not square, so that a frame that is turned is another one.
    upright = people.portrait()[:, 10:170]
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.transpose(1, 0, 2),
        6: np.rot90(upright), 7: upright[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(upright, -1),
    }  # fmt: skip
    kinds = {
        "png": {}, "webp": {"lossless": True}, "tif": {}, "tiff": {"compression": "tiff_lzw"}, "jpg": {"quality": 100, "subsampling": 0},
    }  # fmt: skip
    for (orientation, pixels), (kind, options) in itertools.product(stored.items(), kinds.items()):
        people.save(source / f"{orientation}.{kind}", np.ascontiguousarray(pixels), exif=_orientation(orientation), **options)
    annotate(profile, source, to, QUICK.model_copy(update={"pictures": False}))
    rows = table(to).assign(name=lambda t: [Path(path).name for path in t["image_path"]]).set_index("name")
    expected = rows.loc["1.png"]
    assert rows.index.tolist() == sorted(f"{o}.{kind}" for o in stored for kind in kinds)
    for name, row in rows.iterrows():
        assert (row["width"], row["height"]) == (160, 200), name
        # JPEG's losses depend on how its blocks lie.
        near = 2 if str(name).endswith("jpg") else 1e-3
        assert np.abs(row[BOX].to_numpy(float) - expected[BOX].to_numpy(float)).max() < near, name
    # One by one, and in a list.
    (tmp_path / "list.txt").write_text("".join(f"in/6.{kind}\n" for kind in kinds))
    annotate(profile, tmp_path / "list.txt", tmp_path / "listed", QUICK)
    pd.testing.assert_frame_equal(
        table(tmp_path / "listed")[[*BOX, "width"]],
        rows.loc[[f"6.{kind}" for kind in sorted(kinds)], [*BOX, "width"]].reset_index(drop=True),
    )
    annotate(profile, source / "6.tif", tmp_path / "alone", QUICK)
    assert table(tmp_path / "alone")[BOX].iloc[0].tolist() == rows.loc["6.tif", BOX].tolist()
