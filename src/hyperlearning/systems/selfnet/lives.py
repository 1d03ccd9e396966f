"""Lives of stores, stage by stage, as jobs: task networks are learned, taken in, recollected and tested."""

import copy
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from hyperlearning.core.params import Params, on_default_device
from hyperlearning.core.seeding import generator
from hyperlearning.core.weight_vectors import num_bytes
from hyperlearning.engine.rounds import Played, Rounds, RoundsState
from hyperlearning.learners.weight_codecs.codec import WeightCodec
from hyperlearning.learners.weight_codecs.residuals import QuantisedResiduals, symmetric
from hyperlearning.learners.weight_codecs.self_net import SelfNet
from hyperlearning.networks.weight_codec.autoencoder import cosines
from hyperlearning.networks.weight_codec.hashed import CodedNetwork
from hyperlearning.networks.weight_codec.masked import MaskedNetwork
from hyperlearning.systems.selfnet.lines import StageLine
from hyperlearning.systems.selfnet.settings import CodeSettings, MaskSettings, TaskTraining
from hyperlearning.systems.selfnet.task_networks import Judge, Tasks, first_network, train_by_adam, train_task

_OF_A_SEED = 16
"""Bytes of two integers, which places, signs and the source of coded networks follow from."""


class Store(NamedTuple):
    """A way to keep the networks of a life.

    Attributes:
        title: What a figure calls it.
        note: What it is, in a sentence.
        make: Makes a codec for vectors of a size.
        at_once: Whether it takes all vectors in as one batch.
    """

    title: str
    note: str
    make: Callable[[int], WeightCodec]
    at_once: bool = False


def learning_job(tasks: Tasks, training: TaskTraining, judge: Judge, *, buffer: int, seed: int) -> Rounds:
    """Builds the job that learns all tasks, each by a network of its own, `buffer` of them a round.

    Networks of the first round begin at one random network, all later ones at the mean of the first round's, to which they are
    pulled (dissertation, sections 2.3 and 2.4.2).
    """

    def play(state: RoundsState, source: torch.Generator) -> Played:
        begun, vectors_KN = time.monotonic(), state.tensors["vectors"]
        network, towards = first_network(seed), None
        if len(vectors_KN):
            vector_to_parameters(vectors_KN[:buffer].mean(0), network.parameters())
            towards = {name: tensor.detach().clone() for name, tensor in network.named_parameters()}
        learned = []
        for number in range(len(vectors_KN), min(len(vectors_KN) + buffer, len(tasks))):
            own = copy.deepcopy(network)
            train_task(own, tasks.train(number), training, source, towards=towards)
            learned.append(parameters_to_vector(own.parameters()).detach())
        vectors_KN = torch.cat([vectors_KN, torch.stack(learned)])
        return _played({"vectors": vectors_KN}, state.round + 1, judge, vectors_KN, 4 * vectors_KN.numel(), begun)

    size = sum(parameter.numel() for parameter in first_network(seed).parameters())
    return _rounds(play, {"vectors": torch.zeros(0, size)}, tasks, buffer, generator(seed, "task networks' order"))


def store_job(store: Store, vectors_KN: Tensor, tasks: Tasks, judge: Judge, *, buffer: int) -> Rounds:
    """Builds the job that lets a store take in the vectors of all tasks, `buffer` of them a round, or all at once."""
    size = vectors_KN.shape[1]
    buffer = len(vectors_KN) if store.at_once else buffer

    def play(state: RoundsState, source: torch.Generator) -> Played:
        begun, codec = time.monotonic(), store.make(size)
        if state.round:
            codec.restore(state.tensors)
        codec.learn(vectors_KN[state.round * buffer : (state.round + 1) * buffer])
        kept, back_KN = codec.tensors(), codec.recollect()
        return _played(
            {name: on_default_device(tensor.clone()) for name, tensor in kept.items()},
            state.round + 1,
            judge,
            back_KN,
            num_bytes(kept),
            begun,
            trained_KN=vectors_KN,
            codec=codec,
        )

    return _rounds(play, {}, tasks, buffer, torch.Generator())


