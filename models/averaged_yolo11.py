"""YOLO11 part of the way between the weights that it begins at and those that tuning came to.

Wortsman et al. 2022, "Robust fine-tuning of zero-shot models", equation 1: what tuning on few images forgets comes back, and most of what it
learned stays. Nothing is trained (`tasks.kinds.detect.averaging`). The experiment that `after` names is the tuned one.
"""

from models.yolo11 import PRETRAINED, build

__all__ = ["KIND", "PRETRAINED", "TRAINER", "build"]

KIND = "detect"
TRAINER = "tasks.kinds.detect.averaging"
