"""MLflow's files of a project that was moved or copied: MLflow keeps whole paths, and would look, and write, where the project stood."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

logger = logging.getLogger(__name__)

FOLDER = "mlartifacts"
# Where the database keeps paths below an experiment's.
PLACES = (
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def relocate(database: Path, root: Path) -> None:
    """Make a project's own database name its files where the project stands now.

    Only what we put into `mlartifacts/` of the project is concerned. Logs a warning where the files did not come along.
    """
    if not database.is_file():
        return
    with closing(sqlite3.connect(database, timeout=60)) as connection:
        try:
            experiments = connection.execute("SELECT experiment_id, name, artifact_location FROM experiments").fetchall()
        except sqlite3.OperationalError:  # MLflow has not made its tables yet
            return
        missing = []
        for number, name, location in experiments:
            here = (root.resolve() / FOLDER / name).as_uri()
            if location == here or not str(location).endswith(f"/{FOLDER}/{quote(name)}"):
                continue
            with connection:
                connection.execute("UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", (here, number))
                for table, column in PLACES:
                    command = f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?"
                    connection.execute(command, (here, len(location) + 1, len(location) + 1, f"{location}/"))
            if not (root / FOLDER / name).is_dir():
                missing.append(f"{name} ({location})")
        if missing:
            logger.warning(
                "MLflow's files of %s did not come along with the project; copy them into %s", ", ".join(missing), root / FOLDER
            )
