"""A study in `params.yaml`: something that is done with trained networks, and trains nothing."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError, model_validator

from tasks import studies
from tasks.params import explain
from tasks.params.block import Block, Name
from tasks.params.experiment import NONE

EMBEDDED = Path(__file__).resolve().parents[2] / "models" / "weights"


def embedded_classifiers() -> list[str]:
    """The names of the weights in models/weights/ that are classifiers, by their cards."""
    cards = {card.stem: json.loads(card.read_bytes()) for card in sorted(EMBEDDED.glob("*.json"))}
    return [name for name, card in cards.items() if not card["network"].startswith("yolo")]


class Study(Block):
    """One study of at most two trained networks; the report compares blocks of the same study."""

    study: Name = Field(description="a file of tasks/studies/, without .py")
    data: Name = Field(description="a key of `preprocess`, whose images are looked at")
    network: Name = Field(NONE, description="an experiment, whose network is studied")
    other: Name = Field(NONE, description="an experiment whose network takes part, such as one that is attacked in turn")
    embedded: Name = Field(NONE, description="weights of models/weights/, in place of an experiment's `network`")
    options: dict[str, Any] = Field({}, description="the study's own settings, its `Block`")

    @model_validator(mode="after")
    def _options_fit(self) -> "Study":
        self.settings()
        if self.embedded != NONE:
            if self.network != NONE:
                raise ValueError(f"network: {self.network}, and embedded: {self.embedded}; name one of both")
            if self.embedded not in (names := embedded_classifiers()):
                raise ValueError(f"embedded: unknown weights {self.embedded!r}; allowed: {', '.join(names)}")
        return self

    def settings(self) -> BaseModel:
        """The options as the study's own model. Raises ValueError for an unknown study and for options that do not fit."""
        block: type[BaseModel] = studies.find(self.study).Block
        try:
            return block.model_validate(self.options)
        except ValidationError as error:
            raise ValueError(explain.first(error, block, "options")) from None

    def networks(self) -> dict[str, str]:
        """The experiments that are named, by their keys."""
        return {key: name for key in ("network", "other") if (name := getattr(self, key)) != NONE}
