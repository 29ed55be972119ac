"""What the blocks of `params.yaml` have in common."""

from collections.abc import Mapping
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

Share = Annotated[float, Field(ge=0, le=1)]
# Names become folders: portable ones only.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]

TRUTH = PydanticCustomError(
    "truth", "Input should be a number, or a word in quotes (YAML reads yes, no, on and off as true and false)"
)


class Block(BaseModel):
    """A block that knows its keys and does not change."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _truth_is_no_number(cls, values: Any) -> Any:
        """pydantic takes true for 1, and YAML takes yes for true."""
        if not isinstance(values, Mapping):
            return values
        wrong = [
            InitErrorDetails(type=TRUTH, loc=(key,), input=values[key])
            for name, field in cls.model_fields.items()
            if (key := field.alias or name) in values and _truth(values[key]) and not _takes_truth(field.annotation)
        ]
        if wrong:
            raise ValidationError.from_exception_data(cls.__name__, wrong)
        return values


def _truth(value: Any) -> bool:
    """Whether a value, or one of a list, is true or false."""
    return any(isinstance(item, bool) for item in (value if isinstance(value, list | tuple) else [value]))


def _takes_truth(annotation: Any) -> bool:
    """Whether true and false may stand somewhere in a value of this type."""
    return annotation in (bool, Any) or any(_takes_truth(inner) for inner in get_args(annotation))
