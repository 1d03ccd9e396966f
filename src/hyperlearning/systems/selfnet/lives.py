"""Lives of stores, stage by stage, as jobs: task networks are learned, taken in, recollected and tested."""

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from hyperlearning.core.params import Params, on_default_device
from hyperlearning.core.seeding import generator
from hyperlearning.core.weight_vectors import join, num_bytes, split
from hyperlearning.engine.rounds import Played, Rounds, RoundsState
from hyperlearning.learners.continual.learner import PlainGradients, Sgd
from hyperlearning.learners.continual.strengths import strengths
from hyperlearning.learners.weight_codecs.codec import WeightCodec
from hyperlearning.learners.weight_codecs.residuals import QuantisedResiduals, stepped
from hyperlearning.learners.weight_codecs.self_net import SelfNet
from hyperlearning.networks.many_headed import ManyHeaded
from hyperlearning.networks.weight_codec.autoencoder import cosines
from hyperlearning.networks.weight_codec.hashed import CodedNetwork
from hyperlearning.networks.weight_codec.masked import MaskedNetwork, signed_constants
from hyperlearning.streams.binary_tasks import TaskData
from hyperlearning.systems.selfnet.lines import StageLine, TrialLine
from hyperlearning.systems.selfnet.rivals import Learner, Rival
from hyperlearning.systems.selfnet.settings import CodeSettings, MaskSettings, TaskTraining
from hyperlearning.systems.selfnet.stores import Store
from hyperlearning.systems.selfnet.tasks import Judge, Tasks
from hyperlearning.systems.selfnet.together import order_of, train_together, train_together_by_adam

_OF_A_SEED = 16
"""Bytes of two integers, which places, signs and the source of coded networks follow from."""


def learning_job(tasks: Tasks, training: TaskTraining, judge: Judge, *, buffer: int, seed: int) -> Rounds:
    """Builds the job that learns all tasks, each by a network of its own, `buffer` of them a round.

    Networks of the first round begin at one random network, all later ones at the mean of the first round's, to which they are
    pulled (dissertation, sections 2.3 and 2.4.2).
    """

    def play(state: RoundsState, source: torch.Generator) -> Played:
        begun, vectors_KN = time.monotonic(), state.tensors["vectors"]
        network, towards = tasks.first(), None
        if len(vectors_KN):
            vector_to_parameters(vectors_KN[:buffer].mean(0), network.parameters())
            towards = {name: tensor.detach().clone() for name, tensor in network.named_parameters()}
        data = _next(tasks, len(vectors_KN), buffer)
        networks = [copy.deepcopy(network) for _ in data]
        orders = [order_of(own, training.task_epochs, source) for own in data]
        train_together(networks, data, training, orders, towards=towards)
        vectors_KN = torch.cat([vectors_KN, _vectors(networks)])
        return _played({"vectors": vectors_KN}, state.round + 1, judge, vectors_KN, 4 * vectors_KN.numel(), begun)

    return _rounds(
        play, {"vectors": torch.zeros(0, tasks.num_weights)}, tasks, buffer, generator(seed, "task networks' order")
    )


