"""The methods of OML's regression benchmark that are not hyper-trained, and how it is chosen how they learn.

Each learns with all parameters of OML's network, drawn at random, or with its prediction network on a pretrained representation.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from hyperlearning.core.params import Params, count, partition
from hyperlearning.evaluation import continual
from hyperlearning.networks.gated.oml_regressor import OMLRegressor
from hyperlearning.systems.regression.lives import HeldOut, LifeErrors, deploy
from hyperlearning.systems.regression.methods import Descent, live_ewc, live_plain, plain_learner
from hyperlearning.systems.regression.scores import settled
from hyperlearning.systems.system import Method

DIVERGED = 13.0
"""Error of a life that diverged; predicting 0 throughout costs at most half the square of the largest amplitude, 13."""

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
    whole = count(dict(network.named_parameters()))

    def scratch(held_out: HeldOut, descent: Descent) -> LifeErrors:
        return live_plain(network, descent, held_out)

    def replaying(held_out: HeldOut, descent: Descent) -> LifeErrors:
        held_out = held_out.with_replay(seed, buffer_size=replay_buffer, replay_batch_size=replay_batch)
        return live_plain(network, descent, held_out)

    def consolidating(held_out: HeldOut, descent: Descent) -> LifeErrors:
        return live_ewc(network, descent, held_out)

    def transferred(held_out: HeldOut, descent: Descent) -> LifeErrors:
        learner, _ = plain_learner(network, descent)
        learner = learner._replace(forward=network.predict, prepare=network.prepare)
        return deploy(learner, start, pretrained, held_out)

    def candidates(
        name: str,
        title: str,
        note: str,
        live: Callable[[HeldOut, Descent], LifeErrors],
        descents: Sequence[Descent] = descents,
        num_plastic: int = whole,
    ) -> Candidates:
        facts = {"num_plastic": num_plastic, "num_innate": whole - num_plastic}
        return {
            str(descent): Method(name, title, f"{note}; {descent}", lambda h, d=descent: live(h, d), facts)
            for descent in descents
        }

    def mixed(live: Callable[[HeldOut, Descent], LifeErrors]) -> Callable[[HeldOut, Descent], LifeErrors]:
        return lambda held_out, descent: live(held_out.joint(seed), descent)

    part, held = count(start), f"keeps {replay_buffer} points, replays {replay_batch} at every update"
    firmly = [descent._replace(strength=strength) for descent in descents for strength in ewc_strengths]
    transfer = "prediction network on a fixed pretrained representation"
    return {
        "scratch": candidates("scratch", "Scratch, finetuned", "all layers learn, wave after wave", scratch),
        "scratch_joint": candidates(
            "scratch_joint", "Scratch, joint", "all layers learn, batches shuffled", mixed(scratch)
        ),
        "replay": candidates("replay", "Scratch with replay buffer", held, replaying),
        "ewc": candidates("ewc", "Scratch with EWC", "elastic weight consolidation", consolidating, firmly),
        "pretrained": candidates("pretrained", "Pretrained, transferred", transfer, transferred, num_plastic=part),
        "pretrained_joint": candidates(
            "pretrained_joint", "Pretrained, joint", "the same, batches shuffled", mixed(transferred), num_plastic=part
        ),
    }


def best_of(candidates: Candidates, validation: HeldOut) -> Method[HeldOut, LifeErrors]:
    """Chooses how a method learns by total error on validation lives, and keeps what else was tried."""
    trials = {}
    for name, method in candidates.items():
        errors, _ = settled(method.live(validation).errors, instead=DIVERGED)
        trials[name] = float(continual.total_error(errors).mean())
    best = candidates[min(trials, key=lambda name: trials[name])]
    return replace(best, facts={**best.facts, "trials": trials})
