"""All few-shot learners on the same test episodes: each is trained, or gone on with, then tested in every way."""

import copy
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any, NamedTuple

from rich.console import Console
from torch import Tensor, nn

from hyperlearning.core.params import count
from hyperlearning.core.seeding import generator
from hyperlearning.engine.rounds import RoundsState
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.sub_records import Trained, train_below
from hyperlearning.learners.few_shot.embedded import Embedded
from hyperlearning.learners.few_shot.hyper_shot import EquivariantHyperShotHead, HyperShotHead
from hyperlearning.learners.few_shot.prototypes import PrototypeHead
from hyperlearning.streams.episodes import EpisodeShape, Picks, check_fits, draw_picks
from hyperlearning.streams.image_pool import ImagePool
from hyperlearning.systems.hypernetworks.few_shot_lines import (
    COMMON_COURSE,
    ClassesLine,
    CourseLine,
    LookLine,
    Readout,
    ScoreLine,
)
from hyperlearning.systems.hypernetworks.few_shot_methods import METHODS, FewShotMethod
from hyperlearning.systems.hypernetworks.few_shot_scoring import num_right, pool_features, right_of_head
from hyperlearning.systems.hypernetworks.few_shot_settings import LearnerName
from hyperlearning.systems.hypernetworks.few_shot_training import (
    FewShotPlan,
    common_job,
    drawers,
    embedding_of,
    trained_learner,
    training_job,
)


class Model(NamedTuple):
    """One training of a learner.

    Attributes:
        name: Which learner.
        num_ways: Classes of its episodes.
        tested_ways: Numbers of ways that it is tested on.
    """

    name: LearnerName
    num_ways: int
    tested_ways: tuple[int, ...]

    @property
    def method(self) -> FewShotMethod:
        """What it is."""
        return METHODS[self.name]

    @property
    def label(self) -> str:
        """What its record is called."""
        return self.name if self.method.any_ways else f"{self.name}_{self.num_ways}"


def models_of(plan: FewShotPlan) -> Iterator[Model]:
    """Every training: one of a learner that takes any number of ways, else one for each number of the tests."""
    for name in plan.training.learners:
        method, ways = METHODS[name], plan.tests.ways
        if method.any_ways:
            yield Model(name, plan.training.train_ways, ways)
        else:
            own = [number for number in ways if not method.is_whole or number in plan.learners.whole_ways]
            yield from (Model(name, number, (number,)) for number in own)


def check_plan(plan: FewShotPlan) -> None:
    """Refuses episodes that there are too few classes or images for, before any work.

    Raises:
        ValueError: If so; the message says of what, and what to do.
    """
    tests = plan.tests
    for model in models_of(plan):
        drawers(plan, model.num_ways)
        check_fits(plan.pools.validation, plan.validation_shape._replace(num_ways=min(model.tested_ways)))
    for pool in plan.pools.tests.values():
        for shape in _shapes(plan):
            if shape.num_ways <= pool.num_classes or shape.num_ways == min(tests.ways):
                check_fits(pool, shape)


def compare_learners(plan: FewShotPlan, config: Any, record: RunRecord, console: Console) -> None:
    """Trains all learners, or goes on doing so, each in a record below the run's, and tests them."""
    pools = plan.pools
    tests = {name: pool.num_classes for name, pool in pools.tests.items()}
    record.once(
        ClassesLine,
        {},
        lambda: ClassesLine(train=pools.train.num_classes, validation=pools.validation.num_classes, tests=tests),
    )
    start = None
    if plan.training.common_images:
        common = train_below(record, COMMON_COURSE, config, common_job(plan), console, num_looks=1)
        start = embedding_of(common.state)
        record.once(
            CourseLine,
            {"method": COMMON_COURSE},
            partial(_course, COMMON_COURSE, "the embedding that all begin with", None, common, count(start)),
        )
    for model in models_of(plan):
        job = training_job(plan, model.name, model.num_ways, start=start)
        trained = train_below(record, model.label, config, job, console, num_looks=1)
        learner = trained_learner(plan, model.name, model.num_ways, trained.state)
        ways = None if model.method.any_ways else model.num_ways
        numbers = count(dict(learner.named_parameters()))
        record.once(
            CourseLine,
            {"method": model.name, "ways": ways},
            partial(_course, model.name, model.method.title, ways, trained, numbers),
        )
        score_learner(plan, model, learner, record)


