"""One stream, learned in every way: hypernetworks, separate networks, one network with a remedy, a closed-form life."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import torch
from rich.console import Console

from hyperlearning.core.params import Params
from hyperlearning.core.seeding import generator
from hyperlearning.core.weight_vectors import num_bytes
from hyperlearning.engine.rounds import Rounds, RoundsState
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.sub_records import train_below
from hyperlearning.learners.hypernet_continual.learner import AdamRule, HypernetLearner
from hyperlearning.learners.hypernet_continual.output_penalty import OutputPenalty
from hyperlearning.learners.hypernet_continual.replaying import KeepDecoders, decoder, task_classifier
from hyperlearning.learners.hypernet_continual.task_inference import surest
from hyperlearning.networks.hypernetworks.hypernetwork import Hypernetwork
from hyperlearning.systems.hypernetworks.continual_lines import (
    SCENARIOS,
    InferenceLine,
    MethodLine,
    Scenario,
    StageLine,
    TasksLine,
    TrialLine,
    TunedLine,
)
from hyperlearning.systems.hypernetworks.continual_lives import (
    bits_within,
    closed_form_job,
    closed_form_scores,
    decoding_job,
    hypernet_job,
    joint_job,
    quantised_job,
    rival_job,
    separate_job,
    sgd_of,
    tuning_job,
)
from hyperlearning.systems.hypernetworks.continual_methods import VARIANTS, Named, Rival, hypernet_learner, rivals_of
from hyperlearning.systems.hypernetworks.continual_scores import shares, vector_scores
from hyperlearning.systems.hypernetworks.continual_settings import (
    ContinualTaskSettings,
    HypernetSettings,
    InferenceSettings,
    RivalSettings,
)
from hyperlearning.systems.hypernetworks.continual_tasks import Scores, Tasks

SEPARATE, SAME_BYTES, CLOSED_FORM, JOINT = "separate", "same_bytes", "closed_form", "joint"
BITS = 2
"""Of separate networks that are kept in fewer bytes yet."""
_BY_SUREST = "the surest network"
_SEPARATE = Named(SEPARATE, "separate networks", "a network a task, in float32")
_CLOSED_FORM = Named(CLOSED_FORM, "closed form", "random features, and a streaming discriminant of all labels")
_JOINT = Named(JOINT, "joint", "no stream: all images of all tasks are there all the time")


class Plan(NamedTuple):
    """A stream and what learns it.

    Attributes:
        config: The run's settings, which all parts of its record carry.
        data: The stream.
        hyper: Hypernetworks.
        rivals: What stands beside them.
        inference: How tasks are inferred.
        seed: Of the run.
    """

    config: Any
    data: ContinualTaskSettings
    hyper: HypernetSettings
    rivals: RivalSettings
    inference: InferenceSettings
    seed: int

    @property
    def trial(self) -> ContinualTaskSettings:
        """The stream of a trial of strengths."""
        most = min(self.rivals.tuning_images, self.data.most_images)
        return replace(self.data, num_tasks=min(self.rivals.tuning_tasks, self.data.num_tasks), most_images=most)

    def checked(self) -> Tasks:
        """The tasks; raises where data are absent, or settings contradict one another."""
        tasks = Tasks(self.data, self.seed)
        Tasks(self.trial, self.seed, validation=True)
        for variant in self.hyper.variants:
            hypernet_learner(tasks, self.hyper, variant, seed=self.seed)
        return tasks


def compare_all(plan: Plan, record: RunRecord, console: Console) -> None:
    """Learns the stream in every way, or goes on doing so; every way is a record below the run's, and lines of it."""
    tasks, seed = plan.checked(), plan.seed
    rule = AdamRule(plan.hyper.num_steps, plan.hyper.batch, plan.hyper.lr)
    made: dict[str, RoundsState] = {}
    for variant in plan.hyper.variants:
        make = partial(hypernet_learner, tasks, plan.hyper, variant, seed=seed)
        if variant == plan.hyper.variants[0]:
            record.once(TasksLine, {}, partial(_tasks_line, tasks, make()))
        job = hypernet_job(tasks, make, rule.num_steps, name=variant, seed=seed)
        made[variant] = _lived(plan, record, VARIANTS[variant], job, console)
    first = plan.hyper.variants[0]
    most_bytes = _last_stage(record, first).num_bytes
    vectors_KN = _lived(
        plan, record, _SEPARATE, separate_job(tasks, rule, doubt=plan.hyper.doubt, seed=seed), console
    ).tensors["vectors"]
    bits = bits_within(tasks, vectors_KN, most_bytes)
    for method, own in {SAME_BYTES: bits, f"bits_{BITS}": BITS}.items():
        if method == SAME_BYTES or own < bits:
            title = f"separate networks, {own} bit{'s' if own > 1 else ''}"
            note = "their differences to first weights, clipped, by Huffman's code"
            _lived(plan, record, Named(method, title, note), quantised_job(tasks, vectors_KN, own), console)
    closed = _lived(plan, record, _CLOSED_FORM, closed_form_job(tasks, plan.rivals, seed=seed), console).tensors
    learner = hypernet_learner(tasks, plan.hyper, first, seed=seed)
    learner.restore(made[first].tensors, len(tasks))
    _infer(plan, record, tasks, learner, vectors_KN, closed, console)
    _rivals(plan, record, tasks, console)


