import hashlib
from pathlib import Path

import pytest

from tasks.common import installed
from tasks.common.errors import Error

INSTALL = "pip install something"


def test_a_package_s_file_is_found_by_its_name() -> None:
    with pytest.raises(Error, match=r"METADATA: not the published file.*pip install something"):
        installed.file("numpy", "METADATA", "0" * 64, INSTALL)
    with pytest.raises(Error, match=r"none\.bin is not installed; run: pip install something"):
        installed.file("numpy", "none.bin", "0" * 64, INSTALL)
    with pytest.raises(Error, match="is not installed"):
        installed.file("no-such-package-of-anyone", "a.bin", "0" * 64, INSTALL)


def test_a_file_is_what_was_published_or_refused(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"a")
    assert installed.checked(tmp_path / "a.bin", hashlib.sha256(b"a").hexdigest(), INSTALL) == tmp_path / "a.bin"
    with pytest.raises(Error, match="not the published file"):
        installed.checked(tmp_path / "a.bin", hashlib.sha256(b"b").hexdigest(), INSTALL)


def test_a_missing_module_is_a_sentence() -> None:
    assert installed.module("json", INSTALL).loads("1") == 1
    with pytest.raises(Error, match="the package no_such_module is not installed; run: pip install something"):
        installed.module("no_such_module", INSTALL)
