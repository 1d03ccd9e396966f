"""SB-MCL's sine benchmark: its lives as settings, ALPaCA meta-learned on such lives, and everything that is compared with it.

Shape suffixes: L lives, N examples, Q queries, P points of a wave, D features.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Annotated

import torch
from torch import Tensor, nn

from hyperlearning.core.expect import AtLeast, Count, check_ranges
from hyperlearning.core.params import count
from hyperlearning.core.seeding import generator
from hyperlearning.engine.fitting import FitState, Fitting
from hyperlearning.learners.closed_form.alpaca import prior_parameters
from hyperlearning.learners.closed_form.least_squares import ridge
from hyperlearning.networks.backbones import mlp
from hyperlearning.networks.features import RandomFeatures
from hyperlearning.streams.hyper_stream import HyperStream, Stream
from hyperlearning.streams.wave_pairs import draw_pair_stream, draw_wave_pairs
from hyperlearning.systems.regression.alpaca import AlpacaSettings, MetaLearned, meta_learning
from hyperlearning.systems.regression.closed_form import by_life, live_solved, num_kept
from hyperlearning.systems.regression.lives import HeldOut, LifeErrors, errors_of
from hyperlearning.systems.regression.methods import Descent, live_plain
from hyperlearning.systems.regression.sine_methods import Candidates
from hyperlearning.systems.system import Method

PRECISIONS = (0.01, 0.1, 1.0, 10.0)
RANDOM_SCALES = (0.1, 0.2, 0.4)
"""What the solved readouts may have: the prior's precision, and the scale of random units."""

_REACH = 1.5
"""Of the random units' offsets, in standard deviations of their weights."""
_FIRST_PRECISION, _FIRST_NOISE = 1.0, 1e-3


@dataclass(frozen=True, kw_only=True)
class PairSettings:
    """What a life consists of, in meta-learning as in deployment."""

    num_tasks: Annotated[int, AtLeast(2)] = 10
    """Tasks met one after another (authors' code: 10)."""
    num_shots: Count = 10
    """Examples of each task (authors' code: 10)."""
    num_queries: Count = 10
    """Further examples of each task, on which errors are measured (authors' code: 10)."""
    num_points: Annotated[int, AtLeast(2)] = 50
    """Numbers of a wave (authors' code: 50)."""

    def __post_init__(self) -> None:
        check_ranges(self)

    def draw(self, num_lives: int, source: torch.Generator) -> HyperStream:
        """Draws lives of new tasks."""
        functions = draw_wave_pairs(num_lives, self.num_tasks, source)
        return draw_pair_stream(
            functions, source, num_shots=self.num_shots, num_queries=self.num_queries, num_points=self.num_points
        )


def hold_out_pairs(life: PairSettings, num_lives: int, *, seed: int, purpose: str = "held-out") -> HeldOut:
    """Draws lives never trained on; they depend on the seed and the purpose alone, so all methods meet the same ones."""
    drawn = life.draw(num_lives, generator(seed, f"{purpose} wave pairs"))
    return HeldOut(
        Stream(drawn.inputs, drawn.targets), drawn.hyper_inputs[0, 0], drawn.hyper_targets[0, 0], life.num_tasks
    )


def pair_training(settings: AlpacaSettings, life: PairSettings, *, seed: int) -> Fitting:
    """Builds the job that meta-learns features and prior: at every step whole lives of new tasks, and queries of all their tasks.

    Args:
        settings: How.
        life: What lives consist of.
        seed: Numbers at first and tasks follow from it.
    """
    prior = prior_parameters(settings.alpaca_features, life.num_points, precision=_FIRST_PRECISION, noise=_FIRST_NOISE)
    return meta_learning(
        settings,
        _features(settings, life, generator(seed, "pair features")),
        prior,
        lambda source: life.draw(settings.alpaca_population, source),
        generator(seed, "pair lives"),
    )


def meta_learned_pairs(state: FitState, settings: AlpacaSettings, life: PairSettings) -> MetaLearned:
    """What a state of the job holds."""
    return MetaLearned(_features(settings, life), state.params)


def pair_alpaca(learned: MetaLearned, *, name: str = "alpaca", title: str = "ALPaCA") -> Method[HeldOut, LifeErrors]:
    """Lives of a readout solved on the features under the prior.

    Args:
        learned: Both.
        name: Of the method.
        title: What a figure calls it.
    """
    num_features, num_outputs = learned.prior.mean.shape
    return Method(
        name,
        title,
        f"{num_features} features, the readout solved one example at a time",
        lambda held_out: live_solved(learned.features, held_out, prior=learned.prior),
        {"num_plastic": num_kept(num_features, num_outputs), "num_innate": learned.num_innate},
    )


