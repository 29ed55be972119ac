"""Files and modules of packages that the project does without: found where they are installed, and checked."""

import importlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import ModuleType

from tasks.common.errors import Error
from tasks.common.files import sha256 as hash_of


def file(package: str, name: str, sha256: str, install: str) -> Path:
    """A file of an installed package by its name. Raises Error, with how to install it, where it is missing or has another hash."""
    try:
        files = distribution(package).files or []
    except PackageNotFoundError:
        files = []
    return checked(next((Path(str(found.locate())) for found in files if found.name == name), Path(name)), sha256, install)


def checked(path: Path, sha256: str, install: str) -> Path:
    """`path`, once its content is the published one. Raises Error, with how to install it, where it is missing or another."""
    if not path.is_file():
        raise Error(f"{path.name} is not installed; run: {install}")
    if hash_of(path) != sha256:
        raise Error(f"{path}: not the published file, by its SHA-256; run: {install}")
    return path


def module(name: str, install: str) -> ModuleType:
    """An optional package's module. Raises Error, with how to install it, where it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Error(f"the package {name} is not installed; run: {install}") from None
