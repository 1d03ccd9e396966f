"""Self-Net: an autoencoder that is trained, stage after stage, on its own recollections and the vectors of a buffer.

Source: dissertation, section 2.2 and algorithm 1. What the text and the authors' code have differently is a setting each.

Shape suffixes: K vectors kept, M new ones, S numbers of a vector, C numbers of a code.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.linalg import vecdot

from hyperlearning.core.params import Params
from hyperlearning.learners.weight_codecs.codec import EVERY, Vectors, check_vectors
from hyperlearning.networks.weight_codec.autoencoder import Activation, WeightAutoencoder, cosines

N = TypeVar("N", int, float)


@dataclass(frozen=True, kw_only=True)
class SelfNetRule:
    """How the autoencoder is made and trained.

    Attributes:
        hidden: Sizes of hidden layers between a vector and its code.
        code_size: Numbers of a code, s.
        activation: Of hidden layers and codes.
        linear_output: Whether the last layer has no activation.
        loss: What is minimized beside the contractive term: `1 - cosine` (equation 2.3 but for its sign) or squared errors.
        contraction: The contractive term: equation 2.4, what the authors' code has, or none.
        strength: What the term is multiplied by, lambda.
        one_by_one: Whether vectors come one at a time, in random order, or all as one batch.
        again_below_mean: Whether vectors whose cosine is not above the last iteration's mean are shown a second time in an
            iteration, where they come one by one.
        every: Whether every vector's cosine, or their mean, ends a stage.
        thresholds: The cosine that ends the first stage, the second, and so on; the last holds for all that follow.
        max_iterations: The most iterations of a stage, likewise.
        least_iterations: The fewest of any stage.
        lrs: Adam's rate, likewise.
        slow_inputs: Whether the first layer's rate is divided by the square root of a vector's size. A step of Adam moves all of
            its weights by the rate, and so a unit's input by up to the rate times the size: on many numbers of size 1 that
            saturates every unit at once, and vectors are told apart no longer.
        standardised: Whether the autoencoder sees vectors less the mean of the first stage, over their spread around it; a
            stage of one vector has no spread, and the first two vectors' is taken.
    """

    hidden: tuple[int, ...] = ()
    code_size: int = 5
    activation: Activation = "elu"
    linear_output: bool = True
    loss: Literal["cosine", "squared"] = "squared"
    contraction: Literal["exact", "authors", "none"] = "none"
    strength: float = 1e-4
    one_by_one: bool = False
    again_below_mean: bool = False
    every: bool = False
    thresholds: tuple[float, ...] = (0.9996, 0.987, 0.986)
    max_iterations: tuple[int, ...] = (1800, 600)
    least_iterations: int = 1
    lrs: tuple[float, ...] = (3e-3, 1e-3)
    slow_inputs: bool = True
    standardised: bool = True


class Stage(NamedTuple):
    """How a stage ended.

    Attributes:
        iterations: Iterations taken.
        to_targets: The mean cosine of recollections to what the stage was trained on.
        reached: Whether the threshold was.
    """

    iterations: int
    to_targets: float
    reached: bool


class _Forward(NamedTuple):
    """What is minimized, a number a vector, and cosines of recollections to what they are of, if that was asked for."""

    losses_K: Tensor
    cosines_K: Tensor


class SelfNet:
    """Keeps an autoencoder's decoder and encoder, a code a vector, and every vector's length.

    Codes are made anew when training ends. A cosine says nothing of length, so that the length of every vector is kept and
    recollections are brought to it.

    Args:
        size: Numbers of a vector.
        rule: How the autoencoder is made and trained.
        seed: Of its first weights and of the order of vectors.
        watch: Called after every iteration with its number in its stage. All vectors of the stage can be recollected then, as
            they would be if training ended there.
    """

    def __init__(
        self, size: int, rule: SelfNetRule, *, seed: int = 0, watch: Callable[[int], None] | None = None
    ) -> None:
        self.size, self._watch = size, watch
        self.settings = asdict(rule)
        self._rule, self._source = rule, torch.Generator().manual_seed(seed)
        self._network = WeightAutoencoder(
            (size, *rule.hidden, rule.code_size),
            activation=rule.activation,
            linear_output=rule.linear_output,
            generator=self._source,
        )
        self._codes_KC, self._lengths_K = torch.zeros(0, rule.code_size), torch.zeros(0)
        self._underway_KS: Tensor | None = None
        self._mean_S, self._spread_S = torch.zeros(0), torch.zeros(0)
        self._stages: list[Stage] = []

    @property
    def num_kept(self) -> int:
        """Vectors kept."""
        return len(self._lengths_K)

    @property
    def stages(self) -> Sequence[Stage]:
        """How the stages so far ended; those before `restore` are not known."""
        return tuple(self._stages)

    def learn(self, new_MS: Vectors) -> None:
        """Trains on recollections and new vectors until the stage's threshold or its most iterations, then encodes all anew."""
        check_vectors(new_MS, self.size)
        before, stages = (
            {name: tensor.clone() for name, tensor in self.tensors().items()},
            (self._stages_before, self._stages),
        )
        try:
            self._learn(new_MS)
        except BaseException:
            self.restore(before)
            self._stages_before, self._stages = stages
            raise

    def _learn(self, new_MS: Vectors) -> None:
        targets_KS = torch.cat([self.recollect(), new_MS.float()])
        if self._rule.standardised:
            self._standardise(targets_KS)
        self._lengths_K = torch.cat([self._lengths_K, new_MS.float().norm(dim=1)])
        self._underway_KS = self._seen(targets_KS)
        self._stages.append(self._train(self._underway_KS, targets_KS))
        self._codes_KC, self._underway_KS = self._codes(), None

    def _standardise(self, targets_KS: Tensor) -> None:
        """Finds mean and spread of the first vectors; one alone has no spread, which then is that of the first two."""
        if not self.num_kept:
            self._mean_S = targets_KS.mean(0)
        if self.num_kept < 2:
            apart_KS = targets_KS - self._mean_S if len(targets_KS) > 1 else targets_KS
            self._spread_S = apart_KS.square().mean().sqrt().clamp(min=1e-8)[None]

    @torch.no_grad()
    def recollect(self, which: slice = EVERY) -> Vectors:
        """Decodes codes."""
        if not self.num_kept:
            return torch.zeros(0, self.size)
        made_KS = self._unseen(self._network.decode(self._codes()[which]))
        return made_KS * (self._lengths_K[which] / made_KS.norm(dim=1).clamp(min=1e-12))[:, None]

    @torch.no_grad()
    def _codes(self) -> Tensor:
        """The codes that are kept; in the course of a stage, those that would be."""
        return self._codes_KC if self._underway_KS is None else self._network.encode(self._underway_KS)

    def tensors(self) -> Params:
        """The whole autoencoder, which further stages need, codes, lengths, and what vectors are standardised by."""
        kept = {"codes": self._codes(), "lengths": self._lengths_K, "mean": self._mean_S, "spread": self._spread_S}
        kept |= {f"network/{name}": tensor.detach() for name, tensor in self._network.named_parameters()}
        return kept | {
            "generator": self._source.get_state(),
            "num_stages": torch.tensor(self._num_stages, dtype=torch.int32),
        }

    def restore(self, tensors: Params) -> None:
        """Goes on from them."""
        self._codes_KC, self._lengths_K, self._underway_KS = tensors["codes"], tensors["lengths"], None
        self._mean_S, self._spread_S = tensors["mean"], tensors["spread"]
        prefix = "network/"
        self._network.load_state_dict(
            {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        )
        self._source.set_state(tensors["generator"])
        self._stages_before, self._stages = int(tensors["num_stages"]), []

    _stages_before = 0

    @property
    def _num_stages(self) -> int:
        return self._stages_before + len(self._stages)

    def _train(self, seen_KS: Tensor, targets_KS: Tensor) -> Stage:
        rule, stage = self._rule, self._num_stages
        threshold, lr = _of_stage(rule.thresholds, stage), _of_stage(rule.lrs, stage)
        most = _of_stage(rule.max_iterations, stage)
        first, *others = self._network.parameters()
        slow = lr / math.sqrt(self.size) if rule.slow_inputs else lr
        adam = torch.optim.Adam([{"params": [first], "lr": slow}, {"params": others}], lr=lr, fused=True)
        found, mean, iterations = -1.0, -1.0, 0
        forward = self._forward(seen_KS, targets_KS)
        while iterations < most and (found <= threshold or iterations < rule.least_iterations):
            iterations += 1
            if rule.one_by_one:
                self._one_by_one(seen_KS, adam, before=mean)
            else:
                _descend(forward.losses_K, adam)
            # The next step's forward pass says how near this one came.
            forward = self._forward(seen_KS, targets_KS)
            mean = float(forward.cosines_K.mean())
            found = float(forward.cosines_K.min()) if rule.every else mean
            if self._watch is not None:
                self._watch(iterations)
        return Stage(iterations, mean, found > threshold)

    def _one_by_one(self, seen_KS: Tensor, adam: torch.optim.Optimizer, before: float) -> None:
        order, again = torch.randperm(len(seen_KS), generator=self._source).tolist(), []
        for place in order:
            one = seen_KS[place : place + 1]
            self._step(one, adam)
            if self._rule.again_below_mean and float(self._cosines(one, self._unseen(one))) <= before:
                again.append(place)
        for place in again:
            self._step(seen_KS[place : place + 1], adam)

    def _step(self, seen_KS: Tensor, adam: torch.optim.Optimizer) -> None:
        _descend(self._forward(seen_KS, None).losses_K, adam)

    def _forward(self, seen_KS: Tensor, targets_KS: Tensor | None) -> "_Forward":
        """What is minimized and, given what recollections are of, how near they are."""
        rule = self._rule
        if rule.loss == "squared" and rule.linear_output and not rule.one_by_one:
            losses_K, missed_KS = self._network.missed(seen_KS)
            squares_K = losses_K.detach() * missed_KS.shape[1]
            near_K = torch.zeros(0) if targets_KS is None else self._near(squares_K, missed_KS, targets_KS)
        else:
            made_KS = self._network(seen_KS)
            losses_K = 1 - cosines(made_KS, seen_KS) if rule.loss == "cosine" else (made_KS - seen_KS).square().mean(1)
            near_K = torch.zeros(0) if targets_KS is None else cosines(self._unseen(made_KS.detach()), targets_KS)
        if rule.contraction == "exact":
            losses_K = losses_K + rule.strength * self._network.contraction(seen_KS)
        if rule.contraction == "authors":
            losses_K = losses_K + rule.strength * self._network.authors_contraction(seen_KS)
        return _Forward(losses_K, near_K)

    @torch.no_grad()
    def _cosines(self, seen_KS: Tensor, targets_KS: Tensor) -> Tensor:
        """How near recollections are to what they are of."""
        return cosines(self._unseen(self._network(seen_KS)), targets_KS)

    def _near(self, squares_K: Tensor, missed_KS: Tensor, targets_KS: Tensor) -> Tensor:
        """The same, from what recollections have too much and its squared length: `u = t + spread * missed`."""
        spread = self._spread_S if len(self._spread_S) else torch.ones(1)
        own_K, apart_K = vecdot(targets_KS, targets_KS), spread * vecdot(missed_KS, targets_KS)
        length_K = own_K + 2 * apart_K + spread.square() * squares_K
        return (own_K + apart_K) / (own_K * length_K).clamp(min=1e-16).sqrt()

    def _seen(self, vectors_KS: Tensor) -> Tensor:
        return (vectors_KS - self._mean_S) / self._spread_S if len(self._mean_S) else vectors_KS

    def _unseen(self, made_KS: Tensor) -> Tensor:
        return made_KS * self._spread_S + self._mean_S if len(self._mean_S) else made_KS


def _descend(losses_K: Tensor, adam: torch.optim.Optimizer) -> None:
    adam.zero_grad()
    losses_K.mean().backward()
    adam.step()


def _of_stage(values: Sequence[N], stage: int) -> N:
    return values[min(stage, len(values) - 1)]
