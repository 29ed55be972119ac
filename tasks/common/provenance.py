"""What a result came from: the commit and the versions of packages."""

import logging
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

logger = logging.getLogger(__name__)

# What numbers depend on: code, the DAG, parameters of all profiles, and versions.
CODE = ("tasks", "models", "flows", "apps", "dvc.yaml", "params.yaml", ":(glob)*/params.yaml", "requirements.lock")


@cache
def git_commit(root: Path) -> str:
    """The commit that is checked out, with `-dirty` where code differs from it, or `unknown` where `root` is not a repository's own
    folder, or git cannot say. What is `unknown` is warned of once."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout.strip()

    try:
        top = Path(git("rev-parse", "--show-toplevel"))
        if not top.samefile(root):
            return _unknown(f"{root} stands in another repository, {top}")
        dirty = git("status", "--porcelain", "--untracked-files=normal", "--", *CODE)
        return git("rev-parse", "HEAD") + ("-dirty" if dirty else "")
    except subprocess.CalledProcessError as error:
        # Such as of a folder of another user's: git says which setting allows it (safe.directory).
        return _unknown(" ".join(error.stderr.split()) or f"git ended with {error.returncode}")
    except OSError as error:
        return _unknown(f"git does not run: {error.strerror}")


def _unknown(reason: str) -> str:
    logger.warning("the results' commit is unknown: %s", reason)
    return "unknown"


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that numbers depend on."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in (
        "torch",
        "torchvision",
        "numpy",
        "scikit-image",
        "scikit-learn",
        "opencv-python-headless",
        "ultralytics-opencv-headless",
    ):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