def _course(method: str, title: str, ways: int | None, trained: Trained[RoundsState], num_numbers: int) -> CourseLine:
    return CourseLine(
        method=method,
        title=title,
        ways=ways,
        looks=tuple(trained.record.lines(LookLine)),
        num_numbers=num_numbers,
        seconds=trained.record.manifest["training_seconds"],
    )


def score_learner(plan: FewShotPlan, model: Model, learner: nn.Module, record: RunRecord) -> None:
    """Tests a learner on all episodes, and what else can be read out of it, or finds that it has been done."""
    for test, pool in plan.pools.tests.items():
        features = cache(partial(_features, learner, pool))
        for shape in _shapes(plan):
            if shape.num_ways not in model.tested_ways or shape.num_ways > pool.num_classes:
                continue
            for readout, head in readouts_of(plan, model, learner).items():
                kind = {"test": test, "ways": shape.num_ways, "shots": shape.num_shots}
                key = {"method": model.name, "readout": readout, **kind}
                right = partial(_right, plan, learner, head, features, test, shape)
                record.once(ScoreLine, key, partial(_score, key, model.method.title, shape, right))


def _right(
    plan: FewShotPlan,
    learner: nn.Module,
    head: nn.Module | None,
    features: Callable[[], Tensor],
    test: str,
    shape: EpisodeShape,
) -> Tensor:
    picks = picks_of_test(plan, test, shape)
    if head is None:
        return num_right(learner, plan.pools.tests[test], picks)
    return right_of_head(head, features(), picks)


def _score(key: dict[str, Any], title: str, shape: EpisodeShape, right: Callable[[], Tensor]) -> ScoreLine:
    queries = shape.num_ways * shape.num_queries
    return ScoreLine(**key, title=title, queries=queries, right=tuple(right().tolist()))


def readouts_of(plan: FewShotPlan, model: Model, learner: nn.Module) -> dict[Readout, nn.Module | None]:
    """What scores queries by features, by readout; a learner that sees images has none."""
    if not isinstance(learner, Embedded):
        return {"own": None}
    found: dict[Readout, nn.Module | None] = {"own": learner.head}
    if model.method.is_written and plan.learners.adapting_steps:
        adapted = copy.deepcopy(learner.head)
        assert isinstance(adapted, HyperShotHead | EquivariantHyperShotHead)
        adapted.num_steps, adapted.lr = plan.learners.adapting_steps, plan.learners.adapting_lr
        found["adapted"] = adapted
    if model.name != "cosine_prototypes":
        found["class_means"] = PrototypeHead("cosine")
    return found


def picks_of_test(plan: FewShotPlan, test: str, shape: EpisodeShape) -> Picks:
    """The test episodes of one kind: the same for all learners, and for all runs of the seed on these classes."""
    purpose = f"test, {test}, {shape.num_ways} ways, {shape.num_shots} shots"
    return draw_picks(plan.pools.tests[test], shape, generator(plan.seed, purpose), num_episodes=plan.tests.episodes)


def _features(learner: nn.Module, pool: ImagePool) -> Tensor:
    assert isinstance(learner, Embedded)
    return pool_features(learner.network, pool)


def _shapes(plan: FewShotPlan) -> list[EpisodeShape]:
    tests = plan.tests
    return [EpisodeShape(ways, shots, tests.queries) for ways in tests.ways for shots in tests.shots]
