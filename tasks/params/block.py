"""What the blocks of `params.yaml` have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Share = Annotated[float, Field(ge=0, le=1)]
# Names become folders: portable ones only.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class Block(BaseModel):
    """A block that knows its keys and does not change."""

    model_config = ConfigDict(frozen=True, extra="forbid")
