"""The methods that incremental regression compares, each as a function from held-out functions to lives.

Rates, strengths and widths of the baselines were chosen on functions of their own, seed 777, by total error; the sweep is
in `results/regression-ablations/`, and `regression-ablations --studies baselines` repeats it. Rates of SGD scale with
1 / width, as its stability does.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hyperlearning.core.losses import mean_squared_error
from hyperlearning.core.params import Params, count, partition, stack_members
from hyperlearning.core.seeding import generator
from hyperlearning.data.sine_mixtures import DOMAIN
from hyperlearning.learners.ewc import elastic_weight_consolidation
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.optimizers import OptimizerName, optimizer
from hyperlearning.learners.penalties import live_with_penalty
from hyperlearning.learners.population import population_forward
from hyperlearning.networks.backbones import RadialBasisNetwork, mlp, mlp_width
from hyperlearning.streams.incremental_functions import shuffled, with_replay
from hyperlearning.systems.regression.lives import HeldOut, Lives, deploy, lives_from

TUNED_WIDTH = 75
REPLAY_BUFFER = 50
REPLAY_BATCH = 4
RBF_WIDTH = 0.2


class Tuned(NamedTuple):
    """How a baseline learns, as chosen on functions of its own.

    Attributes:
        optimizer: "sgd" or "adam".
        lr: Its rate.
    """

    optimizer: OptimizerName
    lr: float


FINETUNE = Tuned("sgd", 0.001)
EWC = Tuned("adam", 0.03)
EWC_STRENGTH = 1e6
REPLAY = Tuned("adam", 0.02)
JOINT = Tuned("sgd", 0.03)
RBF = Tuned("sgd", 0.5)


class Method(NamedTuple):
    """One method of a comparison.

    Attributes:
        title: What a figure calls it.
        note: What it is, in a sentence.
        num_plastic: Numbers that change in a life.
        live: Lives one life per held-out function.
    """

    title: str
    note: str
    num_plastic: int
    live: Callable[[HeldOut], Lives]


def dan_methods(
    learner: Learner, start: Params, innate: Params, untrained: tuple[Params, Params], *, num_tasks: int, seed: int
) -> dict[str, Method]:
    """The hyper-trained network, learning task by task and jointly, and the same network before hyper-training.

    Args:
        learner: The inner loop.
        start: Synapses at birth.
        innate: The hyper-trained phenotype.
        untrained: Synapses at birth and phenotype before hyper-training.
        num_tasks: Tasks of a life.
        seed: For the order of joint training.
    """

    def alive(start: Params, innate: Params, *, joint: bool) -> Callable[[HeldOut], Lives]:
        def run(held_out: HeldOut) -> Lives:
            stream = shuffled(held_out.stream, generator(seed, "joint order")) if joint else None
            return deploy(learner, start, innate, held_out, num_tasks=num_tasks, stream=stream)

        return run

    size = count(start)
    random_start, random_innate = untrained
    return {
        "dan": Method(
            "DAN network, hyper-trained",
            "learns task after task; its phenotype is fixed",
            size,
            alive(start, innate, joint=False),
        ),
        "dan_joint": Method(
            "DAN network, hyper-trained, joint",
            "the same network and updates, but the stream is shuffled",
            size,
            alive(start, innate, joint=True),
        ),
        "dan_random": Method(
            "DAN network, random phenotype",
            "the same network before hyper-training, task after task",
            size,
            alive(random_start, random_innate, joint=False),
        ),
        "dan_random_joint": Method(
            "DAN network, random phenotype, joint",
            "the same network before hyper-training, stream shuffled",
            size,
            alive(random_start, random_innate, joint=True),
        ),
    }


def baseline_methods(num_plastic: int, *, num_tasks: int, seed: int) -> dict[str, Method]:
    """Ordinary networks with as many plastic parameters as the DAN network has synapses.

    Args:
        num_plastic: The budget.
        num_tasks: Tasks of a life.
        seed: For initial weights, replay choices and the joint order.
    """
    width = mlp_width(num_plastic)
    network = mlp((1, width, width, 1), generator=generator(seed, "mlp"))
    bumps = RadialBasisNetwork(num_plastic, width=RBF_WIDTH, domain=DOMAIN)
    size, sizes = sum(p.numel() for p in network.parameters()), f"1-{width}-{width}-1"

    return {
        "mlp": Method(
            "MLP, finetuned",
            f"tanh {sizes}, task after task",
            size,
            lambda held_out: live_plain(network, scaled(FINETUNE, width), held_out, num_tasks),
        ),
        "mlp_ewc": Method(
            "MLP with EWC",
            f"the same with elastic weight consolidation, strength {EWC_STRENGTH:g}",
            size,
            lambda held_out: live_ewc(network, scaled(EWC, width), EWC_STRENGTH, held_out, num_tasks),
        ),
        "mlp_replay": Method(
            "MLP with replay buffer",
            f"keeps {REPLAY_BUFFER} examples, replays {REPLAY_BATCH} with every new one",
            size,
            lambda held_out: live_replay(network, scaled(REPLAY, width), held_out, num_tasks, seed=seed),
        ),
        "mlp_joint": Method(
            "MLP, joint",
            "the stream shuffled",
            size,
            lambda held_out: live_joint(network, scaled(JOINT, width), held_out, num_tasks, seed=seed),
        ),
        "rbf": Method(
            "Radial basis functions, finetuned",
            f"fixed bumps of width {RBF_WIDTH:g} and a plastic linear readout: local by hand, so it hardly forgets",
            num_plastic,
            lambda held_out: live_plain(bumps, RBF, held_out, num_tasks),
        ),
        "rbf_joint": Method(
            "Radial basis functions, joint",
            "the stream shuffled",
            num_plastic,
            lambda held_out: live_joint(bumps, RBF, held_out, num_tasks, seed=seed),
        ),
    }


def scaled(tuned: Tuned, width: int) -> Tuned:
    """Adapts a rate chosen at `TUNED_WIDTH` to another width."""
    return tuned if tuned.optimizer == "adam" else tuned._replace(lr=tuned.lr * min(1.0, TUNED_WIDTH / width))


def live_plain(network: nn.Module, tuned: Tuned, held_out: HeldOut, num_tasks: int) -> Lives:
    """Lives with every parameter of an ordinary network plastic."""
    learner, start = plain_learner(network, tuned)
    return deploy(learner, start, {}, held_out, num_tasks=num_tasks)


def live_joint(network: nn.Module, tuned: Tuned, held_out: HeldOut, num_tasks: int, *, seed: int) -> Lives:
    """Lives on the shuffled stream."""
    stream = shuffled(held_out.stream, generator(seed, "joint order"))
    return live_plain(network, tuned, held_out._replace(stream=stream), num_tasks)


def live_replay(network: nn.Module, tuned: Tuned, held_out: HeldOut, num_tasks: int, *, seed: int) -> Lives:
    """Lives with a replay buffer of `REPLAY_BUFFER` examples, `REPLAY_BATCH` of them with every new one."""
    stream = with_replay(
        held_out.stream, generator(seed, "replay"), buffer_size=REPLAY_BUFFER, replay_batch_size=REPLAY_BATCH
    )
    return live_plain(network, tuned, held_out._replace(stream=stream), num_tasks)


def live_ewc(network: nn.Module, tuned: Tuned, strength: float, held_out: HeldOut, num_tasks: int) -> Lives:
    """Lives with elastic weight consolidation."""
    learner, start = plain_learner(network, tuned)
    births, stream = stack_members(start, len(held_out.values)), held_out.stream
    penalty = elastic_weight_consolidation(strength)
    life = live_with_penalty(learner, births, {}, *stream, penalty=penalty, num_tasks=num_tasks)
    return lives_from(_watch(life, learner, held_out, len(stream.inputs) // num_tasks), held_out, num_tasks)


def plain_learner(network: nn.Module, tuned: Tuned) -> tuple[Learner, Params]:
    """Makes the inner loop of an ordinary network, every parameter plastic, and its parameters at birth."""
    plastic, _ = partition(network, lambda name: False)
    forward = population_forward(network, plastic)
    return Learner(forward, mean_squared_error, optimizer(tuned.optimizer), tuned.lr), plastic


def _watch(life: Iterator[Params], learner: Learner, held_out: HeldOut, per_task: int) -> Tensor:
    looks = []
    for step, plastic in enumerate(life):
        if step % per_task == 0:
            with torch.no_grad():
                looks.append(learner.forward(plastic, {}, held_out.grid)[..., 0])
    return torch.stack(looks)
