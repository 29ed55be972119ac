from collections.abc import Callable

import pytest

from flows.study import study
from tasks.common.errors import Error
from tasks.profile import Profile
from tests.tasks.studies.conftest import make_study

__all__ = ["make_study"]
OPTIONS = {"images": 2, "budgets": [2], "steps": 1}


@pytest.mark.usefixtures("prefect")
def test_a_study_is_run_beside_the_stages(make_study: Callable[..., Profile]) -> None:
    profile = make_study(study="adversarial", options=OPTIONS)
    result = study("looked", str(profile.folder))
    assert result["experiment"] == "looked"
    assert 0 <= result["metrics"]["accuracy_pgd"] <= 1
    (folder,) = (profile.root / "runs").glob("looked-*")
    assert (folder / "plots" / "strip.png").exists()
    assert not profile.results("looked").joinpath("metrics.json").exists()
    with pytest.raises(Error, match="did you mean looked"):
        study("lookd", str(profile.folder))
