import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tasks.common import devices
from tasks.common.errors import Error
from tests.conftest import ROOT

CPU = torch.device("cpu")


def test_auto_is_a_cuda_gpu_or_the_processor_and_never_apple_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.choose("auto") == CPU
    assert devices.choose("mps") == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert devices.choose("auto") == torch.device("cuda")


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(Error, match=r"this machine has no cuda; allowed here: auto, cpu"):
        devices.choose("cuda")


def has_bf16(environment: dict[str, str]) -> tuple[str, bool]:
    """What `auto` is in a process of that environment, and whether a bf16 convolution runs there in instructions of the processor."""
    code = """
import torch
from tasks.common import devices
print(devices.precision("auto", torch.device("cpu")))
x, w = torch.ones(1, 8, 8, 8, dtype=torch.bfloat16), torch.ones(8, 8, 3, 3, dtype=torch.bfloat16)
try:
    torch.ops.mkldnn._convolution_pointwise(x, w, None, [1, 1], [1, 1], [1, 1], 1, "none", [], "")
    print("runs")
except RuntimeError as error:
    print("bf16" in str(error) and "refused")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=True
    )
    precision, ran = done.stdout.split()
    # On an AVX-512 processor without them oneDNN's operator runs all the same, four times as slowly as in fp32.
    info = Path("/proc/cpuinfo").read_text() if platform.machine() == "x86_64" else "avx512_bf16"
    return precision, ran == "runs" and "avx512_bf16" in info


@pytest.mark.skipif(
    not torch.backends.mkldnn.is_available() or sys.platform != "linux", reason="needs oneDNN, and Linux's list of instructions"
)
@pytest.mark.parametrize("environment", [{}, {"ONEDNN_MAX_CPU_ISA": "AVX2"}], ids=["as it is", "AVX2"])
def test_auto_is_bf16_exactly_where_the_processor_computes_in_it(environment: dict[str, str]) -> None:
    precision, runs = has_bf16(environment)
    assert precision == ("bf16" if runs else "fp32")
    if environment:
        assert precision == "fp32"


def test_a_named_precision_is_taken_and_another_refused() -> None:
    assert devices.precision("bf16", CPU) == "bf16"
    assert devices.precision("fp32", CPU) == "fp32"
    with pytest.raises(Error, match="precision: fp8; allowed: auto, bf16, fp32"):
        devices.precision("fp8", CPU)


@pytest.mark.gpu
def test_on_a_gpu() -> None:
    gpu = devices.choose("auto")
    assert gpu.type == "cuda"
    assert devices.describe(gpu) == torch.cuda.get_device_name(0)
    before = devices.peak_memory_mb(gpu)
    torch.ones(2**20, 10, device=gpu)
    assert devices.peak_memory_mb(gpu) >= max(before, 40)
    assert devices.precision("auto", gpu) == ("bf16" if torch.cuda.get_device_capability(0) >= (8, 0) else "fp32")


@pytest.mark.gpu
def test_fp32_on_a_gpu_is_fp32_in_convolutions_too() -> None:
    gpu = devices.choose("auto")
    random = torch.Generator().manual_seed(0)
    x, w = torch.randn(2, 256, 16, 16, generator=random), torch.randn(64, 256, 3, 3, generator=random)
    exact = torch.nn.functional.conv2d(x.double(), w.double())
    found = torch.nn.functional.conv2d(x.to(gpu), w.to(gpu)).cpu().double()
    assert ((found - exact).abs().max() / exact.abs().max()).item() < 1e-5  # TF32: 3e-4


def test_the_processor_has_a_name_and_memory() -> None:
    assert devices.describe(CPU).startswith("cpu")
    assert devices.peak_memory_mb(CPU) > 50
