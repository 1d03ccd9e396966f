"""OML and ANML: learning along a trajectory of single images, and differentiating through all of it.

`make_hyper_step(trajectory_learner(network, ...), adam(), update_every=k, through=k, learn_start=True)` is one exact
meta-step: k SGD updates of the plastic parameters, the meta-loss on trajectory and remember set in one batch, and Adam on
every initial value. With `through=0` it is first order, as ANML's authors shipped it.

What makes it fast: innate parameters meet all images at once (`prepare`), inner gradients are those of the plastic parameters
only, and the last layer moves in factored form. Its updates are outer products, so after k of them it is
`W_k = W_0 - alpha * sum_i delta_i f_i'` with f_i the features and delta_i the gradient at the logits. Logits and gradients
at step k need `W_0` and k pairs of vectors, and no copy of the largest layer is made or kept on the way.

The gradient is exact to second order, since f_i and delta_i carry their graphs:
`dL/dW_0 = dL/dW_k + sum_i (e_i f_i' + delta_i h_i')`, where e_i is the gradient at the logits `f_i W_i'` and h_i the one at
`delta_i W_i`, the two products by which step i reads `W_i = W_0 - alpha * sum_(j<i) delta_j f_j'`. These gradients hold all
that later steps made of f_i and delta_i, which is where the Hessian of every inner loss is; `_Taps` collects them.

Shape suffixes: B batch, F features, C classes, n examples seen before.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.functional import log_softmax

from hyperlearning.core.losses import cross_entropy
from hyperlearning.core.params import Params, stack_members
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.optimizers import sgd
from hyperlearning.networks.gated.anml import kaiming_normal
from hyperlearning.streams.hyper_stream import HyperStream

_PART = "predictor."
_LAST = ("predictor.last.weight", "predictor.last.bias")

Births = Callable[[Params, HyperStream, torch.Generator], Params]
"""Makes plastic parameters (M, ...) at birth from the start, the epoch's lives and a generator (`Phase.births`)."""


@runtime_checkable
class TrajectoryNetwork(Protocol):
    """A network whose plastic part, `predictor`, ends in a linear layer and meets inputs that innate parameters prepared.

    `predictor` has `features`, from prepared inputs (B, ...) to what its linear layer `last` takes, (B, F).
    """

    @property
    def predictor(self) -> Any:
        """The plastic part."""
        ...

    def is_innate(self, name: str) -> bool:
        """Says whether a parameter of this name is innate."""
        ...

    def prepare(self, innate: Params, inputs: Tensor) -> Tensor:
        """Computes what the plastic part takes, for inputs with any number of batch axes."""
        ...


def trajectory_learner(network: TrajectoryNetwork, *, inner_lr: float, checkpoint: bool = False) -> Learner:
    """Makes the learner of OML and ANML: plain SGD on cross-entropy over all classes.

    Members of a population are gone through in turn: on a CPU one network at published width fills the caches.

    Args:
        network: The network. Its own parameter values are not used.
        inner_lr: Rate of the inner updates, positive (ANML has 0.1, OML 0.03).
        checkpoint: Whether activations of an inner update are computed again when the outer gradient needs them instead of
            being kept. Gradients are equal; it takes longer and keeps less.

    Returns:
        A learner for `make_hyper_step` and `live`.

    Raises:
        ValueError: If the rate is not positive.
    """
    if inner_lr <= 0:
        raise ValueError(f"Expected a positive `inner_lr`, but got {inner_lr}.")

    def forward(plastic: Params, innate: Params, prepared: Tensor) -> Tensor:
        members = zip(_members(plastic), _unstack(prepared, 0), strict=True)
        return _stack([_predict(network.predictor, params, own) for params, own in members], 0)

    def unroll(plastic: Params, innate: Params, inputs: Tensor, targets: Tensor, lr: float) -> tuple[Params, Tensor]:
        members = zip(_members(plastic), _unstack(inputs, 1), _unstack(targets, 1), strict=True)
        lives = [_Trajectory(network.predictor, params, lr, checkpoint).live(*data) for params, *data in members]
        after = {name: _stack([life[name] for life, _ in lives], 0) for name in plastic}
        return after, torch.stack([losses for _, losses in lives], 1)

    return Learner(forward, cross_entropy, sgd(), inner_lr, unroll, network.prepare)


class _Moment(NamedTuple):
    """Where a trajectory stands, but for the last layer's weights at birth."""

    fast: list[Tensor]
    bias: Tensor
    past_nF: Tensor
    past_nC: Tensor


