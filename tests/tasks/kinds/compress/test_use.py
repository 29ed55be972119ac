"""The decoder's network as ONNX gives what it gives here."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from tasks import kinds
from tasks.learning import weights
from tests.tasks.codec.test_file import save


# The exporter's own use of what torch and Python are about to drop.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.slow
def test_the_decoder_as_onnx_gives_the_same_pictures_at_every_size(tmp_path: Path) -> None:
    save(tmp_path / "small.safetensors")
    network, configuration = weights.load(tmp_path / "small.safetensors")
    use = kinds.part("compress", "use")
    use.export(network, configuration, tmp_path / "decoder.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "decoder.onnx")
    for count, height, width in ((1, 4, 4), (3, 7, 2)):
        coefficients, quality = torch.randn(count, 192, height, width), torch.rand(count, 1, height, width)
        with torch.inference_mode():
            expected = use.Synthesis(network)(coefficients, quality).numpy()
        (found,) = session.run(None, {"coefficients": coefficients.numpy(), "quality": quality.numpy()})
        assert found.shape == (count, 3, 8 * height, 8 * width)
        assert np.abs(found - expected).max() < 1e-4