def _tasks_line(tasks: Tasks, learner: HypernetLearner) -> TasksLine:
    numbers = sum(tensor.numel() for tensor in learner.objective.kept(learner.hyper, len(tasks)).values())
    return TasksLine(
        tasks=tasks.titles, num_outputs=tasks.num_outputs, num_weights=tasks.num_weights, num_emitting=numbers
    )


def _rivals(plan: Plan, record: RunRecord, tasks: Tasks, console: Console) -> None:
    """One network for all tasks, in every scenario."""
    scenarios: list[Scenario] = [name for name in SCENARIOS if name != "class" or plan.rivals.class_incremental]
    others = Tasks(plan.trial, plan.seed, validation=True)
    sgd = sgd_of(plan.rivals, plan.hyper, len(tasks.train(0).labels))
    for rival in rivals_of(plan.rivals, seed=plan.seed):
        for scenario in scenarios:
            strength = _tuned(plan, record, rival, scenario, others, console)
            job = rival_job(rival, strength, tasks, scenario, sgd, seed=plan.seed)
            _lived(plan, record, rival.named, job, console, scenario=scenario)
    if JOINT in plan.rivals.rivals:
        for scenario in scenarios:
            job = joint_job(tasks, scenario, sgd, seed=plan.seed)
            _lived(plan, record, _JOINT, job, console, scenario=scenario)


def _tuned(plan: Plan, record: RunRecord, rival: Rival, scenario: Scenario, others: Tasks, console: Console) -> float:
    """Finds a rival's strength on other tasks, or returns what was found."""
    if rival.first_strength is None:
        return 0.0
    name, title = f"{rival.named.method}_{scenario}", f"{rival.named.title}, {SCENARIOS[scenario]}"
    console.print(f"{title}: strengths", style="bold", highlight=False)
    sgd = sgd_of(plan.rivals, plan.hyper, len(others.train(0).labels))
    job = tuning_job(rival, others, scenario, sgd, trials=plan.rivals.trials, seed=plan.seed)
    trials = list(train_below(record, f"{name}_trials", plan.config, job, console).record.lines(TrialLine))
    best = max(sorted(trials, key=lambda trial: trial.strength), key=lambda trial: trial.accuracy)
    line = TunedLine(
        method=name,
        title=title,
        strength=best.strength,
        strengths=tuple(trial.strength for trial in trials),
        accuracies=tuple(trial.accuracy for trial in trials),
    )
    record.once(TunedLine, {"method": name}, lambda: line)
    return best.strength


def _lived(
    plan: Plan, record: RunRecord, named: Named, job: Rounds, console: Console, *, scenario: Scenario | None = None
) -> RoundsState:
    """Lets a method learn in a record below the run's, writes a line a scenario, and returns its last state."""
    title = named.title if scenario is None else f"{named.title}, {SCENARIOS[scenario]}"
    console.print(title, style="bold", highlight=False)
    label = named.method if scenario is None else f"{named.method}_{scenario}"
    made = train_below(record, label, plan.config, job, console)
    stages = made.record.lines(StageLine)
    for own in SCENARIOS if scenario is None else (scenario,):
        keys = {"method": named.method, "scenario": own}
        record.once(MethodLine, keys, partial(_method_line, named, own, stages, inferring=scenario is None))
    return made.state


