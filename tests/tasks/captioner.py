"""A small captioner as a file: random weights, and a vocabulary of a few words."""

from pathlib import Path

import torch

from tasks.learning import weights
from tasks.words.vocabulary import END, SPECIAL
from tests import backbone

WORDS = (*SPECIAL, "a", "dog", "cat", "runs", "on", "snow", "grass")


def write(path: Path, size: int = 64, decoder: str = "attention", tied: bool = False) -> Path:
    """Write the weights of a captioner, by default an LSTM with attention."""
    torch.manual_seed(0)
    configuration = weights.Configuration(
        experiment="caption-attention", task="caption", network="caption", architecture={"width": 16, "decoder": decoder, "tied": tied}, inputs=3, outputs=len(WORDS),
        size=size, extra={"length": 7}, classes=WORDS, seed=0, git_commit="", data_hash="",
    )  # fmt: skip
    network = configuration.build()
    network.backbone.load_pretrained(backbone.tensors())  # type: ignore[union-attr, operator]
    with torch.no_grad():
        for parameter in network.decoder.parameters():  # type: ignore[union-attr]
            parameter.mul_(5)
        # Sentences have words, whatever the weights: none ends before its last place.
        network.decoder.output.bias[END] = -1e3  # type: ignore[union-attr, index, operator]
    weights.save(path, network, configuration)
    return path
