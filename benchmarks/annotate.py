"""Whole photographs: faces and emotions against the published loop, and the memory of a long run."""

import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import skimage.data
import torch
from PIL import Image

import models
from benchmarks.timing import compared, rate
from tasks import config
from tasks.annotate import annotate
from tasks.common.errors import Error
from tasks.common.files import sha256
from tasks.common.processors import processors
from tasks.datasets import embedded
from tasks.datasets.sources import DATASETS
from tasks.faces import emotions, parallel
from tasks.faces.annotations import Row
from tasks.faces.detector import read
from tasks.faces.face_weights import find
from tasks.learning import weights
from tasks.learning.weights import Configuration
from tasks.params.face_settings import Annotate, ReadEmotions, Weights

PHOTOGRAPHS = 480
ONE_BY_ONE = 24  # of them, which take the published loop long enough
REPEATS = 3
SIZE = 640  # the published loop's, and ours
MANY = int(os.environ.get("DARKROOM_BENCH_PHOTOGRAPHS", "10000"))
SETTLED = 0.2  # share of a long run after which its memory is compared
GROWTH = 1.1


def run(root: Path) -> list[dict[str, Any]]:
    """The speed of both ways on all cores, and whether memory stays flat."""
    cores = processors()
    torch.set_num_threads(cores)
    with tempfile.TemporaryDirectory(prefix="darkroom-bench-") as folder:
        return [speed(root, Path(folder), cores), memory(root, Path(folder))]


def speed(root: Path, folder: Path, cores: int) -> dict[str, Any]:
    """`annotate`'s way through Ray Data against detecting, cropping and `DeepFace.analyze` a photograph at a time; the same weights in both."""
    os.environ["DEEPFACE_HOME"] = str(folder)
    reader = _deepface_weights(folder)
    settings = Annotate(source="", emotions=ReadEmotions(weights=Weights(source="path", path=str(reader))), pictures=False)
    settings = settings.model_copy(update={"faces": settings.faces.model_copy(update={"sizes": (SIZE,), "crowd": 10**6})})
    found = find(config.load(root, experiments=False), settings)
    emotions.export(reader, folder)
    files = _photographs(folder / "people")

    from deepface import DeepFace
    from ultralytics import YOLO

    detector: Any = YOLO("yolov8n.yaml", task="detect", verbose=False)
    detector.model = read(found.faces).model
    detector.predict(np.zeros((SIZE, SIZE, 3), np.uint8), imgsz=SIZE, verbose=False)
    torch.set_num_threads(cores)  # its first prediction leaves one core idle, for all that follows
    items = [(str(file), sha256(file)) for file in files]

    def whole() -> tuple[float, int]:
        """Photographs a second once the actors have their networks, as the other way has them, and the faces."""
        rows: list[Row] = []
        start, before = 0.0, 0
        for part in parallel.spread(items, found, settings, folder, "cpu", None, cores):
            rows += part
            if not before:
                start, before = time.perf_counter(), _photographs_of(rows)
        return (_photographs_of(rows) - before) / (time.perf_counter() - start), sum(row["face"] is not None for row in rows)

    def published() -> int:
        some = files[:: len(files) // ONE_BY_ONE + 1]
        for file in some:
            image: Any = cv2.imread(str(file))
            result = detector.predict(image, imgsz=SIZE, conf=found.find.threshold, iou=found.find.nms, verbose=False)[0]
            for x1, y1, x2, y2 in result.boxes.xyxy.int().tolist():
                crop = image[max(0, y1) : y2, max(0, x1) : x2]
                if crop.size:
                    DeepFace.analyze(crop, actions=["emotion"], enforce_detection=False, silent=True)
        return len(some)

    published()
    rates, faces = [], 0
    for _ in range(REPEATS):
        ours, faces = whole()
        rates.append((ours, rate(published)))
    return compared(
        "annotate_photographs",
        rates,
        unit="photographs",
        description="photographs with people through Ray Data, from files to rows in bf16, against YOLO, crop and DeepFace.analyze one by one",
        floor=3,
        faces=faces,
    )


def _photographs_of(rows: list[Row]) -> int:
    return len({row["sha256"] for row in rows})


def _deepface_weights(folder: Path) -> Path:
    """DeepFace's network with fresh weights: their values do not change the time, and both ways take the same."""
    torch.manual_seed(0)
    configuration = Configuration(
        experiment="emotion-deepface", task="classify", network="deepface", architecture={}, inputs=1, outputs=7, size=48,
        classes=emotions.EMOTIONS, seed=0, git_commit="unknown", data_hash="unknown",
    )  # fmt: skip
    path = folder / "deepface.safetensors"
    weights.save(path, models.build("deepface", models.Shape(1, 7, 48), {}), configuration)
    return path


def _photographs(folder: Path) -> list[Path]:
    """The photographs with people inside the packages, mirrored and in several lights, at most 1280 pixels a side."""
    folder.mkdir()
    originals = [embedded.find(file)[0] for file in DATASETS["people"].packaged if file.name != "chelsea.png"]
    paths = []
    for i in range(PHOTOGRAPHS):
        with Image.open(originals[i % len(originals)]) as image:
            pixels = np.asarray(image.convert("RGB"))
        light = i // len(originals)
        pixels = pixels[:, ::-1] if light % 2 else pixels
        path = folder / f"{i:03}.jpg"
        Image.fromarray((pixels * (1 - 0.4 * light * len(originals) / PHOTOGRAPHS)).astype(np.uint8)).save(path, quality=92)
        paths.append(path)
    return paths


def memory(root: Path, folder: Path) -> dict[str, Any]:
    """Annotate many small photographs of distinct bytes with Ray; the memory of all processes together must not grow."""
    source = folder / "many"
    source.mkdir()
    face = skimage.data.astronaut()[:200, 120:320]
    rng = np.random.default_rng(0)
    for i in range(MANY):
        x, y = rng.integers(0, 40, 2)
        crop = face[y : y + 160, x : x + 160]
        noisy = (crop[:, ::-1] if i % 2 else crop) + rng.integers(0, 6, crop.shape)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(source / f"{i:05}.jpg", quality=90)
    samples: list[tuple[float, float]] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(1):
            samples.append((time.perf_counter(), _memory()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    try:
        summary = annotate(config.load(root, experiments=False), source, folder / "out", Annotate(source="", pictures=False))
    finally:
        done.set()
        watcher.join()
    seconds = time.perf_counter() - start
    settled = [used for when, used in samples if when > start + SETTLED * seconds]
    half = len(settled) // 2
    growth = float(np.median(settled[half:]) / np.median(settled[:half])) if half else 1.0
    if growth > GROWTH:
        raise Error(f"memory grew by {100 * (growth - 1):.0f} % between the halves of {MANY} photographs")
    return {
        "name": "annotate_memory",
        "seconds": round(seconds, 1),
        "limit": 3600,
        "description": f"{MANY:,} photographs of distinct bytes; memory in the later half of the run is {growth:.3f} of the earlier half's",
        "photographs": summary["photographs"],
        "faces": summary["faces"],
        "growth": round(growth, 3),
        "peak_memory_mb": round(max(used for _, used in samples), 1),
    }


def _memory() -> float:
    """Megabytes that this process and all that it started have for themselves."""
    own = psutil.Process()
    total = 0.0
    for process in [own, *own.children(recursive=True)]:
        try:
            total += process.memory_full_info().uss / 2**20
        except psutil.Error:
            continue
    return total
