"""The page's tabs: a file each, found by listing this folder.

A tab's file holds

    TITLE    what the page calls it
    ORDER    a number; tabs stand in the order of theirs
    tab      `tab(profile, page)`, which fills it
    CSS      its own style (optional)
"""

import importlib
import pkgutil
from typing import Any

FACTS = ("TITLE", "ORDER", "tab")


def find() -> list[Any]:
    """The tabs in their order. Raises AttributeError for a file that lacks something."""
    tabs = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    for tab in tabs:
        if missing := [fact for fact in FACTS if not hasattr(tab, fact)]:
            raise AttributeError(f"{tab.__file__}: lacks {', '.join(missing)}; a tab has {', '.join(FACTS)}")
    return sorted(tabs, key=lambda tab: (tab.ORDER, tab.TITLE))
