"""Every rule with the same lives on the same streams: a job for each stream and kind of life, a round of which is one life."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from rich.console import Console
from torch import Tensor
from torch.nn.functional import normalize

from hyperlearning.acquisition.stream_rules import STREAM_RULES, StreamRuleName
from hyperlearning.core.expect import AtLeast, Count, check_ranges
from hyperlearning.core.seeding import generator
from hyperlearning.data.images import load
from hyperlearning.engine.rounds import Played, Rounds, RoundsState
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.sub_records import train_below
from hyperlearning.streams.image_pool import ImagePool, image_pool
from hyperlearning.streams.image_streams import ImageStream, StreamName, draw_image_stream
from hyperlearning.systems.images.stream_lives import (
    LIFE_TITLES,
    DescendingLife,
    LifeName,
    Lived,
    SolvedLife,
    StreamLife,
    live_all,
    live_stream,
)
from hyperlearning.systems.images.trained import TrainedClassifier

EVERYTHING = "everything"
"""What stands for a rule in lives that ask about every image."""

_PARTS = 10
"""Of a stream, for each of which a line says how many questions were asked."""
_AT_A_TIME = 100
"""Images whose features are computed together."""


@dataclass(frozen=True, kw_only=True)
class StreamSettings:
    """Images of streams."""

    dataset: Literal["mnist", "fashion_mnist", "digits"] = "mnist"
    """Where classes come from, none of which the network was trained on; digits are built in."""
    num_images: Count = 1000
    """Images of a stream."""
    num_tests: Count = 100
    """Tests of each class."""
    tail_ratio: Annotated[float, AtLeast(1)] = 50.0
    """Images of the most frequent class over those of the rarest, in streams with a tail."""
    data_root: str = ""
    """Where data lie; HYPERLEARNING_DATA, or the user's cache, if empty."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class StreamLifeLine:
    """A life on a stream.

    Attributes:
        stream: Kind of the stream.
        life: What learned.
        rule: The name of what decided, or `EVERYTHING`.
        title: What a figure calls it.
        seed: Of the stream, and of chance.
        budget: Questions that might be asked.
        asked: Questions that were.
        num_images: Images of the stream.
        accuracy: Share of tests right at the end, all classes as many.
        of_class: Likewise of each class, as they are numbered in the stream.
        asked_of_class: Questions that turned out to be of each class.
        met_of_class: Images of each class in the stream.
        asked_in_part: Questions in each tenth of the stream.
        life_seconds: How long it took.
    """

    kind: ClassVar[str] = "stream life"

    stream: StreamName
    life: LifeName
    rule: str
    title: str
    seed: int
    budget: int
    asked: int
    num_images: int
    accuracy: float
    of_class: tuple[float, ...]
    asked_of_class: tuple[int, ...]
    met_of_class: tuple[int, ...]
    asked_in_part: tuple[int, ...]
    life_seconds: float


class StreamPlan(NamedTuple):
    """What is compared.

    Attributes:
        config: The run's settings, which all parts of its record carry.
        data: Images of streams.
        run: What was hyper-trained: its features are those of all lives.
        streams: Kinds of streams.
        lives: Kinds of lives.
        rules: What decides.
        budgets: Questions of a life.
        precision: Of a ridge head.
        num_lives: Streams of each kind.
        seed: Of the run; streams have seeds of their own that follow from it.
    """

    config: Any
    data: StreamSettings
    run: TrainedClassifier
    streams: tuple[StreamName, ...]
    lives: tuple[LifeName, ...]
    rules: tuple[StreamRuleName, ...]
    budgets: tuple[int, ...]
    precision: float
    num_lives: int
    seed: int

    @property
    def seeds(self) -> range:
        """Of streams; no two runs of different seeds share one."""
        return range(self.seed * self.num_lives, (self.seed + 1) * self.num_lives)


class StreamFeatures(NamedTuple):
    """A stream as lives meet it, and what is tested, features of length 1."""

    stream: ImageStream
    features_NF: Float[Tensor, "images features"]
    tests_TF: Float[Tensor, "tests features"]


def stream_pools(data: StreamSettings, side: int) -> tuple[ImagePool, ImagePool]:
    """Loads what streams and tests are drawn from.

    Raises:
        AbsentDataError: If a data set is not there; the message names the command that fetches it.
    """
    root = Path(data.data_root) if data.data_root else None
    read = partial(load, data.dataset, root=root)
    arrange = partial(image_pool, side=side, channels=1, device=torch.get_default_device())
    return arrange([read("train")]), arrange([read("test")])


def drawn_stream(plan: StreamPlan, pools: tuple[ImagePool, ImagePool], name: StreamName, seed: int) -> ImageStream:
    """Draws a stream, the same for all rules and lives.

    Raises:
        ValueError: If a class has fewer images than are wanted.
    """
    data, source = plan.data, generator(seed, f"image stream {name}")
    return draw_image_stream(
        *pools, source, name=name, num_images=data.num_images, num_tests=data.num_tests, tail_ratio=data.tail_ratio
    )


@torch.no_grad()
def seen_by(run: TrainedClassifier, stream: ImageStream) -> StreamFeatures:
    """What innate convolutions make of a stream and its tests."""

    def features(images: Tensor) -> Tensor:
        parts = [run.features(part) for part in images.split(_AT_A_TIME)]
        return normalize(torch.cat(parts), dim=-1)

    return StreamFeatures(stream, features(stream.images), features(stream.test_images))


