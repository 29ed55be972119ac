import os
import pty
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent

import pytest

from tasks.common.bars import bar, bars
from tests.conftest import ROOT


def on_terminal(code: str) -> str:
    """What a program shows on a terminal's stderr."""
    ours, theirs = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"TERM": "xterm", "COLUMNS": "120"}
    subprocess.run([sys.executable, "-c", dedent(code)], cwd=ROOT, stderr=theirs, env=environment, check=True)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 1 << 16):
            shown += piece
    except OSError:  # the terminal's end
        pass
    os.close(ours)
    return shown.decode()


def test_a_log_file_gets_lines_and_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("training", 3) as progress:
        progress.advance()
        progress.show(words="val_loss 0.5")
        progress.log("training: epoch 1/3")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "training: epoch 1/3\n")


def test_a_terminal_gets_a_bar_with_words_and_no_lines() -> None:
    shown = on_terminal(
        """
        from tasks.common.bars import bar
        with bar("training", 3, completed=1) as progress:
            progress.advance()
            progress.show(words="val_loss 0.5")
            progress.log("a line for a log")
        """
    )
    assert "training" in shown
    assert "2/3" in shown
    assert "val_loss 0.5" in shown
    assert "a line for a log" not in shown


def test_downloads_show_their_size_once_it_is_known() -> None:
    shown = on_terminal(
        """
        from tasks.common.bars import bars
        with bars("bytes") as several:
            file = several.add("a.zip", None)
            file.show(completed=2_000_000, total=4_000_000)
        """
    )
    assert "2.0/4.0 MB" in shown


@pytest.mark.filterwarnings("error")
def test_threads_share_a_bar() -> None:
    with bars() as several:
        counted = several.add("files", 400)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: counted.advance(0.5), range(400)))
        assert counted.completed == 200
