"""Which precision is computed in on processors with bf16 and without."""

import os
import subprocess
import sys

import pytest
import torch

from tasks.common.devices import has_bf16, precision
from tests.conftest import ROOT

CPU = torch.device("cpu")
# The same processor, of which oneDNN may use what one of AVX2 has.
SCRIPT = """
import torch
from pathlib import Path
import models
from models import Shape
from models.yolov8 import Inference
from tasks.common.devices import precision
from tasks.faces.detector import Faces
from tasks.params.face_settings import FindFaces
cpu = torch.device("cpu")
print(*[precision(name, cpu, emulated=False) for name in ("auto", "fp32", "bf16", "bf16")])
for _ in range(2):
    inference = Inference(models.build("yolov8", Shape(3, 1, 64), {}), cpu, "bf16")
print(inference.dtype, len(inference(torch.rand(1, 3, 64, 64), 0.99, 10)))
embedded = Faces.load(Path("models/weights/face.safetensors"), FindFaces(), precision="bf16").network
print(embedded.dtype, len(embedded(torch.rand(1, 3, 64, 64), 0.99, 10)))
"""


def test_auto_is_what_the_processor_has() -> None:
    assert precision("auto", CPU) == ("bf16" if has_bf16(CPU) else "fp32")
    assert precision("fp32", CPU) == "fp32"


def test_without_bf16_all_is_fp32_and_is_said_once() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ONEDNN_MAX_CPU_ISA": "AVX2"}
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:3] == ["fp32 fp32 fp32 fp32", "torch.float32 1", "torch.float32 1"]
    assert done.stderr.count("does not compute in bf16") == 2  # once of each


@pytest.mark.gpu
def test_a_gpu_with_bf16_uses_it() -> None:
    device = torch.device("cuda")
    assert precision("auto", device) == ("bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32")
