"""HTML pages from Jinja templates."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def render(template: str, folders: Sequence[Path], **values: Any) -> str:
    """The page of a template, which is looked for in `folders` in their order, as are those that it includes.

    Values are escaped. Raises jinja2.UndefinedError for a value that the template asks for and is not given.
    """
    environment = Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)
