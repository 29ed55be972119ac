"""What the training loop asks of captions: words after words on features that are kept, and sentences on validation."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tasks import kinds
from tasks.datasets.data import Info
from tasks.kinds.caption import describe
from tasks.learning import objective
from tasks.learning.optimizers import Updates
from tasks.learning.tensors import Examples, autocast
from tasks.words import decoding, scores
from tasks.words.data import vocabulary
from tasks.words.reward import Reward, advantages
from tasks.words.vocabulary import END, PAD, START, UNKNOWN

BATCH = 128


class Objective(objective.Objective):
    """Cross-entropy of each word given those before it; in `self_critical` epochs the reward of drawn sentences. Validation has scores.

    References of validation are their numbers: words that the vocabulary lacks are one word, which only CIDEr-D's weights notice.
    """

    falling = kinds.falling("caption")

    def __init__(self, recipe: Any, info: Info, network: nn.Module, precision: str, predecessor: nn.Module | None = None) -> None:
        super().__init__(recipe, info, network, precision, predecessor)
        self.train_features: list[Tensor] = []
        self.val_features: Tensor | None = None
        self.reward: Reward | None = None

    def begin(self, train: Examples, seed: int, epoch: int) -> None:
        """Features of train, and those of its mirror images where they are wanted; what sentences earn, in the epochs that ask for it."""
        if not self.train_features:
            views = (False, True) if self.recipe.augment.flip else (False,)
            self.train_features = [describe.kept(self.network, train.images, self.precision, mirrored) for mirrored in views]
        critical = self.recipe.self_critical
        if critical and epoch >= self.recipe.epochs - critical.epochs and self.reward is None:
            self.reward = Reward(train["sentences"])

    def draw(self, data: Examples, rows: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Features (B, C, h, w), of each image or of its mirror image, and all its sentences, int32 (B, S, T)."""
        view = rng.integers(0, len(self.train_features), len(rows))
        chosen = rows.cpu()
        stem = self.train_features[0][chosen]
        for number, features in enumerate(self.train_features[1:], 1):
            mine = torch.from_numpy(view == number)
            stem[mine] = features[chosen[mine]]
        return stem.to(data.device).float(), data["sentences"][rows.to(data.device)]

    def step(self, inputs: Tensor, targets: Tensor, updates: Updates) -> dict[str, Tensor]:
        if hasattr(self.network, "training_step"):
            return super().step(inputs, targets, updates)
        if self.reward is not None:
            return self._criticise(inputs, targets, self.reward, updates)
        with autocast(inputs.device, self.precision):
            loss = self.network.losses(inputs, targets, self.recipe.label_smoothing)  # type: ignore[operator]
        updates["network"](loss)
        return {"loss": loss.detach()}

    def _criticise(self, inputs: Tensor, targets: Tensor, reward: Reward, updates: Updates) -> dict[str, Tensor]:
        """Make those of the network's own sentences likelier that earn more than its others for the same picture, and these less likely."""
        network: Any = self.network
        samples = self.recipe.self_critical.samples
        with autocast(inputs.device, self.precision):
            regions = network.see(inputs)
            network.decoder.eval()
            drawn = decoding.sample(
                network.decoder, regions.detach().repeat_interleave(samples, 0), network.length - 1, 1.0
            ).words
            network.decoder.train()
            begun = torch.cat([torch.full_like(drawn[:, :1], START), drawn], 1).unflatten(0, (len(inputs), samples))
            logs = network.logs(regions, begun)
        said = begun[:, :, 1:]
        rewards = reward(said, targets)
        counted = said != PAD
        loss = -(advantages(rewards).to(logs.device)[:, :, None] * logs)[counted].mean()
        updates["network"](loss)
        mean = rewards.mean().to(loss.device)
        # Its gradient is that of the rewards that are to be expected, less (equation 4), which is the loss that is recorded.
        return {"loss": -mean, "reward": mean}

    def measure(self, network: nn.Module, val: Examples) -> dict[str, float]:
        if self.val_features is None:
            self.val_features = describe.kept(network, val.images, self.precision)
        recipe, words = self.recipe, vocabulary(self.info)
        said = describe.sentences(network, self.val_features, self.precision, recipe.beam, recipe.length_penalty)
        answers = [text.split() for text in words.sentences(said.words.tolist())]
        references = [[[words.words[n] for n in row if n > END] for row in own if any(row)] for own in val["sentences"].tolist()]
        return {
            "loss": self._loss(network, val),
            **scores.scores(answers, references),
            "words": float(np.mean([*map(len, answers)])),
        }

    @torch.inference_mode()
    def _loss(self, network: nn.Module, val: Examples) -> float:
        """Without label smoothing, a mean over batches by their words."""
        assert self.val_features is not None
        total, count = 0.0, 0
        for rows in torch.arange(len(val)).split(BATCH):
            targets = val["sentences"][rows.to(val.device)]
            with autocast(val.device, self.precision):
                loss = network.losses(self.val_features[rows].to(val.device).float(), targets)  # type: ignore[operator]
            words = int(((targets == END) | (targets > UNKNOWN)).sum())
            total += float(loss) * words
            count += words
        return total / count
