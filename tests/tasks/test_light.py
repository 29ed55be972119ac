"""Small files lack what their users do not need, and are networks again."""

from pathlib import Path

import pytest
import torch

from tasks import light, promote
from tasks.common.errors import Error
from tasks.learning import weights
from tests.conftest import ROOT

CONFIGURATION = {"inputs": 1, "outputs": 1, "size": 28, "seed": 0, "git_commit": "", "data_hash": "", "experiment": "x"}
EMBEDDED = sorted((ROOT / "models" / "weights").glob("*.safetensors"))


def gan() -> weights.Configuration:
    architecture = {"latent": 8, "generator": [16], "discriminator": [16]}
    return weights.Configuration(task="generate", network="gan", architecture=architecture, **CONFIGURATION)  # type: ignore[arg-type]


def test_a_generator_is_the_same_without_its_discriminator(tmp_path: Path) -> None:
    configuration = gan()
    network = configuration.build().eval()
    weights.save(tmp_path / "whole.safetensors", network, configuration)
    weights.save(tmp_path / "small.safetensors", light.split(network, light.LEFT_OUT["generate"]), configuration)
    assert light.parts(tmp_path / "whole.safetensors") - light.parts(tmp_path / "small.safetensors") == {"discriminator"}
    noise = torch.randn(3, 8)
    for name in ("whole", "small"):
        loaded, found = light.load(tmp_path / f"{name}.safetensors")
        assert found == configuration
        with torch.inference_mode():
            assert torch.equal(loaded.generator(noise), network.generator(noise))  # type: ignore[operator]


def test_a_file_that_lacks_more_is_refused(tmp_path: Path) -> None:
    configuration = gan()
    weights.save(tmp_path / "none.safetensors", light.split(configuration.build(), ["discriminator", "generator"]), configuration)
    with pytest.raises(Error, match="another version"):
        light.load(tmp_path / "none.safetensors")


def test_a_codec_alone_is_retired() -> None:
    with pytest.raises(Error, match="weights of the task classify, which writes no files"):
        promote.retire(ROOT / "models" / "weights" / "emotion.safetensors", "old")


@pytest.mark.parametrize("path", EMBEDDED, ids=lambda path: path.stem)
def test_what_git_carries_has_no_part_that_only_training_needs(path: Path) -> None:
    assert light.parts(path).isdisjoint(light.LEFT_OUT.get(weights.configuration(path).task, ()))
