"""Every way to keep task networks as vectors, by name."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal, NamedTuple

from hyperlearning.learners.weight_codecs.codec import WeightCodec
from hyperlearning.learners.weight_codecs.low_rank import LowRankResiduals
from hyperlearning.learners.weight_codecs.principal import PrincipalComponents
from hyperlearning.learners.weight_codecs.product import ProductQuantised
from hyperlearning.learners.weight_codecs.residuals import QuantisedResiduals, pruned, ternary, uniform
from hyperlearning.learners.weight_codecs.self_net import SelfNet, SelfNetRule
from hyperlearning.learners.weight_codecs.shared import MeanAlone
from hyperlearning.systems.selfnet.tasks import Tasks

StoreName = Literal[
    "source",
    "mean",
    "principal",
    "bits_8",
    "bits_4",
    "bits_3",
    "bits_2",
    "ternary",
    "pruned",
    "low_rank",
    "product",
    "self_net",
    "self_net_text",
    "self_net_code",
    "self_net_at_once",
]


class Store(NamedTuple):
    """A way to keep the networks of a life.

    Attributes:
        title: What a figure calls it.
        note: What it is, in a sentence.
        make: Makes a codec for vectors of a size.
        at_once: Whether it takes all vectors in as one batch.
        pieces: Equal pieces that every network is cut into, each a vector of the codec's.
    """

    title: str
    note: str
    make: Callable[[int], WeightCodec]
    at_once: bool = False
    pieces: int = 1


class SelfNetSizes(NamedTuple):
    """What Self-Net's kinds have in common.

    Attributes:
        latent: Numbers that are kept of a vector, s.
        iterations: The most iterations of the first stage, and of every later one, as the text and the code have it.
        own_iterations: Likewise of Self-Net of ours; absent: the same.
        thresholds: The cosine that ends stages as the text and the code have them: the first, the second, and so on.
        every: Whether the code waits for every vector's cosine, else for their mean, as the text does.
        hidden: Sizes of hidden layers between a vector and its code, as the text has them; none in Self-Net of ours.
        pieces: Equal pieces that networks are cut into.
    """

    latent: int
    iterations: tuple[int, int]
    own_iterations: tuple[int, int] | None = None
    thresholds: tuple[float, ...] = (0.9996, 0.987, 0.986)
    every: bool = False
    hidden: tuple[int, ...] = ()
    pieces: int = 1


def stores_of(tasks: Tasks, sizes: SelfNetSizes, *, seed: int) -> Mapping[StoreName, Store]:
    """Lists all stores, for networks of a life's form."""
    size = sizes.latent

    def residuals(bits: int, clip: float) -> Callable[[int], QuantisedResiduals]:
        return lambda num_weights: QuantisedResiduals(num_weights, uniform(bits, clip=clip))

    shapes = [tuple(tensor.shape) for tensor in tasks.first().parameters()]
    return {
        "source": Store("source network", "the mean of the first stage's networks, for all tasks", MeanAlone),
        "mean": Store("mean network", "the mean of all networks so far, for all tasks", partial(MeanAlone, of="all")),
        "principal": Store(
            "principal components",
            f"a mean and {size} directions, fitted at every stage to recollections and new networks; {size} numbers a network",
            partial(PrincipalComponents, num_components=size),
        ),
        "bits_8": Store(
            "differences, 8 bits",
            "to the mean of the first stage's networks, clipped, compressed by LZMA",
            residuals(8, 6.0),
        ),
        "bits_4": Store("differences, 4 bits", "likewise", residuals(4, 3.5)),
        "bits_3": Store("differences, 3 bits", "likewise", residuals(3, 3.5)),
        "bits_2": Store("differences, 2 bits", "likewise", residuals(2, 2.5)),
        "ternary": Store(
            "differences, ternary",
            "likewise, 0 below 1.5 standard deviations",
            lambda num_weights: QuantisedResiduals(num_weights, ternary(threshold=1.5)),
        ),
        "pruned": Store(
            "differences, the largest tenth",
            "likewise, by size, in 4 bits; all others 0",
            lambda num_weights: QuantisedResiduals(num_weights, pruned(0.1, bits=4)),
        ),
        "low_rank": Store(
            "differences, rank 2",
            "likewise, every tensor's largest two singular values and their directions, float16",
            lambda _: LowRankResiduals(shapes, rank=2),
        ),
        "product": Store(
            "differences, product quantised",
            "likewise, a byte for eight weights, the place of their nearest centre among 256",
            partial(ProductQuantised, piece=8, seed=seed),
        ),
        **_self_nets(sizes, seed),
    }


def _self_nets(sizes: SelfNetSizes, seed: int) -> dict[StoreName, Store]:
    """Self-Net in its three kinds, and given all networks at once."""
    size, iterations = sizes.latent, sizes.iterations
    batch = SelfNetRule(code_size=size, thresholds=(0.9999,), max_iterations=sizes.own_iterations or iterations)
    text = SelfNetRule(
        code_size=size,
        hidden=sizes.hidden,
        loss="cosine",
        contraction="exact",
        slow_inputs=False,
        standardised=False,
        thresholds=sizes.thresholds,
        max_iterations=iterations,
        lrs=(3e-3, 1e-4),
    )
    code = SelfNetRule(
        code_size=size,
        hidden=sizes.hidden,
        contraction="authors",
        one_by_one=True,
        again_below_mean=True,
        every=sizes.every,
        least_iterations=11,
        slow_inputs=False,
        standardised=False,
        thresholds=sizes.thresholds,
        max_iterations=iterations,
        lrs=(3e-3, 1e-4),
    )

    def self_net(rule: SelfNetRule) -> Callable[[int], SelfNet]:
        return lambda num_weights: SelfNet(num_weights, rule, seed=seed)

    found: dict[StoreName, Store] = {
        "self_net": Store(
            "Self-Net",
            f"an autoencoder with {size} hidden units, on standardised weights, all networks as one batch, as long as it may",
            self_net(batch),
        ),
        "self_net_text": Store(
            "Self-Net, as the text has it",
            "likewise, 1 - cosine and the exact contractive term, on the weights as they are",
            self_net(text),
        ),
        "self_net_code": Store(
            "Self-Net, as the code has it",
            "likewise, squared errors and the authors' contractive term, one network at a time, the worse half twice",
            self_net(code),
        ),
        "self_net_at_once": Store(
            "Self-Net, all at once",
            "the same as Self-Net, given all networks in one batch",
            self_net(batch),
            at_once=True,
        ),
    }
    return {name: store._replace(pieces=sizes.pieces) for name, store in found.items()}
