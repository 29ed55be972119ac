import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from filelock import FileLock
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, LogFilter
from prefect.client.schemas.sorting import ArtifactSort

from flows import rebuild as module
from flows.rebuild import rebuild
from tasks.common import stages
from tasks.common.errors import Error
from tests.flows.conftest import write_project

pytestmark = pytest.mark.usefixtures("prefect")
MakeProject = Callable[..., Path]


def task_runs(flow_run: UUID) -> list[Any]:
    async def read() -> list[Any]:
        async with get_client() as client:
            return await client.read_task_runs(flow_run_filter=FlowRunFilter.model_validate({"id": {"any_": [flow_run]}}))

    return sorted(asyncio.run(read()), key=lambda run: run.start_time)


def states(flow_run: UUID) -> list[tuple[str, str]]:
    return [(run.name, run.state.name) for run in task_runs(flow_run) if not run.name.startswith("publish")]


def run(folder: Path) -> Any:
    return rebuild(str(folder), return_state=True)


class Rebuilt(NamedTuple):
    folder: Path
    state: Any


@pytest.fixture(scope="module")
def rebuilt(prefect: None, tmp_path_factory: pytest.TempPathFactory) -> Rebuilt:
    """A project after its first run."""
    folder = write_project(tmp_path_factory.mktemp("rebuilt") / "project")
    return Rebuilt(folder, run(folder))


def test_stages_come_from_dvc_in_order_and_unchanged_ones_are_skipped(rebuilt: Rebuilt) -> None:
    folder, first = rebuilt
    assert first.is_completed(), first
    assert (folder / "results" / "table.csv").read_text() == "x,y\n1,3\n"
    names = ["download@a", "second", "report"]
    assert states(first.state_details.flow_run_id) == [(name, "Completed") for name in names]

    (folder / "results" / "table.csv").unlink()
    second = run(folder)
    expected = [("download@a", "Unchanged"), ("second", "Unchanged"), ("report", "Completed")]
    assert states(second.state_details.flow_run_id) == expected
    assert (folder / "results" / "table.csv").exists()


def test_a_run_shows_the_table_and_the_report(rebuilt: Rebuilt) -> None:
    folder, flow_run = rebuilt.folder, rebuilt.state.state_details.flow_run_id

    async def read() -> list[Any]:
        async with get_client() as client:
            return await client.read_artifacts(
                flow_run_filter=FlowRunFilter.model_validate({"id": {"any_": [flow_run]}}), sort=ArtifactSort.KEY_ASC
            )

    report, table = asyncio.run(read())
    assert (report.key, table.key) == ("report-sample", "table-sample")
    assert (folder / "results" / "report.html").as_uri() in report.data
    assert table.data == '[{"x": "1", "y": "3"}]'


def test_a_stage_that_fails_fails_the_flow_with_its_name_and_its_last_lines(make_project: MakeProject) -> None:
    command = "echo tried >> tries.txt; echo why it failed; exit 3"
    folder = make_project(second={"cmd": command, "deps": ["data/a.csv"], "outs": ["results/second.csv"]})
    state = run(folder)
    assert state.is_failed()
    assert "stage second failed" in state.message
    assert "why it failed" in state.message
    assert states(state.state_details.flow_run_id) == [("download@a", "Completed"), ("second", "Failed")]
    assert (folder / "tries.txt").read_text() == "tried\n", "only downloads are tried again"


def test_a_download_is_tried_again(make_project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.download, "retry_delay_seconds", [0, 0])
    command = "echo tried >> tries.txt; test $(wc -l < tries.txt) = 3 && printf 'x,y\\n1,2\\n' > data/a.csv"
    folder = make_project(download={"foreach": ["a"], "do": {"cmd": command, "outs": ["data/a.csv"]}})
    assert run(folder).is_completed()
    assert (folder / "tries.txt").read_text() == "tried\n" * 3


def test_what_a_stage_prints_is_in_its_log(rebuilt: Rebuilt) -> None:
    flow_run = rebuilt.state.state_details.flow_run_id
    second = next(r for r in task_runs(flow_run) if r.name == "second")

    async def read() -> list[str]:
        async with get_client() as client:
            # Logs arrive in batches.
            for _ in range(100):
                logs = await client.read_logs(LogFilter.model_validate({"task_run_id": {"any_": [second.id]}}))
                if any(log.message == "second stage" for log in logs):
                    break
                await asyncio.sleep(0.2)
            return [log.message for log in logs]

    assert "second stage" in asyncio.run(read())


def test_a_second_rebuild_at_the_same_time_is_refused(make_project: MakeProject) -> None:
    folder = make_project()
    (folder / "runs").mkdir()
    with FileLock(folder / "runs" / "rebuild.lock"):
        state = run(folder)
    assert state.is_failed()
    assert "another rebuild of this project runs" in state.message
    assert not (folder / "data" / "a.csv").exists()


def test_a_shell_s_rebuild_begins_dvc_before_the_flow_and_follows_it(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = []
    start, config_load = stages.Reproduction._start, module.config.load

    def started(self: Any) -> None:
        order.append("dvc")
        start(self)

    def loaded(*arguments: Any) -> Any:
        order.append("load")
        return config_load(*arguments)

    monkeypatch.setattr(stages.Reproduction, "_start", started)
    monkeypatch.setattr(module.config, "load", loaded)
    folder = make_project()
    module.main(str(folder))
    assert order == ["load", "dvc", "load"], "the command, DVC, the flow, which starts none of its own"
    assert (folder / "results" / "table.csv").read_text() == "x,y\n1,3\n"


def test_a_folder_without_dvc_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Error, match=r"dvc\.yaml"), stages.Reproduction(tmp_path) as dvc:
        list(dvc)


def test_a_project_that_is_in_use_is_not_tried_again(make_project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.download, "retry_delay_seconds", [0, 0])
    begun = []

    def follow(_: Any, name: str, __: Any) -> None:
        begun.append(name)
        raise stages.Busy("another DVC process works in this project")

    monkeypatch.setattr(stages.Reproduction, "follow", follow)
    state = run(make_project())
    assert state.is_failed()
    assert "another DVC process works in this project" in state.message
    assert begun == ["download@a"]
