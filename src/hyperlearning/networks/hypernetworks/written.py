"""One target of a hypernetwork: from emitted numbers to its parameters, and from those to its outputs.

Shape suffixes: B conditions, N numbers emitted.
"""

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperlearning.core.params import Params
from hyperlearning.networks.hypernetworks.emissions import Emission
from hyperlearning.networks.hypernetworks.running import run_many, run_one
from hyperlearning.networks.hypernetworks.targets import EmittedTensor


class WrittenTarget(nn.Module):
    """One target: its tensors, what of it is trained, its buffers, and the module that says how it runs.

    Args:
        target: Any module; it is not changed.
        tensors: What of it is emitted.
        sizes: Numbers that are emitted for each.
        emission: How they become weights.
        num_own_buffers: How many conditions have buffers of their own; absent: all have the same.
    """

    base: nn.Parameter
    rest: nn.Parameter

    def __init__(
        self,
        target: nn.Module,
        tensors: tuple[EmittedTensor, ...],
        sizes: list[int],
        emission: Emission,
        num_own_buffers: int | None,
    ) -> None:
        super().__init__()
        self.tensors, self.sizes, self.has_own_buffers = tensors, sizes, num_own_buffers is not None
        own = {name: tensor.detach() for name, tensor in target.named_parameters()}
        emitted = {tensor.name for tensor in tensors}
        self.rest_shapes = {name: tuple(tensor.shape) for name, tensor in own.items() if name not in emitted}
        if self.rest_shapes:
            self.rest = nn.Parameter(torch.cat([own[name].flatten() for name in self.rest_shapes]))
        if emission.has_base:
            firsts = [emission.first_base(own[tensor.name]).flatten() for tensor in tensors]
            self.base = nn.Parameter(torch.cat(firsts).clone())
        self.buffer_names = [name for name, _ in target.named_buffers()]
        for name, buffer in target.named_buffers():
            copies = (
                buffer.detach() if num_own_buffers is None else buffer.detach().expand(num_own_buffers, *buffer.shape)
            )
            self.register_buffer(_stored(name), copies.clone())
        # A list: its numbers are no part of the state, and on the meta device they take no memory.
        self._skeleton = [copy.deepcopy(target).to("meta")]

    @property
    def skeleton(self) -> nn.Module:
        """The target without numbers."""
        return self._skeleton[0]

    def parameters_of(self, emission: Emission, emitted_BN: Float[Tensor, "B N"]) -> Params:
        """All parameters, in the target's own order, (B, ...) each."""
        bases = (
            self.base.split([tensor.size for tensor in self.tensors]) if emission.has_base else [None] * len(self.sizes)
        )
        pieces = emitted_BN[:, : sum(self.sizes)].split(self.sizes, 1)
        made = {
            tensor.name: emission.weights(piece, None if base is None else base.view(tensor.shape), tensor)
            for tensor, piece, base in zip(self.tensors, pieces, bases, strict=True)
        }
        made |= self._rest(len(emitted_BN))
        return {name: made[name] for name, _ in self.skeleton.named_parameters()}

    def _rest(self, num: int) -> Params:
        if not self.rest_shapes:
            return {}
        sizes = [torch.Size(shape).numel() for shape in self.rest_shapes.values()]
        return {
            name: part.view(shape).expand(num, *shape)
            for (name, shape), part in zip(self.rest_shapes.items(), self.rest.split(sizes), strict=True)
        }

    def run(self, weights: Params, inputs: Tensor, condition: int | None) -> Tensor:
        """Runs one network."""
        self._check_buffers(condition)
        return run_one(self.skeleton, weights, self._buffers_of(condition or 0), inputs)

    def run_many(self, weights: Params, inputs: Tensor, conditions: Tensor | None, *, same_inputs: bool) -> Tensor:
        """Runs networks side by side; what they move of buffers of their own is kept."""
        self._check_buffers(conditions)
        own = self.has_own_buffers
        buffers = self._held() if not own else {name: held[conditions] for name, held in self._held().items()}
        made = run_many(self.skeleton, weights, buffers, inputs, same_inputs=same_inputs, own_buffers=own)
        if own and self.training:
            for name, held in self._held().items():
                held[conditions] = buffers[name]
        return made

    def _check_buffers(self, conditions: Tensor | int | None) -> None:
        if self.has_own_buffers and conditions is None:
            raise ValueError("Expected conditions, whose own buffers the networks run with, but got weights alone.")

    def network(self, weights: Params, condition: int) -> nn.Module:
        """A module of its own with such weights."""
        made = copy.deepcopy(self.skeleton)
        made.to_empty(device=next(iter(weights.values())).device)
        buffers = self._buffers_of(condition)
        with torch.no_grad():
            for name, parameter in made.named_parameters():
                parameter.copy_(weights[name])
            for name, buffer in made.named_buffers():
                buffer.copy_(buffers[name])
        return made

    def _held(self) -> Params:
        return {name: self.get_buffer(_stored(name)) for name in self.buffer_names}

    def _buffers_of(self, condition: int) -> Params:
        return {name: held[condition] if self.has_own_buffers else held for name, held in self._held().items()}


def _stored(name: str) -> str:
    return f"buffer/{name.replace('.', '/')}"