def solved_candidates(life: PairSettings, *, num_random: int, seed: int) -> dict[str, Candidates]:
    """Readouts solved one example at a time on what is given and on random units of it, nothing trained.

    Args:
        life: What lives consist of.
        num_random: Random units.
        seed: For them.
    """

    def solved(
        name: str, title: str, note: str, features: Callable[[Tensor], Tensor] | nn.Module, size: int, precision: float
    ) -> Method[HeldOut, LifeErrors]:
        facts = {"num_plastic": num_kept(size, life.num_points), "num_innate": 0}
        return Method(name, title, note, lambda held_out: live_ridge(features, held_out, precision=precision), facts)

    given, random = {}, {}
    for precision in PRECISIONS:
        key = f"precision {precision:g}"
        note = f"on the {life.num_points} numbers of an input as they are; {key}"
        given[key] = solved("rls", "Recursive least squares", note, _as_given, life.num_points, precision)
    for scale, precision in product(RANDOM_SCALES, PRECISIONS):
        source = generator(seed, "features")
        units = RandomFeatures(
            life.num_points, num_random, scale=scale, reach=_REACH, activation="tanh", generator=source
        )
        key = f"scale {scale:g}, precision {precision:g}"
        note = f"on {num_random} random units of tanh; {key}"
        random[key] = solved("random_ridge", "Ridge on random features", note, units, num_random, precision)
    return {"rls": given, "random_ridge": random}


def live_ridge(features: Callable[[Tensor], Tensor] | nn.Module, held_out: HeldOut, *, precision: float) -> LifeErrors:
    """What `live_solved` gives, by the smaller of two systems: there may be many more features than a life has examples.

    Args:
        features: Maps inputs (..., P) to features (..., D), in double precision.
        held_out: The lives.
        precision: The prior's, about 0.
    """
    features = features.double() if isinstance(features, nn.Module) else features
    inputs_LNP, targets_LNP = by_life(held_out.stream.inputs.double()), by_life(held_out.stream.targets.double())
    every = inputs_LNP.shape[1] // held_out.num_tasks
    lives = []
    for inputs_NP, targets_NP, grid_QP in zip(inputs_LNP, targets_LNP, held_out.grid.double(), strict=True):
        phi_ND, grid_QD = features(inputs_NP), features(grid_QP)
        solved = (
            grid_QD @ ridge(phi_ND[:met], targets_NP[:met], precision=precision)
            for met in range(every, len(phi_ND) + 1, every)
        )
        lives.append(torch.stack([torch.zeros_like(held_out.values[0]), *solved]).flatten(1))
    return errors_of(torch.stack(lives, dim=1).to(held_out.values), held_out)


def descended_candidates(
    life: PairSettings, descents: Sequence[Descent], *, width: int, num_passes: int, seed: int
) -> dict[str, Candidates]:
    """A plain network, every parameter plastic: task after task, on the same examples shuffled, and on many passes over them.

    Args:
        life: What lives consist of.
        descents: Optimizers and rates to choose from.
        width: Units of both hidden layers.
        num_passes: Passes over a life's examples in the last, in shuffled batches as large as a task.
        seed: For initial weights and orders.
    """
    network = mlp((life.num_points, width, width, life.num_points), generator=generator(seed, "plain network"))
    facts = {"num_plastic": count(dict(network.named_parameters())), "num_innate": 0}
    rows: tuple[tuple[str, str, str, Callable[[HeldOut], HeldOut]], ...] = (
        ("scratch", "Plain network, finetuned", "every example once, task after task", lambda held_out: held_out),
        (
            "scratch_online",
            "Plain network, shuffled",
            "every example once, in random order",
            lambda held_out: held_out.joint(seed),
        ),
        (
            "scratch_joint",
            "Plain network, joint",
            f"{num_passes} passes over all examples, in shuffled batches of {life.num_shots}",
            lambda held_out: in_passes(held_out, num_passes, seed=seed),
        ),
    )

    def at(descent: Descent, row: tuple[str, str, str, Callable[[HeldOut], HeldOut]]) -> Method[HeldOut, LifeErrors]:
        name, title, note, given = row
        return Method(
            name, title, f"{note}; {descent}", lambda held_out: live_plain(network, descent, given(held_out)), facts
        )

    return {row[0]: {str(descent): at(descent, row) for descent in descents} for row in rows}


def in_passes(held_out: HeldOut, num_passes: int, *, seed: int) -> HeldOut:
    """The same lives with their examples met many times, each pass in an order of its own and in as many batches as tasks."""
    source, (inputs, targets) = generator(seed, "passes"), held_out.stream
    examples = Stream(inputs.transpose(1, 2).flatten(0, 1), targets.transpose(1, 2).flatten(0, 1))  # (N, L, ...)
    size = len(examples.inputs) // held_out.num_tasks
    orders = torch.cat(
        [torch.randperm(len(examples.inputs), generator=source, device=source.device) for _ in range(num_passes)]
    ).unflatten(0, (-1, size))
    return held_out._replace(stream=Stream(*(values[orders].transpose(1, 2) for values in examples)))


def _as_given(inputs: Tensor) -> Tensor:
    return inputs


def _features(settings: AlpacaSettings, life: PairSettings, source: torch.Generator | None = None) -> nn.Module:
    """Two hidden layers of tanh, in double precision."""
    width = settings.alpaca_width
    return mlp((life.num_points, width, width, settings.alpaca_features), generator=source).double()
