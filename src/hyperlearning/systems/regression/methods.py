"""The methods that incremental regression compares, each as a function from held-out functions to lives.

Rates, strengths and widths of the baselines were chosen on functions of their own, seed 777, by total error; the sweep is
in `results/regression-ablations/`, and `regression-ablations --studies baselines` repeats it. Rates of SGD scale with
1 / width, as its stability does.
"""

from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

import torch
from torch import nn

from hyperlearning.core.losses import mean_squared_error
from hyperlearning.core.params import Params, count, partition, stack_members
from hyperlearning.core.seeding import generator
from hyperlearning.data.sine_mixtures import DOMAIN
from hyperlearning.learners.ewc import elastic_weight_consolidation
from hyperlearning.learners.hyper_step import HyperState
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.linear_life import predictions_of_linear_lives
from hyperlearning.learners.optimizers import OptimizerName, optimizer
from hyperlearning.learners.penalties import live_with_penalty
from hyperlearning.learners.population import population_forward
from hyperlearning.networks.backbones import RadialBasisNetwork, mlp, mlp_width
from hyperlearning.systems.regression.lives import HeldOut, LifeErrors, deploy, errors_of, watch
from hyperlearning.systems.system import Method

TUNED_WIDTH = 75
REPLAY_BUFFER = 50
REPLAY_BATCH = 4
RBF_WIDTH = 0.2
RBF_LR = 0.5


class Descent(NamedTuple):
    """How an ordinary network learns.

    Attributes:
        optimizer: "sgd" or "adam".
        lr: Its rate.
        strength: Of elastic weight consolidation, where there is any.
    """

    optimizer: OptimizerName
    lr: float
    strength: float = 0.0

    def __str__(self) -> str:
        return f"{self.optimizer} {self.lr:g}" + (f", strength {self.strength:g}" if self.strength else "")


FINETUNE = Descent("sgd", 0.001)
EWC = Descent("adam", 0.03, strength=1e6)
REPLAY = Descent("adam", 0.02)
JOINT = Descent("sgd", 0.03)


def deploying(learner: Learner, hyper: HyperState) -> Callable[[HeldOut], LifeErrors]:
    """Makes the lives of a network as it was hyper-trained, or as it was before."""
    return lambda held_out: deploy(learner, hyper.start, hyper.innate, held_out)


def dan_methods(
    learner: Learner, trained: HyperState, untrained: HyperState, *, seed: int
) -> tuple[Method[HeldOut, LifeErrors], ...]:
    """The hyper-trained network, learning task by task and jointly, and the same network before hyper-training.

    Args:
        learner: The inner loop.
        trained: The network as hyper-training left it.
        untrained: As it was before.
        seed: For the order of joint training.
    """
    facts = {"num_plastic": count(trained.start)}
    live, live_untrained = deploying(learner, trained), deploying(learner, untrained)
    return (
        Method(
            "dan",
            "DAN network, hyper-trained",
            "learns task after task; its phenotype is fixed",
            live,
            facts,
        ),
        Method(
            "dan_joint",
            "DAN network, hyper-trained, joint",
            "the same network and updates, but the stream is shuffled",
            lambda held_out: live(held_out.joint(seed)),
            facts,
        ),
        Method(
            "dan_random",
            "DAN network, random phenotype",
            "the same network before hyper-training, task after task",
            live_untrained,
            facts,
        ),
        Method(
            "dan_random_joint",
            "DAN network, random phenotype, joint",
            "the same network before hyper-training, stream shuffled",
            lambda held_out: live_untrained(held_out.joint(seed)),
            facts,
        ),
    )


