"""Ways to disturb a vector of weights by as much as a cosine says: at random, or as something that compresses it would."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.learners.weight_codecs.residuals import uniform

Vector = Float[Tensor, " N"]
Perturb = Callable[[Vector, float, torch.Generator], Vector]
"""Maps a vector, a level and a source of random numbers to the disturbed vector."""


class Perturbation(NamedTuple):
    """One way to disturb.

    Attributes:
        title: What a figure calls it.
        note: What it is, in a sentence.
        levels: How much, from little to much.
        apply: Does it.
    """

    title: str
    note: str
    levels: Sequence[float]
    apply: Perturb


def perturbations(sizes: Sequence[int], other: Vector, *, cosines: Sequence[float]) -> Mapping[str, Perturbation]:
    """Lists all ways, for networks of some form.

    Args:
        sizes: Numbers of every tensor of the network, in its order.
        other: Another network of that form, trained on another task.
        cosines: Levels of those that can meet any cosine.
    """
    largest = max(range(len(sizes)), key=sizes.__getitem__)
    return {
        "noise": Perturbation("noise", "Gaussian, the same in all weights", cosines, _noise([sum(sizes)], [0])),
        "noise_by_tensor": Perturbation(
            "noise, tensor by tensor",
            "Gaussian, each tensor by as much as its own length says",
            cosines,
            _noise(sizes, range(len(sizes))),
        ),
        "noise_in_first": Perturbation(
            "noise in the first tensor",
            "Gaussian, in the first convolution alone",
            cosines,
            _noise(sizes, [0], whole=True),
        ),
        "noise_in_largest": Perturbation(
            "noise in the largest tensor", "Gaussian, in it alone", cosines, _noise(sizes, [largest], whole=True)
        ),
        "rounded": Perturbation(
            "rounded", "to so many bits, the largest weight the last value", (8.0, 6.0, 5.0, 4.0, 3.0, 2.0), _rounded
        ),
        "pruned": Perturbation("pruned", "the smallest weights are 0", (0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), _pruned),
        "towards_another": Perturbation(
            "towards another task",
            "a weighted mean with the network of another task",
            (0.05, 0.1, 0.2, 0.3, 0.4, 0.5),
            lambda vector, share, _: (1 - share) * vector + share * other,
        ),
    }


def _noise(sizes: Sequence[int], which: Sequence[int], *, whole: bool = False) -> Perturb:
    """Adds noise at right angles to the parts that it is in, as long as makes the cosine what is wanted.

    Args:
        sizes: Of the parts.
        which: Parts that get noise.
        whole: Whether the cosine is that of the whole vector, else of each part.
    """

    def apply(vector: Vector, cosine: float, source: torch.Generator) -> Vector:
        parts = list(vector.split(list(sizes)))
        reach = math.sqrt(1 / cosine**2 - 1)
        for number in which:
            own = parts[number]
            noise = torch.randn(own.shape, generator=source)
            noise = noise - own * (noise @ own) / own.square().sum().clamp(min=1e-30)
            length = vector.norm() if whole else own.norm()
            parts[number] = own + noise * (reach * length / noise.norm().clamp(min=1e-30))
        return torch.cat(parts)

    return apply


def _rounded(vector: Vector, bits: float, source: torch.Generator) -> Vector:
    quantiser = uniform(int(bits), clip=float(vector.abs().max() / vector.std()))
    return quantiser.value(*quantiser.quantise(vector))


def _pruned(vector: Vector, share: float, source: torch.Generator) -> Vector:
    least = vector.abs().kthvalue(max(1, round(share * len(vector)))).values
    return torch.where(vector.abs() > least, vector, 0.0)