def coding_job(
    tasks: Tasks, codes: CodeSettings, judge: Judge, *, code_size: int, batch: int, buffer: int, seed: int
) -> Rounds:
    """Builds the job that learns every task as a code, around a random network that follows from the seed."""
    base = first_network(seed)

    def codec() -> QuantisedResiduals:
        return QuantisedResiduals(code_size, symmetric(codes.code_bits), coder="none", around="zero")

    def play(state: RoundsState, source: torch.Generator) -> Played:
        begun, own = time.monotonic(), codec()
        if state.round:
            own.restore(state.tensors)
        learned = []
        for number in range(own.num_kept, min(own.num_kept + buffer, len(tasks))):
            network = CodedNetwork(base, code_size=code_size, seed=seed)
            train_by_adam(
                network, tasks.train(number), source, lr=codes.code_lr, num_epochs=codes.code_epochs, batch=batch
            )
            learned.append(network.code.detach())
        own.learn(torch.stack(learned))
        kept, network = own.tensors(), CodedNetwork(base, code_size=code_size, seed=seed)
        vectors = [_weights_of(network, code) for code in own.recollect()]
        return _played(dict(kept), state.round + 1, judge, torch.stack(vectors), num_bytes(kept) + _OF_A_SEED, begun)

    return _rounds(play, {}, tasks, buffer, generator(seed, "coded networks' order"))


def masking_job(tasks: Tasks, masks: MaskSettings, judge: Judge, *, batch: int, buffer: int, seed: int) -> Rounds:
    """Builds the job that learns every task as a mask on a random network that follows from the seed, a bit a weight."""
    base = first_network(seed)

    def play(state: RoundsState, source: torch.Generator) -> Played:
        begun, bits_KM = time.monotonic(), state.tensors["bits"]
        for number in range(len(bits_KM), min(len(bits_KM) + buffer, len(tasks))):
            network = MaskedNetwork(base, share=masks.mask_share, generator=source)
            train_by_adam(
                network, tasks.train(number), source, lr=masks.mask_lr, num_epochs=masks.mask_epochs, batch=batch
            )
            bits_KM = torch.cat([bits_KM, network.mask()[None]])
        network = MaskedNetwork(base, share=masks.mask_share)
        vectors = [parameters_to_vector(network.masked(bits).values()) for bits in bits_KM]
        kept_bytes = len(bits_KM) * -(-bits_KM.shape[1] // 8) + _OF_A_SEED
        return _played({"bits": bits_KM}, state.round + 1, judge, torch.stack(vectors), kept_bytes, begun)

    num_masked = len(MaskedNetwork(base, share=masks.mask_share).scores)
    initial = {"bits": torch.zeros(0, num_masked, dtype=torch.bool)}
    return _rounds(play, initial, tasks, buffer, generator(seed, "masked networks' order"))


@torch.no_grad()
def _weights_of(network: CodedNetwork, code: Tensor) -> Tensor:
    network.load_code(code)
    return parameters_to_vector(network.weights().values())


def _rounds(
    play: Callable[[RoundsState, torch.Generator], Played],
    initial: Params,
    tasks: Tasks,
    buffer: int,
    source: torch.Generator,
) -> Rounds:
    return Rounds(
        initial=RoundsState(initial, {}, 0, source.get_state()),
        play=play,
        num_rounds=-(-len(tasks) // buffer),
        source=source,
        title="stages",
        unit="stages",
    )


def _played(
    tensors: Params,
    stage: int,
    judge: Judge,
    back_KN: Tensor,
    kept_bytes: int,
    begun: float,
    *,
    trained_KN: Tensor | None = None,
    codec: WeightCodec | None = None,
) -> Played:
    accuracies = judge.accuracies(back_KN)
    near = () if trained_KN is None else cosines(back_KN, trained_KN[: len(back_KN)]).tolist()
    last = codec.stages[-1] if isinstance(codec, SelfNet) else None
    line = StageLine(
        stage=stage,
        accuracies=tuple(round(value, 5) for value in accuracies),
        num_bytes=kept_bytes,
        cosines=tuple(round(value, 5) for value in near),
        iterations=last.iterations if last else None,
        to_targets=round(last.to_targets, 5) if last else None,
        seconds=round(time.monotonic() - begun, 2),
    )
    return Played(tensors, {}, line, f"{len(back_KN)} tasks: {sum(accuracies) / len(accuracies):.4f}")
