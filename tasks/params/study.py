"""A study in `params.yaml`: something that is done with trained networks, and trains nothing."""

from typing import Any

from pydantic import BaseModel, Field, ValidationError, model_validator

from tasks import studies
from tasks.params import explain
from tasks.params.block import Block, Name
from tasks.params.experiment import NONE


class Study(Block):
    """One study of at most two trained networks; the report compares blocks of the same study."""

    study: Name = Field(description="a file of tasks/studies/, without .py")
    data: Name = Field(description="a key of `preprocess`, whose images are looked at")
    network: Name = Field(NONE, description="an experiment, whose network is studied")
    other: Name = Field(NONE, description="an experiment whose network takes part, such as one that is attacked in turn")
    options: dict[str, Any] = Field({}, description="the study's own settings, its `Block`")

    @model_validator(mode="after")
    def _options_fit(self) -> "Study":
        self.settings()
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
