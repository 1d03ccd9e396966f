"""ALPaCA in incremental regression: features and a prior meta-learned on the functions that hyper-training draws too.

Shape suffixes: L lives, N examples, Q queries, D features.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from rich.console import Console
from torch import Tensor, nn
from torch.func import functional_call

from hyperlearning.core.expect import Amount, Count, Rate, check_ranges
from hyperlearning.core.params import Params, count
from hyperlearning.core.seeding import generator
from hyperlearning.data.sine_mixtures import DOMAIN, noise_of
from hyperlearning.engine.fitting import FitState, Fitting, first_fit_state
from hyperlearning.engine.hyper_training import outer_schedule
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.sub_records import train_below
from hyperlearning.learners.closed_form.alpaca import predictive_nats, prior_of, prior_parameters
from hyperlearning.learners.closed_form.life import ClosedFormLife
from hyperlearning.learners.optimizers import adam
from hyperlearning.networks.backbones import mlp
from hyperlearning.streams.hyper_stream import HyperStream
from hyperlearning.streams.incremental_functions import draw_hyper_stream
from hyperlearning.systems.regression.closed_form import by_life, live_solved, num_kept
from hyperlearning.systems.regression.lives import HeldOut, LifeErrors
from hyperlearning.systems.regression.settings import StreamSettings
from hyperlearning.systems.system import Method

_NUM_QUERIES = 32
_PRIOR = "prior."
"""What names of the prior's parameters begin with; all others are the features'."""
_WARM_UP, _BOUND, _RECORD_EVERY = 0.02, 1.0, 25


@dataclass(frozen=True, kw_only=True)
class AlpacaSettings:
    """How ALPaCA's features and prior are meta-learned."""

    alpaca_steps: Amount = 500
    """Steps of meta-learning; 0: the comparison goes without it."""
    alpaca_population: Count = 16
    """Functions of a step."""
    alpaca_features: Count = 24
    """Features that the readout is solved on."""
    alpaca_width: Count = 32
    """Units of both hidden layers that compute them."""
    alpaca_lr: Rate = 0.01
    """Highest rate of Adam; after a short warm-up it falls on a cosine."""

    def __post_init__(self) -> None:
        check_ranges(self)


class MetaLearned:
    """Features and the prior on them, as meta-learning left them.

    Args:
        features: The network that computes them, of whatever numbers.
        parameters: What was learned, of both.
    """

    def __init__(self, features: nn.Module, parameters: Params) -> None:
        own, prior = _parts(parameters)
        features.load_state_dict(own)
        self.features = features.requires_grad_(False)
        self.prior = prior_of(prior)
        self.num_innate = count(parameters)

    def deployment(self, *, forgetting: float = 1.0) -> ClosedFormLife:
        """Begins a life, in double precision."""
        readout = self.prior.readout(forgetting=forgetting, dtype=torch.float64)
        return ClosedFormLife(readout, lambda inputs: self.features(inputs.double()))


class _Features(nn.Module):
    """Two hidden layers of tanh, in double precision; positions are scaled to [-1, 1] first."""

    def __init__(self, settings: AlpacaSettings, source: torch.Generator | None = None) -> None:
        super().__init__()
        width = settings.alpaca_width
        self.layers = mlp((1, width, width, settings.alpaca_features), generator=source).double()

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layers(inputs / DOMAIN[1])


def alpaca_training(settings: AlpacaSettings, stream: StreamSettings, *, seed: int) -> Fitting:
    """Builds the job that meta-learns features and prior: every step on lives of new functions, cut off at a random update.

    Args:
        settings: How.
        stream: What lives consist of.
        seed: Numbers at first and functions follow from it.
    """
    return meta_learning(
        settings,
        _Features(settings, generator(seed, "alpaca features")),
        prior_parameters(settings.alpaca_features),
        lambda source: _draw(settings, stream, source),
        generator(seed, "alpaca lives"),
    )


def meta_learning(
    settings: AlpacaSettings,
    features: nn.Module,
    prior: Params,
    draw: Callable[[torch.Generator], HyperStream],
    source: torch.Generator,
) -> Fitting:
    """Builds the job that meta-learns any features and the prior on them.

    Args:
        settings: How.
        features: Maps inputs in double precision to features; its numbers are those at first.
        prior: The prior's parameters at first.
        draw: Draws lives, whose hyper-batch holds the queries after all examples.
        source: Source of the lives.
    """
    parameters = {name: value.detach() for name, value in features.named_parameters()}
    parameters |= {f"{_PRIOR}{name}": value for name, value in prior.items()}
    outer = adam()

    def loss(params: Params, lives: HyperStream) -> Tensor:
        own, prior = _parts(params)

        def of(inputs: Tensor) -> Tensor:
            return functional_call(features, own, (inputs.double(),))

        met = (by_life(of(lives.inputs)), by_life(lives.targets.double()))
        further = (of(lives.hyper_inputs[0, 0]), lives.hyper_targets[0, 0].double())
        return predictive_nats(prior_of(prior), *met, *further)

    return Fitting(
        initial=first_fit_state(parameters, outer, source),
        loss_fn=loss,
        draw=draw,
        optimizer=outer,
        lr=outer_schedule("cosine", settings.alpaca_lr, warmup_share=_WARM_UP),
        num_epochs=settings.alpaca_steps,
        source=source,
        max_grad_norm=_BOUND,
        record_every=_RECORD_EVERY,
        title="meta-learning of ALPaCA",
    )


def train_alpaca(
    record: RunRecord, settings: AlpacaSettings, stream: StreamSettings, console: Console, *, seed: int
) -> MetaLearned:
    """Meta-learns features and prior in a record below the run's, or goes on doing so, or returns what is there."""
    job = alpaca_training(settings, stream, seed=seed)
    trained = train_below(record, "alpaca", settings, job, console)
    return meta_learned(trained.state, settings)


def meta_learned(state: FitState, settings: AlpacaSettings) -> MetaLearned:
    """What a state of the job holds."""
    return MetaLearned(_Features(settings), state.params)


def alpaca_method(learned: MetaLearned) -> Method[HeldOut, LifeErrors]:
    """Lives of a readout solved on the features under the prior."""
    num_features = len(learned.prior.precision)
    return Method(
        "alpaca",
        "ALPaCA",
        f"{num_features} meta-learned features, the readout solved one example at a time under a meta-learned prior",
        lambda held_out: live_solved(learned.features, held_out, prior=learned.prior),
        {"num_plastic": num_kept(num_features)},
    )


def _draw(settings: AlpacaSettings, stream: StreamSettings, source: torch.Generator) -> HyperStream:
    distribution, population = stream.distribution(deployment=False), settings.alpaca_population
    functions = distribution.sample(population, source)
    lives = draw_hyper_stream(
        functions,
        stream.windows,
        source,
        num_members=population,
        updates_per_task=stream.updates_per_task,
        batch_size=stream.batch_size,
        hyper_batch_size=_NUM_QUERIES,
        update_every=stream.num_updates,
        noise_sd=noise_of(functions, distribution),
    )
    met = 1 + int(torch.randint(stream.num_updates, (1,), generator=source, device=source.device))
    return lives._replace(inputs=lives.inputs[:met], targets=lives.targets[:met])


def _parts(parameters: Params) -> tuple[Params, Params]:
    """The features' parameters, and the prior's."""
    prior = {name.removeprefix(_PRIOR): value for name, value in parameters.items() if name.startswith(_PRIOR)}
    return {name: value for name, value in parameters.items() if not name.startswith(_PRIOR)}, prior
