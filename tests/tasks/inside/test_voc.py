"""The classes of VOC among ImageNet's, by the names that SqueezeNet's weights give them."""

from pathlib import Path

import models
from tasks.inside import voc
from tasks.learning import weights

NAMES = {
    "aeroplane": {"airliner", "warplane"},
    "bicycle": {"bicycle-built-for-two", "mountain bike"},
    "boat": {"canoe", "catamaran", "fireboat", "gondola", "lifeboat", "schooner", "speedboat", "trimaran", "yawl"},
    "bottle": {"beer bottle", "pill bottle", "pop bottle", "water bottle", "wine bottle"},
    "bus": {"minibus", "school bus", "trolleybus"},
    "cat": {"tabby", "tiger cat", "Persian cat", "Siamese cat", "Egyptian cat"},
    "chair": {"barber chair", "folding chair", "rocking chair"},
    "cow": {"ox"},
    "diningtable": {"dining table"},
    "horse": {"sorrel"},
    "motorbike": {"moped", "motor scooter"},
    "pottedplant": {"pot"},
    "sheep": {"ram"},
    "sofa": {"studio couch"},
    "train": {"bullet train", "electric locomotive", "passenger car", "steam locomotive"},
    "tvmonitor": {"monitor", "screen", "television"},
}


def test_numbers_are_those_of_the_names() -> None:
    classes = weights.configuration(Path(models.__path__[0]) / "weights" / "squeezenet.safetensors").classes
    for name, expected in NAMES.items():
        assert {classes[number] for number in voc.imagenet(name)} == expected
    dogs = [classes[number] for number in voc.imagenet("dog")]
    assert (dogs[0], dogs[-1], len(dogs)) == ("Chihuahua", "Mexican hairless", 118)
    birds = {classes[number] for number in voc.imagenet("bird")}
    assert {"cock", "great grey owl", "black grouse", "macaw", "drake", "king penguin", "albatross"} <= birds
    assert not birds & {"tusker", "wallaby", "grey whale", "European fire salamander"}
    assert {"cab", "convertible", "sports car"} <= {classes[number] for number in voc.imagenet("car")}
    assert voc.imagenet("person") == []
