"""One network in pieces, and networks of several architectures in one autoencoder: what Self-Net says of large networks.

Claim (dissertation, section 2.4.8, figure 2.7): a smaller autoencoder learns a network of 60 thousand weights in three pieces in
much less time than a larger one learns it whole, and one autoencoder keeps networks of different sizes and architectures.

The page `docs/experiments/selfnet-splits.md` lists every deviation from the source.
"""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, ClassVar, Literal

from rich.console import Console

from hyperlearning.core.expect import Count, Rate, Seed, Some, Within, check_ranges
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.sub_records import train_below
from hyperlearning.experiments.entry import Entry, Fared, FurtherLives, Measure, MetLives, refuse_further
from hyperlearning.experiments.experiment import Experiment, page_of
from hyperlearning.learners.weight_codecs.self_net import SelfNetRule
from hyperlearning.systems.selfnet.settings import TaskTraining
from hyperlearning.systems.selfnet.split_lines import PiecesLine, SharedLine, TaughtLine
from hyperlearning.systems.selfnet.split_networks import SplitsData, taught_networks
from hyperlearning.systems.selfnet.splits import Cut, pieces_job, shared_job, teaching_job

_NEVER = 2.0
"""A threshold that no cosine reaches: every autoencoder is trained for as many iterations."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Train networks, let autoencoders learn one of them whole and in pieces, and stores all of them."""

    data: SplitsData = field(default_factory=SplitsData)
    training: TaskTraining = field(
        default_factory=lambda: TaskTraining(task_epochs=6, task_lr=0.02, task_momentum=0.9, pull=0.0)
    )
    repetitions: Annotated[int, Within(2, 100)] = 5
    """Networks of every kind, and autoencoders for them."""
    cuts: Annotated[tuple[Count, ...], Some(distinct=True)] = (1, 3, 10)
    """Pieces that the network is cut into, 1 among them (text: 1 and 3)."""
    hidden: Count = 1000
    """Units of the hidden layer on either side of the code (text: 1000)."""
    network_code: Count = 150
    """Numbers of the code of a network, which its pieces share (text: 50 for each of three pieces)."""
    piece_code: Count = 50
    """Numbers of the code of a piece where architectures share an autoencoder (text: 50)."""
    contraction: Literal["exact", "none"] = "none"
    """The contractive term: equation 2.4, or none."""
    lr: Rate = 1e-4
    """Rate of Adam (authors' code: .0001)."""
    cut_iterations: Count = 100
    """Iterations of an autoencoder of one network."""
    shared_iterations: Count = 100
    """Iterations of the autoencoder of all networks."""
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "cpu"
    """Where it computes."""
    threads: Count = 1
    """Threads of the computation."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if 1 not in self.cuts:
            raise ValueError(f"Expected 1 among `cuts`, the network as a whole, but got {self.cuts}.")
        for num_pieces in self.cuts:
            if self.network_code % num_pieces:
                raise ValueError(
                    f"Expected a `network_code` that {num_pieces} pieces share evenly, but got {self.network_code}."
                )


_QUICK = Config(
    data=SplitsData(most_images=1000, test_images=500),
    repetitions=3,
    hidden=200,
    shared_iterations=200,
)

PRESETS: dict[str, Config] = {
    "quick": _QUICK,
    "laptop": Config(hidden=500),
    "smoke": replace(
        _QUICK,
        data=SplitsData(most_images=20, test_images=20),
        training=TaskTraining(task_epochs=1, pull=0.0),
        repetitions=2,
        cuts=(1, 3),
        hidden=4,
        network_code=6,
        piece_code=2,
        cut_iterations=3,
        shared_iterations=3,
    ),
    "paper": Config(
        data=SplitsData(most_images=100_000, test_images=100_000),
        contraction="exact",
        cut_iterations=300,
        shared_iterations=600,
    ),
}


@dataclass(frozen=True, kw_only=True)
class NetworksLine:
    """All networks of a run.

    Attributes:
        repetitions: Networks of each repetition.
    """

    kind: ClassVar[str] = "networks"

    repetitions: tuple[TaughtLine, ...]


@dataclass(frozen=True, kw_only=True)
class CutsLine:
    """All autoencoders of one network.

    Attributes:
        lines: One a repetition and cut.
    """

    kind: ClassVar[str] = "cuts"

    lines: tuple[PiecesLine, ...]


@dataclass(frozen=True, kw_only=True)
class StoresLine:
    """All stores of several architectures.

    Attributes:
        lines: One a repetition and store.
    """

    kind: ClassVar[str] = "stores"

    lines: tuple[SharedLine, ...]


def cuts_of(config: Config) -> tuple[Cut, ...]:
    """The network whole, and in pieces, all of which make one update, or each of them one."""
    whole = Cut(1, one_by_one=False)
    pieces = (Cut(number, one_by_one) for number in config.cuts if number > 1 for one_by_one in (False, True))
    return (whole, *pieces)


def check(config: Config) -> None:
    """Raises if settings contradict one another, or data are absent."""
    check_ranges(config)
    for taught in taught_networks(config.data, config.training, config.seed, 0).values():
        taught.data("test")


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Trains all networks, or goes on doing so, then autoencoders of one of them, then stores of all."""
    record.note(threads=config.threads)
    own = {"repetitions": config.repetitions, "seed": config.seed}
    teaching = train_below(record, "networks", config, teaching_job(config.data, config.training, **own), console)
    record.once(NetworksLine, {}, lambda: NetworksLine(repetitions=tuple(teaching.record.lines(TaughtLine))))
    networks = partial(taught_networks, config.data, config.training, config.seed)
    learned = teaching.state.tensors
    pieces = pieces_job(
        cuts_of(config), _rule(config, config.network_code, config.cut_iterations), networks, learned, **own
    )
    cut = train_below(record, "pieces", config, pieces, console)
    record.once(CutsLine, {}, lambda: CutsLine(lines=tuple(cut.record.lines(PiecesLine))))
    shared = shared_job(_rule(config, config.piece_code, config.shared_iterations), networks, learned, **own)
    stored = train_below(record, "stores", config, shared, console)
    record.once(StoresLine, {}, lambda: StoresLine(lines=tuple(stored.record.lines(SharedLine))))


