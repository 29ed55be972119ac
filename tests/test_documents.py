"""Every command in README, CONTRIBUTING and docs/ exists and takes what it is given; those for a first photograph are run."""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from dvc.cli import parse_args
from PIL import Image

from apps import photographs
from benchmarks.__main__ import BENCHMARKS
from tests.conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
INLINE, BLOCK = re.compile(r"`([^`\n]+)`"), re.compile(r"^(?: {4,}|\t)(\S.*)$", re.MULTILINE)
# Variables before a command, and folders that it is run in.
BEFORE = re.compile(r"^(?:[A-Z_]+=\S+ +|cd \S+ && )+")
PROGRAMS = ("python", "make", "dvc")
PLACEHOLDER = re.compile(r"<.*>|[A-Z_]+|cnn-plain")


def found() -> dict[str, list[str]]:
    """The words of each command, by where it stands."""
    commands = {}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for line in [*INLINE.findall(text), *BLOCK.findall(text)]:
            words = (
                shlex.split(BEFORE.sub("", line), comments=True)
                if line.split()[0] in (*PROGRAMS, "cd") or BEFORE.match(line)
                else []
            )
            if words and words[0] in PROGRAMS and words[1:]:
                commands[f"{page.relative_to(ROOT)}: {shlex.join(words)}"] = words
    return commands


COMMANDS = found()


@cache
def names(section: str) -> frozenset[str]:
    """The keys of a section of the profiles' params.yaml."""
    files = [ROOT / "params.yaml", *ROOT.glob("*/params.yaml")]
    return frozenset(key for file in files for key in yaml.safe_load(file.read_bytes()).get(section) or {})


def parsed(module: str, arguments: list[str]) -> dict[str, Any]:
    """What a command line of ours makes of arguments; it is not run. Raises what Typer raises for one that it does not take."""
    source = importlib.import_module(module)
    main = re.findall(r"^    run\((\w+)\)$", Path(source.__file__ or "").read_text(encoding="utf-8"), re.MULTILINE)
    assert main, f"{module} has no command line"
    app = getattr(source, main[0])
    if not isinstance(app, typer.Typer):
        app, function = typer.Typer(), app
        app.command()(function)
    command: Any = typer.main.get_command(app)
    context = command.make_context(module, [*arguments])
    if hasattr(command, "commands"):
        name, command, rest = command.resolve_command(context, [*arguments])
        context = command.make_context(name, rest, parent=context)
    return dict(context.params)


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 40
    assert any(words[:3] == ["python", "-m", "tasks.apply"] for words in COMMANDS.values())


@pytest.mark.parametrize("where", [key for key, words in COMMANDS.items() if words[0] == "python"])
def test_a_step_takes_what_it_is_given(where: str) -> None:
    _, option, module, *arguments = COMMANDS[where]
    assert option == "-m"
    if module == "pytest":
        assert all((ROOT / path).exists() for path in arguments)
    elif module == "benchmarks":
        assert {*arguments} <= {*BENCHMARKS}
    elif "--help" in arguments or not arguments:  # which names the step alone
        assert importlib.util.find_spec(module)
    else:
        given = parsed(module, arguments)
        experiment = given.get("experiment")
        assert experiment is None or PLACEHOLDER.fullmatch(experiment) or experiment in names("experiments")


@pytest.mark.parametrize("where", [key for key, words in COMMANDS.items() if words[0] == "make"])
def test_make_has_the_target(where: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in COMMANDS[where][1:]:
        variable, equals, value = word.partition("=")
        if equals:
            assert re.search(rf"\$\({variable}\)", makefile)
            assert variable != "PROFILE" or (ROOT / value / "params.yaml").exists()
        else:
            assert re.search(rf"^{word}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("where", [key for key, words in COMMANDS.items() if words[0] == "dvc"])
def test_dvc_has_the_command_and_the_stage(where: str) -> None:
    words = COMMANDS[where][1:]
    parse_args(words)
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_bytes())["stages"]
    if words[0] == "repro":
        for target in words[1:]:
            stage, _, key = target.rpartition(":")[2].partition("@")
            assert stage in stages
            section = {
                "train": "experiments",
                "evaluate": "experiments",
                "sweep": "sweeps",
                "study": "studies",
                "reliability": "calibrate",
            }.get(stage, stage)
            assert not key or PLACEHOLDER.fullmatch(key) or key in names(section)


def test_a_wrong_command_would_fail() -> None:
    with pytest.raises(Exception, match="No such option"):
        parsed("tasks.apply", ["sobel-compact", "a.jpg", "out/", "--wight", "x"])
    with pytest.raises(Exception, match="Missing"):
        parsed("tasks.apply", ["sobel-compact", "a.jpg"])
    with pytest.raises(Exception, match="No such command"):
        parsed("tasks.look", ["salience", "squeezenet", "a.jpg", "b.png"])


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as git has it, with photographs as README names them."""
    folder = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "full/results/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name, follow_symlinks=False)
    (folder / "photographs").mkdir()
    for name in ("coffee", "astronaut"):
        with Image.open(photographs.examples()[name]) as picture:
            picture.convert("RGB").resize((160, 160)).save(folder / "photographs" / f"{name}.jpg")
    shutil.copy(folder / "photographs" / "coffee.jpg", folder / "photograph.jpg")
    shutil.copy(folder / "photographs" / "astronaut.jpg", folder / "style.jpg")
    return folder


# A command without arguments is only named.
FIRST = [words for where, words in COMMANDS.items() if where.startswith("README.md: python -m") and len(words) > 3]


@pytest.mark.slow
@pytest.mark.parametrize("words", FIRST, ids=lambda words: words[2])
def test_a_photograph_goes_through_what_git_carries(clone: Path, words: list[str]) -> None:
    before = {*clone.rglob("*")}
    command = [sys.executable, *words[1:]]
    done = subprocess.run(command, cwd=clone, env=environment(clone), capture_output=True, text=True, check=False)
    if done.returncode and words[2] == "tasks.sample":
        # What is trained here first says so, in a sentence.
        assert re.search(r"error: .* is not trained; train it: dvc repro train@", done.stderr), done.stderr
        return
    assert done.returncode == 0, done.stderr
    assert {*clone.rglob("*")} > before


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(folder), "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
