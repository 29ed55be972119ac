"""Hands one step to the parent of `tasks.common.warm`; where that does not take it, the step runs in a fresh process.

This file starts with every step, and imports nothing of ours.
"""

import json
import os
import signal
import socket
import struct
import sys
from types import FrameType

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def request() -> bytes:
    """What the step would find in a fresh process."""
    umask = os.umask(0)
    os.umask(umask)
    return json.dumps(
        {
            "arguments": sys.argv[1:],
            "folder": os.getcwd(),
            "environment": dict(os.environ),
            "umask": umask,
            "affinity": sorted(os.sched_getaffinity(0)),
            "interpreter": [sys.version, os.path.realpath(os.environ["DARKROOM_PYTHON"])],
        }
    ).encode("utf-8", "surrogateescape")


def main() -> None:
    code = ask()
    if code is None:
        os.execv(os.environ["DARKROOM_PYTHON"], [os.environ["DARKROOM_PYTHON"], *sys.argv[1:]])
    if code < 0:
        # The step ended by a signal, and so do we.
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


def ask() -> int | None:
    """The step's exit code, minus the signal's number where one ended it; None where the parent does not take it."""
    content = request()
    folder = os.getcwd()
    with socket.socket(socket.AF_UNIX) as parent:
        try:
            # A socket's whole name may be too long.
            os.chdir(os.environ["DARKROOM_WARM"])
            parent.connect("socket")
            owner = struct.unpack("3i", parent.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
            if owner != os.getuid():
                return None
            socket.send_fds(parent, [struct.pack("Q", len(content))], [0, 1, 2])
            parent.sendall(content)
            taken = parent.recv(1)
        except OSError:
            return None
        finally:
            os.chdir(folder)
        if taken != b"1":
            return None

        def forward(number: int, _: FrameType | None) -> None:
            parent.sendall(bytes([number]))

        for number in FORWARDED:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, forward)
        answer = parent.recv(4)
    # Without an answer, what ran the step was killed.
    return struct.unpack("i", answer)[0] if len(answer) == 4 else -signal.SIGKILL


if __name__ == "__main__":
    main()
