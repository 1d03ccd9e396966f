"""Autoencoders over vectors of weights, and what makes them contractive.

Source: dissertation, section 2.2.3.

Shape suffixes: K vectors, S numbers of a vector, C numbers of a code, H units of the layer before the last.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.linalg import vecdot
from torch.nn.functional import elu

from hyperlearning.networks.backbones import mlp

Activation = Literal["tanh", "elu", "sigmoid"]


class _Rule(NamedTuple):
    """A function of a unit's input, and its derivative there."""

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]


_RULES: dict[Activation, _Rule] = {
    "tanh": _Rule(torch.tanh, lambda a: 1 - torch.tanh(a).square()),
    "elu": _Rule(elu, lambda a: torch.where(a > 0, torch.ones_like(a), torch.exp(a.clamp(max=0)))),
    "sigmoid": _Rule(torch.sigmoid, lambda a: torch.sigmoid(a) * (1 - torch.sigmoid(a))),
}


class WeightAutoencoder(nn.Module):
    """Layers from a vector to its code and, mirrored, back.

    Args:
        sizes: Numbers of a vector, of each hidden layer, and of the code, such as (21840, 2000, 20).
        activation: Of hidden layers and the code.
        linear_output: Whether the last layer has no activation.
        generator: Source of initial weights; the global one if absent.

    Raises:
        ValueError: If fewer than two sizes are given.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: Activation = "tanh",
        linear_output: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if len(sizes) < 2:
            raise ValueError(f"Expected the sizes of a vector and a code, but got {tuple(sizes)}.")
        self._rule, self._linear_output = _RULES[activation], linear_output
        self.encoder = nn.ModuleList(mlp(pair, generator=generator)[0] for pair in pairwise(sizes))
        self.decoder = nn.ModuleList(mlp(pair, generator=generator)[0] for pair in pairwise(sizes[::-1]))

    def forward(self, vectors: Float[Tensor, "K S"]) -> Float[Tensor, "K S"]:
        """Encodes and decodes."""
        return self.decode(self.encode(vectors))

    def encode(self, vectors: Float[Tensor, "K S"]) -> Float[Tensor, "K C"]:
        """Maps vectors to codes."""
        for layer in self.encoder:
            vectors = self._rule.value(layer(vectors))
        return vectors

    def decode(self, codes: Float[Tensor, "K C"]) -> Float[Tensor, "K S"]:
        """Maps codes to vectors."""
        before, last = self._before_last(codes), self.decoder[-1]
        return last(before) if self._linear_output else self._rule.value(last(before))

    def missed(self, vectors: Float[Tensor, "K S"]) -> tuple[Float[Tensor, " K"], Float[Tensor, "K S"]]:
        """The mean squared error of each recollection, differentiable, and what it has more than its vector, which is not.

        As `(self(vectors) - vectors).square().mean(1)`, but for passes over memory: on vectors of many numbers and codes of few
        these take most of the time.

        Raises:
            ValueError: If the last layer has an activation.
        """
        if not self._linear_output:
            raise ValueError("Expected an autoencoder whose last layer is linear, but it has an activation.")
        last = _dense(self.decoder[-1])
        return _Missed.apply(self._before_last(self.encode(vectors)), last.weight, last.bias, vectors)

    def _before_last(self, codes: Tensor) -> Tensor:
        for layer in self.decoder[:-1]:
            codes = self._rule.value(layer(codes))
        return codes

    def contraction(self, vectors: Float[Tensor, "K S"]) -> Float[Tensor, " K"]:
        """The squared Frobenius norm of the Jacobian of each code with respect to its vector, exactly and differentiably.

        Source: dissertation, equation 2.4. Of one layer it is `sum_j f'(a_j)^2 |W_j|^2`; of more, `|P W|^2 = tr(P W W' P')`, with
        W the first layer's weights, where it takes fewer multiplications than the Jacobian itself.
        """
        slopes, weights = [], [_dense(layer).weight for layer in self.encoder]
        for layer in self.encoder:
            inputs = layer(vectors)
            slopes.append(self._rule.slope(inputs))
            vectors = self._rule.value(inputs)
        if len(weights) == 1:
            return slopes[0].square() @ weights[0].square().sum(1)
        product_KCh = slopes[-1][:, :, None] * weights[-1]
        for slope, weight in zip(slopes[-2:0:-1], weights[-2:0:-1], strict=True):
            product_KCh = (product_KCh * slope[:, None]) @ weight
        product_KCh = product_KCh * slopes[0][:, None]
        rows, (units, numbers) = product_KCh.shape[0] * product_KCh.shape[1], weights[0].shape
        if rows * numbers < units * numbers + rows * units:
            return (product_KCh @ weights[0]).square().sum((1, 2))
        return ((product_KCh @ (weights[0] @ weights[0].t())) * product_KCh).sum((1, 2))

    def authors_contraction(self, vectors: Float[Tensor, "K S"]) -> Float[Tensor, " K"]:
        """What the authors' code has in its place: `sum_j (h_j (1 - h_j))^2 |W_j|^2` of the code's layer, W taken as given.

        That is the slope of a sigmoid whatever the activation is, and of several layers it looks at the last alone.
        """
        codes, last = self.encode(vectors), _dense(self.encoder[-1])
        return (codes * (1 - codes)).square() @ last.weight.detach().square().sum(1)


class _Missed(Function):
    """`missed = hidden @ weight' + bias - vectors`, and the mean of its squares: one matrix of that size, and no other."""

    @staticmethod
    def forward(
        ctx: Any, hidden_KH: Tensor, weight_SH: Tensor, bias_S: Tensor, vectors_KS: Tensor
    ) -> tuple[Tensor, Tensor]:
        missed_KS = torch.addmm(bias_S, hidden_KH, weight_SH.t()).sub_(vectors_KS)
        ctx.save_for_backward(hidden_KH, weight_SH, missed_KS)
        ctx.mark_non_differentiable(missed_KS)
        return vecdot(missed_KS, missed_KS) / missed_KS.shape[1], missed_KS

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_K: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        hidden_KH, weight_SH, missed_KS = ctx.saved_tensors
        slope_K1 = (grad_K * (2 / missed_KS.shape[1]))[:, None]
        # Few rows times many columns: several times faster than the other way round.
        by_weight_HS = (hidden_KH * slope_K1).t() @ missed_KS
        by_bias_1S = slope_K1.t() @ missed_KS
        return (missed_KS @ weight_SH) * slope_K1, by_weight_HS.t(), by_bias_1S[0], None


def cosines(vectors: Float[Tensor, "K S"], others: Float[Tensor, "K S"]) -> Float[Tensor, " K"]:
    """The cosine of the angle between each vector and its partner (dissertation, equation 2.2); 0 where one of them is 0."""
    return torch.cosine_similarity(vectors, others, dim=1)


def _dense(layer: nn.Module) -> nn.Linear:
    assert isinstance(layer, nn.Linear)
    return layer
