"""Photographs of users, in any format and depth, as pictures for the codec."""

import io

import numpy as np
import PIL.Image
import PIL.ImageOps

from tasks.codec import file
from tasks.imaging import images


def read(content: bytes) -> file.Picture:
    """Decode an image file with its alpha channel. Raises images.Undecodable."""
    picture = file.read_picture(content)
    if picture.alpha is None:
        return picture
    with PIL.Image.open(io.BytesIO(content), formats=images.FORMATS) as image:
        if not image.mode.startswith("I"):
            return picture
        # Pillow's RGBA cuts sixteen bits of grey off at 255, and loses which grey is the transparent one.
        transparent = image.info["transparency"]
        PIL.ImageOps.exif_transpose(image, in_place=True)
        alpha = np.where(np.asarray(image) == transparent, 0, 255).astype(np.uint8)
    return file.Picture(images.decode(content).pixels, alpha)
