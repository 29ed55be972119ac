import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tasks.common.provenance import git_commit


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with one commit of a project."""
    folder = tmp_path / "project"
    for name in (
        "tasks/train.py",
        "models/cnn.py",
        "full/params.yaml",
        "params.yaml",
        "dvc.yaml",
        "requirements.lock",
        "README.md",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("1\n")
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    git_commit.cache_clear()
    return folder


def test_the_commit_that_is_checked_out(project: Path) -> None:
    assert git_commit(project) == git(project, "rev-parse", "HEAD")


@pytest.mark.parametrize(
    "name", ["tasks/train.py", "models/mine.py", "full/params.yaml", "dvc.yaml", "requirements.lock", "apps/new.py"]
)
def test_code_that_the_commit_does_not_hold_is_said_with_it(project: Path, name: str) -> None:
    (project / name).parent.mkdir(exist_ok=True)
    (project / name).write_text("2\n")
    assert git_commit(project) == git(project, "rev-parse", "HEAD") + "-dirty"


def test_what_changes_no_number_is_not_counted(project: Path) -> None:
    (project / "README.md").write_text("2\n")
    (project / "results").mkdir()
    (project / "results" / "metrics.json").write_text("2\n")
    assert not git_commit(project).endswith("-dirty")


def test_another_project_s_repository_gives_no_commit(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    inner = project / "unpacked"
    inner.mkdir()
    assert [git_commit(inner), git_commit(inner)] == ["unknown"] * 2
    assert len(caplog.messages) == 1
    assert "stands in another repository" in caplog.messages[0]


def test_no_repository_gives_no_commit_and_the_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    git_commit.cache_clear()
    assert git_commit(tmp_path) == "unknown"
    assert "not a git repository" in caplog.messages[0]


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="giving a folder to another user is for root")
def test_a_folder_of_another_user_is_named_with_git_s_setting(
    project: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(variable, os.devnull)
    monkeypatch.delenv("SUDO_UID", raising=False)
    for path in (project, project / ".git"):
        shutil.chown(path, 12345, 12345)
    assert git_commit(project) == "unknown"
    assert "safe.directory" in caplog.messages[0]


def test_without_git_nothing_is_known(project: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(project))
    assert git_commit(project) == "unknown"
    assert "git does not run" in caplog.messages[0]