class _Trajectory:
    """One member's trajectory.

    Args:
        predictor: The plastic part of the network.
        plastic: Its parameters at birth, by their names in the whole network.
        lr: Rate of the updates.
        checkpoint: Whether to compute activations again.
    """

    def __init__(self, predictor: nn.Module, plastic: Params, lr: float, checkpoint: bool) -> None:
        self.features = _Features(predictor)
        self.names = [name for name in plastic if name not in _LAST]
        self.plastic, self.lr, self.checkpoint = plastic, lr, checkpoint
        self.weight = plastic[_LAST[0]].detach()

    def live(self, inputs: Tensor, targets: Tensor) -> tuple[Params, Tensor]:
        """Makes one update per batch of inputs (k, B, ...) and targets (k, B).

        Returns:
            Parameters after the last one, and the loss before each, (k,). Parameters carry a graph if gradients are on.
        """
        graph = torch.is_grad_enabled()
        weight, bias = (self.plastic[name] for name in _LAST)
        sizes = [(*targets.shape, size) for size in weight.shape]
        record = _Record([], [])
        taps = zip(*(tap.unbind(0) for tap in _Taps.apply(weight, record, *sizes)), strict=True)
        now = _Moment(
            [self.plastic[name] for name in self.names],
            bias,
            weight.new_empty(0, sizes[1][-1]),
            bias.new_empty(0, len(bias)),
        )
        losses = []
        for some, labels, (tap_BC, tap_BF) in zip(inputs.unbind(0), targets.unbind(0), taps, strict=True):
            args = (some, labels, tap_BC, tap_BF, now.bias, now.past_nF, now.past_nC, *now.fast)
            again = self.checkpoint and graph
            made = _Recomputed.apply(self._update, *args) if again else self._update(graph, *args)
            loss, features_BF, delta_BC, *fast = made
            record.features.append(features_BF.detach())
            record.deltas.append(delta_BC.detach())
            past = torch.cat((now.past_nF, features_BF)), torch.cat((now.past_nC, delta_BC))
            now = now._replace(fast=fast, past_nF=past[0], past_nC=past[1])
            losses.append(loss)
        after = dict(zip(self.names, now.fast, strict=True))
        after[_LAST[0]] = torch.addmm(weight, now.past_nC.t(), now.past_nF, alpha=-self.lr)
        after[_LAST[1]] = torch.sub(bias, now.past_nC.sum(0), alpha=self.lr)
        return {name: after[name] for name in self.plastic}, torch.stack(losses)

    def _update(self, graph: bool, *args: Tensor) -> tuple[Tensor, ...]:
        """Makes one update; returns loss, features, the gradient at the logits, and all new parameters but the last layer's.

        The last layer's logits are `f W_0' + b_0 - alpha * (f past_F' + 1) past_C`, its gradient at the features
        `delta W_0 - alpha * (delta past_C') past_F`. Taps are zeros that carry gradients of `W_0` (`_Taps`).
        """
        inputs, labels, tap_BC, tap_BF, bias, past_nF, past_nC, *fast = args
        with torch.enable_grad():
            leaves = [tensor if graph and tensor.requires_grad else tensor.detach().requires_grad_() for tensor in fast]
            own = dict(zip(self.names, leaves, strict=True))
            features_BF = torch.func.functional_call(self.features, own, (inputs,))
        with torch.set_grad_enabled(graph):
            own_BF = features_BF if graph else features_BF.detach()
            logits = torch.addmm(bias + tap_BC, own_BF, self.weight.t())
            logits = torch.addmm(logits, own_BF @ past_nF.t() + 1, past_nC, alpha=-self.lr)
            log_probs = log_softmax(logits, 1)
            hits = torch.zeros_like(logits).scatter_(1, labels[:, None], 1.0)
            delta_BC = (log_probs.exp() - hits) / len(labels)
            loss = -(log_probs.detach() * hits).sum(1).mean()
            if not leaves:
                return loss, own_BF, delta_BC
            at_features = torch.addmm(tap_BF, delta_BC, self.weight)
            at_features = torch.addmm(at_features, delta_BC @ past_nC.t(), past_nF, alpha=-self.lr)
            grads = torch.autograd.grad(features_BF, leaves, at_features, create_graph=graph)
            fast = _descend(leaves, grads, self.lr)
        return loss, own_BF, delta_BC, *fast


class _Features(nn.Module):
    """`predictor.features` as a module, to be called with other parameters."""

    def __init__(self, predictor: nn.Module) -> None:
        super().__init__()
        self.predictor = predictor

    def forward(self, inputs: Tensor) -> Tensor:
        return self.predictor.features(inputs)  # pyright: ignore[reportCallIssue]


class _Record(NamedTuple):
    """Values that a trajectory's last layer met at each step."""

    features: list[Tensor]
    deltas: list[Tensor]


