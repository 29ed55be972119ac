"""What code each stage depends on, as one small file a stage: `python -m tasks.code`.

A stage's numbers depend on the files that it imports and on nothing else of ours. This step starts at a stage's own files (its step, its
network, its kind of task), follows their imports, and writes `data/code/<step>/<name>` with a hash a file. DVC runs a stage again when
that file changes. The hash is of the syntax tree without docstrings and descriptions, so that a comment makes nothing stale.

Two kinds of import are not followed. Code that changes no number (`NEUTRAL`) is left out. What is found by its name at run time (networks,
kinds, studies, data sets) is a root of the stages that name it, and of no other.

Nothing of ours is imported here: a file that cannot be parsed makes the stages that use it stale, and those alone.
"""

import ast
import hashlib
import json
import re
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("tasks", "models")
# These run, write, draw bars and keep records; what a stage computes does not depend on them.
NEUTRAL = ("tasks/common/", "tasks/config.py", "tasks/profile.py", "tasks/code.py", "tasks/learning/tracking.py")
NONE = "none"


def tree(path: Path) -> ast.Module | None:
    """The syntax of a file without what changes no number; None for a file that cannot be parsed."""
    return _tree(path.read_bytes())


def file_hash(path: Path) -> str:
    """SHA-256 of what a file means; of its bytes where it is no Python, or cannot be parsed."""
    content = path.read_bytes()
    return _meaning(content) if path.suffix == ".py" else hashlib.sha256(content).hexdigest()


@cache
def _tree(content: bytes) -> ast.Module | None:
    try:
        parsed = ast.parse(content)
    except SyntaxError:
        return None
    for node in ast.walk(parsed):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:]
        elif isinstance(node, ast.Call):
            node.keywords = [keyword for keyword in node.keywords if keyword.arg != "description"]
    return parsed


@cache
def _meaning(content: bytes) -> str:
    parsed = _tree(content)
    return hashlib.sha256(content if parsed is None else ast.dump(parsed).encode()).hexdigest()


@cache
def imported(path: Path, root: Path) -> tuple[Path, ...]:
    """The files of ours that a file imports, anywhere in it, and the templates that it names; not what only a type checker reads."""
    if path.suffix == ".j2":
        return tuple(file for name in _NAMED.findall(path.read_text(encoding="utf-8")) for file in _templates(name, root))
    parsed = tree(path)
    if parsed is None:
        return ()
    found: dict[Path, None] = {}
    for node in _running(parsed):
        if isinstance(node, ast.Import):
            found |= dict.fromkeys(file for alias in node.names for file in _module(alias.name, root))
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            found |= dict.fromkeys(file for name in names for file in _module(name, root))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith(".j2"):
            found |= dict.fromkeys(_templates(node.value, root))
    return tuple(found)


# A template that another one includes, imports or extends.
_NAMED = re.compile(r"""["']([^"']+\.j2)["']""")


def _templates(name: str, root: Path) -> list[Path]:
    """The templates of a file's name, such as each kind's `section.html.j2`: code names one without its folder."""
    return sorted((root / "tasks").rglob(Path(name).name))


def _running(parsed: ast.Module) -> Iterator[ast.AST]:
    """All nodes but those below `if TYPE_CHECKING`; a node comes before those below it, and those in their order."""
    waiting: list[ast.AST] = [parsed]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            children: Iterable[ast.AST] = node.orelse
        else:
            children = ast.iter_child_nodes(node)
        waiting += reversed([*children])


def _module(name: str, root: Path) -> list[Path]:
    """The file of a module of ours, after the `__init__.py` of each package above it; none for others."""
    parts = name.split(".")
    if parts[0] not in PACKAGES:
        return []
    above = [root.joinpath(*parts[:count], "__init__.py") for count in range(1, len(parts) + 1)]
    return [path for path in [*above, root.joinpath(*parts).with_suffix(".py")] if path.is_file()]


def neutral(path: Path, root: Path) -> bool:
    """Whether no number depends on a file."""
    return path.relative_to(root).as_posix().startswith(NEUTRAL)


def closure(roots: Iterable[Path], root: Path = ROOT) -> list[Path]:
    """The files that `roots` are and import, and what those import, but for the neutral ones; sorted."""
    waiting = [path for path in roots if path.is_file() and not neutral(path, root)]
    found: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(following(path, root))
    return sorted(found)


@cache
def following(path: Path, root: Path) -> tuple[Path, ...]:
    """The files that run because a file does, but for the neutral ones: those that it imports, and before it those of its packages."""
    packages = [folder / "__init__.py" for folder in path.parents if root in folder.parents]
    found = [*imported(path, root), *(file for file in packages if file.is_file())]
    return tuple(file for file in found if not neutral(file, root))