def baseline_methods(num_plastic: int, *, seed: int) -> tuple[Method[HeldOut, LifeErrors], ...]:
    """Ordinary networks with as many plastic parameters as the DAN network has synapses.

    Args:
        num_plastic: The budget.
        seed: For initial weights, replay choices and the joint order.
    """
    width = mlp_width(num_plastic)
    network = mlp((1, width, width, 1), generator=generator(seed, "mlp"))
    facts, sizes = {"num_plastic": count(dict(network.named_parameters()))}, f"1-{width}-{width}-1"
    bumps = RadialBasisNetwork(num_plastic, width=RBF_WIDTH, domain=DOMAIN)
    return (
        Method(
            "mlp",
            "MLP, finetuned",
            f"tanh {sizes}, task after task",
            lambda held_out: live_plain(network, scaled(FINETUNE, width), held_out),
            facts,
        ),
        Method(
            "mlp_ewc",
            "MLP with EWC",
            f"the same with elastic weight consolidation, strength {EWC.strength:g}",
            lambda held_out: live_ewc(network, scaled(EWC, width), held_out),
            facts,
        ),
        Method(
            "mlp_replay",
            "MLP with replay buffer",
            f"keeps {REPLAY_BUFFER} examples, replays {REPLAY_BATCH} with every new one",
            lambda held_out: live_plain(network, scaled(REPLAY, width), with_replay(held_out, seed)),
            facts,
        ),
        Method(
            "mlp_joint",
            "MLP, joint",
            "the stream shuffled",
            lambda held_out: live_plain(network, scaled(JOINT, width), held_out.joint(seed)),
            facts,
        ),
        Method(
            "rbf",
            "Radial basis functions, finetuned",
            f"fixed bumps of width {RBF_WIDTH:g} and a plastic linear readout: local by hand, so it hardly forgets",
            lambda held_out: live_bumps(bumps, RBF_LR, held_out),
            {"num_plastic": num_plastic},
        ),
        Method(
            "rbf_joint",
            "Radial basis functions, joint",
            "the stream shuffled",
            lambda held_out: live_bumps(bumps, RBF_LR, held_out.joint(seed)),
            {"num_plastic": num_plastic},
        ),
    )


def scaled(descent: Descent, width: int) -> Descent:
    """Adapts a rate chosen at `TUNED_WIDTH` to another width."""
    return descent if descent.optimizer == "adam" else descent._replace(lr=descent.lr * min(1.0, TUNED_WIDTH / width))


def with_replay(held_out: HeldOut, seed: int) -> HeldOut:
    """Replays `REPLAY_BATCH` of `REPLAY_BUFFER` stored examples with every new one."""
    return held_out.with_replay(seed, buffer_size=REPLAY_BUFFER, replay_batch_size=REPLAY_BATCH)


def live_plain(network: nn.Module, descent: Descent, held_out: HeldOut) -> LifeErrors:
    """Lives with every parameter of an ordinary network plastic."""
    learner, start = plain_learner(network, descent)
    return deploy(learner, start, {}, held_out)


def live_ewc(network: nn.Module, descent: Descent, held_out: HeldOut) -> LifeErrors:
    """Lives with elastic weight consolidation."""
    learner, start = plain_learner(network, descent)
    births, stream, num_tasks = stack_members(start, len(held_out.values)), held_out.stream, held_out.num_tasks
    penalty = elastic_weight_consolidation(descent.strength)
    life = live_with_penalty(learner, births, {}, *stream, penalty=penalty, num_tasks=num_tasks)
    looks = islice(life, 0, None, len(stream.inputs) // num_tasks)
    return errors_of(watch(looks, learner, {}, held_out.grid), held_out)


def live_bumps(network: RadialBasisNetwork, lr: float, held_out: HeldOut) -> LifeErrors:
    """Lives with the readout of radial basis functions plastic, by SGD: in closed form, since it is linear."""
    inputs, targets = held_out.stream
    every = len(inputs) // held_out.num_tasks
    lives = predictions_of_linear_lives(network.kernel(), inputs, targets, held_out.grid, inner_lr=lr, every=every)
    return errors_of(torch.stack(list(lives)), held_out)


def plain_learner(network: nn.Module, descent: Descent) -> tuple[Learner, Params]:
    """Makes the inner loop of an ordinary network, every parameter plastic, and its parameters at birth."""
    plastic, _ = partition(network, lambda name: False)
    forward = population_forward(network, plastic)
    return Learner(forward, mean_squared_error, optimizer(descent.optimizer), descent.lr), plastic
