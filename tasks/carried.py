"""The weights that git carries, in models/weights/: each has a card beside it, which says what it is and its SHA-256."""

from pathlib import Path

from tasks.common.errors import Error
from tasks.learning import weights

FOLDER = ("models", "weights")


def verified(path: Path) -> Path:
    """`path`, a weights file of ours, once its content is known to be whole, wherever it stands.

    Raises Error as `tasks.learning.weights.verified`, and for a file in models/weights/ without its card: nothing says that it is whole.
    """
    card = path.with_suffix(".json")
    if path.absolute().parent.parts[-2:] == FOLDER and path.exists() and not card.exists():
        raise Error(
            f"{card}: no such file, and so nothing says that {path.name} is whole; take both: git checkout -- {path.parent}"
        )
    return weights.verified(path)
