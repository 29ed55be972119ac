"""Where the keys of a `params.yaml` stand in it."""

import yaml


def line(text: str, place: str) -> int | None:
    """The line, from 1 on, of a place such as `experiments.cnn.train.epochs`, or of what is nearest above it; None where nothing is.

    Names may hold dots. What stands there by a merge key is found where it is written.
    """
    root = yaml.compose(text, yaml.SafeLoader)
    found = _deepest(root, place) if root else None
    return found.start_mark.line + 1 if found else None


def _deepest(node: yaml.Node, place: str) -> yaml.Node | None:
    """The node of the key that a place leads to, as far as there are such keys."""
    merged: list[yaml.Node] = []
    for part, key, value in _below(node):
        if part == "<<":
            merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
        elif place == part:
            return key
        elif place.startswith(f"{part}."):
            return _deepest(value, place[len(part) + 1 :]) or key
    return next((found for other in merged if (found := _deepest(other, place))), None)


def _below(node: yaml.Node) -> list[tuple[str, yaml.Node, yaml.Node]]:
    """The names, keys and values of a table, or the indices and values of a list."""
    if isinstance(node, yaml.MappingNode):
        return [(str(key.value), key, value) for key, value in node.value]
    if isinstance(node, yaml.SequenceNode):
        return [(str(index), value, value) for index, value in enumerate(node.value)]
    return []
