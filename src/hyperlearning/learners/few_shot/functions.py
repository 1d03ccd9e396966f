"""Few-shot learners of functions: points of a support and places in, values there out, differentiable, all episodes at once.

Sources: Finn et al., "Model-Agnostic Meta-Learning" (2017), section 5.1; Harrison et al., "Meta-Learning Priors for Efficient
Online Bayesian Regression" (2018), for a readout that is solved on learned features.

Shape suffixes: E episodes, K support points, Q query points, D features.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperlearning.core.params import Params
from hyperlearning.learners.few_shot.descent import Order, descend
from hyperlearning.learners.few_shot.embedded import linear_layer
from hyperlearning.networks.hypernetworks.hypernetwork import Hypernetwork
from hyperlearning.networks.hypernetworks.running import run_many

_FEATURES = 64


_REACH = 5.0
"""How far points and values are from 0, about: networks see them divided by it."""


class Divided(nn.Module):
    """Divides its inputs by a number.

    Args:
        by: The number.
    """

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, inputs: Tensor) -> Tensor:
        """Divides."""
        return inputs / self.by


def perceptron(sizes: Sequence[int], generator: torch.Generator | None, *, reach: float = _REACH) -> nn.Sequential:
    """A multilayer perceptron with ReLU between its layers, for inputs that reach so far from 0."""
    layers: list[nn.Module] = [Divided(reach)]
    for num_inputs, num_outputs in pairwise(sizes):
        layer = linear_layer(num_inputs, num_outputs, generator)
        with torch.no_grad():
            layer.weight.mul_(2**0.5)
            # Kinks at 0 alone would leave lines from there on.
            layer.bias.uniform_(-1, 1, generator=generator)
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class DescendingFunction(nn.Module):
    """A network that takes gradient steps on every support, from a start that is learned: MAML, or ANIL.

    Args:
        hidden: Units of each hidden layer.
        num_steps: Steps on a support.
        lr: Their rate.
        order: What of the steps the outer gradient sees.
        last_alone: Whether only the last layer moves.
        generator: Source of first weights.
    """

    def __init__(
        self,
        hidden: Sequence[int],
        *,
        num_steps: int,
        lr: float,
        order: Order = "second",
        last_alone: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.target = perceptron((1, *hidden, 1), generator)
        self.num_steps, self.lr = num_steps, lr
        self.order: Order = order
        self.moving = [
            name
            for name, _ in self.target.named_parameters()
            if not last_alone or name.startswith(f"{len(self.target) - 1}.")
        ]

    def forward(
        self, support_x: Float[Tensor, "E K 1"], support_y: Float[Tensor, "E K 1"], query_x: Float[Tensor, "E Q 1"]
    ) -> Float[Tensor, "E Q 1"]:
        """Descends on each support, and evaluates."""
        own = {name: tensor.expand(len(support_x), *tensor.shape) for name, tensor in self.target.named_parameters()}
        moved = descend(
            lambda some: squared_errors(_run(self.target, own | some, support_x), support_y),
            {name: own[name] for name in self.moving},
            num_steps=self.num_steps,
            lr=self.lr,
            order=self.order if self.training else "none",
        )
        return _run(self.target, own | moved, query_x)


class SolvingFunction(nn.Module):
    """A linear readout that is solved for each support, on features that are learned; its precision is learned too.

    Args:
        hidden: Units of each hidden layer, the last being the features.
        generator: Source of first weights.
    """

    log_precision: nn.Parameter

    def __init__(self, hidden: Sequence[int], *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.features = nn.Sequential(perceptron((1, *hidden), generator), nn.Tanh())
        self.log_precision = nn.Parameter(torch.tensor(math.log(0.1)))

    def forward(
        self, support_x: Float[Tensor, "E K 1"], support_y: Float[Tensor, "E K 1"], query_x: Float[Tensor, "E Q 1"]
    ) -> Float[Tensor, "E Q 1"]:
        """Solves for each support, and evaluates."""
        return solved(self.features(support_x), support_y, self.features(query_x), self.log_precision.exp())


class WrittenFunction(nn.Module):
    """A hypernetwork that reads the points of a support as a set and writes a network, in one forward pass.

    Every point goes through the same layers, and their mean, with the logarithm of their number, is the condition.

    Args:
        hidden: Units of each hidden layer of the network that is written.
        num_steps: Steps on the support that written weights take; none: they are used as written.
        lr: Their rate.
        generator: Source of first weights.
    """

    def __init__(
        self,
        hidden: Sequence[int],
        *,
        num_steps: int = 0,
        lr: float = 0.01,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.num_steps, self.lr = num_steps, lr
        self.points = perceptron((2, 2 * _FEATURES, 2 * _FEATURES), generator)
        self.hyper = Hypernetwork(
            perceptron((1, *hidden, 1), generator),
            nn.Sequential(
                perceptron((2 * _FEATURES + 1, 2 * _FEATURES, _FEATURES), generator, reach=1.0), nn.LayerNorm(_FEATURES)
            ),
            embedding_size=_FEATURES,
            hidden=(2 * _FEATURES,),
            generator=generator,
        )

    def write(self, support_x: Float[Tensor, "E K 1"], support_y: Float[Tensor, "E K 1"]) -> Params:
        """Writes a network for each support: parameters by name, (E, ...) each."""
        read = self.points(torch.cat([support_x, support_y], -1)).mean(1)
        number = torch.full_like(read[:, :1], math.log(support_x.shape[1]))
        return self.hyper.emit(self.hyper.embed(torch.cat([read, number], -1)))

    def forward(
        self, support_x: Float[Tensor, "E K 1"], support_y: Float[Tensor, "E K 1"], query_x: Float[Tensor, "E Q 1"]
    ) -> Float[Tensor, "E Q 1"]:
        """Writes for each support, and evaluates."""
        weights = self.write(support_x, support_y)
        if self.num_steps:
            weights = descend(
                lambda own: squared_errors(self.hyper.run(own, support_x), support_y),
                weights,
                num_steps=self.num_steps,
                lr=self.lr,
                order="none",
            )
        return self.hyper.run(weights, query_x)


class KnowingFunction(nn.Module):
    """Least squares on sin(x) and cos(x) in double precision: what could be done with the family known."""

    def forward(
        self, support_x: Float[Tensor, "E K 1"], support_y: Float[Tensor, "E K 1"], query_x: Float[Tensor, "E Q 1"]
    ) -> Float[Tensor, "E Q 1"]:
        """Solves for each support, and evaluates."""
        of_support, of_query = (torch.cat([x.double().sin(), x.double().cos()], -1) for x in (support_x, query_x))
        precision = torch.tensor(1e-6, dtype=torch.float64)
        return solved(of_support, support_y.double(), of_query, precision).to(query_x.dtype)


def solved(
    support: Float[Tensor, "E K D"],
    values: Float[Tensor, "E K 1"],
    query: Float[Tensor, "E Q D"],
    precision: Float[Tensor, ""],
) -> Float[Tensor, "E Q 1"]:
    """A ridge regression of each episode: `q X' (X X' + precision I)^-1 y`."""
    gram = support @ support.transpose(1, 2)
    ridge = precision * torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
    return query @ support.transpose(1, 2) @ torch.linalg.solve(gram + ridge, values)


def squared_errors(found: Float[Tensor, "E N 1"], values: Float[Tensor, "E N 1"]) -> Float[Tensor, " E"]:
    """Mean squared error of each episode."""
    return (found - values).square().mean((1, 2))


def _run(target: nn.Module, weights: Params, inputs: Tensor) -> Tensor:
    return run_many(target, weights, {}, inputs, same_inputs=False, own_buffers=False)
