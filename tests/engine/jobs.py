"""One small job of every kind, for the checks that all of them must pass. A new kind of job is listed in `JOBS`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch

from hyperlearning.core.losses import mean_squared_error
from hyperlearning.core.params import Params, partition
from hyperlearning.core.seeding import generator
from hyperlearning.engine.fitting import Fitting, first_fit_state
from hyperlearning.engine.hyper_training import HyperTraining, Reset, hyper_phase, hyper_training, outer_schedule
from hyperlearning.engine.rounds import Played, Rounds, RoundsState
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.optimizers import optimizer
from hyperlearning.learners.population import population_forward
from hyperlearning.networks.dan.network import DANNetwork
from hyperlearning.networks.dan.phenotypes import MLPPhenotype
from hyperlearning.streams.hyper_stream import HyperStream
from hyperlearning.streams.incremental_functions import Windows, draw_hyper_stream

POPULATION, UPDATE_EVERY, STEPS_PER_EPOCH = 2, 2, 4
EPOCHS = (2, 1)
"""Epochs of the first phase, which looks through one update, and of the second, which looks through none."""


def draw(source: torch.Generator) -> HyperStream:
    amplitudes = torch.rand(POPULATION, 1, generator=source)
    return draw_hyper_stream(
        lambda points: amplitudes * torch.sin(points),
        Windows(-5.0, 5.0, 2),
        source,
        num_members=POPULATION,
        updates_per_task=4,
        batch_size=2,
        hyper_batch_size=4,
        update_every=UPDATE_EVERY,
    )


def hyper_job(reset: Reset = "same", *, record_every: int = 1) -> HyperTraining:
    network = DANNetwork(
        (1, 2, 1),
        num_channels=3,
        phenotype=partial(MLPPhenotype, hidden_sizes=(2,)),
        generator=torch.Generator().manual_seed(0),
    )
    start, innate = partition(network, network.is_innate)
    learner = Learner(population_forward(network, start), mean_squared_error, optimizer("adam"), 0.05)

    def redraw(_: Params, stream: HyperStream, source: torch.Generator) -> Params:
        return {n: torch.randn(POPULATION, *t.shape, generator=source) for n, t in start.items()}

    phases = tuple(
        hyper_phase(
            learner,
            optimizer("adam"),
            draw=draw,
            population=POPULATION,
            num_epochs=num_epochs,
            num_updates=UPDATE_EVERY * STEPS_PER_EPOCH,
            outer_lr=outer_schedule("cosine", 0.01, warmup_share=0.25),
            update_every=UPDATE_EVERY,
            through=through,
            learn_start=reset == "learned",
            births=redraw if reset == "redraw" else None,
        )
        for through, num_epochs in zip((1, 0), EPOCHS, strict=True)
    )
    return hyper_training(phases, innate, start, generator(0, "training"), record_every=record_every)


def fit_job() -> Fitting:
    def loss_fn(params: Params, stream: HyperStream) -> torch.Tensor:
        predicted = stream.inputs * params["weight"] + params["bias"]
        return (predicted - stream.targets).square().mean((0, 2, 3))

    source, rule = generator(0, "fit"), optimizer("adam")
    params = {"weight": torch.zeros(()), "bias": torch.ones(1)}
    return Fitting(
        initial=first_fit_state(params, rule, source),
        loss_fn=loss_fn,
        draw=draw,
        optimizer=rule,
        lr=outer_schedule("cosine", 0.1, warmup_share=0.1),
        num_epochs=7,
        source=source,
        max_grad_norm=1.0,
        record_every=2,
    )


@dataclass(frozen=True, kw_only=True)
class RoundLine:
    """What a round of the small job says."""

    kind: ClassVar[str] = "round"

    round: int
    total: float


def rounds_job() -> Rounds:
    def play(state: RoundsState, source: torch.Generator) -> Played:
        chosen = state.tensors["chosen"] + torch.rand(3, generator=source)
        total, number = float(chosen.sum()), state.round + 1
        facts = {"totals": [*state.facts["totals"], total]}
        return Played({"chosen": chosen}, facts, RoundLine(round=number, total=total), f"total {total:.2f}")

    source = generator(0, "rounds")
    initial = RoundsState({"chosen": torch.zeros(3)}, {"totals": []}, 0, source.get_state())
    return Rounds(initial=initial, play=play, num_rounds=4, source=source)


JOBS: dict[str, Callable[[], Any]] = {"hyper-training": hyper_job, "fitting": fit_job, "rounds": rounds_job}
