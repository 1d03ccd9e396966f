"""The methods of OML's regression benchmark that are not hyper-trained, and how it is chosen how they learn.

Each learns with all parameters of OML's network, drawn at random, or with its prediction network on a pretrained representation;
or it solves a readout on fixed features, of which nothing is trained at all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product

from hyperlearning.core.params import Params, count, partition
from hyperlearning.core.seeding import generator
from hyperlearning.data.sine_mixtures import DOMAIN
from hyperlearning.evaluation import continual
from hyperlearning.networks.features import Coded, GaussianBumps, RandomFeatures
from hyperlearning.networks.gated.oml_regressor import OMLRegressor
from hyperlearning.systems.regression.closed_form import live_solved, num_kept
from hyperlearning.systems.regression.lives import HeldOut, LifeErrors, deploy
from hyperlearning.systems.regression.methods import Descent, live_ewc, live_plain, plain_learner
from hyperlearning.systems.regression.scores import settled
from hyperlearning.systems.system import Method

DIVERGED = 13.0
"""Error of a life that diverged; predicting 0 throughout costs at most half the square of the largest amplitude, 13."""

BUMPS, BUMP_WIDTHS = (10, 16), (1.0, 1.5, 2.0)
RANDOM_UNITS, RANDOM_SCALES = (100, 300), (0.3, 1.0)
PRECISIONS = (1e-2, 1e-4, 1e-6)
"""What the solved readouts may have: bumps of every wave and their width, random units and their scale, the prior's precision."""

_REACH = 1.5
"""Of the random units' offsets, in standard deviations of their weights."""

Candidates = Mapping[str, Method[HeldOut, LifeErrors]]
"""One method, by how it could learn."""


def sine_methods(
    network: OMLRegressor,
    pretrained: Params,
    descents: Sequence[Descent],
    *,
    replay_buffer: int,
    replay_batch: int,
    ewc_strengths: Sequence[float],
    seed: int,
) -> dict[str, Candidates]:
    """All of them, by name.

    Args:
        network: OML's network as it is drawn.
        pretrained: The innate parameters that pretraining made.
        descents: Optimizers and rates to choose from.
        replay_buffer: Points that the replay buffer holds at most.
        replay_batch: Points replayed at every update.
        ewc_strengths: Strengths of elastic weight consolidation to choose from.
        seed: For the order of joint training and the choices of replay.
    """
    start, _ = partition(network, network.is_innate)
    whole, part = count(dict(network.named_parameters())), count(start)
    scratch, transferred = partial(_scratch, network), partial(_transferred, network, start, pretrained)
    replayed = partial(_replayed, scratch, seed=seed, buffer_size=replay_buffer, replay_batch_size=replay_batch)
    firmly = [descent._replace(strength=strength) for descent in descents for strength in ewc_strengths]
    held = f"keeps {replay_buffer} points, replays {replay_batch} at every update"
    transfer = "prediction network on a fixed pretrained representation"
    rows: tuple[tuple[str, str, str, _Live, Sequence[Descent], int], ...] = (
        ("scratch", "Scratch, finetuned", "all layers learn, wave after wave", scratch, descents, whole),
        (
            "scratch_joint",
            "Scratch, joint",
            "all layers learn, batches shuffled",
            _mixed(scratch, seed),
            descents,
            whole,
        ),
        ("replay", "Scratch with replay buffer", held, replayed, descents, whole),
        ("ewc", "Scratch with EWC", "elastic weight consolidation", partial(_consolidated, network), firmly, whole),
        ("pretrained", "Pretrained, transferred", transfer, transferred, descents, part),
        (
            "pretrained_joint",
            "Pretrained, joint",
            "the same, batches shuffled",
            _mixed(transferred, seed),
            descents,
            part,
        ),
    )
    return {row[0]: _candidates(*row, whole=whole) for row in rows}


_Live = Callable[[HeldOut, Descent], LifeErrors]


def _candidates(
    name: str, title: str, note: str, live: _Live, descents: Sequence[Descent], num_plastic: int, *, whole: int
) -> Candidates:
    """A method at every optimizer and rate, by what these are."""
    facts = {"num_plastic": num_plastic, "num_innate": whole - num_plastic}
    return {
        str(descent): Method(name, title, f"{note}; {descent}", lambda h, d=descent: live(h, d), facts)
        for descent in descents
    }


def _scratch(network: OMLRegressor, held_out: HeldOut, descent: Descent) -> LifeErrors:
    return live_plain(network, descent, held_out)


def _consolidated(network: OMLRegressor, held_out: HeldOut, descent: Descent) -> LifeErrors:
    return live_ewc(network, descent, held_out)


def _replayed(
    live: _Live, held_out: HeldOut, descent: Descent, *, seed: int, buffer_size: int, replay_batch_size: int
) -> LifeErrors:
    return live(held_out.with_replay(seed, buffer_size=buffer_size, replay_batch_size=replay_batch_size), descent)


def _transferred(
    network: OMLRegressor, start: Params, pretrained: Params, held_out: HeldOut, descent: Descent
) -> LifeErrors:
    """Lives of the prediction network alone, on what pretraining made of the representation."""
    learner, _ = plain_learner(network, descent)
    learner = learner._replace(forward=network.predict, prepare=network.prepare)
    return deploy(learner, start, pretrained, held_out)


def _mixed(live: _Live, seed: int) -> _Live:
    return lambda held_out, descent: live(held_out.joint(seed), descent)


def closed_form_candidates(*, capacity: int, seed: int) -> dict[str, Candidates]:
    """Readouts solved one point at a time on fixed features of the code and x, nothing trained.

    Args:
        capacity: Places of the code.
        seed: For the random features.
    """

    def solved(
        name: str, title: str, note: str, key: str, features: Coded | RandomFeatures, precision: float
    ) -> Method[HeldOut, LifeErrors]:
        def live(held_out: HeldOut) -> LifeErrors:
            return live_solved(features, held_out, precision=precision)

        facts = {"num_plastic": num_kept(features.num_features), "num_innate": 0}
        return Method(name, title, f"{note}; {key}", live, facts)

    bumps, random = {}, {}
    for number, width, precision in product(BUMPS, BUMP_WIDTHS, PRECISIONS):
        features = Coded(GaussianBumps(number, width=width, domain=DOMAIN), num_places=capacity)
        key, note = f"{number} bumps, width {width:g}, precision {precision:g}", "fixed bumps of x for each wave's code"
        bumps[key] = solved("rls", "Recursive least squares", note, key, features, precision)
    for number, scale, precision in product(RANDOM_UNITS, RANDOM_SCALES, PRECISIONS):
        source = generator(seed, "features")
        features = RandomFeatures(capacity + 1, number, scale=scale, reach=_REACH, activation="tanh", generator=source)
        key, note = (
            f"{number} units, scale {scale:g}, precision {precision:g}",
            "random units of tanh on the code and x",
        )
        random[key] = solved("random_ridge", "Ridge on random features", note, key, features, precision)
    return {"rls": bumps, "random_ridge": random}


def best_of(candidates: Candidates, validation: HeldOut) -> Method[HeldOut, LifeErrors]:
    """Chooses how a method learns by total error on validation lives, and keeps what else was tried."""
    trials = {}
    for name, method in candidates.items():
        errors, _ = settled(method.live(validation).errors, instead=DIVERGED)
        trials[name] = float(continual.total_error(errors).mean())
    best = candidates[min(trials, key=lambda name: trials[name])]
    return replace(best, facts={**best.facts, "trials": trials})