def begins(plan: StreamPlan, name: LifeName, stream: StreamFeatures) -> Callable[[], StreamLife]:
    """How a life of a kind begins."""
    num_features = stream.features_NF.shape[1]
    if name == "dan":
        return partial(DescendingLife, plan.run, num_features, precision=plan.precision)
    return partial(SolvedLife, num_features, len(stream.stream.counts), precision=plan.precision)


def stream_job(plan: StreamPlan, name: StreamName, life: LifeName, seed: int, stream: StreamFeatures) -> Rounds:
    """Builds the job of all lives of a kind on one stream: a round is a life, the first one that of asking about everything.

    Args:
        plan: What is compared.
        name: Kind of the stream.
        life: Kind of the lives.
        seed: Of the stream.
        stream: The stream.
    """
    rounds = list(_rounds(plan))
    begin = begins(plan, life, stream)

    def play(state: RoundsState, source: torch.Generator) -> Played:
        rule, budget = rounds[state.round]
        begun = time.monotonic()
        lived = _lived(begin, stream, rule, budget, seed)
        line = _line(stream, lived, budget, time.monotonic() - begun, stream=name, life=life, rule=rule, seed=seed)
        return Played({}, {}, line, f"{line.title}, {line.asked} asked: {line.accuracy:.4f}")

    source = generator(seed, "stream lives")  # Of no number: each life has a source of its own.
    initial = RoundsState({}, {}, 0, source.get_state())
    title = f"{name}, {LIFE_TITLES[life]}, seed {seed}"
    return Rounds(initial=initial, play=play, num_rounds=len(rounds), source=source, title=title, unit="lives")


def _rounds(plan: StreamPlan) -> Iterator[tuple[StreamRuleName | None, int]]:
    """Rules and budgets; no rule where everything is asked about."""
    yield None, plan.data.num_images
    for rule in plan.rules:
        for budget in plan.budgets:
            yield rule, budget


def _lived(
    begin: Callable[[], StreamLife], stream: StreamFeatures, rule: StreamRuleName | None, budget: int, seed: int
) -> Lived:
    labels_N = stream.stream.labels
    if rule is None:
        return live_all(begin, stream.features_NF, labels_N)
    source = generator(seed, f"questions, {rule}, {budget}")
    return live_stream(begin, STREAM_RULES[rule], stream.features_NF, labels_N, budget=budget, source=source)


def _line(
    seen: StreamFeatures,
    lived: Lived,
    budget: int,
    seconds: float,
    *,
    stream: StreamName,
    life: LifeName,
    rule: StreamRuleName | None,
    seed: int,
) -> StreamLifeLine:
    own, num_classes = seen.stream, len(seen.stream.counts)
    right_T = (lived.life.logits(seen.tests_TF).argmax(-1) == own.test_labels).double()
    of_class = right_T.unflatten(0, (num_classes, -1)).mean(1)
    asked = torch.tensor(lived.asked, dtype=torch.int64)
    num_images = len(own.labels)
    return StreamLifeLine(
        stream=stream,
        life=life,
        rule=rule or EVERYTHING,
        title=STREAM_RULES[rule].title if rule else EVERYTHING,
        seed=seed,
        budget=budget,
        asked=len(asked),
        num_images=num_images,
        accuracy=round(float(right_T.mean()), 5),
        of_class=tuple(round(share, 5) for share in of_class.tolist()),
        asked_of_class=tuple(own.labels[asked].bincount(minlength=num_classes).tolist()),
        met_of_class=tuple(own.counts.tolist()),
        asked_in_part=tuple((asked * _PARTS // num_images).bincount(minlength=_PARTS).tolist()),
        life_seconds=round(seconds, 3),
    )


def compare_rules(plan: StreamPlan, record: RunRecord, console: Console) -> None:
    """Lives every life, or goes on doing so."""
    pools = cache(partial(stream_pools, plan.data, plan.run.side))
    for name in plan.streams:
        for seed in plan.seeds:
            seen = cache(lambda name=name, seed=seed: seen_by(plan.run, drawn_stream(plan, pools(), name, seed)))
            for life in plan.lives:
                if not _are_there(plan, record, name, life, seed):
                    _live(plan, record, name, life, seed, seen(), console)


def _are_there(plan: StreamPlan, record: RunRecord, name: StreamName, life: LifeName, seed: int) -> bool:
    lines = [line for line in record.lines(StreamLifeLine) if (line.stream, line.life, line.seed) == (name, life, seed)]
    return len(lines) == len(list(_rounds(plan)))


def _live(
    plan: StreamPlan,
    record: RunRecord,
    name: StreamName,
    life: LifeName,
    seed: int,
    stream: StreamFeatures,
    console: Console,
) -> None:
    job = stream_job(plan, name, life, seed, stream)
    made = train_below(record, f"{name}_{life}_{seed}", plan.config, job, console)
    for line in made.record.lines(StreamLifeLine):
        key = {"stream": name, "life": life, "seed": seed, "rule": line.rule, "budget": line.budget}
        record.once(StreamLifeLine, key, partial(_same, line))


def _same(line: StreamLifeLine) -> StreamLifeLine:
    return line
