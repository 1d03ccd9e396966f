"""One life, kept in every way: task networks are learned, every store takes them in, and every rival learns the same tasks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, get_args

from rich.console import Console

from hyperlearning.core.params import Params
from hyperlearning.engine.rounds import Rounds, RoundsState
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.sub_records import train_below
from hyperlearning.learners.weight_codecs.residuals import EntropyCoder, QuantisedResiduals
from hyperlearning.systems.selfnet.lines import (
    CodersLine,
    InferenceLine,
    StageLine,
    StoreLine,
    TasksLine,
    TrialLine,
    TunedLine,
)
from hyperlearning.systems.selfnet.lives import (
    adam_job,
    best_strength,
    coded_vectors,
    coding_job,
    continual_job,
    joint_job,
    learning_job,
    masking_job,
    store_job,
    tuning_job,
)
from hyperlearning.systems.selfnet.rivals import Rival, rivals_of
from hyperlearning.systems.selfnet.settings import (
    CodeSettings,
    ContinualSettings,
    InferenceSettings,
    MaskSettings,
    TaskTraining,
)
from hyperlearning.systems.selfnet.stores import Store, StoreName
from hyperlearning.systems.selfnet.task_inference import RULES, infer_tasks
from hyperlearning.systems.selfnet.tasks import Judge, Tasks

SEPARATE = "separate"
"""The method that keeps every network as it is."""
CODED = "coded_{}"
"""The name of coded networks, given the size of a code."""
OF_ADAM = "{}_adam"
"""The name of a store of networks that were trained by Adam, given what it is called otherwise."""
QUANTISED: tuple[StoreName, ...] = ("bits_8", "bits_4", "bits_3", "bits_2", "ternary", "pruned")
"""Stores of quantised differences, whose symbols any coder may compress."""
STORES_OF_ADAM: tuple[StoreName, ...] = ("bits_4", "bits_3", "bits_2", "ternary")
"""Stores that keep those networks too: what needs no training beside what is trained as coded networks are."""


class Plan(NamedTuple):
    """A life and what is compared on it.

    Attributes:
        config: The run's settings, which all parts of its record carry.
        tasks: The tasks.
        others: Other tasks of the same kind, for trials.
        training: How task networks, and continual learners, are trained.
        stores: What keeps task networks, by name.
        codes: Coded networks.
        masks: Masked networks.
        continual: Continual learners.
        inference: How tasks are inferred, if they are.
        buffer: Tasks of a stage.
        seed: Of the run.
    """

    config: Any
    tasks: Tasks
    others: Tasks
    training: TaskTraining
    stores: Mapping[str, Store]
    codes: CodeSettings
    masks: MaskSettings
    continual: ContinualSettings
    inference: InferenceSettings | None
    buffer: int
    seed: int


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


_SEPARATE = Named(SEPARATE, "separate networks", "every network in float32")
_MASKED = Named("masked", "masked networks", "which half of a network of random signs is kept, a bit a weight")
_BY_ADAM = Named(OF_ADAM.format(SEPARATE), "separate networks, by Adam", "likewise, trained as coded networks are")
_JOINT = Named("joint", "one network, all tasks at once", "no stream: all images of all tasks are there all the time")


def compare_all(plan: Plan, record: RunRecord, console: Console) -> None:
    """Lives the life in every way, or goes on doing so; every way is a record below the run's, and a line of it."""
    tasks, judge = plan.tasks, Judge(plan.tasks)
    chance = round(1 / tasks.num_outputs, 5)
    record.once(TasksLine, {}, lambda: TasksLine(tasks=tasks.titles, buffer=plan.buffer, chance=chance))
    learning = learning_job(tasks, plan.training, judge, buffer=plan.buffer, seed=plan.seed)
    vectors_KN = _lived(plan, record, _SEPARATE, learning, console).tensors["vectors"]
    for name, store in plan.stores.items():
        job = store_job(store, vectors_KN, tasks, judge, buffer=plan.buffer)
        kept = _lived(plan, record, Named(name, store.title, store.note), job, console).tensors
        if name in QUANTISED:
            record.once(CodersLine, {"method": name}, partial(_by_every_coder, name, store, kept, tasks.num_weights))
    by_adam = adam_job(tasks, plan.training, judge, buffer=plan.buffer, seed=plan.seed)
    vectors_KN = _lived(plan, record, _BY_ADAM, by_adam, console).tensors["vectors"]
    for name, store in stores_of_adam(plan.stores).items():
        job = store_job(store, vectors_KN, tasks, judge, buffer=plan.buffer)
        _lived(plan, record, Named(name, store.title, store.note), job, console)
    *smaller, largest = _of_few_numbers(plan, judge)
    for named, job in smaller:
        _lived(plan, record, named, job, console)
    codes = _lived(plan, record, *largest, console).tensors
    if plan.inference is not None:
        _infer(plan, plan.inference, record, judge, codes)
    for rival in rivals_of(plan.continual, plan.training, tasks, seed=plan.seed):
        strength = _tuned(plan, record, rival, console) if rival.first_strength is not None else 0.0
        job = continual_job(rival, strength, tasks, buffer=plan.buffer, seed=plan.seed)
        _lived(plan, record, Named(rival.method, rival.title, rival.note), job, console)
    if "joint" in plan.continual.learners:
        job = joint_job(tasks, plan.training, own_heads=plan.continual.own_heads, seed=plan.seed)
        _lived(plan, record, _JOINT, job, console)


