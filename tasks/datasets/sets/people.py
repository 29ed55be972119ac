"""Photographs with people in the installed packages, and one with none."""

from tasks.datasets.sources import Dataset, Packaged

SOURCE = Dataset(
    "public domain, CC0, AGPL-3.0; each file's own stands in origin.json",
    "https://scikit-image.org, https://matplotlib.org, https://ultralytics.com",
    packaged=(
        Packaged("astronaut.png", "scikit-image", "skimage/data/astronaut.png", "public domain (NASA)"),
        Packaged("camera.png", "scikit-image", "skimage/data/camera.png", "CC0 (Lav Varshney)"),
        Packaged("chelsea.png", "scikit-image", "skimage/data/chelsea.png", "CC0 (Stefan van der Walt)"),
        Packaged(
            "grace_hopper.jpg", "matplotlib", "matplotlib/mpl-data/sample_data/grace_hopper.jpg", "public domain (U.S. Navy)"
        ),
        Packaged("bus.jpg", "ultralytics-opencv-headless", "ultralytics/assets/bus.jpg", "AGPL-3.0 (with Ultralytics)"),
        Packaged("zidane.jpg", "ultralytics-opencv-headless", "ultralytics/assets/zidane.jpg", "AGPL-3.0 (with Ultralytics)"),
    ),
)
