"""Hypernetworks: a network that writes the weights of others, by a condition.

Shape suffixes: B conditions, E numbers of an embedding, N numbers of a target.

Source: Ha, Dai and Le, "HyperNetworks" (2017); von Oswald et al., "Continual learning with hypernetworks" (2020), section 2, for
task and chunk embeddings; Chang et al., "Principled Weight Initialization for Hypernetworks" (2020), for first weights.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

from hyperlearning.core.errors import NonFiniteWeightsError
from hyperlearning.core.free_bytes import available_bytes, readable_bytes
from hyperlearning.core.params import Params
from hyperlearning.networks.hypernetworks.emissions import Emission, FullEmission
from hyperlearning.networks.hypernetworks.targets import Emits, EmittedTensor, emitted_tensors
from hyperlearning.networks.hypernetworks.writing import (
    ActivationName,
    AtOnce,
    ByTensor,
    HiddenLayers,
    InChunks,
    linear_head,
)
from hyperlearning.networks.hypernetworks.written import WrittenTarget

_ONLY = "target"
"""What a single target is called."""
_PROBES = 256
"""Embeddings, at most, that first weights are judged by."""
_COPIES = 4
"""A number that is trained stands in memory with its gradient and two moments of Adam."""


def every(name: str) -> bool:
    """Says that a parameter is emitted, whichever."""
    return True


class Hypernetwork(nn.Module):
    """Writes the weights of any module, by a condition: the index of a learned embedding, or whatever an encoder takes.

    Parameters of the target that are not emitted are trained with the hypernetwork and the same for all conditions; so are
    bases, where the emission has one. Buffers are the same for all conditions too, unless `own_buffers`.

    Args:
        target: Any module, or several by name, each with its first weights. It is not changed. Nothing has to be inherited.
        conditions: How many embeddings are learned, one a condition; or a module that makes embeddings (B, E) of conditions,
            each number of which should have a variance of about 1 at first.
        embedding_size: Numbers of an embedding, E.
        hidden: Units of the hidden layers; none: a linear hypernetwork.
        activation: What stands behind each hidden layer.
        emission: How what is emitted becomes weights: `FullEmission()`, which is the default, `ResidualEmission()`,
            `LowRankEmission()` or `MaskEmission()`.
        heads: Whether one last layer emits all ("shared"), or every tensor has all layers of its own ("per_tensor").
        chunk_size: Emits in chunks of so many numbers, with the same layers for all; absent: all numbers at once.
        chunk_embedding_size: Numbers of a chunk's embedding.
        emits: Says of the name of a target's parameter whether it is emitted.
        own_buffers: Whether each condition has buffers of its own, such as running statistics; for learned embeddings alone.
        generator: Source of first weights and embeddings; the global one if absent.

    Raises:
        ValueError: If a size is not positive, settings contradict one another, a target cannot be written (`emitted_tensors`), or
            the hypernetwork would not fit into the memory that is free.

    Example:
        >>> target = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> hyper = Hypernetwork(target, conditions=3)
        >>> hyper(torch.zeros(5, 4), 0).shape  # Five inputs, through the network of condition 0.
        torch.Size([5, 2])
        >>> hyper(torch.zeros(2, 5, 4), torch.tensor([0, 2])).shape  # Five inputs of each of two networks.
        torch.Size([2, 5, 2])
        >>> {name: tuple(tensor.shape) for name, tensor in hyper.weights(1).items()}
        {'0.weight': (8, 4), '0.bias': (8,), '2.weight': (2, 8), '2.bias': (2,)}
    """

    embeddings: nn.Parameter

    def __init__(
        self,
        target: nn.Module | Mapping[str, nn.Module],
        conditions: int | nn.Module,
        *,
        embedding_size: int = 32,
        hidden: Sequence[int] = (64, 64),
        activation: ActivationName = "relu",
        emission: Emission | None = None,
        heads: Literal["shared", "per_tensor"] = "shared",
        chunk_size: int | None = None,
        chunk_embedding_size: int = 32,
        emits: Emits = every,
        own_buffers: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        targets = dict(target) if isinstance(target, Mapping) else {_ONLY: target}
        _check_sizes(conditions, embedding_size, (*hidden, chunk_size or 1, chunk_embedding_size))
        if chunk_size and heads == "per_tensor":
            raise ValueError(
                "Expected one last layer for all chunks, but got `heads` of 'per_tensor' with a `chunk_size`."
            )
        if own_buffers and isinstance(conditions, nn.Module):
            raise ValueError(
                "Expected `own_buffers` of learned embeddings, but got an encoder, whose conditions are endless."
            )
        self.emission: Emission = emission or FullEmission()
        self.embedding_size = embedding_size
        self.encoder = conditions if isinstance(conditions, nn.Module) else None
        written = {name: emitted_tensors(one, emits) for name, one in targets.items()}
        sizes = {name: [self.emission.num_emitted(tensor) for tensor in own] for name, own in written.items()}
        _check_memory(sizes, (embedding_size, *hidden), heads, chunk_size)

        at_first = torch.randn(
            conditions if isinstance(conditions, int) else _PROBES, embedding_size, generator=generator
        )
        if isinstance(conditions, int):
            self.embeddings = nn.Parameter(at_first.clone())
        probes = at_first[:_PROBES]
        num_inputs = embedding_size + (chunk_embedding_size if chunk_size else 0)
        self.body = HiddenLayers(num_inputs, () if heads == "per_tensor" else hidden, activation, generator)
        self.writers = nn.ModuleDict()
        for name, own in sizes.items():
            if chunk_size:
                self.writers[name] = InChunks(sum(own), chunk_size, chunk_embedding_size, generator)
            elif heads == "per_tensor":
                self.writers[name] = ByTensor(probes, own, hidden, activation, generator)
            else:
                with torch.no_grad():
                    features = self.body(probes)
                self.writers[name] = AtOnce(features, sum(own), generator)
        self.chunk_head = self._chunk_head(probes, chunk_size, generator) if chunk_size else None
        num_own = conditions if own_buffers and isinstance(conditions, int) else None
        self.targets = nn.ModuleDict(
            {
                name: WrittenTarget(one, written[name], sizes[name], self.emission, num_own)
                for name, one in targets.items()
            }
        )

    def _chunk_head(
        self, probes: Float[Tensor, "B E"], chunk_size: int, generator: torch.Generator | None
    ) -> nn.Linear:
        writers = [writer for writer in self.writers.values() if isinstance(writer, InChunks)]
        with torch.no_grad():
            embeddings = torch.cat([writer.embeddings for writer in writers])[:_PROBES]
            return linear_head(self.body.of_pairs(probes[:8], embeddings), chunk_size, generator)

    @property
    def num_conditions(self) -> int | None:
        """How many embeddings are learned; absent with an encoder."""
        return None if self.encoder is not None else len(self.embeddings)

    def embed(self, conditions: int | Tensor) -> Float[Tensor, "B E"]:
        """Makes embeddings of conditions.

        Args:
            conditions: An index, or indices (B,), of learned embeddings; or what the encoder takes, (B, ...).

        Raises:
            ValueError: If an index is out of range, or the encoder makes another shape.
        """
        if self.encoder is not None:
            if isinstance(conditions, int):
                raise ValueError(f"Expected what the encoder takes, a tensor (B, ...), but got {conditions}.")
            made = self.encoder(conditions)
            if made.shape != (len(conditions), self.embedding_size):
                wanted = f"({len(conditions)}, {self.embedding_size})"
                raise ValueError(
                    f"Expected an encoder that makes embeddings {wanted}, but got shape {tuple(made.shape)}."
                )
            return made
        indices = torch.atleast_1d(torch.as_tensor(conditions, device=self.embeddings.device))
        if indices.is_floating_point() or indices.ndim > 1:
            got = f"{indices.dtype} of shape {tuple(indices.shape)}"
            raise ValueError(f"Expected an index, or indices (B,), of learned embeddings, but got {got}.")
        wrong = indices[(indices < 0) | (indices >= len(self.embeddings))]
        if len(wrong):
            most = len(self.embeddings) - 1
            raise ValueError(f"Expected conditions from 0 to {most}, but got {int(wrong[0])}.")
        return self.embeddings[indices]

    def emit(self, embeddings_BE: Float[Tensor, "B E"], *, of: str = _ONLY) -> Params:
        """Makes all parameters of a target, of embeddings.

        Args:
            embeddings_BE: Embeddings.
            of: Which target.

        Returns:
            By name, (B, ...) each, those that are not emitted too; differentiable by all that is trained.
        """
        target = self._target(of)
        return target.parameters_of(self.emission, self._emitted(embeddings_BE, of))

    def emitted(self, embeddings_BE: Float[Tensor, "B E"], *, of: str = _ONLY) -> Float[Tensor, "B N"]:
        """Makes what parameters are made of, as one vector a condition: `emit` is `weights_of` of it.

        Chunks are whole: what the last one has beyond the target's numbers is of no use, and left for speed.

        Args:
            embeddings_BE: Embeddings.
            of: Which target.
        """
        self._target(of)
        return self._emitted(embeddings_BE, of)

    def weights_of(self, emitted_BN: Float[Tensor, "B N"], *, of: str = _ONLY) -> Params:
        """Makes all parameters of a target, as `emit` does, of vectors that were emitted."""
        return self._target(of).parameters_of(self.emission, emitted_BN)

    def reaches(self, *, of: str = _ONLY) -> Float[Tensor, " N"]:
        """How far each number that is emitted moves a weight, by the emission; 0 where it is of no use."""
        target = self._target(of)
        sizes = torch.tensor(target.sizes)
        reaches = [self.emission.reach(tensor) for tensor in target.tensors]
        reaches_N = torch.tensor(reaches, dtype=torch.float64).repeat_interleave(sizes)
        writer = self.writers[of]
        return pad(reaches_N, (0, writer.num_written - len(reaches_N))) if isinstance(writer, InChunks) else reaches_N

    def weights(self, conditions: int | Tensor, *, of: str = _ONLY) -> Params:
        """Makes all parameters of a target, by conditions, and looks at each.

        Args:
            conditions: As for `embed`.
            of: Which target.

        Returns:
            By name, (B, ...) each; without the first axis for a single index.

        Raises:
            ValueError: As for `embed`.
            NonFiniteWeightsError: If a NaN or an infinity is emitted; the message names the tensor.
        """
        made = self.emit(self.embed(conditions), of=of)
        _check_finite(made)
        return {name: tensor[0] for name, tensor in made.items()} if isinstance(conditions, int) else made

    def forward(self, inputs: Tensor, conditions: int | Tensor, *, of: str = _ONLY) -> Tensor:
        """Runs the networks of conditions.

        Args:
            inputs: What the network of one index takes; or (B, batch, ...), what each of B networks does.
            conditions: As for `embed`.
            of: Which target.

        Returns:
            What the network gives, or (B, batch, ...).
        """
        target = self._target(of)
        weights = self.emit(self.embed(conditions), of=of)
        if isinstance(conditions, int):
            return target.run({name: tensor[0] for name, tensor in weights.items()}, inputs, conditions)
        return target.run_many(weights, inputs, self._indices(conditions), same_inputs=False)

    def on_all(self, inputs: Tensor, conditions: Tensor | None = None, *, of: str = _ONLY) -> Tensor:
        """Runs the networks of several conditions on the same inputs, in one batched call.

        Args:
            inputs: What a network takes, (batch, ...).
            conditions: As for `embed`; absent: all learned ones.
            of: Which target.

        Returns:
            What each gives, (B, batch, ...).
        """
        if conditions is None:
            if self.num_conditions is None:
                raise ValueError("Expected `conditions` for the encoder, but got none.")
            conditions = torch.arange(self.num_conditions, device=self.embeddings.device)
        weights = self.emit(self.embed(conditions), of=of)
        return self._target(of).run_many(weights, inputs, self._indices(conditions), same_inputs=True)

    def run(self, weights: Params, inputs: Tensor, *, same_inputs: bool = False, of: str = _ONLY) -> Tensor:
        """Runs networks whose weights are at hand, each on inputs of its own: (B, batch, ...) to (B, batch, ...).

        With `same_inputs` all run on the same, (batch, ...).
        """
        return self._target(of).run_many(weights, inputs, None, same_inputs=same_inputs)

    def run_one(self, weights: Params, inputs: Tensor, condition: int = 0, *, of: str = _ONLY) -> Tensor:
        """Runs one network whose weights are at hand, without a first axis; buffers of its own are those of a condition."""
        return self._target(of).run(weights, inputs, condition)

    def network(self, condition: int | Tensor, *, of: str = _ONLY) -> nn.Module:
        """A network of the target's architecture with the weights of one condition, for good.

        Args:
            condition: An index, or what the encoder takes of one condition, (1, ...).
            of: Which target.

        Raises:
            ValueError: If it is of several.
            NonFiniteWeightsError: As for `weights`.
        """
        weights = self.weights(condition, of=of)
        if not isinstance(condition, int):
            if len(condition) != 1:
                raise ValueError(f"Expected one condition, but got {len(condition)}.")
            weights = {name: tensor[0] for name, tensor in weights.items()}
        return self._target(of).network(weights, condition if isinstance(condition, int) else 0)

    def train(self, mode: bool = True) -> "Hypernetwork":
        """Sets the mode of the targets too."""
        super().train(mode)
        for target in self._all_targets():
            target.skeleton.train(mode)
        return self

    def tensors(self, *, of: str = _ONLY) -> tuple[EmittedTensor, ...]:
        """What is emitted of a target."""
        return self._target(of).tensors

    def _emitted(self, embeddings_BE: Float[Tensor, "B E"], of: str) -> Float[Tensor, "B N"]:
        writer = self.writers[of]
        return (
            writer(self.body, embeddings_BE)
            if self.chunk_head is None
            else writer(self.body, self.chunk_head, embeddings_BE)
        )

    def _target(self, of: str) -> "WrittenTarget":
        if of not in self.targets:
            raise ValueError(f"Expected one of the targets {', '.join(self.targets)}, but got {of!r}.")
        target = self.targets[of]
        assert isinstance(target, WrittenTarget)
        return target

    def _all_targets(self) -> Iterable["WrittenTarget"]:
        return (self._target(name) for name in self.targets)

    def _indices(self, conditions: Tensor) -> Tensor | None:
        return None if self.encoder is not None else conditions


def _check_sizes(conditions: int | nn.Module, embedding_size: int, sizes: Iterable[int]) -> None:
    if isinstance(conditions, int) and conditions < 1:
        raise ValueError(f"Expected `conditions` to be positive, but got {conditions}.")
    if min(embedding_size, *sizes) < 1:
        raise ValueError(f"Expected positive sizes, but got {min(embedding_size, *sizes)}.")


def _check_memory(
    sizes: Mapping[str, Sequence[int]], layers: Sequence[int], heads: str, chunk_size: int | None
) -> None:
    """Refuses what would not fit with its gradients and moments, before anything of it is made."""
    inside = sum((one + 1) * other for one, other in pairwise(layers))
    num_emitted = sum(sum(own) for own in sizes.values())
    num_bodies = sum(len(own) for own in sizes.values()) if heads == "per_tensor" else 1
    numbers = inside * num_bodies + (layers[-1] + 1) * (chunk_size or num_emitted)
    device = torch.get_default_device()
    wanted, free = _COPIES * numbers * torch.get_default_dtype().itemsize, available_bytes(device)
    if free is not None and wanted > free:
        raise ValueError(
            f"Expected a hypernetwork that fits into the {readable_bytes(free)} free on {device}, but its {numbers:,} numbers "
            f"need {readable_bytes(wanted)} with gradients and moments: emit in chunks (`chunk_size`), emit less (`emits`, "
            "`LowRankEmission`), or have fewer hidden units."
        )


def _check_finite(weights: Params) -> None:
    for name, tensor in weights.items():
        if not bool(torch.isfinite(tensor).all()):
            raise NonFiniteWeightsError(
                f"Expected finite weights, but the hypernetwork emits a NaN or an infinity in {name!r}."
            )
