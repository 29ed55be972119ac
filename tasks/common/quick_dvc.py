"""DVC without what it does again at each stage, and with several stages at once: `bin/dvc ARGUMENTS`, as `dvc ARGUMENTS`.

After each stage, DVC parses its whole lock file with a parser that keeps comments, and writes it anew. That takes 1.2 s at 70 stages, nine
tenths of its own cost, and grows with the square of their number. Here the text of the stage alone is replaced. It is made by DVC's own
writer, so that the file's bytes are the same. A file that DVC has not laid out itself goes DVC's own way.

For each stage, DVC parses the whole params.yaml too, and searches all of it for each key. That is half of what a rebuild costs that has
nothing to do. Here the file is parsed once as long as it stays the same, and a key is looked up.

Before anything runs, DVC reads the dvc.yaml and the lock file of every profile, twice those of the one that is asked for, and for each
question about a stage it writes into a file which paths this process reads and writes, and takes it out again. Here a profile is read alone
and once, and what a stage holds already is not written again.

DVC runs one stage at a time. Here `dvc repro` runs as many as DARKROOM_JOBS says, 1 by default, each once those that it depends on have
ended. Small networks hardly gain from a second thread, so that two stages of one thread each end sooner than one of two after the other.
Only commands run beside each other: all that DVC itself does is done by one thread at a time, under DVC's own locks.

This file starts with every rebuild, and imports nothing of ours.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

from dvc import rwlock
from dvc.dependency import param
from dvc.dvcfile import PROJECT_FILE, Lockfile
from dvc.env import DVC_STAGE
from dvc.exceptions import ReproductionError
from dvc.fs import FileSystem, LocalFileSystem
from dvc.log import logger
from dvc.repo import reproduce
from dvc.repo.index import Index
from dvc.stage import run, serialize
from dvc.stage.exceptions import StageCmdFailedError
from dvc.utils.serialize import YAMLFileCorruptedError, dumps_yaml, parse_yaml

HEAD = "schema: '2.0'\nstages:\n"
# A line that a stage begins with, and that none of its others looks like.
BEGINS = re.compile(r"^  (?=[^ ])", re.MULTILINE)
KEY = re.compile(r"  [^ ?#-].*:")
# A name for a value, and a reference to it. DVC counts the names anew in each file, so they cannot stay in a text of parts.
REFERENCE = re.compile(r" [&*]id\d+$", re.MULTILINE)

logger = logger.getChild(__name__)
_dump_whole = Lockfile.dump_stages
_search_file = param.read_param_file
_reproduce_in_turn = reproduce._reproduce
_run_in_front = run._run
_collect_from_all = reproduce.collect_stages
_write_what_is_held = rwlock.rwlock
# Held by the thread that does DVC's own work.
_working = threading.Lock()
# What the stage that a thread is at has written down that it reads and writes.
_held = threading.local()


def split(text: str) -> dict[str, str] | None:
    """A lock file's text as each stage's, by its first line, in order. None for a file that is not laid out as DVC does it."""
    if REFERENCE.search(text):
        text = without_references(text)
    if not text.startswith(HEAD):
        return None
    _, *blocks = BEGINS.split(text.removeprefix(HEAD)) or [""]
    stages = {block.partition("\n")[0]: f"  {block}" for block in blocks}
    whole = HEAD + "".join(stages.values())
    regular = all(KEY.fullmatch(f"  {key}") for key in stages) and text.endswith("\n")
    return stages if blocks and regular and whole == text else None


def copied(value: Any) -> Any:
    """A value of a YAML file, in which no dictionary and no list is the same object as another."""
    if isinstance(value, dict):
        return {key: copied(inner) for key, inner in value.items()}
    return [copied(inner) for inner in value] if isinstance(value, list) else value


def without_references(text: str) -> str:
    """A lock file's text, in which each value stands wherever it is meant. Nothing for a file that has comments, or that is damaged."""
    if re.search(r"^ *#", text, re.MULTILINE):
        return ""
    try:
        return dumps_yaml(copied(parse_yaml(text, "dvc.lock")))
    except YAMLFileCorruptedError:
        return ""


def written(stage: dict[str, Any]) -> dict[str, str]:
    """The text of a stage, {name: contents}, as DVC writes it; by its first line."""
    return split(dumps_yaml({"schema": "2.0", "stages": copied(stage)})) or {}


def dump_stages(lock: Lockfile, stages: list[Any], **options: Any) -> None:
    """Write stages into the lock file, in place of what it has of them, or at its end: DVC's `Lockfile.dump_stages`."""
    path = Path(lock.path)
    text = path.read_bytes().decode("utf-8", "replace") if path.exists() else ""
    before = split(text)
    new = [written(serialize.to_lockfile(stage, **options)) for stage in stages]
    if before is None or not all(len(block) == 1 for block in new):
        _dump_whole(lock, stages, **options)
        return
    after = dict(before)
    for block in new:
        after.update(block)
    if after != before:
        logger.info("Updating lock file '%s'", lock.relpath)
        whole = path.with_name(f"{path.name}.{os.getpid()}")
        whole.write_text(HEAD + "".join(after.values()), encoding="utf-8", newline="\n")
        whole.replace(path)
        lock.repo.scm_context.track_file(lock.relpath)


@lru_cache(maxsize=8)
def parsed(path: str, _: tuple[int, ...]) -> Any:
    """A file of parameters, which is parsed again where its state is another."""
    return param.load_path(path, LocalFileSystem())


