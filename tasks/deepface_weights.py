"""Put weights of ours where DeepFace loads its own: `python -m tasks.deepface_weights WEIGHTS HOME`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tasks.common.cli import readable
from tasks.faces.emotions import export


def main(
    file: Annotated[
        Path,
        typer.Argument(
            callback=readable, help="weights of the network `deepface`: results/emotion-deepface/weights/seed-0.safetensors"
        ),
    ],
    home: Annotated[Path, typer.Argument(help="what DEEPFACE_HOME is set to for DeepFace")],
) -> None:
    """Put weights of ours where DeepFace itself loads them instead of downloading: HOME/.deepface/weights/."""
    print(f"{export(file, home)}: used by DeepFace with DEEPFACE_HOME={home}", file=sys.stderr)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
