"""Many small networks in few bytes: Self-Net's autoencoder, what needs no training, and networks that are born as short codes.

Claim (dissertation, section 2.4.2, figure 2.3): an autoencoder that is trained on its own recollections keeps 50 networks of
21,840 weights as 5 numbers each, "10x compression", at 95.7 percent. What does it keep in bytes, and what keeps more in fewer?

The page `docs/experiments/selfnet-compression.md` lists every deviation from the source.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, Literal, NamedTuple, get_args

from rich.console import Console

from hyperlearning.core.expect import Count, Seed, Some, check_ranges
from hyperlearning.core.seeding import generator
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.rounds import Rounds, RoundsState
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.sub_records import train_below
from hyperlearning.experiments.entry import Entry, Fared, FurtherLives, Measure, MetLives, refuse_further
from hyperlearning.experiments.experiment import Experiment, page_of
from hyperlearning.learners.weight_codecs.low_rank import LowRankResiduals
from hyperlearning.learners.weight_codecs.principal import PrincipalComponents
from hyperlearning.learners.weight_codecs.product import ProductQuantised
from hyperlearning.learners.weight_codecs.residuals import QuantisedResiduals, pruned, ternary, uniform
from hyperlearning.learners.weight_codecs.self_net import SelfNet, SelfNetRule
from hyperlearning.learners.weight_codecs.shared import MeanAlone
from hyperlearning.streams.binary_tasks import draw_binary_tasks
from hyperlearning.systems.selfnet.lines import StageLine, StoreLine, TasksLine
from hyperlearning.systems.selfnet.lives import Store, coding_job, learning_job, masking_job, store_job
from hyperlearning.systems.selfnet.loading import KeptNetworks, kept_networks
from hyperlearning.systems.selfnet.settings import CodeSettings, MaskSettings, TaskSettings, TaskTraining
from hyperlearning.systems.selfnet.task_networks import Judge, Tasks, first_network

StoreName = Literal[
    "mean",
    "principal",
    "bits_4",
    "bits_3",
    "bits_2",
    "ternary",
    "pruned",
    "low_rank",
    "product",
    "self_net",
    "self_net_text",
    "self_net_code",
    "self_net_at_once",
]

SEPARATE = "separate"
"""The method that keeps every network as it is."""
CODED = "coded_{}"
"""The name of coded networks, given the size of a code."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Learn many tasks, keep their networks in every way, and compare accuracy and bytes."""

    data: TaskSettings = field(default_factory=TaskSettings)
    training: TaskTraining = field(default_factory=TaskTraining)
    codes: CodeSettings = field(default_factory=CodeSettings)
    masks: MaskSettings = field(default_factory=MaskSettings)
    buffer: Count = 5
    """Tasks of a stage, m."""
    latent: Count = 5
    """Numbers that Self-Net, and principal components, keep of a network, s."""
    stores: Annotated[tuple[StoreName, ...], Some(distinct=True)] = get_args(StoreName)
    """What keeps the task networks, beside networks that are kept as they are; coded networks have settings of their own."""
    most_iterations: Count = 1800
    """The most iterations of Self-Net's first stage (authors' code: 1800)."""
    later_iterations: Count = 600
    """Likewise of every later one (authors' code: 350)."""
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "cpu"
    """Where it computes."""
    threads: Count = 1
    """Threads of the computation."""

    def __post_init__(self) -> None:
        check_ranges(self)


_QUICK = Config(
    data=TaskSettings(num_tasks=20, most_images=2000),
    stores=("mean", "principal", "bits_4", "bits_2", "ternary", "self_net"),
    codes=CodeSettings(code_sizes=(64, 128)),
)

PRESETS: dict[str, Config] = {
    "quick": _QUICK,
    "laptop": Config(),
    "hundred": Config(data=TaskSettings(num_tasks=100), buffer=10, latent=10),
    "smoke": replace(
        _QUICK,
        data=TaskSettings(num_tasks=4, most_images=20),
        training=TaskTraining(task_epochs=1),
        codes=CodeSettings(code_sizes=(4, 8), code_epochs=1),
        masks=MaskSettings(mask_epochs=1),
        stores=(
            "mean",
            "principal",
            "bits_4",
            "ternary",
            "self_net",
            "self_net_text",
            "self_net_code",
            "self_net_at_once",
        ),
        buffer=2,
        latent=2,
        most_iterations=3,
        later_iterations=2,
    ),
    "paper": Config(),
}


