"""What the training loop asks of two encoders: kept features with a sentence each, and retrieval on validation."""

import numpy as np
import torch
from torch import Tensor, nn

from models.clip import contrastive
from tasks import kinds
from tasks.kinds.embed import data, retrieval
from tasks.learning import objective
from tasks.learning.tensors import Examples
from tasks.words.features import kept


class Objective(objective.Objective):
    """The loss is the network's own; validation has the recalls, and `zero_shot` where it has crops of objects."""

    falling = kinds.falling("embed")

    def begin(self, train: Examples, seed: int, epoch: int) -> None:
        """Compute the features of the training images once, and with `flip` those of their mirror images."""
        if not hasattr(self, "views"):
            mirrored = (False, True) if self.recipe.augment.flip else (False,)
            self.views = torch.stack([self._features(train.images, view) for view in mirrored])
            self.counts = (train["sentences"] > 0).any(-1).sum(1).cpu().numpy()

    def _features(self, images: Tensor, mirrored: bool = False) -> Tensor:
        self.network.eval()
        found = kept(self.network.features, self.network.backbone, images, self.precision, mirrored)  # type: ignore[arg-type]
        self.network.train()
        return found.float().to(images.device)

    def draw(self, data: Examples, rows: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Features (B, F) of images, some of them mirrored, and one sentence of each (B, T)."""
        mirrored = rng.integers(0, len(self.views), len(rows))
        chosen = torch.from_numpy(rng.integers(0, self.counts[rows.numpy()]))
        rows = rows.to(data.device)
        inputs = self.views[torch.from_numpy(mirrored).to(data.device), rows]
        return inputs, data["sentences"][rows, chosen.to(data.device)].long()

    @torch.inference_mode()
    def measure(self, network: nn.Module, val: Examples) -> dict[str, float]:
        """The loss over all images with their first sentences, and the metrics over all sentences."""
        if not hasattr(self, "seen"):
            self.seen = self._features(val.images)
        network.eval()
        images = network.encode_features(self.seen)  # type: ignore[operator]
        described = val["labels"] < 0
        sentences = val["sentences"][described].long()
        owner, place = (sentences > 0).any(-1).nonzero(as_tuple=True)
        vectors = network.encode_sentences(sentences[owner, place])  # type: ignore[operator]
        own = images[described]
        first = vectors[place == 0]
        found = {"loss": float(contrastive(network.scale.exp() * own @ first.T))}  # type: ignore[operator]
        found |= retrieval.recalls(own.cpu().numpy(), vectors.cpu().numpy(), owner.cpu().numpy())
        crops = ~described
        if not crops.any():
            return found
        names, texts, classes = data.prompts(self.info)
        prompts = network.encode_sentences(torch.from_numpy(data.encoded(self.info, texts)).to(val.device))  # type: ignore[operator]
        labels = val["labels"][crops].cpu().numpy()
        return found | retrieval.zero_shot(images[crops].cpu().numpy(), labels, prompts.cpu().numpy(), classes, len(names))