def _by_every_coder(name: str, store: Store, kept: Params, num_weights: int) -> CodersLine:
    codec = store.make(num_weights)
    if not isinstance(codec, QuantisedResiduals):
        raise TypeError(f"Expected quantised differences, but got {type(codec).__name__}.")
    codec.restore(kept)
    coders: tuple[EntropyCoder, ...] = get_args(EntropyCoder)
    found = tuple(codec.num_bytes_by(coder) for coder in coders)
    return CodersLine(method=name, title=store.title, coders=coders, num_bytes=found)


def stores_of_adam(stores: Mapping[str, Store]) -> dict[str, Store]:
    """Those of a plan's stores that keep the networks which Adam trained too, by their names in a record."""
    return {
        OF_ADAM.format(name): stores[name]._replace(title=f"{stores[name].title}, by Adam")
        for name in STORES_OF_ADAM
        if name in stores
    }


def _of_few_numbers(plan: Plan, judge: Judge) -> Iterator[tuple[Named, Rounds]]:
    """Masked networks, and coded networks of every size."""
    batch, buffer, seed = plan.training.task_batch, plan.buffer, plan.seed
    if plan.masks.masks:
        yield _MASKED, masking_job(plan.tasks, plan.masks, judge, batch=batch, buffer=buffer, seed=seed)
    note = f"what is learned of a task is a code in steps of {plan.codes.code_step:g}, around a random network"
    for size in plan.codes.code_sizes:
        job = coding_job(plan.tasks, plan.codes, judge, code_size=size, batch=batch, buffer=buffer, seed=seed)
        yield Named(CODED.format(size), f"coded networks, {size} numbers", note), job


def _infer(plan: Plan, settings: InferenceSettings, record: RunRecord, judge: Judge, kept: Params) -> None:
    """Infers tasks by the networks of the largest codes, or finds that it has been done."""
    if {line.rule for line in record.lines(InferenceLine)} >= set(RULES):
        return
    vectors_KN = coded_vectors(plan.tasks, kept, plan.codes, code_size=plan.codes.code_sizes[-1], seed=plan.seed)
    networks = [judge.network(vector) for vector in vectors_KN]
    for line in infer_tasks(plan.tasks, networks, settings, seed=plan.seed):
        record.once(InferenceLine, {"rule": line.rule}, partial(replace, line))


def _tuned(plan: Plan, record: RunRecord, rival: Rival, console: Console) -> float:
    """Finds a learner's strength on other tasks, or returns what was found."""
    console.print(f"{rival.title}: strengths", style="bold", highlight=False)
    job = tuning_job(rival, plan.others, trials=plan.continual.trials, seed=plan.seed)
    trials = list(train_below(record, f"{rival.method}_trials", plan.config, job, console).record.lines(TrialLine))
    strength = best_strength(trials)
    line = TunedLine(
        method=rival.method,
        strength=strength,
        strengths=tuple(trial.strength for trial in trials),
        accuracies=tuple(trial.accuracy for trial in trials),
    )
    record.once(TunedLine, {"method": rival.method}, lambda: line)
    return strength


def _lived(plan: Plan, record: RunRecord, named: Named, job: Rounds, console: Console) -> RoundsState:
    """Lets a store live in a record below the run's, writes its line, and returns its last state."""
    console.print(named.title, style="bold", highlight=False)
    made = train_below(record, named.method, plan.config, job, console)

    def line() -> StoreLine:
        stages: Sequence[StageLine] = tuple(made.record.lines(StageLine))
        return StoreLine(
            **named._asdict(),
            num_tasks=tuple(len(stage.accuracies) for stage in stages),
            num_weights=plan.tasks.num_weights,
            stages=tuple(stages),
        )

    record.once(StoreLine, {"method": named.method}, line)
    return made.state
