"""A sweep in `params.yaml`: an experiment with a space around it. See `tasks.params.spaces`."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError, ValidationInfo, model_validator

from tasks.params import explain
from tasks.params.block import Block, Name, Share
from tasks.params.experiment import AnyRecipe, Published, checks_networks
from tasks.params.recipe import Recipe
from tasks.params.spaces import Asha, Domain, Objective, Resources, found, replaced

# What a key of a sweep's space may not name: ASHA counts in epochs, and what was trained on chooses nothing.
FIXED = {
    "train.epochs": "ASHA counts in epochs, which are the same for all trials",
    "train.split": "trials are compared on validation",
    "train.measure_every": "ASHA compares trials after each epoch",
}


class Sweep(Block):
    """A search for the best of many experiments: one of them with a space around it."""

    system: Name = Field(description="the system of the published list that it rebuilds")
    data: Name = Field(description="a key of `preprocess`")
    network: Name = Field(description="a file of models/, without .py")
    architecture: dict[str, Any] = Field(description="the arguments of the network's `build` that are the same for all trials")
    train: AnyRecipe = Field(description="the recipe of a trial; `epochs` is what a trial that ASHA does not stop gets")
    space: dict[str, Domain] = Field(min_length=1, description="place in architecture or train: where its value is looked for")
    objective: Objective
    trials: int = Field(ge=1, description="that train; those over `train.max_parameters` do not count")
    scheduler: Asha
    time_budget: float = Field(gt=0, description="seconds, those of all runs of a sweep that was interrupted together")
    seed: int = Field(ge=0)
    resources: Resources = Resources()
    concurrency: int | None = Field(None, ge=1, description="trials at once; null: as many as there are resources for")
    max_failed_share: Share = Field(0.2, description="of `trials`; when more fail, so does the sweep")
    published: tuple[Published, ...] = ()

    @model_validator(mode="after")
    def _space_fits(self, info: ValidationInfo) -> "Sweep":
        if self.scheduler.grace > self.train.epochs:
            raise ValueError(f"scheduler.grace: {self.scheduler.grace} is more than train.epochs, {self.train.epochs}")
        if self.train.split != "train":
            raise ValueError(f"train.split: {FIXED['train.split']}")
        if self.train.measure_every != 1:
            raise ValueError(f"train.measure_every: {FIXED['train.measure_every']}")
        if not checks_networks(info):
            return self
        _check_network(self.network, self.architecture)
        for key, domain in self.space.items():
            if not key.startswith(("architecture.", "train.")) or key in FIXED:
                why = FIXED.get(key, "a key of the space starts with architecture. or train.")
                raise ValueError(f"space.{key}: {why}")
            for value in domain.extremes():
                try:
                    self.variant({key: value})
                except ValidationError as error:
                    raise ValueError(f"space.{key}: {explain.first(error, type(self.train), 'train')}") from None
                except ValueError as error:
                    raise ValueError(f"space.{key}: {error}") from None
        return self

    def variant(self, sampled: Mapping[str, Any]) -> tuple[dict[str, Any], Recipe]:
        """Architecture and recipe with sampled values in their places. Raises ValueError where they do not fit."""
        values: Any = {"architecture": self.architecture, "train": self.train.model_dump()}
        for key, value in sampled.items():
            values = replaced(values, key, value)
        _check_network(self.network, values["architecture"])
        return values["architecture"], type(self.train).model_validate(values["train"])

    def base(self) -> dict[str, Any]:
        """The block's own values at the space's places, where all of them lie in their domains; otherwise empty."""
        values = {"architecture": self.architecture, "train": self.train.model_dump()}
        own = {key: found(values, key) for key in self.space}
        return own if all(domain.contains(own[key]) for key, domain in self.space.items()) else {}


def _check_network(network: str, architecture: Mapping[str, Any]) -> None:
    import models  # torch takes seconds to import

    models.check(network, architecture)
