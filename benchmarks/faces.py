"""Faces in whole photographs: our detector against CenterFace, through one evaluation and on equal threads.

Needs what `full` annotates (`cd full && dvc repro download@wider-face download@fddb download@fddb-wider-face`) and the package of the peer's
weights. The peer's threshold is that of the best F1 on the photographs that ours is chosen on. Ours has to be right nine times in ten there
as well (`tasks.face_thresholds`).
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.timing import compare
from tasks import config
from tasks.annotated import photographs, write_photographs
from tasks.common import devices, provenance
from tasks.common.files import atomic_folder, write_json
from tasks.datasets import embedded
from tasks.datasets.sources import DATASETS
from tasks.faces import centerface, found_faces
from tasks.faces.annotator import Annotator
from tasks.faces.detector import Faces
from tasks.faces.face_weights import find
from tasks.faces.photographs import Photograph
from tasks.kinds.detect import detections
from tasks.learning.measuring import Out
from tasks.params.face_settings import Annotate
from tasks.profile import Profile

# What CenterFace's photographs are enlarged by: not at all, as published; and as far as its faces of 10 pixels become ones of 16.
SCALES = {"centerface": 1.0, "centerface-enlarged": 1.6}
VALIDATION = "fddb-wider-face"
LARGEST = 4096
MEGAPIXEL = (1152, 864)


def run(root: Path) -> list[dict[str, Any]]:
    """Write full/results/peer-<name>-<photographs>/ for each block of `annotate` with known faces, and measure the speed of both."""
    threads = torch.get_num_threads()
    profile = config.load(root / "full", experiments=False)
    path = centerface.find()
    with tempfile.TemporaryDirectory(prefix="darkroom-bench-") as temporary:
        for name, scale in SCALES.items():
            peer = centerface.CenterFace(path, threads, scale)
            threshold = _threshold(profile, peer, Path(temporary) / "validation")
            for block in profile.params.annotate:
                _measure(profile, name, block, peer, threshold, Path(temporary) / block)
    return speed(profile, path, threads)


def _threshold(profile: Profile, peer: centerface.CenterFace, folder: Path) -> float:
    raw, names = photographs(profile, VALIDATION, "val")
    write_photographs(raw, names, folder)
    objects, whole = found_faces.read_objects(names, raw.items, folder, LARGEST)
    found = found_faces.stacked(found_faces.detect(peer, whole, folder, LARGEST))
    return detections.choose_threshold(detections.match(found, objects), objects)


def _measure(profile: Profile, peer_name: str, block: str, peer: centerface.CenterFace, threshold: float, folder: Path) -> None:
    """Write the peer's metrics.json and tables/recall_by_size.csv of the photographs of a block."""
    settings = profile.params.annotate[block]
    raw, chosen = photographs(profile, settings.source, settings.split)
    names = [name for name in chosen if raw.items[name].boxes is not None]
    if not names:
        return
    write_photographs(raw, names, folder)
    objects, whole = found_faces.read_objects(names, raw.items, folder, settings.largest)
    found = found_faces.stacked(found_faces.detect(peer, whole, folder, settings.largest))
    name = f"peer-{peer_name}-{block}"
    results = profile.results(name)
    with (
        atomic_folder(results / "plots") as plots,
        atomic_folder(results / "tables") as tables,
        tempfile.TemporaryDirectory() as rows,
    ):
        metrics = found_faces.evaluated(found, objects, threshold, Out(plots, tables, Path(rows)))
    origin = json.loads((profile.raw(settings.source) / "origin.json").read_bytes())
    result = {
        "experiment": name, "system": "faces", "task": "annotate", "dataset": settings.source,
        "n_train": 0, "n_val": 0, "n_test": len(whole), "data_origin": origin["origin"], "metrics": metrics, "val_metrics": {},
        "published": [], "thresholds": {"faces": threshold}, "enlarged": peer.scale, "parameters": peer.parameters, "epochs": 0,
        "train_seconds": 0.0, "peak_memory_mb": round(devices.peak_memory_mb(torch.device("cpu")), 1),
        "weights": {"faces": centerface.SHA256}, "device": devices.describe(torch.device("cpu")), "precision": "fp32",
        "threads": torch.get_num_threads(), "seeds": [], "git_commit": provenance.git_commit(profile.root), "versions": provenance.versions(),
    }  # fmt: skip
    write_json(results / "metrics.json", result)


def speed(profile: Profile, path: Path, threads: int) -> list[dict[str, Any]]:
    """Photographs of 1 megapixel a second: boxes alone, and with the faces' emotions, against the peer's boxes."""
    pixels = []
    for file in DATASETS["people"].packaged:
        with Image.open(embedded.find(file)[0]) as image:
            pixels.append(np.asarray(image.convert("RGB").resize(MEGAPIXEL)))
    settings = Annotate(source="")
    files = find(profile, settings)
    ours = Faces.load(files.faces, files.find, precision=settings.precision)
    annotator = Annotator(files, settings, threads=threads)
    peer = centerface.CenterFace(path, threads)
    whole = [Photograph(sha256="", pixels=image, width=image.shape[1], height=image.shape[0]) for image in pixels]

    def detected() -> int:
        return len([ours.detect([image]) for image in pixels])

    def annotated() -> int:
        return len([annotator([photograph]) for photograph in whole])

    def published() -> int:
        return len(peer.detect(pixels, 0.2))

    words = f"photographs of {MEGAPIXEL[0]} x {MEGAPIXEL[1]} pixels one by one on {threads} threads"
    return [
        compare("faces", detected, published, unit="photographs", description=f"boxes, {words}, against CenterFace", floor=1.5),
        compare(
            "faces_emotions", annotated, published, unit="photographs",
            description=f"boxes, emotions and rows, {words}, against CenterFace's boxes alone", floor=1.0,
        ),
    ]  # fmt: skip
