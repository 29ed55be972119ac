"""Which files a flow may reach."""

import os
from pathlib import Path

from prefect import runtime

from flows import FOLDERS, ROOT
from tasks.common.errors import Error


def reach(path: str) -> Path:
    """A path as a flow was given it, seen from the project's folder.

    A run that the user's own shell starts takes any. One that a page or a schedule starts stays in the project's folder, and in those
    that `make ui` was told: whoever reaches the page should not reach all files. Raises Error for another, and for what is neither a file
    nor a folder, such as a pipe, which a run would wait for for ever.
    """
    if runtime.flow_run.id is not None and runtime.deployment.id is not None:
        whole = (ROOT / path).resolve()
        folders = [ROOT, *map(Path, filter(None, os.environ.get(FOLDERS, "").split(os.pathsep)))]
        if not any(whole.is_relative_to(folder.resolve()) for folder in folders):
            allowed = ", ".join(map(str, folders))
            raise Error(
                f"{path}: runs that the page starts stay in {allowed}; start python -m flows.serve with --folder, or use a shell"
            )
    reached = ROOT / path
    if os.path.exists(reached) and not (os.path.isfile(reached) or os.path.isdir(reached)):
        raise Error(f"{path}: neither a file nor a folder; give the path of one")
    return reached
