"""open_clip's layout, on a small random file of it."""

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from models import open_clip
from models.open_clip import Sizes

SIZES = Sizes(space=16, width=128, layers=2, patch=8, side=24, text_width=64, text_layers=3, words=40, length=12)


def tensors(sizes: Sizes = SIZES) -> dict[str, Tensor]:
    """Random tensors by the names that open_clip writes."""
    made = {
        "logit_scale": torch.tensor(4.6),
        "positional_embedding": torch.randn(sizes.length, sizes.text_width),
        "text_projection": torch.randn(sizes.text_width, sizes.space),
        "token_embedding.weight": torch.randn(sizes.words, sizes.text_width),
        "visual.class_embedding": torch.randn(sizes.width),
        "visual.conv1.weight": torch.randn(sizes.width, 3, sizes.patch, sizes.patch) / 10,
        "visual.positional_embedding": torch.randn((sizes.side // sizes.patch) ** 2 + 1, sizes.width),
        "visual.proj": torch.randn(sizes.width, sizes.space),
    }
    norms = {"ln_final": sizes.text_width, "visual.ln_pre": sizes.width, "visual.ln_post": sizes.width}
    for prefix, width, layers in (
        ("transformer", sizes.text_width, sizes.text_layers),
        ("visual.transformer", sizes.width, sizes.layers),
    ):
        for layer in range(layers):
            block = f"{prefix}.resblocks.{layer}"
            norms |= {f"{block}.ln_1": width, f"{block}.ln_2": width}
            made[f"{block}.attn.in_proj_weight"] = torch.randn(3 * width, width) / 8
            made[f"{block}.attn.in_proj_bias"] = torch.randn(3 * width) / 8
            shapes = {"attn.out_proj": (width, width), "mlp.c_fc": (4 * width, width), "mlp.c_proj": (width, 4 * width)}
            for name, shape in shapes.items():
                made[f"{block}.{name}.weight"] = torch.randn(shape) / 8
                made[f"{block}.{name}.bias"] = torch.randn(shape[0]) / 8
    for name, width in norms.items():
        made[f"{name}.weight"], made[f"{name}.bias"] = torch.rand(width) + 0.5, torch.randn(width) / 8
    return made


def test_sizes_are_read_from_the_tensors() -> None:
    assert open_clip.sizes_of(tensors()) == SIZES


def test_both_encoders_give_unit_vectors() -> None:
    network = open_clip.from_tensors(tensors(), quick=False)
    with torch.inference_mode():
        images = network.encode_images(torch.rand(2, 3, 24, 24))
        sentences = network.encode_sentences(torch.tensor([[38, 4, 5, 39, 0, 0], [38, 39, 0, 0, 0, 0]]))
    assert images.shape == sentences.shape == (2, 16)
    assert torch.cat([images, sentences]).norm(dim=1).tolist() == pytest.approx([1] * 4, abs=1e-5)


def test_what_stands_behind_the_end_changes_nothing() -> None:
    network = open_clip.from_tensors(tensors(), quick=True)
    with torch.inference_mode():
        short, long = network.encode_sentences(torch.tensor([[38, 4, 39, 0, 0], [38, 4, 39, 7, 9]]))
        other = network.encode_sentences(torch.tensor([[38, 5, 39, 0, 0]]))[0]
    assert torch.allclose(short, long, atol=1e-5)
    assert not torch.allclose(short, other, atol=1e-2)


def test_a_block_is_attention_and_a_layer_by_hand() -> None:
    """One block against its equations, a head at a time."""
    network = open_clip.from_tensors(tensors(), quick=True)
    block: Any = network.visual.transformer.resblocks[0]
    width = SIZES.width
    x = torch.randn(1, 5, width)
    with torch.inference_mode():
        inner = block.ln_1(x)[0]
        queries, keys, values = (inner @ block.attn.in_proj_weight.T + block.attn.in_proj_bias).split(width, 1)
        heads = []
        for start in range(0, width, open_clip.HEAD):
            part = slice(start, start + open_clip.HEAD)
            weights = (queries[:, part] @ keys[:, part].T / open_clip.HEAD**0.5).softmax(1)
            heads.append(weights @ values[:, part])
        first = x[0] + block.attn.out_proj(torch.cat(heads, 1))
        hidden = block.mlp.c_fc(block.ln_2(first))
        expected = first + block.mlp.c_proj(hidden * torch.sigmoid(1.702 * hidden))
        assert torch.allclose(block(x, None)[0], expected, atol=1e-4)


def test_the_two_forms_of_gelu_differ() -> None:
    made, image = tensors(), torch.rand(1, 3, 24, 24)
    with torch.inference_mode():
        quick, exact = (open_clip.from_tensors(made, quick).encode_images(image) for quick in (True, False))
    assert not torch.equal(quick, exact)


def test_prefixes_and_what_is_known_are_taken_off() -> None:
    wrapped = {f"module.{name}": tensor.half() for name, tensor in tensors().items()}
    network = open_clip.from_tensors({**wrapped, "context_length": torch.tensor(12)}, quick=False)
    assert network.visual.proj.dtype == torch.float32


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"visual.proj": None}, "1 tensors are missing, 0 unknown, such as visual.proj"),
        ({"more": torch.zeros(1)}, "0 tensors are missing, 1 unknown, such as more"),
        ({"visual.conv1.weight": None}, "layout of open_clip"),
        ({"visual.positional_embedding": torch.zeros(9, 128)}, "8 patches"),
        ({"visual.class_embedding": torch.zeros(3)}, "size mismatch"),
    ],
)
def test_another_layout_is_refused(change: dict[str, Tensor | None], reason: str) -> None:
    made = {name: tensor for name, tensor in {**tensors(), **change}.items() if tensor is not None}
    with pytest.raises(ValueError, match=reason):
        open_clip.from_tensors(made, quick=False)


def test_vit_b_32_has_the_published_number_of_parameters() -> None:
    sizes = dataclasses.replace(
        SIZES, space=512, width=768, layers=12, patch=32, side=224, text_width=512, text_layers=12, words=49408, length=77
    )
    with torch.device("meta"):
        network = open_clip.OpenClip(sizes, quick=False)
    assert sum(parameter.numel() for parameter in network.parameters()) == 151_277_313
