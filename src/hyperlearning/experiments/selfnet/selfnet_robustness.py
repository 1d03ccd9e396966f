"""How much a network may differ from what was trained: accuracy against the cosine to its weights, by what disturbs them.

Claim (dissertation, section 2.4.1, figure 2.2): a network whose weights have a cosine above .997 to those that were trained does
as well, so that the cosine says when an autoencoder of weights may stop. Is that so of every way to differ?

The page `docs/experiments/selfnet-robustness.md` lists every deviation from the source.
"""

import copy
from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar

import torch
from rich.console import Console
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from hyperlearning.core.expect import Above, Count, Seed, Some, Within, check_ranges
from hyperlearning.core.seeding import generator
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.progress import reporting
from hyperlearning.engine.rounds import Played, Rounds, RoundsState
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.sub_records import train_below
from hyperlearning.experiments.entry import Entry, Fared, FurtherLives, Measure, MetLives, refuse_further
from hyperlearning.experiments.experiment import Experiment, page_of
from hyperlearning.streams.binary_tasks import TaskData
from hyperlearning.systems.selfnet.perturbations import perturbations
from hyperlearning.systems.selfnet.robust_networks import NetworkSet, RobustnessData, SetName, network_set
from hyperlearning.systems.selfnet.settings import TaskTraining
from hyperlearning.systems.selfnet.task_networks import accuracy, train_task


@dataclass(frozen=True, kw_only=True)
class Config:
    """Train networks, disturb them by more and more, and see what they still know."""

    data: RobustnessData = field(default_factory=RobustnessData)
    training: TaskTraining = field(
        default_factory=lambda: TaskTraining(task_epochs=3, task_lr=0.02, task_momentum=0.9, pull=0.0)
    )
    cosines: Annotated[tuple[Annotated[float, Above(0), Within(0, 1)], ...], Some(distinct=True)] = (
        0.9999,
        0.999,
        0.997,
        0.995,
        0.99,
        0.98,
        0.97,
        0.95,
        0.9,
        0.8,
    )
    """Cosines to the trained weights that noise is scaled to."""
    num_draws: Count = 5
    """Draws of noise of each."""
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "cpu"
    """Where it computes."""
    threads: Count = 1
    """Threads of the computation."""

    def __post_init__(self) -> None:
        check_ranges(self)


_QUICK = Config(data=RobustnessData(num_networks=2, most_images=5000, test_images=1000), num_draws=3)

PRESETS: dict[str, Config] = {
    "quick": _QUICK,
    "laptop": Config(),
    "smoke": replace(
        _QUICK,
        data=RobustnessData(num_networks=2, most_images=20, test_images=20),
        training=TaskTraining(task_epochs=1, pull=0.0),
        cosines=(0.99, 0.9),
        num_draws=1,
    ),
    "paper": Config(data=RobustnessData(num_networks=10, most_images=60_000, test_images=10_000)),
}


@dataclass(frozen=True, kw_only=True)
class TrainedLine:
    """Networks of a set after training.

    Attributes:
        round: Networks trained so far.
        accuracy: Of the last of them.
    """

    kind: ClassVar[str] = "trained"

    round: int
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class DisturbedLine:
    """What networks of a set still know when they are disturbed in one way.

    Attributes:
        dataset: The set.
        set_title: What a figure calls it.
        perturbation: The way.
        title: What a figure calls it.
        note: What it is, in a sentence.
        levels: How much.
        undisturbed: Accuracy of every network as it was trained.
        cosines: A list a level, of one cosine for each network and draw.
        accuracies: Likewise.
    """

    kind: ClassVar[str] = "disturbed"

    dataset: str
    set_title: str
    perturbation: str
    title: str
    note: str
    levels: tuple[float, ...]
    undisturbed: tuple[float, ...]
    cosines: tuple[tuple[float, ...], ...]
    accuracies: tuple[tuple[float, ...], ...]


