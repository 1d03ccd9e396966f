"""How far what a hypernetwork emits for old conditions has moved, without emitting it.

What is emitted ends in a dense layer, `e = W f + b`. With `f*`, `W*`, `b*` of before, it has moved by
`W (f - f*) + (W - W*) f* + (b - b*)`, which is `M a` with `M = [W, W - W*, b - b*]`, `a = [f - f*, f*, 1]`. Its squared length is
`a' (M'M) a`: a product of the thin matrix M with itself, once for all conditions and chunks, in place of all their weights.
Nothing is lost in it by cancellation, for all that is small enters as it is.

With H features, S numbers of the last layer, T conditions and C chunks that are `S (2H + 1)^2` multiply-adds, and
`T C (2H + 1)^2` more, where emitting takes `T C S H` and reads and writes `T C S` numbers several times.

Shape suffixes: T conditions, E numbers of an embedding, C chunks, H features, S numbers of the last layer, A = 2 H + 1.

Source of the penalty: von Oswald et al., "Continual learning with hypernetworks" (2020), equation 2. Deviation: distances are
those of emitted numbers, before an emission scales them, so that every tensor counts in units of its own first spread.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperlearning.networks.hypernetworks.hypernetwork import Hypernetwork
from hyperlearning.networks.hypernetworks.writing import AtOnce, ByTensor, InChunks


class _Layer(NamedTuple):
    """A last layer as it was, and its inputs.

    Attributes:
        weight_SH: Its weights.
        bias_S: Its biases.
        features_TCH: What it was given; a single chunk where there are none.
        num_cut: Numbers that the last chunk emits in vain.
    """

    weight_SH: Tensor
    bias_S: Tensor
    features_TCH: Tensor
    num_cut: int


class Remembered(NamedTuple):
    """What a hypernetwork emitted of some conditions, by what it was made of.

    Attributes:
        embeddings_TE: Of the conditions.
        layers: Last layers as they were.
        of: Which target.
    """

    embeddings_TE: Float[Tensor, "T E"]
    layers: tuple[_Layer, ...]
    of: str


@torch.no_grad()
def remember(hyper: Hypernetwork, embeddings_TE: Float[Tensor, "T E"], *, of: str = "target") -> Remembered:
    """Notes what is emitted of conditions now: numbers of the last layer and its inputs, whatever the number of weights emitted.

    Args:
        hyper: The hypernetwork.
        embeddings_TE: Of the conditions, at least one.
        of: Which target.

    Raises:
        ValueError: If there is no condition, or the emission has a base, which moves weights too.
    """
    if not len(embeddings_TE):
        raise ValueError("Expected one condition or more to remember, but got none.")
    if hyper.emission.has_base:
        raise ValueError(
            f"Expected an emission without a base, which moves weights too, but got {type(hyper.emission).__name__}."
        )
    embeddings_TE = embeddings_TE.detach().clone()
    layers = tuple(
        _Layer(head.weight.detach().clone(), head.bias.detach().clone(), features_TCH.clone(), num_cut)
        for head, features_TCH, num_cut in _ends(hyper, embeddings_TE, of)
    )
    return Remembered(embeddings_TE, layers, of)


def output_drift(hyper: Hypernetwork, before: Remembered) -> Float[Tensor, " T"]:
    """Squared distances between what is emitted now and what was, one a condition; differentiable by all that is trained.

    Args:
        hyper: The hypernetwork.
        before: Of `remember`.
    """
    drifts = [
        _moved(head, features_TCH, was)
        for (head, features_TCH, _), was in zip(
            _ends(hyper, before.embeddings_TE, before.of), before.layers, strict=True
        )
    ]
    return torch.stack(drifts).sum(0)


def _ends(hyper: Hypernetwork, embeddings_TE: Tensor, of: str) -> list[tuple[nn.Linear, Tensor, int]]:
    """Every last layer with its inputs, and how many numbers of the last chunk are cut off."""
    writer = hyper.writers[of]
    if isinstance(writer, InChunks):
        assert hyper.chunk_head is not None
        num_cut = len(writer.embeddings) * hyper.chunk_head.out_features - writer.num_emitted
        return [(hyper.chunk_head, hyper.body.of_pairs(embeddings_TE, writer.embeddings), num_cut)]
    if isinstance(writer, ByTensor):
        return [(head, features[:, None], 0) for head, features in writer.ends(embeddings_TE)]
    assert isinstance(writer, AtOnce)
    return [(writer.head, hyper.body(embeddings_TE)[:, None], 0)]


def _moved(head: nn.Linear, features_TCH: Tensor, was: _Layer) -> Float[Tensor, " T"]:
    changes_SA = torch.cat([head.weight, head.weight - was.weight_SH, (head.bias - was.bias_S)[:, None]], 1)
    ones = torch.ones_like(features_TCH[..., :1])
    given_TCA = torch.cat([features_TCH - was.features_TCH, was.features_TCH, ones], 2)
    moved_TC = _squares(given_TCA, changes_SA)
    if was.num_cut:
        in_vain_T = _squares(given_TCA[:, -1], changes_SA[-was.num_cut :])
        return moved_TC.sum(1) - in_vain_T
    return moved_TC.sum(1)


def _squares(given: Tensor, changes_SA: Tensor) -> Tensor:
    """Squared lengths of `changes @ given`."""
    return ((given @ (changes_SA.T @ changes_SA)) * given).sum(-1)