class _Taps(Function):
    """Zeros to add to each step's products with `W_0`, so that its gradient is two matrix products for all steps together.

    The gradient at `f W_0' + tap` with respect to the tap is what `W_0` would get as an outer product with f.
    """

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, record: _Record, of_classes: tuple[int, ...], of_features: tuple[int, ...]
    ) -> tuple[Tensor, Tensor]:
        ctx.record = record
        return weight.new_zeros(of_classes), weight.new_zeros(of_features)

    @staticmethod
    def backward(ctx: Any, at_logits: Tensor, at_features: Tensor) -> tuple[Tensor, None, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        left = torch.cat((at_logits.flatten(0, 1), *ctx.record.deltas))
        right = torch.cat((*ctx.record.features, at_features.flatten(0, 1)))
        return left.t() @ right, None, None, None


class _Descend(Function):
    """`parameter - lr * gradient`, written over the gradient: fresh memory costs more than the arithmetic."""

    @staticmethod
    def forward(ctx: Any, parameter: Tensor, gradient: Tensor, lr: float) -> Tensor:
        ctx.lr = lr
        ctx.mark_dirty(gradient)
        return torch.sub(parameter, gradient, alpha=lr, out=gradient)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return grad, grad * -ctx.lr, None


def _descend(parameters: Sequence[Tensor], gradients: Sequence[Tensor], lr: float) -> list[Tensor]:
    # A gradient that several parameters share, or that is a view, is not written over.
    places = [gradient.data_ptr() for gradient in gradients]
    return [
        _Descend.apply(parameter, gradient, lr)
        if gradient.is_contiguous() and gradient._base is None and places.count(place) == 1
        else torch.sub(parameter, gradient, alpha=lr)
        for parameter, gradient, place in zip(parameters, gradients, places, strict=True)
    ]


class _Recomputed(Function):
    """An inner update that keeps its arguments alone; the gradient makes it once more, with its graph."""

    @staticmethod
    def forward(ctx: Any, update: Callable[..., tuple[Tensor, ...]], *args: Tensor) -> tuple[Tensor, ...]:
        ctx.update = update
        ctx.save_for_backward(*args)
        loss, *rest = update(False, *args)
        ctx.mark_non_differentiable(loss)
        return loss, *rest

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        args, wanted = ctx.saved_tensors, ctx.needs_input_grad[1:]
        args = [arg.detach().requires_grad_(want) for arg, want in zip(args, wanted, strict=True)]
        _, *results = ctx.update(True, *args)
        sources = [arg for arg, want in zip(args, wanted, strict=True) if want]
        found = iter(torch.autograd.grad(results, sources, grads[1:], allow_unused=True))
        return None, *(next(found) if want else None for want in wanted)


def _predict(predictor: nn.Module, plastic: Params, prepared: Tensor) -> Tensor:
    own = {name.removeprefix(_PART): tensor for name, tensor in plastic.items()}
    return torch.func.functional_call(predictor, own, (prepared,))


def _members(plastic: Params) -> Iterator[Params]:
    columns = [_unstack(tensor, 0) for tensor in plastic.values()]
    return (dict(zip(plastic, tensors, strict=True)) for tensors in zip(*columns, strict=True))


def _unstack(tensor: Tensor, axis: int) -> Sequence[Tensor]:
    """Splits off an axis; one of size 1 without a copy in the gradient."""
    return [tensor.squeeze(axis)] if tensor.shape[axis] == 1 else tensor.unbind(axis)


def _stack(tensors: Sequence[Tensor], axis: int) -> Tensor:
    return tensors[0].unsqueeze(axis) if len(tensors) == 1 else torch.stack(list(tensors), axis)


def row_reset(population: int) -> Births:
    """Makes births that draw the last layer's rows of each life's classes anew; all else is copied from the start.

    Biases stay as they are. A row is drawn from a normal distribution of variance `2 / F` (`kaiming_normal`).

    Args:
        population: Lives side by side, at least 1.

    Raises:
        ValueError: If `population` is not positive; at a birth, if a class has no row.

    Source: the authors' code of OML and ANML. Theirs draws the row in the start itself; here the start's own row goes on
    from where it was, with the gradient that the drawn one got.
    """
    if population < 1:
        raise ValueError(f"Expected `population` to be at least 1, but got {population}.")

    def births(start: Params, stream: HyperStream, generator: torch.Generator) -> Params:
        plastic = stack_members(start, population)
        weight = plastic[_LAST[0]]
        _check_labels(stream, population, weight.shape[1])
        for member in range(population):
            classes = stream.targets[:, member].unique()
            rows = kaiming_normal((len(classes), weight.shape[2]), generator)
            weight[member, classes] = rows.to(weight)
        return plastic

    return births


def _check_labels(stream: HyperStream, population: int, num_classes: int) -> None:
    if stream.targets.shape[1] != population:
        raise ValueError(f"Expected trajectories of {population} members, but got {stream.targets.shape[1]}.")
    lowest, highest = int(stream.targets.min()), int(stream.targets.max())
    if lowest < 0 or highest >= num_classes:
        raise ValueError(f"Expected labels from 0 to {num_classes - 1}, but got {lowest} to {highest}.")