class Roots:
    """Where the following of imports begins, for each stage of a `params.yaml`."""

    def __init__(self, params: Mapping[str, Any], root: Path = ROOT) -> None:
        self.params, self.root = params, root

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Each stage's step and name."""
        for step, section in (
            ("download", "download"), ("preprocess", "preprocess"), ("sweep", "sweeps"), ("train", "experiments"), ("evaluate", "experiments"),
            ("annotate", "annotate"), ("calibrate", "calibrate"), ("reliability", "calibrate"), ("study", "studies"),
        ):  # fmt: skip
            yield from ((step, str(name)) for name in self._section(section))
        yield "report", "all"

    def of(self, step: str, name: str) -> list[Path]:
        """The files that a stage begins at."""
        tasks = self.root / "tasks"
        own: list[Path]
        match step:
            case "download":
                own = [tasks / "download.py", *self._dataset(name)]
            case "preprocess":
                block = self._section("preprocess")[name]
                own = [tasks / "preprocess.py", *self._kind(block.get("task"), "prepare"), *self._dataset(block.get("dataset"))]
            case "sweep":
                own = [tasks / "sweep.py", *self._learned(self._section("sweeps")[name])]
            case "train":
                own = [tasks / "train.py", *self._learned(self._section("experiments")[name])]
            case "evaluate":
                block = self._section("experiments")[name]
                own = [
                    tasks / "evaluate.py",
                    *self._kind(self._task(block), "data", "measure"),
                    *self._networks(name, block.get("judge")),
                ]
            case "annotate":
                networks = [
                    self.root / "models" / f"{network}.py"
                    for network in ("yolov8", "yolo11", "averaged_centerface", "emotion", "deepface")
                ]
                own = [tasks / "annotated.py", *self._dataset(self._section("annotate")[name].get("source")), *networks]
                own += [path for block in self.preparations(name).values() for path in self._kind(block.get("task"), "prepare")]
            case "calibrate" | "reliability":
                own = [tasks / f"{step}.py", *self._networks(name)]
            case "study":
                block = self._section("studies")[name]
                study = str(block.get("study")).replace("-", "_")
                own = [
                    tasks / "study.py",
                    tasks / "studies" / f"{study}.py",
                    *self._networks(block.get("network"), block.get("other")),
                    *(self.root / "models" / f"{json.loads(card.read_bytes())['network']}.py" for card in self.embedded(name)),
                ]
            case _:
                own = [tasks / "report.py", *sorted((tasks / "kinds").glob("*/__init__.py"))]
                own += [
                    tasks / "studies" / f"{str(b.get('study')).replace('-', '_')}.py" for b in self._section("studies").values()
                ]
        return own

    def embedded(self, name: str) -> list[Path]:
        """The card of the embedded weights that a study names; none where it names none."""
        card = self.root / "models" / "weights" / f"{self._section('studies')[name].get('embedded')}.json"
        return [card] if card.is_file() else []

    def preparations(self, name: str) -> dict[str, Any]:
        """The blocks of `preprocess` of the data set that a block of `annotate` takes its photographs of: they draw its splits."""
        source = self._section("annotate")[name].get("source")
        return {key: block for key, block in self._section("preprocess").items() if block.get("dataset") == source}

    def _section(self, name: str) -> Mapping[str, Any]:
        return self.params.get(name) or {}

    def _task(self, block: Mapping[str, Any]) -> Any:
        """The kind of task of an experiment or a sweep."""
        return (self._section("preprocess").get(str(block.get("data"))) or {}).get("task")

    def _kind(self, name: Any, *parts: str) -> list[Path]:
        folder = self.root / "tasks" / "kinds" / str(name)
        return [folder / f"{part}.py" for part in ("__init__", *parts)]

    def _dataset(self, name: Any) -> list[Path]:
        return [self.root / "tasks" / "datasets" / "sets" / f"{str(name).replace('-', '_')}.py"]

    def _learned(self, block: Mapping[str, Any]) -> list[Path]:
        """What a training of a block begins at: its kind, its network, its predecessors', and what its recipe asks for."""
        network = self.root / "models" / f"{block.get('network')}.py"
        files = [*self._kind(self._task(block), "data", "objective"), network, *self._networks(block.get("after"))]
        if trainer := _constant(network, "TRAINER", self.root):
            files += _module(trainer, self.root)
        if (block.get("train") or {}).get("pretrained"):
            files.append(self.root / "tasks" / "learning" / "pretrained.py")
        return files

    def _networks(self, *experiments: Any) -> list[Path]:
        """The networks' files of experiments, whose weights a stage loads."""
        named = [self._section("experiments").get(name) or {} for name in experiments if name not in (None, NONE)]
        return [self.root / "models" / f"{block.get('network')}.py" for block in named]


