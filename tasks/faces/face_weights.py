"""Which weights faces are found and read with: as the parameters say, and never what happens to be reachable.

Embedded weights stand in models/weights/ (`tasks.promote`), with numbers that were chosen on validation in their headers.
"""

from pathlib import Path
from urllib.parse import urlsplit

import models
from tasks.common import files
from tasks.common.errors import Error
from tasks.datasets.transfer import Effort, Fetcher, Want, kept_as
from tasks.faces.annotator import Files
from tasks.faces.detector import ENLARGE, INSIDE, NMS, SIZES, THRESHOLD
from tasks.learning import weights
from tasks.params.face_settings import Annotate, FindFaces, Weights
from tasks.profile import Profile

EMBEDDED = {"faces": "face", "emotions": "emotion"}
MAX_WEIGHTS = 1 << 30
USUAL = {"threshold": THRESHOLD, "nms": NMS, "inside": INSIDE, "sizes": SIZES, "enlarge": ENLARGE}


def find(profile: Profile, settings: Annotate) -> Files:
    """The weights' files, downloaded where that is asked for, and what their cards say. Raises Error for what cannot be had."""
    faces = place(profile, "faces", settings.faces.weights)
    emotions = place(profile, "emotions", settings.emotions.weights)
    chosen = weights.card(faces).get("calibration", {}) if faces.suffix == ".safetensors" else {}
    numbers = {key: getattr(settings.faces, key) or chosen.get(key, usual) for key, usual in USUAL.items()}
    return Files(
        faces=faces,
        emotions=emotions,
        find=FindFaces.model_validate({**settings.faces.model_dump(), **numbers}),
        uncertain=settings.emotions.uncertain,
        blurred=settings.flags.blurred,
        small=settings.flags.small,
    )


def place(profile: Profile, what: str, given: Weights) -> Path:
    """The file of a block `weights`. Raises Error where it is not there, has another hash, or cannot be downloaded."""
    key = f"annotate: {what}.weights"
    if given.source == "embedded":
        path = Path(models.__path__[0]) / "weights" / f"{EMBEDDED[what]}.safetensors"
        for file in (path, path.with_suffix(".json")):
            if not file.exists():
                raise Error(f"{file}: no such file; it comes with the code: git checkout -- models/weights")
        return weights.verified(path)
    if given.source == "path":
        assert given.path is not None
        path = (profile.folder / given.path).absolute()
        if not path.is_file():
            raise Error(f"{key}.path: {path}: no such file; give another, or source: embedded")
        if given.sha256 and (found := files.sha256(path)) != given.sha256:
            raise Error(f"{key}: {path} has the SHA-256 {found}, not {given.sha256}; it is not the file that was meant")
        return path
    assert given.url is not None
    name = Path(urlsplit(given.url).path).name or "weights"
    advice = f"download it by hand, and give it as source: path; or take source: embedded ({key})"
    want = Want(kept_as(given.url, given.sha256), (given.url,), given.sha256, key, limit=MAX_WEIGHTS, advice=advice)
    with Fetcher(name, Effort()) as fetcher:
        return fetcher.get(want, profile.state("weights")).path
