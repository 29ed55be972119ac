"""Among others the parity with DeepFace itself, on real photographs and with weights of our own in its home."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from safetensors.torch import save_file

import models
from benchmarks.emotions import crops as of_a_face
from tasks.common.errors import Error
from tasks.faces import emotions
from tasks.faces.calibration import Calibration
from tasks.faces.emotions import EMBEDDED, EMOTIONS, Emotions, export, prepare, sharpness
from tasks.learning import weights

DEEPFACE = EMBEDDED.with_name("emotion-deepface.safetensors")
FACE = (slice(35, 185), slice(155, 285))  # of the astronaut


def crops(count: int) -> list[np.ndarray]:
    """Parts of photographs at many sizes and shapes, some enlarged, some tiny."""
    rng = np.random.default_rng(0)
    photographs = [skimage.data.astronaut(), skimage.data.chelsea(), skimage.data.coffee()]
    found = []
    for index in range(count):
        image = photographs[index % len(photographs)]
        side = int(rng.integers(8, 300))
        other = max(4, int(side * rng.uniform(0.6, 1.5)))
        top, left = (int(rng.integers(0, max(1, n - s))) for n, s in zip(image.shape, (side, other)))
        found.append(image[top : top + side, left : left + other])
    return [*found, skimage.data.astronaut()[FACE], np.zeros((20, 30, 3), np.uint8), np.ones((5, 5, 3), np.uint8)]


@pytest.fixture
def deepface(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """DeepFace with our weights in its home, so that it downloads nothing."""
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    export(DEEPFACE, tmp_path)
    from deepface import DeepFace
    from deepface.modules import modeling

    monkeypatch.setattr(modeling, "cached_models", {task: {} for task in modeling.AVAILABLE_MODELS}, raising=False)
    return DeepFace


def analysed(deepface: Any, faces: Sequence[np.ndarray]) -> np.ndarray:
    """DeepFace's probabilities (N, 7), face by face; it takes pictures in BGR order."""
    rows = []
    for face in faces:
        [result] = deepface.analyze(face[..., ::-1], ["emotion"], detector_backend="skip", silent=True)
        rows.append([result["emotion"][name] / 100 for name in EMOTIONS])
    return np.array(rows)


def test_batches_give_the_answers_of_deepface(deepface: Any) -> None:
    network = Emotions.load(DEEPFACE).network
    for precision, faces, same, near in (("fp32", crops(100), 1.0, 1e-5), ("bf16", of_a_face(200), 0.995, 0.02)):
        theirs = analysed(deepface, faces)
        ours = Emotions(network, precision=precision).probabilities(faces)
        assert len(set(theirs.argmax(1))) > 1
        assert (ours.argmax(1) == theirs.argmax(1)).mean() >= same
        assert np.abs(ours - theirs).max() < near


def test_deepfaces_own_file_is_read(tmp_path: Path) -> None:
    file = export(DEEPFACE, tmp_path)
    faces = crops(10)
    ours, theirs = Emotions.load(DEEPFACE, precision="fp32"), Emotions.load(file, precision="fp32")
    assert theirs.threshold == 0
    assert theirs.temperature == 1
    np.testing.assert_allclose(ours.logits(faces), theirs.logits(faces), atol=1e-4)


def test_deepface_takes_the_weights_of_its_own_network_alone(tmp_path: Path) -> None:
    with pytest.raises(Error, match="weights of the network emotion"):
        export(EMBEDDED, tmp_path)


def test_the_network_is_deepfaces() -> None:
    """Names and shapes, as its weights file has them: deepface/models/demography/pytorch/Emotion.py."""
    from deepface.models.demography.pytorch.Emotion import EmotionModel

    ours = models.build("deepface", models.Shape(1, 7, 48), {})
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in EmotionModel().state_dict().items()}
    assert models.count_parameters(ours) == 1_485_831


def test_the_order_and_the_address_are_deepfaces() -> None:
    from deepface.models.demography.pytorch.Emotion import WEIGHTS_URL, labels

    assert list(EMOTIONS) == labels
    assert list(emotions.DEEPFACE_URLS) == WEIGHTS_URL


def test_embedded_weights_answer_offline_with_probabilities_that_are_calibrated() -> None:
    loaded = Emotions.load(EMBEDDED)
    faces = crops(70)
    probabilities = loaded.probabilities(faces)
    assert probabilities.shape == (73, 7)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    assert 0 < loaded.threshold < 1
    assert loaded.temperature != 1
    assert loaded.small > 0
    # The astronaut laughs.
    assert EMOTIONS[probabilities[70].argmax()] == "happy"
    assert probabilities[70].max() > loaded.threshold


