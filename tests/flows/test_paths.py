"""In runs of a deployment, as the page and the schedules start them, and in those of the user's shell."""

import os
from pathlib import Path

import pytest
from prefect import flow, runtime

from flows import FOLDERS, ROOT
from flows.paths import reach
from tasks.common.errors import Error

pytestmark = pytest.mark.usefixtures("prefect")


@flow
def reached(path: str) -> str:
    return str(reach(path))


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a flow's process finds out of a run that has a deployment; Prefect reads these in place of the run's own."""
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "a")
    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__ID", "b")
    assert (runtime.deployment.id, runtime.flow_run.id) == ("a", "b")


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize("path", ["/etc", "../elsewhere", "runs/../../elsewhere", "/etc/*.jpg"])
def test_a_run_of_the_page_stays_inside(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDERS, raising=False)
    with pytest.raises(Error, match="runs that the page starts stay in"):
        reach(path)


@pytest.mark.usefixtures("deployed")
def test_a_link_does_not_lead_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "link").symlink_to(tmp_path)
    monkeypatch.setenv(FOLDERS, str(tmp_path / "inside"))
    assert reach(str(tmp_path / "inside" / "new.png")) == tmp_path / "inside" / "new.png"
    with pytest.raises(Error, match="stay in"):
        reach(str(tmp_path / "inside" / "link" / "file"))
    with pytest.raises(Error, match="stay in"):
        reach(str(tmp_path / "inside-too"))


@pytest.mark.usefixtures("deployed")
def test_the_project_and_named_folders_are_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDERS, f"/nowhere:{tmp_path}")
    assert reach("runs/inbox") == ROOT / "runs" / "inbox"
    assert reach(str(tmp_path / "in")) == tmp_path / "in"


def test_the_user_s_shell_takes_any_path() -> None:
    assert reach("/etc") == Path("/etc")
    assert reached("/etc") == "/etc"


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "weights.safetensors")
    with pytest.raises(Error, match="neither a file nor a folder"):
        reach(str(tmp_path / "weights.safetensors"))
    assert reach(str(tmp_path / ("n" * 300))).name == "n" * 300
