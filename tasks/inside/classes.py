"""Classes by their names."""

import difflib

from tasks.common.errors import Error
from tasks.learning.weights import Configuration

FIVE = 5


def names(configuration: Configuration) -> tuple[str, ...]:
    """The names of a network's classes; their numbers where it has no names."""
    return configuration.classes or tuple(map(str, range(configuration.outputs)))


def find_class(configuration: Configuration, name: str) -> int:
    """The number of a class, by its name in any case. Raises Error, with the nearest names, for one that the network does not have."""
    own = names(configuration)
    known = [one.lower() for one in own]
    if name.lower() in known:
        return known.index(name.lower())
    words = [one for one in known if name.lower() in one.split()]
    near = [*dict.fromkeys([*words, *difflib.get_close_matches(name.lower(), known, FIVE)])][:FIVE]
    offered = ", ".join(own[known.index(one)] for one in near) or ", ".join(own[:FIVE])
    raise Error(f"{name}: no class of {configuration.experiment}; the nearest of its {len(known)} are {offered}")
