"""Few-shot regression of sine waves: learners by name, how they are trained, and how they are tested on the same waves.

Shape suffixes: E episodes, K support points, Q query points.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, get_args

import torch
from rich.console import Console
from torch import Tensor, nn

from hyperlearning.core.expect import AtLeast, Count, Rate, Some, check_ranges
from hyperlearning.core.params import count, part_of
from hyperlearning.core.seeding import generator
from hyperlearning.engine.rounds import Rounds
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.sub_records import train_below
from hyperlearning.learners.few_shot.functions import (
    DescendingFunction,
    KnowingFunction,
    SolvingFunction,
    WrittenFunction,
    squared_errors,
)
from hyperlearning.streams.sine_episodes import DOMAIN, FunctionEpisodes, draw_sine_episodes
from hyperlearning.systems.hypernetworks.few_shot_lines import CourseLine, LookLine
from hyperlearning.systems.hypernetworks.few_shot_rounds import Lessons, learning_rounds

SineLearner = Literal["written", "written_wide", "solving", "maml", "maml_first_order", "anil"]
_NUM_SHOWN = 3
_NUM_PLACES = 81


@dataclass(frozen=True, kw_only=True)
class SineTraining:
    """How learners of sine waves are trained and tested."""

    learners: Annotated[tuple[SineLearner, ...], Some(distinct=True)] = get_args(SineLearner)
    """Which."""
    steps: Count = 20_000
    """Updates of a learner."""
    waves: Count = 25
    """Waves of an update (MAML: 25)."""
    train_shots: Annotated[tuple[Count, ...], Some(distinct=True)] = (5, 10)
    """Points of the support, in turn."""
    train_queries: Count = 10
    """Points of the query (MAML: 10)."""
    hidden: Annotated[tuple[Count, ...], Some()] = (40, 40)
    """Units of the hidden layers of a wave's network (MAML: 40, 40)."""
    lr: Rate = 1e-3
    """Rate of Adam at first; it falls to 0 along a cosine."""
    inner_steps: Count = 5
    """Gradient steps of MAML and ANIL."""
    inner_lr: Rate = 0.01
    """Their rate (MAML: .01, one step in training)."""
    adapting_steps: Count = 10
    """Gradient steps that written networks take, where they are said to be adapted."""
    looks: Count = 20
    """Times that a learner is validated, of which the best is kept."""
    shots: Annotated[tuple[Count, ...], Some(distinct=True)] = (5, 10)
    """Points of the support in tests."""
    test_waves: Annotated[int, AtLeast(2)] = 600
    """Waves of a test."""
    test_queries: Count = 100
    """Points of the query in tests."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class ErrorLine:
    """A learner on test waves.

    Attributes:
        method: Its name.
        title: What a figure calls it.
        shots: Points of the support.
        errors: Mean squared error of every wave.
    """

    kind: ClassVar[str] = "error"

    method: str
    title: str
    shots: int
    errors: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class WavesLine:
    """A few test waves as a learner has them.

    Attributes:
        title: What a figure calls the learner, or the waves themselves.
        places: Where.
        values: Of each wave, there.
    """

    kind: ClassVar[str] = "waves"

    title: str
    places: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]


class SineMethod(NamedTuple):
    """A learner of sine waves.

    Attributes:
        title: What a figure calls it.
        note: What it is, in a sentence.
        build: Makes it, untrained.
    """

    title: str
    note: str
    build: Callable[[SineTraining, torch.Generator], nn.Module]


def _descending(order: Literal["second", "first"], *, last_alone: bool = False) -> Callable[..., nn.Module]:
    def build(training: SineTraining, source: torch.Generator) -> nn.Module:
        return DescendingFunction(
            training.hidden,
            num_steps=training.inner_steps,
            lr=training.inner_lr,
            order=order,
            last_alone=last_alone,
            generator=source,
        )

    return build


SINE_METHODS: Mapping[SineLearner, SineMethod] = {
    "written": SineMethod(
        "written network",
        "a hypernetwork reads the points as a set and writes a network in one forward pass",
        lambda training, source: WrittenFunction(training.hidden, generator=source),
    ),
    "written_wide": SineMethod(
        "written network, one wide layer",
        "the same, the network written having one hidden layer of as many units as all together",
        lambda training, source: WrittenFunction((sum(training.hidden),), generator=source),
    ),
    "solving": SineMethod(
        "solved readout",
        "a ridge regression on learned features",
        lambda training, source: SolvingFunction(training.hidden, generator=source),
    ),
    "maml": SineMethod("MAML", "gradient steps of the whole network, second order", _descending("second")),
    "maml_first_order": SineMethod("MAML, first order", "the same, first order", _descending("first")),
    "anil": SineMethod("ANIL", "gradient steps of the last layer", _descending("second", last_alone=True)),
}
"""Every learner by name."""
KNOWING = "knowing"
"""The name of what knows the family."""
ADAPTED = "{}_adapted"
"""The name of a learner whose written networks descend, given its own."""


def sine_job(training: SineTraining, name: SineLearner, seed: int) -> Rounds:
    """Makes the job that trains a learner."""
    learner = _built(training, name, seed)
    shots, queries = training.train_shots, training.train_queries
    validation = _drawn(training, training.shots[0], seed, "validation")

    def loss(step: int, source: torch.Generator) -> Tensor:
        number = shots[step % len(shots)]
        some = draw_sine_episodes(source, num_episodes=training.waves, num_shots=number, num_queries=queries)
        return squared_errors(learner(some.support_x, some.support_y, some.query_x), some.query_y).mean()

    lessons = Lessons(
        loss=loss,
        sizes=[training.waves * (number + queries) for number in shots],
        num_steps=training.steps,
        looks=training.looks,
        lr=training.lr,
        validate=lambda own: -float(_errors(own, validation).mean()),
        shown=lambda found: f"error {-found:.3f}",
        source=generator(seed, "sine waves"),
        title=SINE_METHODS[name].title,
    )
    return learning_rounds(learner, lessons)


def compare_on_sines(training: SineTraining, config: Any, record: RunRecord, console: Console, *, seed: int) -> None:
    """Trains all learners, or goes on doing so, each in a record below the run's, and tests them on the same waves."""
    tests = {shots: _drawn(training, shots, seed, "test") for shots in training.shots}
    shown, places = _shown(tests[training.shots[0]])
    record.once(WavesLine, {"title": "the wave"}, lambda: _waves("the wave", places, shown.query_y))
    for name in training.learners:
        method = SINE_METHODS[name]
        trained = train_below(record, name, config, sine_job(training, name, seed), console, num_looks=1)
        learner = _built(training, name, seed)
        learner.load_state_dict(part_of(trained.state.tensors, "best"))
        learner.eval()
        course = partial(
            CourseLine,
            method=name,
            title=method.title,
            ways=None,
            looks=tuple(trained.record.lines(LookLine)),
            num_numbers=count(dict(learner.named_parameters())),
            seconds=trained.record.manifest["training_seconds"],
        )
        record.once(CourseLine, {"method": name}, course)
        _test(record, name, method.title, learner, tests)
        found = partial(_run, learner, shown)
        record.once(WavesLine, {"title": method.title}, lambda m=method, f=found: _waves(m.title, places, f()))
        if isinstance(learner, WrittenFunction):
            learner.num_steps, learner.lr = training.adapting_steps, training.inner_lr
            _test(record, ADAPTED.format(name), f"{method.title}, adapted", learner, tests)
    _test(record, KNOWING, "least squares on sin and cos", KnowingFunction(), tests)


