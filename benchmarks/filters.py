"""A learned filter on a 12-megapixel photograph against the filter itself, as one writes it with OpenCV."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import sklearn.datasets
import torch

import models
from benchmarks.timing import compare
from tasks import config
from tasks.common.errors import Error
from tasks.common.processors import processors
from tasks.imaging.tiles import filter_image
from tasks.kinds.translate.filters import SIGMA, SOBEL_GAIN
from tasks.params.experiment import Experiment
from tasks.profile import Profile

HEIGHT, WIDTH = 3000, 4000
PREFERRED = "sobel-compact"


def run(root: Path) -> list[dict[str, Any]]:
    """Both on all cores, from uint8 in memory to uint8 in memory. The weights' values do not change the time: they are fresh."""
    cores = processors()
    torch.set_num_threads(cores)
    cv2.setNumThreads(cores)
    name, experiment = chosen(config.load(root))
    network = models.build(experiment.network, models.Shape(3, 1, 64), experiment.architecture).eval()
    network = network.to(memory_format=torch.channels_last)
    small = sklearn.datasets.load_sample_images().images[0]
    photograph: np.ndarray = cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)

    def ours() -> int:
        filter_image(network, photograph)
        return 1

    def opencv() -> int:
        sobel(photograph)
        return 1

    return [
        compare(
            "filter_12_megapixels",
            ours,
            opencv,
            unit="photographs",
            description=f"{name} applied to a photograph of {WIDTH} x {HEIGHT} against OpenCV's grey, blur, Sobel and magnitude",
            floor=None,
            parameters=models.count_parameters(network),
        )
    ]


def chosen(profile: Profile) -> tuple[str, Experiment]:
    """The compact network, or where there is none the first that makes images of images."""
    experiments, data = profile.params.experiments, profile.params.preprocess
    fitting = [name for name, experiment in experiments.items() if data[experiment.data].task == "translate"]
    if not fitting:
        raise Error("params.yaml: no experiment makes images of images")
    name = PREFERRED if PREFERRED in fitting else fitting[0]
    return name, profile.experiment(name)


def sobel(image: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3), RGB, to uint8 (H, W)."""
    blurred = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (0, 0), SIGMA)
    gx, gy = cv2.Sobel(blurred, cv2.CV_32F, 1, 0), cv2.Sobel(blurred, cv2.CV_32F, 0, 1)
    return cv2.convertScaleAbs(cv2.magnitude(gx, gy), alpha=SOBEL_GAIN)