def stores_of(config: Config) -> Mapping[StoreName, Store]:
    """Every way to keep task networks as vectors, by name."""
    size = config.latent

    def residuals(bits: int, clip: float) -> Callable[[int], QuantisedResiduals]:
        return lambda num_weights: QuantisedResiduals(num_weights, uniform(bits, clip=clip))

    shapes = [tuple(tensor.shape) for tensor in first_network(config.seed).parameters()]
    return {
        "mean": Store("mean network", "the mean of the first stage's networks, for all tasks", MeanAlone),
        "principal": Store(
            "principal components",
            f"a mean and {size} directions, fitted at every stage to recollections and new networks; {size} numbers a network",
            partial(PrincipalComponents, num_components=size),
        ),
        "bits_4": Store(
            "differences, 4 bits",
            "to the mean of the first stage's networks, clipped, compressed by LZMA",
            residuals(4, 3.5),
        ),
        "bits_3": Store("differences, 3 bits", "likewise", residuals(3, 3.5)),
        "bits_2": Store("differences, 2 bits", "likewise", residuals(2, 2.5)),
        "ternary": Store(
            "differences, ternary",
            "likewise, 0 below 1.5 standard deviations",
            lambda num_weights: QuantisedResiduals(num_weights, ternary(threshold=1.5)),
        ),
        "pruned": Store(
            "differences, the largest tenth",
            "likewise, by size, in 4 bits; all others 0",
            lambda num_weights: QuantisedResiduals(num_weights, pruned(0.1, bits=4)),
        ),
        "low_rank": Store(
            "differences, rank 2",
            "likewise, every tensor's largest two singular values and their directions, float16",
            lambda _: LowRankResiduals(shapes, rank=2),
        ),
        "product": Store(
            "differences, product quantised",
            "likewise, a byte for eight weights, the place of their nearest centre among 256",
            partial(ProductQuantised, piece=8, seed=config.seed),
        ),
        **_self_nets(config),
    }


def _self_nets(config: Config) -> dict[StoreName, Store]:
    """Self-Net in its three kinds, and given all networks at once."""
    size, iterations = config.latent, (config.most_iterations, config.later_iterations)
    batch = SelfNetRule(code_size=size, thresholds=(0.9999,), max_iterations=iterations)
    text = SelfNetRule(
        code_size=size,
        loss="cosine",
        contraction="exact",
        standardised=False,
        max_iterations=iterations,
        lrs=(3e-3, 1e-4),
    )
    code = SelfNetRule(
        code_size=size,
        contraction="authors",
        one_by_one=True,
        again_below_mean=True,
        least_iterations=11,
        standardised=False,
        max_iterations=iterations,
        lrs=(3e-3, 1e-4),
    )

    def self_net(rule: SelfNetRule) -> Callable[[int], SelfNet]:
        return lambda num_weights: SelfNet(num_weights, rule, seed=config.seed)

    return {
        "self_net": Store(
            "Self-Net",
            f"an autoencoder with {size} hidden units, on standardised weights, all networks as one batch, as long as it may",
            self_net(batch),
        ),
        "self_net_text": Store(
            "Self-Net, as the text has it",
            "likewise, 1 - cosine and the exact contractive term, on the weights as they are",
            self_net(text),
        ),
        "self_net_code": Store(
            "Self-Net, as the code has it",
            "likewise, squared errors and the authors' contractive term, one network at a time, the worse half twice",
            self_net(code),
        ),
        "self_net_at_once": Store(
            "Self-Net, all at once",
            "the same as Self-Net, given all networks in one batch",
            self_net(batch),
            at_once=True,
        ),
    }