def _method_line(named: Named, scenario: Scenario, stages: Sequence[StageLine], *, inferring: bool) -> MethodLine:
    """A method in one scenario; where one life serves all of them, stages at which it was not looked at are left out."""
    inferred = ""
    if inferring and scenario != "task":
        inferred = "its best label" if named.method == CLOSED_FORM else _BY_SUREST
        parts = {"domain": "domain", "class": "right"}
        stages = [replace(stage, accuracies=getattr(stage, parts[scenario])) for stage in stages]
        stages = [stage for stage in stages if stage.accuracies]
    return MethodLine(
        **named._asdict(),
        scenario=scenario,
        inferred=inferred,
        stages=tuple(replace(stage, domain=(), right=()) for stage in stages),
    )


def _last_stage(record: RunRecord, method: str) -> StageLine:
    return next(line.last for line in record.lines(MethodLine) if line.method == method)


def _infer(
    plan: Plan,
    record: RunRecord,
    tasks: Tasks,
    learner: HypernetLearner,
    vectors_KN: torch.Tensor,
    closed: Params,
    console: Console,
) -> None:
    """Infers tasks in every way, for the hypernetwork's networks and for separate ones."""
    rules: dict[str, tuple[Scores, int]] = {
        "random features, closed form": (
            closed_form_scores(tasks, plan.rivals, closed, len(tasks), seed=plan.seed),
            num_bytes(closed),
        )
    }
    if plan.inference.replay:
        rules["a classifier taught by replayed images"] = _replaying(plan, record, tasks, console)
    first = VARIANTS[plan.hyper.variants[0]]
    whose = {
        first.method: (first.title, learner.all_scores),
        SEPARATE: (_SEPARATE.title, vector_scores(tasks, vectors_KN)),
    }
    for method, (title, scores) in whose.items():
        for rule, (of_task, cost) in {_BY_SUREST: (None, 0), **rules}.items():
            make = partial(_inference_line, tasks, method, title, scores, rule, of_task, cost)
            record.once(InferenceLine, {"method": method, "rule": rule}, make)


@torch.no_grad()
def _inference_line(
    tasks: Tasks, method: str, title: str, scores: Scores, rule: str, of_task: Scores | None, cost: int
) -> InferenceLine:
    found = []
    for number in range(len(tasks)):
        data, parts = tasks.test(number), []
        for images in data.images.split(1000):
            scores_TMO = scores(images)
            parts.append((scores_TMO, surest(scores_TMO) if of_task is None else of_task(images).amax(2).argmax(0)))
        scores_TMO, chosen_M = torch.cat([part for part, _ in parts], 1), torch.cat([part for _, part in parts])
        found.append(shares(scores_TMO, chosen_M, data.labels, number))
    of_tasks, domain, right = (tuple(own) for own in zip(*found, strict=True))
    return InferenceLine(
        method=method, title=title, rule=rule, found=of_tasks, domain=domain, right=right, num_bytes=cost
    )


def _replaying(plan: Plan, record: RunRecord, tasks: Tasks, console: Console) -> tuple[Scores, int]:
    """Learns decoders of all tasks, and a classifier of what they make; its scores have one output a task."""
    own, seed = plan.inference, plan.seed
    num_pixels = torch.Size(tasks.shape).numel()

    def make() -> HypernetLearner:
        network = decoder(own.latent, own.decoder_units, num_pixels, generator(seed, "decoders"))
        hyper = Hypernetwork(
            network,
            len(tasks),
            embedding_size=plan.hyper.embedding_size,
            hidden=plan.hyper.hidden,
            chunk_size=own.decoder_chunk_size,
            chunk_embedding_size=plan.hyper.chunk_embedding_size,
            generator=generator(seed, "hypernetwork of decoders"),
        )
        objective = KeepDecoders(
            OutputPenalty(strength=own.decoder_strength),
            latent=own.latent,
            hidden=own.decoder_units,
            num_pixels=num_pixels,
            source=generator(seed, "encoders"),
        )
        return HypernetLearner(hyper, objective, AdamRule(own.decoder_steps, plan.hyper.batch, plan.hyper.lr))

    console.print("decoders", style="bold", highlight=False)
    job = decoding_job(tasks, make, seed=seed)
    learner = make()
    learner.restore(train_below(record, "decoders", plan.config, job, console).state.tensors, len(tasks))
    classifier = task_classifier(
        learner.hyper,
        len(tasks),
        latent=own.latent,
        hidden=plan.data.units[0],
        num_steps=own.classifier_steps,
        batch=plan.hyper.batch,
        lr=plan.hyper.lr,
        source=generator(seed, "classifier of tasks"),
    )
    return lambda images: classifier(images.flatten(1)).T[:, :, None], num_bytes(classifier.state_dict())
