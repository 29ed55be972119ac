import base64
import io

import numpy as np
import pytest
from PIL import Image, ImageSequence

from tasks.imaging import pictures


def opened(uri: str) -> Image.Image:
    kind, _, encoded = uri.partition(",")
    assert kind == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(encoded)))


def encoded(pixels: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "png")
    return content.getvalue()


def test_lines_stay_to_the_pixel():
    pixels = np.zeros((40, 1200, 3), np.uint8)
    pixels[::4] = (200, 30, 10)
    assert np.array_equal(np.asarray(opened(pictures.inline(encoded(pixels))).convert("RGB")), pixels)


@pytest.mark.parametrize("photograph", [False, True])
def test_what_is_transparent_stays_so(photograph: bool) -> None:
    pixels = np.zeros((40, 1200, 4), np.uint8)
    pixels[:, 600:] = (200, 30, 10, 255)
    picture = opened(pictures.inline(encoded(pixels), photograph))
    assert picture.mode == "RGBA"
    alpha, middle = np.asarray(picture)[..., 3], picture.width // 2
    assert (alpha[:, : middle - 5] == 0).all()
    assert (alpha[:, middle + 5 :] == 255).all()


def test_edges_and_colours_of_a_figure_stay() -> None:
    pixels = np.full((16, 16, 4), (31, 73, 121, 255), np.uint8)
    pixels[..., 3] = np.arange(256).reshape(16, 16)
    pixels[0, 0] = 0
    shown = np.asarray(opened(pictures.inline(encoded(pixels))))
    assert np.abs(shown[..., 3].astype(int) - pixels[..., 3]).max() <= 8
    assert (shown[shown[..., 3] > 0][:, :3] == (31, 73, 121)).all()
    assert shown[-1, -1].tolist() == [31, 73, 121, 255]


def test_what_is_not_has_no_alpha() -> None:
    assert opened(pictures.inline(encoded(np.zeros((4, 4, 3), np.uint8)))).mode == "RGB"


def test_photographs_become_small():
    pixels = np.random.default_rng(0).integers(0, 256, (100, 1800, 3), np.uint8)
    content = encoded(pixels)
    uri = pictures.inline(content, photograph=True)
    assert opened(uri).size == (pictures.WIDTH, 50)
    assert len(uri) < len(content) / 5


def test_an_animation_keeps_its_last_frame_and_its_time():
    frames = [Image.new("RGB", (32, 16), (6 * i, 6 * i, 6 * i)) for i in range(40)]
    content = io.BytesIO()
    times = [100] * 39 + [1000]
    frames[0].save(content, "webp", save_all=True, append_images=frames[1:], duration=times, loop=0, quality=90)
    smaller = opened(pictures.inline(content.getvalue()))
    assert smaller.n_frames == pictures.FRAMES
    shown = [(np.asarray(f.convert("RGB")).mean(), f.info["duration"]) for f in ImageSequence.Iterator(smaller)]
    assert shown[-1][0] > 6 * 38
    assert [time for _, time in shown] == [200] * 19 + [1000]
