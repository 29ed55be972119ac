"""Which experiment stands for its system in the report's first table."""

from typing import Any

from tasks.reports import sections

PUBLISHED = [{"metric": "psnr", "value": 21.55, "source": "its authors", "note": ""}]


def result(system: str, psnr: float, dataset: str = "coco-mini", published: list[Any] | None = None) -> dict[str, Any]:
    return {
        "system": system, "task": "translate", "dataset": dataset, "metrics": {"psnr": psnr, "ssim": 0.9}, "val_metrics": {},
        "published": published or [],
    }  # fmt: skip


def best(results: dict[str, dict[str, Any]]) -> dict[str, tuple[str, list[str]]]:
    rows = sections.systems(results)
    return {row["system"]: (row["experiment"], row["variants"]) for row in rows}


def test_the_best_on_the_data_of_the_first_stands_for_its_system() -> None:
    results = {"a": result("one", 20), "b": result("one", 30), "c": result("one", 90, dataset="easier"), "d": result("two", 5)}
    assert best(results) == {"one": ("b", ["a", "c"]), "two": ("d", [])}


def test_what_stands_beside_published_numbers_comes_before_what_does_not() -> None:
    results = {
        "easier": result("one", 40),
        "a": result("one", 24, published=PUBLISHED),
        "b": result("one", 25, published=PUBLISHED),
    }
    assert best(results) == {"one": ("b", ["easier", "a"])}
