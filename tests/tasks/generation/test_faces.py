import cv2
import numpy as np

from tasks.generation.faces import share_found
from tests.tasks import people


def test_a_face_without_a_border_is_found_and_noise_is_none() -> None:
    portrait = people.portrait()
    face = cv2.resize(portrait, (32, 32), interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(0).integers(0, 256, face.shape, np.uint8)
    assert share_found(np.stack([face, face[:, ::-1]])) == 1
    assert share_found(np.stack([face, noise, noise])) == 1 / 3