def check(config: Config) -> None:
    """Raises if settings contradict one another, or data are absent."""
    check_ranges(config)
    _tasks(config)


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Learns all tasks, or goes on doing so, lets every store take the networks in, and learns all tasks as codes."""
    tasks = _tasks(config)
    judge = Judge(tasks, first_network(config.seed))
    record.note(threads=config.threads)
    record.once(TasksLine, {}, lambda: TasksLine(tasks=tuple(t.title for t in tasks.tasks), buffer=config.buffer))
    learning = learning_job(tasks, config.training, judge, buffer=config.buffer, seed=config.seed)
    vectors_KN = _lived(record, _SEPARATE, learning, config, console).tensors["vectors"]
    for name, store in stores_of(config).items():
        if name in config.stores:
            job = store_job(store, vectors_KN, tasks, judge, buffer=config.buffer)
            _lived(record, Named(name, store.title, store.note), job, config, console)
    if config.masks.masks:
        masking = masking_job(
            tasks, config.masks, judge, batch=config.training.task_batch, buffer=config.buffer, seed=config.seed
        )
        _lived(record, _MASKED, masking, config, console)
    for named, job in _coded(config, tasks, judge):
        _lived(record, named, job, config, console)


def _coded(config: Config, tasks: Tasks, judge: Judge) -> Iterator[tuple["Named", Rounds]]:
    """Coded networks of every size."""
    note = f"what is learned of a task is a code of {config.codes.code_bits} bits a number, around a random network"
    for size in config.codes.code_sizes:
        job = coding_job(
            tasks,
            config.codes,
            judge,
            code_size=size,
            batch=config.training.task_batch,
            buffer=config.buffer,
            seed=config.seed,
        )
        yield Named(CODED.format(size), f"coded networks, {size} numbers", note), job


class Named(NamedTuple):
    """What a store is called.

    Attributes:
        method: Its key in records.
        title: What a figure calls it.
        note: What it is, in a sentence.
    """

    method: str
    title: str
    note: str


_MASKED = Named("masked", "masked networks", "which half of a random network's weights is kept, a bit a weight")
_SEPARATE = Named(SEPARATE, "separate networks", "every network in float32")


def _lived(record: RunRecord, named: Named, job: Rounds, config: Config, console: Console) -> RoundsState:
    """Lets a store live in a record below the run's, writes its line, and returns its last state."""
    console.print(named.title, style="bold", highlight=False)
    made = train_below(record, named.method, config, job, console)

    def line() -> StoreLine:
        stages = tuple(made.record.lines(StageLine))
        return StoreLine(
            **named._asdict(),
            num_tasks=tuple(len(stage.accuracies) for stage in stages),
            num_weights=sum(parameter.numel() for parameter in first_network(config.seed).parameters()),
            stages=stages,
        )

    record.once(StoreLine, {"method": named.method}, line)
    return made.state


def _tasks(config: Config) -> Tasks:
    own = config.data
    drawn = draw_binary_tasks(own.num_tasks, generator(config.seed, "tasks"), num_negatives=own.num_negatives)
    return Tasks(own, drawn)


def enter(record: RunRecord, further: FurtherLives | None) -> Entry:
    """Every store on the tasks of the run, a task a life."""
    refuse_further(record, further)
    config, lines = record.settings(Config), record.lines(StoreLine)
    best = CODED.format(max(config.codes.code_sizes))
    systems = tuple(
        Fared(
            system=line.method,
            title=line.title,
            enters=line.method == best,
            scores={"accuracy": line.last.accuracies},
        )
        for line in lines
    )
    facts = {"kind": "binary tasks", "data": config.data.dataset, "tasks": record.last(TasksLine).tasks}
    met = MetLives(title=f"{config.data.num_tasks} tasks", facts=facts, systems=systems)
    return Entry(measures=(Measure(name="accuracy", title="accuracy after the last task", unit="share"),), met=(met,))


def load(record: RunRecord) -> dict[str, KeptNetworks]:
    """Opens every store of a finished run, by name, with the networks of all tasks."""
    own = record.settings(Config)
    coded = {CODED.format(size): size for size in own.codes.code_sizes}
    return kept_networks(
        record, {**stores_of(own)}, coded, codes=own.codes, masks=own.masks, training=own.training, seed=own.seed
    )


EXPERIMENT = Experiment(
    claim="An autoencoder keeps 50 networks in the bytes of five; networks that are born as codes take a thousandth.",
    presets=PRESETS,
    check=check,
    run=run,
    report=page_of(__name__),
    enter=enter,
    load=load,
)
