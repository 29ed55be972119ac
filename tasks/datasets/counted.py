"""Lists in which a photograph's name, the number of its faces and a row a face follow each other: WIDER FACE's and FDDB's."""

from typing import NamedTuple

from tasks.datasets.values import whole

MOST = 100_000


class Entry(NamedTuple):
    """What a list says of one photograph: the number of its first line, its name, and the lines after that."""

    line: int
    name: str
    rows: list[str]

    def faces(self) -> list[str]:
        """The row of each face. Raises ValueError for what is no name, and where the number of faces is not that of the rows."""
        if "/" not in self.name:
            raise ValueError(f"{self.name[:60]!r} is no photograph's name")
        count, faces = whole(self.rows[0] if self.rows else "", 0, MOST), self.rows[1:]
        if len(faces) != count:
            raise ValueError(f"its number of faces does not add up: {count} announced, {len(faces)} listed")
        return faces


def entries(text: str) -> list[Entry]:
    """The entries of a list, in its order.

    A name has a slash, and no other line has one: after an entry that is damaged, the next name begins a new one. What comes before
    the first name is an entry too, so that nothing is lost without being listed.
    """
    found: list[Entry] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and ("/" in line or not found):
            found.append(Entry(number, line.strip(), []))
        elif line.strip():
            found[-1].rows.append(line)
    return found
