"""Captioners in use: a sentence for a photograph, and both parts as ONNX, which say what the network says."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tasks.common.errors import Error
from tasks.kinds.caption import use
from tasks.learning import weights
from tests.tasks import captioner


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3), np.uint8)


def test_a_photograph_gets_a_sentence_and_where_it_looked(tmp_path: Path) -> None:
    network, configuration = weights.load(captioner.write(tmp_path / "w.safetensors"))
    together = use.captions(network, configuration, pictures(3), "fp32")
    for number, said in enumerate(together):
        assert said.words == said.text.split()
        assert said.looked.shape == (len(said.words), 4)
        assert np.allclose(said.looked.sum(1), 1, atol=1e-5)
        assert said.score < 0
        [alone] = use.captions(network, configuration, pictures(3)[number : number + 1], "fp32")
        assert alone.text == said.text
    squeezed = use.square(np.zeros((10, 30, 1), np.uint8), configuration)
    assert squeezed.shape == (64, 64, 3)


def test_the_middle_square_of_what_learned_from_middle_squares(tmp_path: Path) -> None:
    _, configuration = weights.load(captioner.write(tmp_path / "w.safetensors"))
    pixels = np.zeros((64, 128, 3), np.uint8)
    pixels[:, 32:96] = 255
    assert use.square(pixels, configuration).mean() == pytest.approx(127.5, abs=4)
    assert use.square(pixels, configuration.model_copy(update={"extra": {"center": 1}})).min() == 255


@pytest.mark.slow
@pytest.mark.parametrize(
    ("decoder", "tied"), [("lstm", False), ("attention", False), ("transformer", False), ("transformer", True)]
)
def test_both_parts_as_onnx_say_what_the_network_says(decoder: str, tied: bool, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    network, configuration = weights.load(captioner.write(tmp_path / "w.safetensors", decoder=decoder, tied=tied))
    use.export(network.to(memory_format=torch.contiguous_format), configuration, tmp_path / "w.onnx")
    encoder, step = (onnxruntime.InferenceSession(path) for path in (tmp_path / "w.onnx", use.step_file(tmp_path / "w.onnx")))
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    names = [output.name for output in encoder.get_outputs()]
    state = dict(zip(names, encoder.run(None, {"images": images.numpy()})))
    with torch.inference_mode():
        own = network.decoder.begin(network.see(network.stem(images)))  # type: ignore[operator, union-attr]
    words = np.full(3, 1)
    said = []
    for _ in range(configuration.extra["length"] - 1):
        takes = {one.name for one in step.get_inputs()}
        outputs = dict(
            zip(
                [o.name for o in step.get_outputs()],
                step.run(None, {k: v for k, v in {"words": words, **state}.items() if k in takes}),
            )
        )
        state = {name: outputs.get(f"next_{name}", state[name]) for name in names}
        logits = outputs["logits"]
        with torch.inference_mode():
            alike, own, _ = network.decoder.step(own, torch.from_numpy(words))  # type: ignore[operator, union-attr]
        np.testing.assert_allclose(logits, alike, atol=1e-2)
        logits[:, [0, 1, 3]] = -np.inf
        words = np.where((words == 2) | (words == 0), 0, logits.argmax(1))
        said.append(words)
    with torch.inference_mode():
        expected: Tensor = network(images)
    assert np.stack(said, 1).tolist() == expected.long().tolist()


def test_what_remembers_sentences_has_no_step(tmp_path: Path) -> None:
    _, configuration = weights.load(captioner.write(tmp_path / "w.safetensors"))
    other = configuration.model_copy(update={"network": "caption_neighbours", "architecture": {}})
    with pytest.raises(Error, match="remembers sentences and writes none"):
        use.export(other.build(), other, tmp_path / "w.onnx")
