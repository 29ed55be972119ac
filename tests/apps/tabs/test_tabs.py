"""How the page finds its tabs, and what it may know of them."""

from pathlib import Path

import pytest

from apps import tabs
from tasks import kinds
from tests.conftest import ROOT


def test_the_tabs_are_the_folder_s_files_in_their_order() -> None:
    found = tabs.find()
    assert {Path(tab.__file__).stem for tab in found} == {
        path.stem for path in (ROOT / "apps" / "tabs").glob("*.py") if path.stem != "__init__"
    }
    assert [tab.TITLE for tab in found] == [
        "Image to image",
        "Detection",
        "Classification",
        "Faces and emotions",
        "Look inside",
        "Paint",
    ]


def test_a_new_file_is_a_new_tab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabs, "__path__", [*tabs.__path__, str(tmp_path)])
    (tmp_path / "another.py").write_text("TITLE, ORDER = 'Another', 15\ndef tab(profile, page): ...\n")
    assert [tab.TITLE for tab in tabs.find()][:3] == ["Image to image", "Another", "Detection"]
    (tmp_path / "unfinished.py").write_text("TITLE = 'Unfinished'\n")
    with pytest.raises(AttributeError, match=r"unfinished\.py: lacks ORDER, tab"):
        tabs.find()


def test_no_file_but_a_tab_s_own_names_a_kind_of_task() -> None:
    files = [*(ROOT / "apps").rglob("*.py"), *(ROOT / "flows").rglob("*.py")]
    for kind in kinds.names():
        naming = [path for path in files if f'"{kind}"' in path.read_text(encoding="utf-8")]
        assert all(path.parent.name == "tabs" for path in naming)
        assert len(naming) <= 1
