"""Look inside a network with a photograph of one's own, and paint: `python -m tasks.look saliency NETWORK PHOTOGRAPH OUT`, and others.

NETWORK is an experiment that is trained here, weights that came along, such as `squeezenet`, or `mobilenet_v2`. OUT is a PNG file; what was done
stands beside it as JSON. Work of many steps that is interrupted goes on where it was when the same command is given again.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tasks import config
from tasks.common.cli import readable
from tasks.inside import ascent, maps
from tasks.inside.backbones import BACKBONES
from tasks.inside.style import RECIPES
from tasks.looks import adversarial, painting, saliency, visualisation
from tasks.looks.asked import LARGEST, SMALLEST

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Network = Annotated[
    str, typer.Argument(help="an experiment that is trained here, embedded weights (squeezenet), or mobilenet_v2")
]
Photograph = Annotated[Path, typer.Argument(help="a photograph of any size; its middle square is looked at")]
Size = Annotated[int | None, typer.Option(help=f"pixels of a side that the network sees, {SMALLEST} to {LARGEST}")]
Seed = Annotated[int, typer.Option(min=0)]


@app.callback()
def _commands() -> None:
    """Look inside a network with a photograph of one's own, and paint."""


@app.command("saliency")
def saliency_(
    network: Network,
    photograph: Photograph,
    out: Annotated[Path, typer.Argument(help="the map, a name.png; beside it name-lit.png and name.json")],
    label: Annotated[
        str | None, typer.Option("--class", help="the class that is explained; the most probable by default")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help=f"{', '.join(maps.METHODS)}; by default {saliency.PASSES[0]}, which passes the check by re-drawn layers"
        ),
    ] = None,
    size: Size = None,
    samples: Annotated[int, typer.Option(min=1, max=256, help="of SmoothGrad and integrated gradients")] = 16,
    seed: Seed = 0,
) -> None:
    """Which pixels count for a network's answer: white ones count most."""
    settings = maps.Settings(samples, seed=seed)
    done = saliency.saliency(config.load(networks=False), network, photograph, out, label, method, size, settings)
    _say(f"{out}: {done['method']} of {done['class']}; the network sees {_top(done['top'])}")


@app.command("adversarial")
def adversarial_(
    network: Network,
    photograph: Photograph,
    out: Annotated[Path, typer.Argument(help="the changed picture, a name.png; beside it name-change.png and name.json")],
    label: Annotated[str | None, typer.Option("--class", help="what it is to be taken for; a random class by default")] = None,
    budget: Annotated[int, typer.Option(help="the largest change of a value, levels of 255")] = adversarial.BUDGETS[-1],
    steps: Annotated[int, typer.Option(min=1, max=1000, help="of the attack, at each budget")] = 20,
    size: Size = None,
    seed: Seed = 0,
) -> None:
    """The smallest change of a photograph, within 8 bits, that has it taken for another class."""
    done = adversarial.adversarial(config.load(networks=False), network, photograph, out, label, budget, steps, size, seed)
    words = f"changed by {done['linf']}/255" if done["reached"] else f"not taken for {done['target']} within {budget}/255"
    _say(f"{out}: {done['seen']}, {words}; the network sees {_top(done['after'])}")


@app.command("class-visualisation")
def class_visualisation(
    network: Network,
    label: Annotated[str, typer.Argument(metavar="CLASS", help="a class of the network, by name")],
    out: Annotated[Path, typer.Argument(help="the picture, a name.png; name.json beside it says what was done")],
    prior: Annotated[str, typer.Option(help=", ".join(ascent.PRIORS))] = "fourier",
    steps: Annotated[int, typer.Option(help=f"1 to {visualisation.STEPS}")] = 128,
    size: Annotated[int | None, typer.Option(help=f"pixels of a side, {SMALLEST} to {visualisation.LARGEST}")] = None,
    seed: Seed = 0,
) -> None:
    """What a network takes for a class most of all."""
    done = visualisation.visualise(config.load(networks=False), network, label, out, prior, steps, size, seed)
    other = f", {done['probability_other']:.2f} in {done['other']}" if "other" in done else ""
    _say(f"{out}: {done['class']}, probability {done['probability']:.2f}{other}, {done['moved']:.2f} when it is moved")


@app.command("style")
def style(
    content: Annotated[Path, typer.Argument(help="the photograph that is painted")],
    style: Annotated[Path, typer.Argument(help="the picture whose style is taken")],
    out: Annotated[Path, typer.Argument(help="the painting, a name.png; name.json beside it says what was done")],
    also: Annotated[list[Path], typer.Option(help="another style, mixed in; may be given several times")] = [],  # noqa: B006
    share: Annotated[list[float], typer.Option(help="of a style, in their order; equal by default")] = [],  # noqa: B006
    recipe: Annotated[str, typer.Option(help=f"whose losses: {', '.join(RECIPES)}")] = "squeezenet",
    backbone: Annotated[str, typer.Option(help=", ".join(BACKBONES))] = "squeezenet",
    strength: Annotated[float, typer.Option(help="a factor of the style's weight")] = 1.0,
    steps: Annotated[int, typer.Option(help=f"1 to {painting.STEPS}")] = 100,
    optimizer: Annotated[
        str, typer.Option(help="lbfgs, adam, or annealed: Adam whose rate falls, the best in the end of a thousand steps")
    ] = "lbfgs",
    scales: Annotated[int, typer.Option(min=1, max=5, help="sizes that it is painted at, each twice the one before")] = 2,
    size: Annotated[int, typer.Option(help=f"pixels of the long side, up to {painting.LARGEST}")] = 512,
    colours: Annotated[bool, typer.Option("--keep-colours", help="of the photograph")] = False,
    start: Annotated[str, typer.Option(help="content, noise")] = "content",
    source: Annotated[str, typer.Option(help="of vgg19's weights: url, mirror, path")] = "package",
    path: Annotated[Path | None, typer.Option(callback=readable, help="of vgg19's weights, with --source path")] = None,
    seed: Seed = 0,
) -> None:
    """A photograph in the style of another picture, or of several."""
    chosen = painting.settings(
        recipe, backbone, strength, steps=steps, optimizer=optimizer, scales=scales, colours=colours, start=start, seed=seed
    )
    done = painting.paint(config.load(networks=False), content, [style, *also], out, chosen, size, share, source, path)
    _say(
        f"{out}: {content.name} in the style of {style.name}, {steps} steps; {done['losses']['total'] / done['start']['total']:.1%} of the objective left"
    )


def _top(shares: dict[str, float]) -> str:
    return ", ".join(f"{name} {share:.2f}" for name, share in shares.items())


def _say(words: str) -> None:
    print(words, file=sys.stderr)


if __name__ == "__main__":
    from tasks.common.cli import run

    run(app)
