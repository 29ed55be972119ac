"""Results as the stages left them."""

import json
from pathlib import Path
from typing import Any

from tasks.common.errors import Error


def read_json(path: Path) -> Any:
    """A JSON file's content, or None where there is none. Raises Error for a file that is not JSON."""
    if not path.exists():
        return None
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise Error(f"{path}: not JSON ({error}); delete it and run again: dvc repro") from None
