"""`tasks.look`: a map of one's own photograph, or a sentence."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from tasks import look
from tasks.common.errors import Error
from tasks.inside import maps
from tasks.profile import Profile


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    path = tmp_path / "chelsea.png"
    Image.fromarray(skimage.data.chelsea()).save(path)
    return path


def test_a_map_of_the_embedded_network(make_profile: Callable[..., Profile], photograph: Path, tmp_path: Path) -> None:
    profile, out = make_profile(), tmp_path / "new" / "map.png"
    done = look.saliency(profile, "squeezenet", photograph, out, size=128, settings=maps.Settings(2))
    assert done == json.loads(out.with_suffix(".json").read_bytes())
    assert done["class"] == next(iter(done["top"]))
    assert "cat" in done["class"].lower() or done["class"] in ("tabby", "lynx")
    with Image.open(out) as image:
        first = np.asarray(image)
    assert first.shape == (300, 300, 3), "the photograph's middle square"
    assert first.std() > 5
    look.saliency(profile, "squeezenet", photograph, out, "ESPRESSO", size=128)
    assert json.loads(out.with_suffix(".json").read_bytes())["class"] == "espresso"
    with Image.open(out) as image:
        assert not np.array_equal(first, np.asarray(image)), "another class counts other pixels"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"network": "squeezent"}, "did you mean squeezenet"),
        ({"network": "classes"}, "classes is not trained; train it: dvc repro train@classes"),
        ({"label": "egyptian kat"}, "nearest of its 1000 are Egyptian cat"),
        ({"label": "cat"}, "no class of squeezenet; the nearest .* tiger cat"),
        ({"method": "gradients"}, "did you mean gradient"),
        ({"size": 8}, "allowed are 16 to 1024"),
        ({"out": "map.jpg"}, "ends in .png"),
        ({"out": "chelsea.png"}, "would replace the photograph"),
        ({"photograph": "nothing.png"}, "no such file"),
        ({"photograph": "words.png"}, "no picture in a format"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    make_profile: Callable[..., Profile], photograph: Path, tmp_path: Path, change: dict[str, object], says: str
) -> None:
    (tmp_path / "words.png").write_text("no picture")
    given = {"network": "squeezenet", "photograph": photograph.name, "out": "map.png", **change}
    given |= {key: tmp_path / str(given[key]) for key in ("photograph", "out")}
    with pytest.raises(Error, match=says):
        look.saliency(make_profile(), **given)  # type: ignore[arg-type]
    assert not (tmp_path / "map.png").exists()
