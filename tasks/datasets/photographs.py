"""The colour photographs that installed packages carry, of which patches, photos and scenes are cut."""

from tasks.datasets.sources import Packaged

# Of a stereo pair the left one only.
PHOTOGRAPHS = (
    Packaged("astronaut.png", "scikit-image", "skimage/data/astronaut.png", "public domain (NASA)"),
    Packaged("chelsea.png", "scikit-image", "skimage/data/chelsea.png", "CC0 (Stefan van der Walt)"),
    Packaged("china.png", "scikit-learn", "sklearn/datasets/images/china.jpg", "CC BY 2.0 (danielbuechele on Flickr)"),
    Packaged("coffee.png", "scikit-image", "skimage/data/coffee.png", "CC0 (Rachel Michetti)"),
    Packaged("flower.png", "scikit-learn", "sklearn/datasets/images/flower.jpg", "CC BY 2.0 (vultilion on Flickr)"),
    Packaged("hubble.png", "scikit-image", "skimage/data/hubble_deep_field.jpg", "public domain (NASA)"),
    Packaged("ihc.png", "scikit-image", "skimage/data/ihc.png", "no known copyright restrictions"),
    Packaged("motorcycle.png", "scikit-image", "skimage/data/motorcycle_left.png", "none stated (Middlebury Stereo 2014)"),
    Packaged("retina.png", "scikit-image", "skimage/data/retina.jpg", "CC0 (Mikael Häggström)"),
    Packaged("rocket.png", "scikit-image", "skimage/data/rocket.jpg", "public domain (SpaceX)"),
)
LICENCES = "public domain, CC0, CC BY 2.0, none stated for one; each file's own stands in origin.json"
HOME = "https://scikit-image.org, https://scikit-learn.org"
