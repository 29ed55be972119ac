from tests.tasks.studies.conftest import make_study

__all__ = ["make_study"]
