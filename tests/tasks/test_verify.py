import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.common.errors import Error
from tasks.common.files import write_json
from tasks.profile import Profile
from tasks.verify import compare, main, verify


def result(task: str = "classify", seconds: float = 1.0, **metrics: float) -> dict[str, Any]:
    return {"task": task, "metrics": metrics, "train_seconds": seconds}


@pytest.mark.parametrize(
    ("committed", "here", "verdict"),
    [
        (result(accuracy=0.9), result(accuracy=0.9), "identical"),
        (result(accuracy=0.9), result(accuracy=0.881), "agrees"),
        (result(accuracy=0.9), result(accuracy=0.879), "differs"),
        (result(accuracy=0.9, log_loss=0.5), result(accuracy=0.9, log_loss=0.514), "agrees"),
        (result(accuracy=0.9, log_loss=0.5), result(accuracy=0.9, log_loss=0.516), "differs"),
        (result("detect", map50=0.365), result("detect", map50=0.308), "agrees"),
        (result("detect", map50=0.365), result("detect", map50=0.300), "differs"),
        (result("translate", psnr=25.38), result("translate", psnr=25.1), "agrees"),
        (result("translate", psnr=25.38), result("translate", psnr=25.0), "differs"),
        (result("translate", l1=8.9e-8), result("translate", l1=7.7e-8), "agrees"),
        (result("translate", l1=8.9e-8), result("translate", l1=8.9e-4), "differs"),
        ({**result(accuracy=0.9), "metrics_std": {"accuracy": 0.01}}, result(accuracy=0.872), "agrees"),
        (result(accuracy=0.9, ece=0.1), result(accuracy=0.9), "differs"),
    ],
)
def test_a_rebuild_agrees_within_the_metrics_tolerance(committed: dict[str, Any], here: dict[str, Any], verdict: str) -> None:
    assert compare("x", committed, here).verdict == verdict


def test_results_are_held_against_the_commit(
    make_profile: Callable[..., Profile], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = make_profile()
    folder = profile.folder
    with pytest.raises(Error, match="not a git repository"):
        write_json(profile.results("classes") / "metrics.json", result(accuracy=0.9))
        verify(profile)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], cwd=folder, check=True)
    subprocess.run([*git, "add", "results", "params.yaml"], cwd=folder, check=True)
    subprocess.run([*git, "commit", "-qm", "results"], cwd=folder, check=True)
    # Weights that were fetched from a cache are none that were trained here.
    (profile.results("classes") / "weights").mkdir()
    assert [one.verdict for one in verify(profile)] == ["not rebuilt", "not rebuilt"]
    write_json(profile.results("classes") / "metrics.json", result(accuracy=0.9, seconds=2.0))
    assert [one.verdict for one in verify(profile)] == ["identical", "not rebuilt"]
    write_json(profile.results("pairs") / "metrics.json", result("translate", psnr=20.0))
    write_json(profile.results("classes") / "metrics.json", result(accuracy=0.7))
    assert [one.verdict for one in verify(profile)] == ["differs", "new"]
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit, match="1 of 2 differ: classes"):
        main()
    assert "90.00" in capsys.readouterr().out


def test_without_a_rebuild_it_says_so(make_profile: Callable[..., Profile], tmp_path: Path) -> None:
    folder = make_profile().folder
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    done = subprocess.run([sys.executable, "-m", "tasks.verify"], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "error: nothing was rebuilt here; run: make rebuild, then make verify\n")
    assert json.dumps(done.stdout) == '""'