@pytest.mark.parametrize("file", [EMBEDDED, DEEPFACE])
def test_a_card_names_the_files_hash_and_where_the_weights_come_from(file: Path) -> None:
    import json

    beside = json.loads(file.with_suffix(".json").read_text())
    assert beside.pop("sha256") == hashlib.sha256(file.read_bytes()).hexdigest()
    assert beside == weights.card(file)
    assert beside["dataset"] == "fer2013"
    assert {"licence", "metrics", "calibration", "git_commit", "experiment"} <= beside.keys()


def test_an_answer_does_not_depend_on_the_batch() -> None:
    loaded, faces = Emotions.load(EMBEDDED, precision="fp32"), crops(67)
    together = loaded.probabilities(faces)
    alone = np.concatenate([loaded.probabilities([face]) for face in faces])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_a_mirrored_reading_is_the_same_for_a_face_and_its_mirror_image() -> None:
    network, faces = weights.load(EMBEDDED)[0], [cv2.resize(face, (48, 48)) for face in crops(9)]
    turned = [np.ascontiguousarray(face[:, ::-1]) for face in faces]
    once, both = (Emotions(network, Calibration(mirrored=m), precision="fp32") for m in (False, True))
    np.testing.assert_allclose(both.logits(faces), both.logits(turned), atol=1e-3)
    np.testing.assert_allclose(both.logits(faces), (once.logits(faces) + once.logits(turned)) / 2, atol=1e-3)
    assert np.abs(once.logits(faces) - once.logits(turned)).max() > 0.1


def test_no_faces_give_no_rows() -> None:
    assert Emotions.load(EMBEDDED).probabilities([]).shape == (0, 7)


def test_grey_faces_are_as_colour_ones_of_one_grey() -> None:
    grey = skimage.data.astronaut()[FACE][..., 0].copy()
    np.testing.assert_allclose(prepare(grey), prepare(np.repeat(grey[..., None], 3, 2)), atol=1e-6)


@pytest.mark.parametrize("face", [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)])
def test_what_is_no_face_is_refused(face: np.ndarray) -> None:
    with pytest.raises(ValueError, match="is not uint8"):
        prepare(face)


def test_a_very_flat_face_is_prepared() -> None:
    assert prepare(np.full((1, 500, 3), 200, np.uint8)).shape == (48, 48)


def test_sharpness_falls_with_blur_and_not_with_size() -> None:
    face = skimage.data.astronaut()[FACE]
    values = [sharpness(cv2.GaussianBlur(face, (0, 0), sigma)) for sigma in (0.1, 3, 6, 12)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 5 * values[2]
    assert sharpness(cv2.resize(face, (16, 16), interpolation=cv2.INTER_AREA)) < values[0] / 2
    larger = cv2.resize(face, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    assert sharpness(larger) == pytest.approx(values[0], rel=0.2)


def test_what_is_too_small_or_too_blurred_gets_no_answer() -> None:
    loaded = Emotions.load(EMBEDDED)
    face = skimage.data.astronaut()[FACE]
    tiny = cv2.resize(face, (11, 12), interpolation=cv2.INTER_AREA)
    probabilities, thresholds = loaded.read([face, tiny, cv2.GaussianBlur(face, (0, 0), 12)])
    assert probabilities[0].max() >= thresholds[0] >= loaded.threshold
    assert (thresholds[1:] > 1).all()
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Error, match="no such weights"):
        Emotions.load(tmp_path / "none.safetensors")
    with pytest.raises(Error, match="no such weights"):
        Emotions.load(tmp_path / "none.pth")
    torch.save({"conv_1.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(Error, match="not the weights of DeepFace's emotion network"):
        Emotions.load(tmp_path / "other.pth")
    torch.save(torch.nn.Linear(1, 1), tmp_path / "whole.pth")
    with pytest.raises(Error, match="not the weights of DeepFace's emotion network"):
        Emotions.load(tmp_path / "whole.pth")
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(Error, match="not a weights file of this project"):
        Emotions.load(tmp_path / "foreign.safetensors")
    configuration = weights.Configuration(
        experiment="digits", task="classify", network="linear", architecture={}, inputs=1, outputs=2, size=8,
        classes=("0", "1"), seed=0, git_commit="", data_hash="",
    )  # fmt: skip
    weights.save(tmp_path / "digits.safetensors", configuration.build(), configuration)
    with pytest.raises(Error, match="weights of digits, which are not those of emotions"):
        Emotions.load(tmp_path / "digits.safetensors")
