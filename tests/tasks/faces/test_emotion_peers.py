"""The published networks of emotions, where their packages are installed, and the arithmetic of their layers."""

import json
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch

from tasks.common.errors import Error
from tasks.datasets.emotions import EMOTIONS
from tasks.faces import face_api, mini_xception
from tests.conftest import ROOT

FACE = skimage.data.astronaut()[35:185, 155:285].mean(2).astype(np.uint8)


def peer(name: str) -> tuple[face_api.FaceApi | mini_xception.MiniXception, tuple[str, ...]]:
    try:
        if name == "face-api":
            return face_api.FaceApi(face_api.find(ROOT)), face_api.ORDER
        return mini_xception.MiniXception(mini_xception.find()), mini_xception.ORDER
    except Error as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(("name", "parameters"), [("mini-xception", 58_423), ("face-api", 323_687)])
def test_the_astronaut_laughs(name: str, parameters: int) -> None:
    network, order = peer(name)
    assert network.parameters == parameters
    assert set(order) == set(EMOTIONS)
    dark = np.full((48, 48), 20, np.uint8)
    logits = network.logits([FACE, dark, FACE[:, ::-1]])
    assert logits.shape == (3, 7)
    assert order[logits[0].argmax()] == order[logits[2].argmax()] == "happy"
    np.testing.assert_allclose(network.logits([dark])[0], logits[1], atol=1e-4)


def test_bytes_become_weights_by_their_scale(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(bytes([0, 1, 2, 3]) + np.array([0.5, -1], np.float32).tobytes())
    items = [
        {"name": "a", "shape": [2, 2], "dtype": "float32", "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1.0}},
        {"name": "b", "shape": [2], "dtype": "float32"},
    ]
    listed = tmp_path / "face_expression_model-weights_manifest.json"
    listed.write_text(json.dumps([{"weights": items, "paths": ["model.bin"]}]))
    network = face_api.FaceApi(tmp_path / "model.bin")
    assert network.parameters == 6
    assert torch.equal(network.weights["a"], torch.tensor([[-1, -0.5], [0, 0.5]]))
    assert torch.equal(network.weights["b"], torch.tensor([0.5, -1]))
    listed.unlink()
    with pytest.raises(Error, match="without its list of weights"):
        face_api.FaceApi(tmp_path / "model.bin")


def test_what_is_not_installed_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Error, match="npm install --no-save --ignore-scripts @vladmandic/face-api"):
        face_api.find(tmp_path)
