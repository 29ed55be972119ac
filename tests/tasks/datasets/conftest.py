from pathlib import Path

import pytest


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A raw folder with nothing but its origin."""
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "origin.json").write_text('{"origin": "package", "licence": "CC0", "files": []}')
    return folder
