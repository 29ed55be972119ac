"""What pydantic finds wrong in `params.yaml`, as sentences that name the key and what is allowed there."""

import difflib
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError


def every(error: ValidationError, model: type[BaseModel], above: str = "") -> Iterator[str]:
    """A sentence for each error of `model`, whose place is `above`: `experiments.cnn.train.epocs: unknown key; ...`."""
    for found in error.errors():
        yield _sentence(found, model, [above] if above else [])


def first(error: ValidationError, model: type[BaseModel], above: str) -> str:
    """A sentence for the first error."""
    return next(every(error, model, above))


def _sentence(error: Any, model: type[BaseModel], keys: list[str]) -> str:
    here: list[Any] = [model]
    parents = here
    for part in error["loc"]:
        # The tag by which a union's member was chosen is no key of the file.
        if chosen := [kind for kind in here if part in _tags(kind)]:
            here = chosen
            continue
        keys = [*keys, str(part)]
        parents, here = here, [inner for kind in here for inner in _below(kind, part)]
    key = ".".join(keys)
    if error["type"] == "extra_forbidden":
        allowed = list(dict.fromkeys(name for kind in parents for name, field in kind.model_fields.items() if not field.exclude))
        near = difflib.get_close_matches(keys[-1], allowed, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        return f"{key}: unknown key; {hint}allowed: {', '.join(allowed)}"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "missing":
        message = "missing"
    elif error["type"] == "union_tag_not_found":
        message = f"{error['ctx']['discriminator']} is missing"
    elif error["type"] == "union_tag_invalid":
        message = f"{error['ctx']['discriminator']} is {error['ctx']['tag']!r}; allowed: {error['ctx']['expected_tags']}"
    elif error["type"] != "value_error":
        message = f"{message}, not {error['input']!r}"
    return f"{key}: {message}" if key else message


def _tags(kind: Any) -> tuple[str, ...]:
    """By what pydantic names a model in an error's location, where it is the member of a union."""
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return ()
    chosen = [field.annotation for name, field in kind.model_fields.items() if name in ("kind", "task")]
    return (f"<{kind.__name__}>", *(get_args(annotation)[0] for annotation in chosen if get_origin(annotation) is Literal))


def _below(kind: Any, part: Any) -> list[Any]:
    """What may stand at a key of a model, a table or a list."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(str(part))
        return _members(field.annotation) if field else []
    if get_origin(kind) is dict:
        return _members(get_args(kind)[1])
    if get_origin(kind) in (tuple, list):
        return _members(get_args(kind)[0])
    return []


def _members(annotation: Any) -> list[Any]:
    """The members of a union, of any depth."""
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [member for argument in get_args(annotation) for member in _members(argument)]
    return [annotation]
