"""Choose how a trained face detector is used, on validation: `python -m tasks.face_thresholds EXPERIMENT`.

Validation's photographs are looked at as they were downloaded, which is how photographs are annotated. Writes
results/EXPERIMENT/calibration.json, which `tasks.promote` puts into the card of the embedded weights, and the table of all choices beside it.
"""

import itertools
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from tasks import config
from tasks.annotated import photographs, write_photographs
from tasks.common.errors import Error
from tasks.common.files import write_json, write_text
from tasks.datasets.data import info
from tasks.faces import found_faces
from tasks.faces.detector import NETWORKS, Faces, merge
from tasks.kinds.detect import detections
from tasks.params.face_settings import FindFaces
from tasks.profile import Profile

# Pixels of the long side, one look each, and by how much all but the first may enlarge a photograph; overlaps from which of two boxes one
# stays; shares of a box within a surer one; and lowest scores. Of choices that come out equal the first stands. Sizes
# that would enlarge validation's photographs by more than that are for larger ones.
LOOKS = (
    ((512, 1024, 2048), 1.0), ((640, 1024, 2048), 1.0), ((512, 832, 2048), 1.4), ((640, 832, 2048), 1.4),
)  # fmt: skip
# Of CenterFace, whose map is four times as fine: one look, which leaves it 1.5 times as fast on a megapixel as looking at all pixels,
# and for photographs from 1,738 pixels on a second one, in which a face of 20 pixels in 4,000 is found.
CENTERFACE = (((640, 2432), 1.4), ((768, 2432), 1.4), ((832, 2432), 1.4), ((896, 2432), 1.4))
LOOKS_OF = {"centerface": CENTERFACE, "averaged_centerface": CENTERFACE}
OVERLAPS = (0.5, 0.4, 0.3, 0.6)
INSIDES = (0.8, 0.6, 1.0)
THRESHOLDS = tuple(percent / 100 for percent in range(20, 82, 2))
# Of all boxes so many are to be right: a face where there is none is worse than one that is missed.
PRECISION = 0.9
NEVER = 10**9
LARGEST = 4096


def choose(profile: Profile, experiment: str, dataset: str | None = None) -> pd.DataFrame:
    """A row a choice of sizes, suppression, inclusion and threshold: AP, and F1, recall and precision from that score on, on validation.

    The `best` is written down. `dataset`: another one than the experiment's with the same validation, such as one that no teacher has to
    mark anew. Raises Error for an experiment that finds no faces.
    """
    block = profile.experiment(experiment)
    prepared = info(profile.processed(block.data))
    if block.network not in NETWORKS or prepared.classes != found_faces.CLASSES:
        raise Error(f"{experiment}: not a detector of faces alone (network: {', '.join(NETWORKS)} on data with one class, face)")
    weights = profile.weights(experiment)
    rows = []
    with tempfile.TemporaryDirectory(prefix="darkroom-faces-") as temporary:
        folder = Path(temporary)
        raw, names = photographs(profile, dataset or prepared.dataset, "val")
        write_photographs(raw, names, folder)
        objects, whole = found_faces.read_objects(names, {name: raw.items[name] for name in names}, folder, LARGEST)
        for sizes, enlarge in LOOKS_OF.get(block.network, LOOKS):
            # All boxes: what of them stays is tried below.
            settings = FindFaces(sizes=sizes, enlarge=enlarge, threshold=found_faces.FLOOR, nms=1.0, inside=1.0, crowd=NEVER)
            boxes = found_faces.detect(Faces.load(weights, settings), whole, folder, LARGEST)
            for overlap, inside in itertools.product(OVERLAPS, INSIDES):
                found = found_faces.stacked([merge(of, overlap, inside) for of in boxes])
                met = detections.match(found, objects)
                for threshold in THRESHOLDS:
                    [scores] = detections.per_class(met, objects, found_faces.CLASSES, threshold).to_dict("records")
                    kept = {"map50": scores["ap"]} | {key: scores[key] for key in ("f1", "recall", "precision")}
                    rows.append(
                        {"sizes": sizes, "enlarge": enlarge, "nms": overlap, "inside": inside, "threshold": threshold, **kept}
                    )
    table = pd.DataFrame(rows)
    chosen = best(table)
    results = profile.results(experiment)
    words = table.assign(sizes=[" ".join(map(str, sizes)) for sizes in table["sizes"]])
    write_text(results / "choices.csv", words.to_csv(index=False, float_format="%.4f", lineterminator="\n"))
    numbers = {key: round(float(chosen[key]), 4) for key in ("threshold", "nms", "inside", "enlarge")}
    write_json(results / "calibration.json", {**numbers, "sizes": [*chosen["sizes"]]})
    return table


def best(table: pd.DataFrame) -> pd.Series:
    """The choice with the best F1 of those that are precise enough, or of all where none is; of equals, that with the most looks, since faces in
    photographs may be smaller than those of validation."""
    precise = table["precision"] >= PRECISION
    ranks = pd.DataFrame({"precise": precise, "f1": table["f1"].round(4), "looks": table["sizes"].map(len)})
    return table.loc[ranks.sort_values(["precise", "f1", "looks"], ascending=False, kind="stable").index[0]]


def main(
    experiment: Annotated[str, typer.Argument(help="a trained experiment on faces")] = "face-centerface-averaged",
    dataset: Annotated[
        str | None, typer.Option("--data", help="a data set with the same validation photographs; the experiment's by default")
    ] = None,
) -> None:
    """Choose a face detector's sizes, threshold and suppression on validation; then: python -m tasks.promote EXPERIMENT."""
    table = choose(config.load(Path(".")), experiment, dataset)
    print(table.to_string(index=False), file=sys.stderr)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(main)
