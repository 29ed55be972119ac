"""On which addresses programs of ours listen."""

from contextlib import suppress

import psutil

LOOPBACK = {"127.0.0.1", "::1"}


def addresses(process: psutil.Process | None = None) -> set[tuple[str, int]]:
    """Address and port of each TCP socket on which a process, by default this one, or what it started listens."""
    family = [process or psutil.Process()]
    with suppress(psutil.NoSuchProcess):
        family += family[0].children(recursive=True)
    found = set()
    for each in family:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            for connection in each.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN:
                    found.add((connection.laddr.ip.removeprefix("::ffff:"), connection.laddr.port))
    return found


def strangers(found: set[tuple[str, int]]) -> set[tuple[str, int]]:
    """Those that other machines reach."""
    return {address for address in found if address[0] not in LOOPBACK}
