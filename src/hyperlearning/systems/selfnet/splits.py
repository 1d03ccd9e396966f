"""Networks of several architectures in one autoencoder, and one network in pieces: what is learned, and how fast.

Source: dissertation, section 2.4.8 and figure 2.7.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hyperlearning.core.params import Params
from hyperlearning.core.seeding import generator
from hyperlearning.core.weight_vectors import Weights, join, num_bytes, split, weights_of, with_weights
from hyperlearning.engine.rounds import Played, Rounds, RoundsState
from hyperlearning.learners.weight_codecs.codec import WeightCodec
from hyperlearning.learners.weight_codecs.residuals import QuantisedResiduals, symmetric
from hyperlearning.learners.weight_codecs.self_net import SelfNet, SelfNetRule
from hyperlearning.learners.weight_codecs.shared import MeanAlone
from hyperlearning.learners.weight_store import WeightStore
from hyperlearning.networks.weight_codec.autoencoder import cosines
from hyperlearning.systems.selfnet.settings import TaskTraining
from hyperlearning.systems.selfnet.split_lines import PiecesLine, SharedLine, TaughtLine
from hyperlearning.systems.selfnet.split_networks import COLOUR, SplitsData, Taught, taught_networks
from hyperlearning.systems.selfnet.task_networks import TaskNetwork, accuracy

_LOOKS = tuple(
    dict.fromkeys(step * 10**power // 10 for power in range(4) for step in (10, 12, 15, 20, 25, 30, 40, 50, 60, 80))
)
"""Iterations after which recollected networks are tested; also after the last."""


class Cut(NamedTuple):
    """A way to learn one network.

    Attributes:
        num_pieces: Pieces that it is cut into.
        one_by_one: Whether each makes an update of its own.
    """

    num_pieces: int
    one_by_one: bool


def teaching_job(data: SplitsData, training: TaskTraining, *, repetitions: int, seed: int) -> Rounds:
    """Builds the job that trains the networks of all repetitions, one repetition a round."""

    def play(state: RoundsState, source: torch.Generator) -> Played:
        own, learned = taught_networks(data, training, seed, state.round), {}
        accuracies, sizes = [], []
        for name, taught in own.items():
            taught.train(taught.first, taught.data("train"), source)
            accuracies.append(_scored(taught.first, taught))
            sizes.append(weights_of(taught.first).header.size)
            learned |= {f"{state.round}/{name}/{key}": own for key, own in _state_of(taught.first).items()}
        line = TaughtLine(
            repetition=state.round + 1,
            names=tuple(own),
            titles=tuple(taught.title for taught in own.values()),
            sizes=tuple(sizes),
            accuracies=tuple(accuracies),
        )
        return Played(state.tensors | learned, {}, line, " ".join(f"{score:.3f}" for score in accuracies))

    return _rounds(play, repetitions, generator(seed, "order of images"), "training networks")


def _state_of(network: nn.Module) -> Params:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def trained_network(taught: Taught, learned: Params, repetition: int, name: str) -> nn.Module:
    """Rebuilds a network from the last state of `teaching_job`."""
    prefix = f"{repetition}/{name}/"
    taught.first.load_state_dict(
        {key.removeprefix(prefix): tensor for key, tensor in learned.items() if key.startswith(prefix)}
    )
    return taught.first


def pieces_job(
    cuts: Sequence[Cut],
    rule: SelfNetRule,
    networks: Callable[[int], Mapping[str, Taught]],
    learned: Params,
    *,
    repetitions: int,
    seed: int,
) -> Rounds:
    """Builds the job that lets autoencoders learn the network for colour images, every cut of one repetition after another.

    Args:
        cuts: Ways to learn it.
        rule: Of autoencoders; its code is that of the whole network, and pieces share it.
        networks: Lists the networks of a repetition.
        learned: The last state of `teaching_job`.
        repetitions: Networks.
        seed: Of autoencoders.
    """

    def play(state: RoundsState, source: torch.Generator) -> Played:
        repetition, place = divmod(state.round, len(cuts))
        taught = networks(repetition)[COLOUR]
        network = trained_network(taught, learned, repetition, COLOUR)
        line = _learn_pieces(cuts[place], rule, network, taught, repetition, _drawn_seed(source))
        return Played({}, {}, line, f"cosine {line.cosines[-1]:.4f}, accuracy {line.accuracies[-1]:.4f}")

    return _rounds(play, repetitions * len(cuts), generator(seed, "autoencoders of pieces"), "learning pieces")


def _learn_pieces(
    cut: Cut, rule: SelfNetRule, network: nn.Module, taught: Taught, repetition: int, seed: int
) -> PiecesLine:
    weights = weights_of(network)
    size = -(-weights.header.size // cut.num_pieces)
    own = replace(rule, code_size=rule.code_size // cut.num_pieces, one_by_one=cut.one_by_one)
    pieces_PS = split(weights.vector, size)
    near, worst, scores = [], [], []

    def look(iteration: int) -> None:
        with watched.paused():
            made_PS = codec.recollect()
            vector = join(made_PS, weights.header.size)
            near.append(round(float(cosines(vector[None], weights.vector[None])), 6))
            worst.append(round(float(cosines(made_PS, pieces_PS).min()), 6))
            if iteration in watched.looks:
                scores.append(_scored(with_weights(network, Weights(weights.header, vector, {})), taught))

    codec = SelfNet(size, own, seed=seed, watch=look)
    watched = _Watched(own.max_iterations[0])
    codec.learn(pieces_PS)
    kept = codec.tensors()
    return PiecesLine(
        repetition=repetition + 1,
        num_pieces=cut.num_pieces,
        one_by_one=cut.one_by_one,
        size=size,
        code_size=own.code_size,
        num_parameters=sum(tensor.numel() for name, tensor in kept.items() if name.startswith("network/")),
        num_bytes=num_bytes(kept),
        undisturbed=_scored(network, taught),
        cosines=tuple(near),
        worst=tuple(worst),
        seconds=tuple(watched.seconds),
        looks=tuple(watched.looks),
        accuracies=tuple(scores),
    )


class _Watched:
    """Which iterations are looked at, and the processor's seconds of training before each of them."""

    def __init__(self, most: int) -> None:
        self.looks = [number for number in _LOOKS if number < most] + [most]
        self.seconds: list[float] = []
        self._begun, self._spent = time.process_time(), 0.0

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Takes the time of an iteration; the clock stands still within."""
        self._spent += time.process_time() - self._begun
        self.seconds.append(round(self._spent, 4))
        yield
        self._begun = time.process_time()


class SharedStore(NamedTuple):
    """A store for networks of several architectures.

    Attributes:
        title: What a figure calls it.
        make: Makes its codec, given the size of a piece, a seed, and what is called after every iteration.
    """

    title: str
    make: Callable[[int, int, Callable[[int], None]], WeightCodec]


def shared_stores(rule: SelfNetRule) -> Mapping[str, SharedStore]:
    """Lists them: Self-Net, and what needs no training."""
    return {
        "self_net": SharedStore("Self-Net", lambda size, seed, look: SelfNet(size, rule, seed=seed, watch=look)),
        "bits_4": SharedStore("4 bits", lambda size, *_: QuantisedResiduals(size, 4, around="zero")),
        "bits_8": SharedStore("8 bits", lambda size, *_: QuantisedResiduals(size, symmetric(8), around="zero")),
        "differences_4": SharedStore("differences to the mean, 4 bits", lambda size, *_: QuantisedResiduals(size, 4)),
        "mean": SharedStore("mean", lambda size, *_: MeanAlone(size)),
    }


def shared_job(
    rule: SelfNetRule,
    networks: Callable[[int], Mapping[str, Taught]],
    learned: Params,
    *,
    repetitions: int,
    seed: int,
) -> Rounds:
    """Builds the job that lets every store take in all networks of a repetition at once.

    Args:
        rule: Of Self-Net's autoencoder.
        networks: Lists the networks of a repetition.
        learned: The last state of `teaching_job`.
        repetitions: How many.
        seed: Of autoencoders.
    """
    stores = shared_stores(rule)

    def play(state: RoundsState, source: torch.Generator) -> Played:
        repetition, place = divmod(state.round, len(stores))
        name = list(stores)[place]
        line = _share(name, stores[name], networks(repetition), learned, repetition, rule, _drawn_seed(source))
        return Played({}, {}, line, f"{line.title}: " + " ".join(f"{score:.3f}" for score in line.accuracies[-1]))

    return _rounds(play, repetitions * len(stores), generator(seed, "autoencoders of stores"), "taking networks in")


def _share(
    name: str,
    own: SharedStore,
    networks: Mapping[str, Taught],
    learned: Params,
    repetition: int,
    rule: SelfNetRule,
    seed: int,
) -> SharedLine:
    trained = {key: trained_network(taught, learned, repetition, key) for key, taught in networks.items()}
    vectors = {key: weights_of(network).vector for key, network in trained.items()}
    watched = _Watched(rule.max_iterations[0])
    looks, scores, near = [], [], []

    def look(iteration: int) -> None:
        if iteration in (0, *watched.looks):
            got = {key: store.get(key) for key in trained}
            looks.append(iteration)
            scores.append(tuple(_scored(network, networks[key]) for key, network in got.items()))
            near.append(tuple(_near(weights_of(network).vector, vectors[key]) for key, network in got.items()))

    store = WeightStore(own.make(_piece_size(), seed, look), buffer=len(trained))
    for key, network in trained.items():
        store.put(key, network)
    if not looks:
        look(0)
    return SharedLine(
        repetition=repetition + 1,
        store=name,
        title=own.title,
        num_bytes=store.bytes(),
        unit=sum(4 * vector.numel() for vector in vectors.values()),
        looks=tuple(looks),
        accuracies=tuple(scores),
        cosines=tuple(near),
    )


def _piece_size() -> int:
    """Numbers of a network for digits: each of them is one piece."""
    return sum(tensor.numel() for tensor in TaskNetwork(torch.Generator()).parameters())


def _near(vector: Tensor, other: Tensor) -> float:
    return round(float(cosines(vector[None], other[None])), 6)


def _scored(network: nn.Module, taught: Taught) -> float:
    return round(accuracy(network, taught.data("test")), 5)


def _drawn_seed(source: torch.Generator) -> int:
    return int(torch.randint(2**31, (), generator=source))


def _rounds(
    play: Callable[[RoundsState, torch.Generator], Played], num_rounds: int, source: torch.Generator, title: str
) -> Rounds:
    return Rounds(
        initial=RoundsState({}, {}, 0, source.get_state()),
        play=play,
        num_rounds=num_rounds,
        source=source,
        title=title,
        unit="rounds",
    )
