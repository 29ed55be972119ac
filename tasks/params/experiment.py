"""An experiment in `params.yaml`: data, network, recipe, seeds, and what it is compared with."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import BaseModel, Field, ValidationInfo, model_validator

from tasks import kinds
from tasks.params.block import Block, Name
from tasks.params.preparation import Preparation
from tasks.params.recipe import Recipe

if TYPE_CHECKING:
    AnyRecipe = Recipe
    AnyPrepare = Preparation
else:
    AnyRecipe = Annotated[Union[tuple(kind.Recipe for kind in kinds.every())], Field(discriminator="kind")]  # noqa: UP007
    AnyPrepare = Annotated[Union[tuple(kind.Prepare for kind in kinds.every())], Field(discriminator="task")]  # noqa: UP007

# The name that stands where there is no predecessor, no judge and no sweep: DVC wants a path everywhere.
NONE = "none"


# The key of pydantic's context that says whether networks' files are read.
CHECK = "networks"


def checks_networks(info: ValidationInfo) -> bool:
    """Whether architectures are held against their networks' files, as they are unless the reader said no."""
    return bool((info.context or {}).get(CHECK, True))


class Published(Block):
    """A number to compare with. `dataset`: what it was measured on, where that is not the experiment's own."""

    metric: str
    value: float = Field(allow_inf_nan=False)
    source: str
    note: str = ""
    dataset: str | None = None


class Row(Block):
    """What every row of the table has."""

    system: Name = Field(description="the system of the published list that it rebuilds")
    data: Name = Field(description="a key of `preprocess`")
    network: Name = Field(description="a file of models/, without .py")
    architecture: dict[str, Any] = Field(description="the arguments of the network's `build`")
    seeds: tuple[int, ...] = Field(min_length=1, description="one training each; the result is their mean")
    published: tuple[Published, ...] = Field(description="the numbers to compare with; [] for none")
    after: Name = Field(NONE, description="an experiment that is trained before: a teacher, an autoencoder; its weights are used")
    judge: Name = Field(NONE, description="an experiment whose network takes part in the evaluation alone")

    @model_validator(mode="after")
    def _seeds_are_numbers_of_their_own(self) -> "Row":
        if min(self.seeds) < 0 or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds: each is a whole number from 0 on, and stands there once, not {[*self.seeds]}")
        return self


class Experiment(Row):
    """One row of the table."""

    train: AnyRecipe
    sweep: Literal["none"] = "none"

    @model_validator(mode="after")
    def _network_is_known(self, info: ValidationInfo) -> "Experiment":
        if checks_networks(info):
            # torch takes seconds to import, which downloads, preparations and the report do not need.
            import models

            models.check(self.network, self.architecture)
        return self


class Winner(Row):
    """The best of a sweep as an experiment of its own: `tasks.train` fits it from scratch."""

    architecture: dict[str, Any] = Field({}, max_length=0, description="the winner's, which the sweep found")
    train: dict[str, Any] = Field(description="changes to the winner's recipe, such as more epochs; {} for none")
    sweep: Name = Field(description="a key of `sweeps`, whose best.json is read")

    def experiment(self, best: Mapping[str, Any], recipe: type[Recipe]) -> Experiment:
        """The experiment that a sweep's best.json and the changes make; `recipe` is that of the data's kind."""
        train = recipe.model_validate(merged(known_keys(best["train"], recipe), self.train))
        values = {key: best[key] for key in ("data", "network", "architecture")}
        own = self.model_dump(include={"system", "seeds", "published", "after", "judge"})
        # They were held against the network when the sweep was.
        return Experiment.model_validate({**own, **values, "train": train}, context={CHECK: False})


def merged(values: Any, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Nested tables with changes in their places; what the changes do not name stays."""
    whole = dict(values) if isinstance(values, Mapping) else {}
    for key, change in changes.items():
        whole[key] = merged(whole.get(key), change) if isinstance(change, Mapping) else change
    return whole


def known_keys(values: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Values without the keys that a model does not know and that say nothing (0, false, empty).

    A sweep that ran before a key moved to another kind of task recorded it with such a value. Any other value is left in, and refused.
    """
    kept: dict[str, Any] = {}
    for key, value in values.items():
        field = model.model_fields.get(key)
        if field is None and not value:
            continue
        inner = field.annotation if field else None
        nested = isinstance(value, Mapping) and isinstance(inner, type) and issubclass(inner, BaseModel)
        kept[key] = known_keys(value, inner) if nested else value  # type: ignore[arg-type]
    return kept
