"""The methods of OML's regression benchmark that are not hyper-trained, and how their settings are chosen.

Each learns with all parameters of OML's network, drawn at random, or with its prediction network on a pretrained representation.
Rates and strengths are chosen by total error on validation lives.
"""

from collections.abc import Callable, Mapping
from itertools import product
from typing import NamedTuple

from hyperlearning.core.params import Params, partition
from hyperlearning.core.seeding import generator
from hyperlearning.evaluation import continual
from hyperlearning.networks.gated.oml_regressor import OMLRegressor
from hyperlearning.streams.hyper_stream import Stream
from hyperlearning.streams.incremental_functions import shuffled, with_replay
from hyperlearning.systems.regression.lives import HeldOut, Lives, deploy, settled
from hyperlearning.systems.regression.methods import Tuned, live_ewc, plain_learner

DIVERGED = 13.0
"""Error of a life that diverged; predicting 0 throughout costs at most half the square of the largest amplitude, 13."""


class Choice(NamedTuple):
    """How a method learns, and what else was tried.

    Attributes:
        tuned: Optimizer and rate.
        strength: Of elastic weight consolidation; 0 elsewhere.
        trials: Total error on validation lives, by what was tried.
    """

    tuned: Tuned
    strength: float
    trials: Mapping[str, float]


class Baseline(NamedTuple):
    """One method.

    Attributes:
        title: What a figure calls it.
        note: What it is.
        num_plastic: Numbers that change in a life.
        live: Lives the lives with an optimizer, its rate and a strength.
        strengths: Strengths to choose from.
    """

    title: str
    note: str
    num_plastic: int
    live: Callable[[HeldOut, Tuned, float], Lives]
    strengths: tuple[float, ...] = (0.0,)


def sine_baselines(
    network: OMLRegressor,
    pretrained: Params,
    *,
    num_tasks: int,
    replay_buffer: int,
    replay_batch: int,
    ewc_strengths: tuple[float, ...],
    seed: int,
) -> dict[str, Baseline]:
    """All of them.

    Args:
        network: OML's network as it is drawn.
        pretrained: The innate parameters that pretraining made.
        num_tasks: Tasks of a life.
        replay_buffer: Points that the replay buffer holds at most.
        replay_batch: Points replayed at every update.
        ewc_strengths: Strengths of elastic weight consolidation to choose from.
        seed: For the order of joint training and the choices of replay.
    """
    start, _ = partition(network, network.is_innate)

    def plain(change: Callable[[Stream], Stream]) -> Callable[[HeldOut, Tuned, float], Lives]:
        def live(held_out: HeldOut, tuned: Tuned, strength: float) -> Lives:
            learner, births = plain_learner(network, tuned)
            return deploy(learner, births, {}, held_out, num_tasks=num_tasks, stream=change(held_out.stream))

        return live

    def transfer(change: Callable[[Stream], Stream]) -> Callable[[HeldOut, Tuned, float], Lives]:
        def live(held_out: HeldOut, tuned: Tuned, strength: float) -> Lives:
            learner, _ = plain_learner(network, tuned)
            learner = learner._replace(forward=network.predict, prepare=network.prepare)
            return deploy(learner, start, pretrained, held_out, num_tasks=num_tasks, stream=change(held_out.stream))

        return live

    def mix(stream: Stream) -> Stream:
        return shuffled(stream, generator(seed, "joint order"))

    def replay(stream: Stream) -> Stream:
        source = generator(seed, "replay")
        return with_replay(stream, source, buffer_size=replay_buffer, replay_batch_size=replay_batch)

    def consolidate(held_out: HeldOut, tuned: Tuned, strength: float) -> Lives:
        return live_ewc(network, tuned, strength, held_out, num_tasks)

    def keep(stream: Stream) -> Stream:
        return stream

    whole, part = (sum(p.numel() for p in module.parameters()) for module in (network, network.predictor))
    held = f"keeps {replay_buffer} points, replays {replay_batch} at every update"
    return {
        "scratch": Baseline("Scratch, finetuned", "all layers learn, wave after wave", whole, plain(keep)),
        "scratch_joint": Baseline("Scratch, joint", "all layers learn, batches shuffled", whole, plain(mix)),
        "replay": Baseline("Scratch with replay buffer", held, whole, plain(replay)),
        "ewc": Baseline("Scratch with EWC", "elastic weight consolidation", whole, consolidate, ewc_strengths),
        "pretrained": Baseline(
            "Pretrained, transferred", "prediction network on a fixed pretrained representation", part, transfer(keep)
        ),
        "pretrained_joint": Baseline("Pretrained, joint", "the same, batches shuffled", part, transfer(mix)),
    }


def choose(
    baseline: Baseline, validation: HeldOut, *, sgd_lrs: tuple[float, ...], adam_lrs: tuple[float, ...]
) -> Choice:
    """Chooses optimizer, rate and strength by total error on validation lives."""
    candidates = [*(Tuned("sgd", lr) for lr in sgd_lrs), *(Tuned("adam", lr) for lr in adam_lrs)]
    errors: dict[tuple[Tuned, float], float] = {}
    for tuned, strength in product(candidates, baseline.strengths):
        found, _ = settled(baseline.live(validation, tuned, strength).errors, instead=DIVERGED)
        errors[tuned, strength] = float(continual.total_error(found).mean())
    tuned, strength = min(errors, key=lambda pair: errors[pair])
    return Choice(tuned, strength, {name_of(*pair): error for pair, error in errors.items()})


def name_of(tuned: Tuned, strength: float) -> str:
    """Says how a method learns: "adam 0.001", with its strength if there is one."""
    return f"{tuned.optimizer} {tuned.lr:g}" + (f", strength {strength:g}" if strength else "")