def _rule(config: Config, code_size: int, iterations: int) -> SelfNetRule:
    """Three layers of tanh, as the text has them; a lone vector cannot be standardised."""
    return SelfNetRule(
        hidden=(config.hidden,),
        code_size=code_size,
        activation="tanh",
        linear_output=False,
        loss="cosine",
        contraction=config.contraction,
        thresholds=(_NEVER,),
        max_iterations=(iterations,),
        lrs=(config.lr,),
        slow_inputs=False,
        standardised=False,
    )


def title_of(line: PiecesLine) -> str:
    """What a figure calls a cut."""
    if line.num_pieces == 1:
        return "whole"
    return f"{line.num_pieces} pieces, {'one by one' if line.one_by_one else 'at once'}"


def enter(record: RunRecord, further: FurtherLives | None) -> Entry:
    """Accuracy of the network for colour images as every cut recollects it in the end, a repetition a life."""
    refuse_further(record, further)
    config, lines = record.settings(Config), record.last(CutsLine).lines
    titles = list(dict.fromkeys(map(title_of, lines)))
    systems = tuple(
        Fared(
            system=title.replace(", ", "-").replace(" ", "-"),
            title=title,
            enters=title == titles[1 % len(titles)],
            scores={"accuracy": tuple(line.accuracies[-1] for line in lines if title_of(line) == title)},
        )
        for title in titles
    )
    facts = {"kind": "networks in pieces", "data": config.data.colours, "seed": config.seed}
    met = MetLives(title=f"{config.repetitions} networks", facts=facts, systems=systems)
    return Entry(measures=(Measure(name="accuracy", title="accuracy, recollected", unit="share"),), met=(met,))


EXPERIMENT = Experiment(
    claim="One autoencoder learns large networks in pieces, and networks of several architectures, also a user's.",
    presets=PRESETS,
    check=check,
    run=run,
    report=page_of(__name__),
    enter=enter,
)