def _constant(path: Path, name: str, root: Path) -> str | None:
    """The string that a file gives a name at its top, or that the file does which it imports the name from."""
    parsed = tree(path) if path.is_file() else None
    for node in parsed.body if parsed else []:
        if isinstance(node, ast.Assign) and [getattr(target, "id", None) for target in node.targets] == [name]:
            value = node.value.value if isinstance(node.value, ast.Constant) else None
            return value if isinstance(value, str) else None
        if isinstance(node, ast.ImportFrom) and node.module and name in [alias.asname or alias.name for alias in node.names]:
            [own] = [alias.name for alias in node.names if (alias.asname or alias.name) == name]
            return next((_constant(file, own, root) for file in reversed(_module(node.module, root))), None)
    return None


def packages(files: Iterable[Path]) -> list[str]:
    """Lines of the packages that files take data out of (`Packaged(file, package, ...)`), with their versions."""
    named: set[str] = set()
    for path in files:
        for node in ast.walk(tree(path) or ast.Module([], [])) if path.suffix == ".py" else []:
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Packaged" and len(node.args) > 1:
                named.add(str(getattr(node.args[1], "value", "")))
    lines = []
    for name in sorted(named):
        try:
            lines.append(f"{version(name)}  {name}")
        except PackageNotFoundError:
            lines.append(f"missing  {name}")
    return lines


def describe(params: Mapping[str, Any], step: str, name: str, root: Path = ROOT) -> str:
    """The content of a stage's file: a line a file of ours, its hash and its path."""
    roots = Roots(params, root)
    files = closure(roots.of(step, name), root)
    lines = [f"{file_hash(path)}  {path.relative_to(root).as_posix()}" for path in files]
    if step == "download":
        own = roots.of(step, name)
        lines += packages([path for path in files if path in own or path.parent.name == "sets"])
    if step == "annotate":
        lines.append(json.dumps(roots.preparations(name), sort_keys=True))
    if step == "study":
        weights = [card.with_suffix(".safetensors") for card in roots.embedded(name)]
        lines += [f"{file_hash(path)}  {path.relative_to(root).as_posix()}" for path in weights]
    if step == "report":
        lines += [f"{about(root / 'models' / f'{network}.py')}  {network}" for network in sorted(_network_names(params))]
    return "".join(f"{line}\n" for line in lines)


# The parser of CPython 3.11 fails now and then where threads use it at once (gh-106905).
_PARSING = threading.Lock()


def about(path: Path) -> str:
    """The first line of a file's docstring, which says what it is; read and not imported, since torch takes seconds."""
    try:
        with _PARSING:
            parsed = ast.parse(path.read_bytes())
        return (ast.get_docstring(parsed) or path.stem).strip().splitlines()[0]
    except (OSError, SyntaxError):
        return path.stem


def _network_names(params: Mapping[str, Any]) -> set[str]:
    return {str(block.get("network")) for block in (params.get("experiments") or {}).values()}


def digest(folder: Path, step: str, name: str) -> str:
    """SHA-256 of what a stage of the profile in `folder` depends on: what a checkpoint belongs to.

    That is read where the stage `code` has written it after all that it was made of, and found again otherwise, which takes longer.
    """
    written = folder / "data" / "code" / step / name
    if written.is_file() and written.stat().st_mtime_ns > changed(folder):
        text = written.read_text(encoding="utf-8")
    else:
        text = describe(yaml.load((folder / "params.yaml").read_bytes(), yaml.CSafeLoader), step, name)
    return hashlib.sha256(text.encode()).hexdigest()


def changed(folder: Path) -> int:
    """When the profile's parameters or a file of ours changed last, in nanoseconds. What is copied with an old date has changed, too."""
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.suffix not in ("", ".pyc"))
    return max(path.stat().st_ctime_ns for path in (folder / "params.yaml", *files))


def write(folder: Path, root: Path = ROOT) -> int:
    """Write `data/code` of the profile in `folder` anew, and return how many files there are. Files that stay the same are left alone."""
    params = yaml.load((folder / "params.yaml").read_bytes(), yaml.CSafeLoader)
    to = folder / "data" / "code"
    wanted = {to / step / name: describe(params, step, name, root) for step, name in Roots(params, root)}
    for path in to.rglob("*") if to.exists() else []:
        if path.is_file() and path not in wanted:
            path.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            temporary = path.with_name(f".{path.name}.tmp")
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(path)
    for step in to.iterdir():
        if step.is_dir() and not any(step.iterdir()):
            shutil.rmtree(step)
    return len(wanted)


if __name__ == "__main__":
    print(f"code: {write(Path('.'))} stages")
