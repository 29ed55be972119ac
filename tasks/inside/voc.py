"""Which classes of ImageNet are classes of VOC, as ranges of numbers in ImageNet's order."""

CLASSES: dict[str, tuple[range, ...]] = {
    name: tuple(range(first, last + 1) for first, last in spans)
    for name, spans in {
        "aeroplane": [(404, 404), (895, 895)],
        "bicycle": [(444, 444), (671, 671)],
        "bird": [(7, 24), (80, 100), (127, 146)],
        "boat": [(472, 472), (484, 484), (554, 554), (576, 576), (625, 625), (780, 780), (814, 814), (871, 871), (914, 914)],
        "bottle": [(440, 440), (720, 720), (737, 737), (898, 898), (907, 907)],
        "bus": [(654, 654), (779, 779), (874, 874)],
        "car": [(436, 436), (468, 468), (511, 511), (609, 609), (627, 627), (656, 656), (661, 661), (751, 751), (817, 817)],
        "cat": [(281, 285)],
        "chair": [(423, 423), (559, 559), (765, 765)],
        "cow": [(345, 345)],
        "diningtable": [(532, 532)],
        "dog": [(151, 268)],
        "horse": [(339, 339)],
        "motorbike": [(665, 665), (670, 670)],
        "pottedplant": [(738, 738)],
        "sheep": [(348, 348)],
        "sofa": [(831, 831)],
        "train": [(466, 466), (547, 547), (705, 705), (820, 820)],
        "tvmonitor": [(664, 664), (782, 782), (851, 851)],
    }.items()
}


def imagenet(name: str) -> list[int]:
    """The numbers of ImageNet's classes that a class of VOC is; none for a person, which ImageNet has not."""
    return [number for span in CLASSES.get(name, ()) for number in span]