def read_param_file(
    fs: FileSystem, path: str, key_paths: Sequence[str] | None = None, flatten: bool = False, **options: Any
) -> Any:
    """The values of keys by their names, those that there are: DVC's `read_param_file`, which does what is not so plain."""
    plain = isinstance(fs, LocalFileSystem) and key_paths and flatten and not options
    if not plain or re.search(r"[*?\[\]]", "".join(key_paths or ())):
        return _search_file(fs, path, key_paths, flatten, **options)
    state = os.stat(path)
    whole = parsed(path, (state.st_mtime_ns, state.st_size, state.st_ino))
    found = {}
    for key in key_paths or ():
        value = whole
        for part in key.split("."):
            if not isinstance(value, dict) or part not in value:
                return _search_file(fs, path, key_paths, flatten)
            value = value[part]
        found[key] = deepcopy(value)
    return found


def collect_stages(repo: Any, targets: Iterable[str], recursive: bool = False, glob: bool = False) -> list[Any]:
    """The stages of the files that are asked for: DVC's `collect_stages`, which does what is not so plain. No other file is read."""
    targets = [*targets]
    if recursive or glob or not all(Path(target).name == PROJECT_FILE and Path(target).is_file() for target in targets):
        return _collect_from_all(repo, targets, recursive, glob)
    files = dict.fromkeys(repo.fs.abspath(target) for target in targets)
    repo.index = Index.from_indexes(repo, [Index.from_file(repo, file) for file in files])
    return [*repo.index.stages]


@contextmanager
def hold(folder: str, fs: FileSystem, command: str, read: list[str], write: list[str], hardlink: bool) -> Iterator[None]:
    """Write down which paths are read and which are written, where this thread has not done so before: DVC's `rwlock`."""
    before: tuple[set[str], set[str]] = getattr(_held, "paths", (set(), set()))
    if before[0] | before[1] >= {*read} and before[1] >= {*write}:
        yield
        return
    with _write_what_is_held(folder, fs, command, read, write, hardlink):
        _held.paths = (before[0] | {*read}, before[1] | {*write})
        try:
            yield
        finally:
            _held.paths = before


def reproduce_at_once(
    stages: list[Any], graph: Any = None, on_error: str = "fail", force: bool = False, **options: Any
) -> list[Any]:
    """Run stages, each after those that it depends on, `jobs()` at a time: DVC's `_reproduce`. Returns those that ran.

    Where one fails, or after Ctrl-C, no other begins. Raises ReproductionError with the name of one that failed once those that run have
    ended, and KeyboardInterrupt where Ctrl-C came while no command ran that it could end.
    """
    asked_otherwise = graph is None or on_error != "fail" or options.get("force_downstream") or options.get("dry")
    if jobs() == 1 or len(stages) < 2 or asked_otherwise:
        return _reproduce_in_turn(stages, graph=graph, on_error=on_error, force=force, **options)
    options.pop("force_downstream", None)
    waiting = {stage: {*graph.successors(stage)} & {*stages} for stage in stages}
    running: dict[Future[Any], Any] = {}
    ran: list[Any] = []
    failed: list[tuple[Any, BaseException]] = []
    interrupts: list[int] = []
    lock = stages[0].repo.lock

    def one(stage: Any) -> Any:
        with _working:
            begun = time.monotonic()
            lock.lock()
            try:
                done = reproduce._reproduce_stage(stage, upstream=[*graph.successors(stage)], force=force, **options)
            finally:
                lock.unlock()
            if done:
                print(f"{named(stage.addressing)} took {time.monotonic() - begun:.1f} s", flush=True)
            return done

    lock.unlock()
    # Ctrl-C ends the commands, as in DVC, which records those that have ended well. A command does not inherit a handler, as it would SIG_IGN.
    before_us = signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
    try:
        with ThreadPoolExecutor(jobs()) as pool:
            while running or (waiting and not failed and not interrupts):
                ready = [stage for stage, before in waiting.items() if not (before or failed or interrupts)]
                for stage in ready[: jobs() - len(running)]:
                    del waiting[stage]
                    running[pool.submit(one, stage)] = stage
                for ended in wait(running, return_when=FIRST_COMPLETED).done:
                    stage = running.pop(ended)
                    for before in waiting.values():
                        before.discard(stage)
                    if error := ended.exception():
                        failed.append((stage, error))
                    elif ended.result():
                        ran.append(stage)
    finally:
        signal.signal(signal.SIGINT, before_us)
        lock.lock()
    for stage, error in failed:
        raise ReproductionError(f"failed to reproduce {stage.addressing!r}") from error
    if interrupts:
        raise KeyboardInterrupt
    return ran


def jobs() -> int:
    """How many stages may run at once: what DARKROOM_JOBS says, 1 where it says no number."""
    said = os.environ.get("DARKROOM_JOBS", "")
    return max(1, int(said)) if said.isdigit() else 1


def named(address: str) -> str:
    """A stage's name, without the file that it stands in."""
    return address.rpartition(":")[2]


def run_beside(executable: str | None, command: str, **options: Any) -> None:
    """Run a stage's command while another thread does DVC's work: DVC's `_run`. Its lines are printed whole, with the stage's name.

    Raises StageCmdFailedError where it ends with another code than 0.
    """
    if not _working.locked():
        _run_in_front(executable, command, **options)
        return
    name = named(options["env"][DVC_STAGE])
    _working.release()
    try:
        with subprocess.Popen(
            run._make_cmd(executable, command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **options
        ) as process:  # fmt: skip
            assert process.stdout is not None
            for line in process.stdout:
                print(f"{name} | {line.rstrip()}", flush=True)
    finally:
        _working.acquire()
    if process.returncode:
        raise StageCmdFailedError(command, process.returncode)


if __name__ == "__main__":
    from dvc.cli import main

    Lockfile.dump_stages = dump_stages
    param.read_param_file = read_param_file
    reproduce._reproduce = reproduce_at_once
    run._run = run_beside
    reproduce.collect_stages = collect_stages
    rwlock.rwlock = hold
    sys.exit(main())
