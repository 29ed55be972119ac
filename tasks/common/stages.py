"""The stages of a profile as DVC knows them: their order, whether one is stale, and running one."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.common import processes
from tasks.common.errors import Error

if TYPE_CHECKING:
    from dvc.repo import Repo

FILE = "dvc.yaml"


def names(folder: Path) -> list[str]:
    """The stages of `folder/dvc.yaml`, each after those that it needs. Raises Error where DVC cannot read them."""
    import networkx
    from dvc.repo.graph import build_graph

    with _repository(folder) as repository:
        stages = repository.stage.load_file(str(folder / FILE))
        place = {stage: index for index, stage in enumerate(stages)}
        # DVC's edges go from a stage to what it needs.
        graph = build_graph(stages).reverse()
        return [stage.name for stage in networkx.lexicographical_topological_sort(graph, key=place.__getitem__)]


def changed(folder: Path, name: str) -> bool:
    """Whether DVC would run the stage, or fetch its outputs from the cache."""
    with _repository(folder) as repository, repository.lock:
        return bool(repository.stage.load_one(str(folder / FILE), name).changed())


def reproduce(folder: Path, name: str, on_line: Callable[[str], None]) -> None:
    """Run one stage with `dvc repro`, giving each line that it prints to `on_line`. Raises Error with its last lines."""
    environment = os.environ | {
        # The stages say `python`; theirs is this one.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "dvc", "repro", "--single-item", name]
    code, last = processes.stream(command, folder, environment, on_line)
    if code:
        raise Error(f"stage {name} failed:\n" + "\n".join(last))


@contextmanager
def _repository(folder: Path) -> Iterator["Repo"]:
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(Repo.find_root(str(folder))) as repository:
            yield repository
    except DvcException as error:
        raise Error(f"{folder / FILE}: {error}") from error