def store_vectors(tasks: Tasks, kept: Params, *, store: Store) -> Tensor:
    """Recollects the weights of all networks, (K, N), from what a store's job keeps of them."""
    codec = store.make(-(-tasks.num_weights // store.pieces))
    codec.restore(kept)
    return _joined(codec, store, tasks.num_weights)


def _joined(codec: WeightCodec, store: Store, length: int) -> Tensor:
    return torch.stack([join(pieces, length) for pieces in codec.recollect().split(store.pieces)])


def adam_job(tasks: Tasks, training: TaskTraining, judge: Judge, *, buffer: int, seed: int) -> Rounds:
    """Builds the job that learns every task by a network of its own as coded networks are learned, from one random network."""

    def play(state: RoundsState, source: torch.Generator) -> Played:
        begun, vectors_KN = time.monotonic(), state.tensors["vectors"]
        data = _next(tasks, len(vectors_KN), buffer)
        networks: list[nn.Module] = [tasks.first() for _ in data]
        orders = [order_of(own, training.task_epochs, source) for own in data]
        train_together_by_adam(networks, data, orders, lr=training.adam_lr, batch=training.task_batch)
        vectors_KN = torch.cat([vectors_KN, _vectors(networks)])
        return _played({"vectors": vectors_KN}, state.round + 1, judge, vectors_KN, 4 * vectors_KN.numel(), begun)

    initial = {"vectors": torch.zeros(0, tasks.num_weights)}
    return _rounds(play, initial, tasks, buffer, generator(seed, "task networks' order, by Adam"))


def store_job(store: Store, vectors_KN: Tensor, tasks: Tasks, judge: Judge, *, buffer: int) -> Rounds:
    """Builds the job that lets a store take in the vectors of all tasks, `buffer` of them a round, or all at once."""
    length = vectors_KN.shape[1]
    size = -(-length // store.pieces)
    buffer = len(vectors_KN) if store.at_once else buffer

    def play(state: RoundsState, source: torch.Generator) -> Played:
        begun, codec = time.monotonic(), store.make(size)
        if state.round:
            codec.restore(state.tensors)
        new_KN = vectors_KN[state.round * buffer : (state.round + 1) * buffer]
        codec.learn(torch.cat([split(vector, size) for vector in new_KN]))
        kept = codec.tensors()
        back_KN = _joined(codec, store, length)
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

    def play(state: RoundsState, source: torch.Generator) -> Played:
        begun, own = time.monotonic(), _code_store(codes, code_size)
        if state.round:
            own.restore(state.tensors)
        data = _next(tasks, own.num_kept, buffer)
        networks = [_coded(tasks, codes, code_size, seed) for _ in data]
        orders = [order_of(one, codes.code_epochs, source) for one in data]
        train_together_by_adam(networks, data, orders, lr=codes.code_lr, batch=batch)
        own.learn(torch.stack([network.rounded() for network in networks]))
        kept = own.tensors()
        vectors_KN = coded_vectors(tasks, kept, codes, code_size=code_size, seed=seed)
        return _played(dict(kept), state.round + 1, judge, vectors_KN, num_bytes(kept) + _OF_A_SEED, begun)

    return _rounds(play, {}, tasks, buffer, generator(seed, "coded networks' order"))


def coded_vectors(tasks: Tasks, kept: Params, codes: CodeSettings, *, code_size: int, seed: int) -> Tensor:
    """Recollects the weights of all coded networks, (K, N), from what the job's state keeps of them."""
    own, network = _code_store(codes, code_size), _coded(tasks, codes, code_size, seed)
    own.restore(kept)
    return torch.stack([_weights_of(network, code) for code in own.recollect()])


def _coded(tasks: Tasks, codes: CodeSettings, code_size: int, seed: int) -> CodedNetwork:
    return CodedNetwork(tasks.first(), code_size=code_size, step=codes.code_step, seed=seed)


def _code_store(codes: CodeSettings, code_size: int) -> QuantisedResiduals:
    return QuantisedResiduals(code_size, stepped(codes.code_step), coder="huffman", around="zero")


def masking_job(tasks: Tasks, masks: MaskSettings, judge: Judge, *, batch: int, buffer: int, seed: int) -> Rounds:
    """Builds the job that learns every task as a mask on a random network that follows from the seed, a bit a weight."""
    base = _to_be_masked(tasks, masks)

    def play(state: RoundsState, source: torch.Generator) -> Played:
        begun, bits_KM = time.monotonic(), state.tensors["bits"]
        data, networks, orders = _next(tasks, len(bits_KM), buffer), [], []
        for own in data:
            networks.append(MaskedNetwork(base, share=masks.mask_share, generator=source))
            orders.append(order_of(own, masks.mask_epochs, source))
        train_together_by_adam(networks, data, orders, lr=masks.mask_lr, batch=batch)
        bits_KM = torch.cat([bits_KM, torch.stack([network.mask() for network in networks])])
        vectors_KN = masked_vectors(tasks, {"bits": bits_KM}, masks=masks)
        kept_bytes = len(bits_KM) * -(-bits_KM.shape[1] // 8) + _OF_A_SEED
        return _played({"bits": bits_KM}, state.round + 1, judge, vectors_KN, kept_bytes, begun)

    num_masked = len(MaskedNetwork(base, share=masks.mask_share).scores)
    initial = {"bits": torch.zeros(0, num_masked, dtype=torch.bool)}
    return _rounds(play, initial, tasks, buffer, generator(seed, "masked networks' order"))


def masked_vectors(tasks: Tasks, kept: Params, *, masks: MaskSettings) -> Tensor:
    """Recollects the weights of all masked networks, (K, N), from what the job's state keeps of them."""
    network = MaskedNetwork(_to_be_masked(tasks, masks), share=masks.mask_share)
    return torch.stack([parameters_to_vector(network.masked(bits).values()) for bits in kept["bits"]])


def _to_be_masked(tasks: Tasks, masks: MaskSettings) -> nn.Module:
    return signed_constants(tasks.first(), share=masks.mask_share)


def continual_job(rival: Rival, strength: float, tasks: Tasks, *, buffer: int, seed: int) -> Rounds:
    """Builds the job that lets one network learn all tasks, `buffer` of them a round."""

    def play(state: RoundsState, source: torch.Generator) -> Played:
        begun, learner = time.monotonic(), rival.make(tasks.first(), strength)
        if state.round:
            learner.restore(state.tensors, state.round * buffer)
        for number in range(learner.num_tasks, min(learner.num_tasks + buffer, len(tasks))):
            learner.learn(*tasks.train(number), source)
        kept = {name: tensor.clone() for name, tensor in learner.tensors().items()}
        found = [_right(learner, tasks, number) for number in range(learner.num_tasks)]
        return _told(kept, _line(state.round + 1, found, num_bytes(kept), begun))

    return _rounds(play, {}, tasks, buffer, generator(seed, f"order of {rival.method}"))


def tuning_job(rival: Rival, tasks: Tasks, *, trials: int, seed: int) -> Rounds:
    """Builds the job that tries strengths of a continual learner on tasks that are none of a life's, a life a round."""
    if rival.first_strength is None:
        raise ValueError(f"Expected a learner with a strength, but got {rival.title}.")
    begun = strengths(rival.first_strength, trials)

    def play(state: RoundsState, source: torch.Generator) -> Played:
        climb = begun._replace(scores={int(place): score for place, score in state.facts.items()})
        place = climb.next
        if place is None:
            raise AssertionError("More rounds than trials.")
        strength = climb.strength(place)
        learner = rival.make(tasks.first(), strength)
        for number in range(len(tasks)):
            learner.learn(*tasks.train(number), generator(seed, f"order of trials, task {number}"))
        score = sum(_right(learner, tasks, number) for number in range(len(tasks))) / len(tasks)
        line = TrialLine(trial=state.round + 1, strength=strength, accuracy=round(score, 5))
        facts = {str(known): value for known, value in climb.tried(place, line.accuracy).scores.items()}
        return Played({}, facts, line, f"strength {strength:g}: {score:.4f}")

    source = generator(seed, "trials")
    initial = RoundsState({}, {}, 0, source.get_state())
    return Rounds(initial=initial, play=play, num_rounds=trials, source=source, title="trials", unit="trials")


def best_strength(trials: list[TrialLine]) -> float:
    """The strength that did best; of equals the weakest."""
    return max(sorted(trials, key=lambda trial: trial.strength), key=lambda trial: trial.accuracy).strength


def joint_job(tasks: Tasks, training: TaskTraining, *, own_heads: bool, seed: int) -> Rounds:
    """Builds the job that learns all tasks at once, a batch of one after a batch of another: what forgetting is measured by."""
    sgd = Sgd(training.task_epochs, training.task_batch, training.task_lr, training.task_momentum)

    def play(state: RoundsState, source: torch.Generator) -> Played:
        begun, network = time.monotonic(), ManyHeaded(tasks.first(), own_heads=own_heads)
        data = [tasks.train(number) for number in range(len(tasks))]
        for _ in data:
            network.add_task()
        optimizer = torch.optim.SGD(network.parameters(), lr=sgd.lr, momentum=sgd.momentum)
        fast = [PlainGradients.of(network, *own, number) for number, own in enumerate(data)]
        for number, places in _mixed([len(own.labels) for own in data], sgd, source):
            optimizer.zero_grad()
            own, kernel = data[number], fast[number]
            if kernel is not None:
                kernel.backward(places)
            else:
                cross_entropy(network(own.images[places], number), own.labels[places]).backward()
            optimizer.step()
        kept = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
        with torch.no_grad():
            found = [
                _share_right(network(tasks.test(number).images, number), tasks.test(number).labels)
                for number in range(len(tasks))
            ]
        return _told(kept, _line(1, found, num_bytes(kept), begun))

    return _rounds(play, {}, tasks, len(tasks), generator(seed, "joint order"))


def _mixed(sizes: list[int], sgd: Sgd, source: torch.Generator) -> Iterator[tuple[int, Tensor]]:
    """All batches of all tasks in one random order, an epoch after another."""
    for _ in range(sgd.num_epochs):
        batches = [
            (number, places)
            for number, size in enumerate(sizes)
            for places in torch.randperm(size, generator=source).split(sgd.batch)
        ]
        for place in torch.randperm(len(batches), generator=source).tolist():
            yield batches[place]


def _right(learner: Learner, tasks: Tasks, number: int) -> float:
    data = tasks.test(number)
    return _share_right(learner.scores(data.images, number), data.labels)


def _share_right(scores: Tensor, labels: Tensor) -> float:
    return float((scores.argmax(1) == labels).float().mean())


def _next(tasks: Tasks, num_learned: int, buffer: int) -> list[TaskData]:
    """Examples of the tasks of a stage."""
    return [tasks.train(number) for number in range(num_learned, min(num_learned + buffer, len(tasks)))]


def _vectors(networks: Sequence[nn.Module]) -> Tensor:
    return torch.stack([parameters_to_vector(network.parameters()).detach() for network in networks])


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
    near = () if trained_KN is None else cosines(back_KN, trained_KN[: len(back_KN)]).tolist()
    last = codec.stages[-1] if isinstance(codec, SelfNet) else None
    line = replace(
        _line(stage, judge.accuracies(back_KN), kept_bytes, begun),
        cosines=tuple(round(value, 5) for value in near),
        iterations=last.iterations if last else None,
        to_targets=round(last.to_targets, 5) if last else None,
    )
    return _told(tensors, line)


def _line(stage: int, accuracies: list[float], kept_bytes: int, begun: float) -> StageLine:
    return StageLine(
        stage=stage,
        accuracies=tuple(round(value, 5) for value in accuracies),
        num_bytes=kept_bytes,
        seconds=round(time.monotonic() - begun, 2),
    )


def _told(tensors: Params, line: StageLine) -> Played:
    return Played(tensors, {}, line, f"{len(line.accuracies)} tasks: {sum(line.accuracies) / len(line.accuracies):.4f}")
