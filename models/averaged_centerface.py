"""CenterFace part of the way between the published weights and those that learning further came to.

Wortsman et al. 2022, "Robust fine-tuning of zero-shot models", equation 1: FDDB's photographs teach how FDDB marks faces, and that small faces behind
are none. Part of the way has the former, and keeps what WIDER FACE's crowds taught. Nothing is trained. The experiment that `after` names is
the one that learned further.
"""

from models.centerface import build

__all__ = ["KIND", "TRAINER", "build"]

KIND = "detect"
TRAINER = "tasks.kinds.detect.averaged_centerface"
