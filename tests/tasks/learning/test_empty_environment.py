"""A model of MLflow's is installed from its own requirements in an environment that has nothing else, and answers there.

What pip would fetch is here already, as the lock has it: the environment gets hard links of it, and pip is asked whether anything is missing.
Only what other packages have overwritten here is fetched again.
"""

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tasks.profile import Profile
from tests.conftest import ROOT
from tests.tasks.learning import served
from tests.tasks.learning.test_tracking import CLASSES, IMAGES, LARGE, NETWORKS, client, log_model

__all__ = ["client"]


def pins(text: str) -> dict[str, str]:
    """What a requirements file asks for on this machine: versions by package."""
    lines = map(Requirement, text.splitlines())
    return {canonicalize_name(line.name): str(line.specifier) for line in lines if not line.marker or line.marker.evaluate()}


def files(package: str) -> dict[str, Path]:
    """Where the files of an installed package are, by their names in the environment; its commands are left out."""
    listed = {str(file): Path(str(file.locate())) for file in distribution(package).files or () if ".." not in file.parts}
    return {name: path for name, path in listed.items() if path.is_file() and "__pycache__" not in path.parts}


def whole(package: str) -> bool:
    """Whether no other package has overwritten a file of this one, as the two builds of OpenCV do."""
    sizes = {str(file): file.size for file in distribution(package).files or () if file.size is not None}
    return all(path.stat().st_size == sizes.get(name, path.stat().st_size) for name, path in files(package).items())


def link(site: Path, package: str) -> None:
    """Put an installed package into another environment."""
    for name, source in files(package).items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, site / name)
        except FileExistsError:
            pass  # of a namespace, such as its licence
        except OSError:  # on another file system
            shutil.copy2(source, site / name)


def run(*command: str | Path, cwd: Path) -> str:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=kept, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_a_model_installs_from_its_requirements_and_answers(
    make_profile: Callable[..., Profile], client: Any, tmp_path: Path
) -> None:
    profile, folders = make_profile(), []
    images = np.random.default_rng(0).integers(0, 256, (len(IMAGES), 64, 64, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    for task in (*NETWORKS, *LARGE):
        (folder := tmp_path / task).mkdir()
        folders.append(client.download_artifacts(log_model(profile, task, folder, images).run.id, "model", str(folder)))
    requirements = Path(folders[0], "requirements.txt")
    wanted, locked = pins(requirements.read_text()), pins((ROOT / "requirements.lock").read_text())
    assert wanted
    assert wanted.items() <= locked.items(), "the versions are the lock's, which any index has"

    needed = served.installed(requirements.read_text().splitlines())
    venv.create(tmp_path / "environment", with_pip=False, symlinks=True)
    (site,) = (tmp_path / "environment").glob("lib/python*/site-packages")
    python = tmp_path / "environment" / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
    for package in needed:
        if whole(package):
            link(site, package)
        else:
            run(*pip, "install", "-q", "--no-deps", f"{package}{locked[package]}", cwd=tmp_path)
    listed = {canonicalize_name(found["name"]) for found in json.loads(run(*pip, "list", "--format=json", cwd=tmp_path))}
    assert listed == needed, "nothing else is there"
    assert "Would install" not in run(*pip, "install", "--no-index", "--dry-run", "-r", requirements, cwd=tmp_path)
    run(*pip, "check", cwd=tmp_path)

    script = shutil.copy(Path(served.__file__), tmp_path / "served.py")
    said = json.loads(run(python, script, tmp_path / "images.npy", *folders, cwd=tmp_path).partition("ANSWERS ")[2])
    assert said["answers"][0] == [len(IMAGES), len(CLASSES)]
    assert len(said["answers"]) == len(folders)
    assert all(file.startswith(str(tmp_path)) for file in said["code"]), "the code comes with the model"