def check(config: Config) -> None:
    """Raises if settings contradict one another, or data are absent."""
    check_ranges(config)
    for name in config.data.sets:
        network_set(name, config.data, config.seed)


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Trains the networks of every set, or goes on doing so, then disturbs them in every way."""
    record.note(threads=config.threads)
    for name in config.data.sets:
        own = network_set(name, config.data, config.seed)
        console.print(own.title, style="bold", highlight=False)
        vectors_KN = train_below(record, name, config, _training(config, own), console).state.tensors["vectors"]
        _disturb(config, name, own, vectors_KN, record, console)


def _training(config: Config, own: NetworkSet) -> Rounds:
    def play(state: RoundsState, source: torch.Generator) -> Played:
        network = own.first()
        train_task(network, own.data(state.round, "train"), config.training, source)
        vector = parameters_to_vector(network.parameters()).detach()
        found = accuracy(network, own.data(state.round, "test"))
        line = TrainedLine(round=state.round + 1, accuracy=round(found, 5))
        vectors_KN = torch.cat([state.tensors["vectors"], vector[None]])
        return Played({"vectors": vectors_KN}, {}, line, f"accuracy {found:.4f}")

    size = sum(parameter.numel() for parameter in own.first().parameters())
    source = generator(config.seed, f"order, {own.title}")
    initial = RoundsState({"vectors": torch.zeros(0, size)}, {}, 0, source.get_state())
    return Rounds(
        initial=initial,
        play=play,
        num_rounds=config.data.num_networks,
        source=source,
        title="training",
        unit="networks",
    )


def _disturb(
    config: Config, name: SetName, own: NetworkSet, vectors_KN: Tensor, record: RunRecord, console: Console
) -> None:
    network, tests = own.first(), [own.data(number, "test") for number in range(len(vectors_KN))]
    sizes = [parameter.numel() for parameter in network.parameters()]
    undisturbed = tuple(_scored(network, vector, test) for vector, test in zip(vectors_KN, tests, strict=True))
    names = list(perturbations(sizes, vectors_KN[0], cosines=config.cosines))
    with reporting(console, "disturbing", len(names), "ways") as report:
        for done, way in enumerate(names, start=1):

            def line(way: str = way) -> DisturbedLine:
                return _line(config, (name, own.title, way), network, vectors_KN, tests, undisturbed, sizes)

            record.once(DisturbedLine, {"dataset": name, "perturbation": way}, line)
            report(done, way)


def _line(
    config: Config,
    words: tuple[SetName, str, str],
    network: nn.Module,
    vectors_KN: Tensor,
    tests: list[TaskData],
    undisturbed: tuple[float, ...],
    sizes: list[int],
) -> DisturbedLine:
    name, set_title, way = words
    source, found = generator(config.seed, f"disturbing {name} by {way}"), {}
    for number, (vector, test) in enumerate(zip(vectors_KN, tests, strict=True)):
        others = perturbations(sizes, vectors_KN[number - 1], cosines=config.cosines)
        own = others[way]
        for level in own.levels:
            for _ in range(config.num_draws if way.startswith("noise") else 1):
                disturbed = own.apply(vector, level, source)
                near = float(torch.cosine_similarity(disturbed, vector, dim=0))
                found.setdefault(level, []).append((round(near, 6), _scored(network, disturbed, test)))
    own = perturbations(sizes, vectors_KN[0], cosines=config.cosines)[way]
    return DisturbedLine(
        dataset=name,
        set_title=set_title,
        perturbation=way,
        title=own.title,
        note=own.note,
        levels=tuple(float(level) for level in own.levels),
        undisturbed=undisturbed,
        cosines=tuple(tuple(near for near, _ in found[level]) for level in own.levels),
        accuracies=tuple(tuple(score for _, score in found[level]) for level in own.levels),
    )


def _scored(network: nn.Module, vector: Tensor, test: TaskData) -> float:
    own = copy.deepcopy(network)
    vector_to_parameters(vector, own.parameters())
    return round(accuracy(own, test), 5)


def enter(record: RunRecord, further: FurtherLives | None) -> Entry:
    """Accuracy of every network under noise, by the cosine it was scaled to."""
    refuse_further(record, further)
    config = record.settings(Config)
    met = []
    for name in config.data.sets:
        (line,) = (own for own in record.lines(DisturbedLine) if (own.dataset, own.perturbation) == (name, "noise"))
        systems = tuple(
            Fared(
                system=f"cosine {level:g}",
                title=f"noise to a cosine of {level:g}",
                enters=level == line.levels[0],
                scores={"accuracy": scores},
            )
            for level, scores in zip(line.levels, line.accuracies, strict=True)
        )
        facts = {"kind": "disturbed networks", "data": name, "seed": config.seed, "num_draws": config.num_draws}
        met.append(MetLives(title=line.set_title, facts=facts, systems=systems))
    return Entry(measures=(Measure(name="accuracy", title="accuracy", unit="share"),), met=tuple(met))


EXPERIMENT = Experiment(
    claim="Networks whose weights have a cosine above .997 to those trained do as well, whatever disturbs them.",
    presets=PRESETS,
    check=check,
    run=run,
    report=page_of(__name__),
    enter=enter,
)