def _test(
    record: RunRecord, method: str, title: str, learner: nn.Module, tests: Mapping[int, FunctionEpisodes]
) -> None:
    for shots, episodes in tests.items():

        def measure(shots: int = shots, episodes: FunctionEpisodes = episodes) -> ErrorLine:
            errors = tuple(float(f"{error:.6g}") for error in _errors(learner, episodes).tolist())
            return ErrorLine(method=method, title=title, shots=shots, errors=errors)

        record.once(ErrorLine, {"method": method, "shots": shots}, measure)


def _built(training: SineTraining, name: SineLearner, seed: int) -> nn.Module:
    source = generator(seed, f"first weights of {name}")
    return SINE_METHODS[name].build(training, source).to(torch.get_default_device())


def _drawn(training: SineTraining, num_shots: int, seed: int, purpose: str) -> FunctionEpisodes:
    source = generator(seed, f"{purpose}, {num_shots} shots")
    number, queries = training.test_waves, training.test_queries
    return draw_sine_episodes(source, num_episodes=number, num_shots=num_shots, num_queries=queries)


def _errors(learner: nn.Module, episodes: FunctionEpisodes) -> Tensor:
    return squared_errors(_run(learner, episodes), episodes.query_y)


def _run(learner: nn.Module, episodes: FunctionEpisodes) -> Tensor:
    with torch.no_grad():
        return learner(episodes.support_x, episodes.support_y, episodes.query_x)


def _shown(tested: FunctionEpisodes) -> tuple[FunctionEpisodes, Tensor]:
    """The first waves of a test, at places all over the domain; a wave is known from three of its points."""
    few = FunctionEpisodes(*(tensor[:_NUM_SHOWN] for tensor in tested))
    places = torch.linspace(*DOMAIN, _NUM_PLACES)
    query = places[None, :, None].expand(len(few.support_x), -1, 1)
    knowing = KnowingFunction()(few.query_x, few.query_y, query)
    return FunctionEpisodes(few.support_x, few.support_y, query, knowing), places


def _waves(title: str, places: Tensor, values: Tensor) -> WavesLine:
    own = [tuple(round(value, 4) for value in row) for row in values[..., 0].tolist()]
    return WavesLine(title=title, places=tuple(round(place, 4) for place in places.tolist()), values=tuple(own))


def final_errors(lines: list[ErrorLine]) -> dict[str, dict[int, ErrorLine]]:
    """Errors of every learner, by shots."""
    found: dict[str, dict[int, ErrorLine]] = {}
    for line in lines:
        found.setdefault(line.method, {})[line.shots] = line
    return found
