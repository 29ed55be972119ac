"""How two ways of doing one thing are compared: in one run, in alternating repeats, by the median ratio and its spread."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from tasks.common.processors import processors


def compare(
    name: str,
    ours: Callable[[], int],
    alternative: Callable[[], int],
    *,
    unit: str,
    description: str,
    floor: float | None,
    repeats: int = 5,
    **details: Any,
) -> dict[str, Any]:
    """Run both ways in turn, once unmeasured and then `repeats` times; each returns how many `unit`s it did.

    `floor`: the ratio that the project promises, or None for one that is only reported.
    """
    ours(), alternative()
    rates = [(rate(ours), rate(alternative)) for _ in range(repeats)]
    return compared(name, rates, unit=unit, description=description, floor=floor, **details)


def compared(
    name: str, rates: Sequence[tuple[float, float]], *, unit: str, description: str, floor: float | None, **details: Any
) -> dict[str, Any]:
    """The row of what was measured: how many a second both ways did, in each repeat."""
    ratios = [one / other for one, other in rates]
    return {
        "name": name,
        "ratio": round(statistics.median(ratios), 2),
        "spread": [round(min(ratios), 2), round(max(ratios), 2)],
        "floor": floor,
        "unit": f"{unit} a second",
        "ours": round(statistics.median(one for one, _ in rates), 1),
        "alternative": round(statistics.median(other for _, other in rates), 1),
        "description": description,
        "repeats": len(rates),
        "cores": processors(),
        **details,
    }


def rate(work: Callable[[], int]) -> float:
    """How many a second `work`, which returns how many it did, does."""
    start = time.perf_counter()
    done = work()
    return done / (time.perf_counter() - start)
