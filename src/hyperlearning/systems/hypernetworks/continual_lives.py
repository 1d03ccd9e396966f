"""Continual lives as jobs, a round a task, that stop after any of them and go on to the same numbers."""

import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import parameters_to_vector

from hyperlearning.core.params import Params
from hyperlearning.core.seeding import generator
from hyperlearning.core.weight_vectors import num_bytes
from hyperlearning.engine.rounds import Played, Rounds, RoundsState
from hyperlearning.learners.closed_form.discriminant import LinearDiscriminant
from hyperlearning.learners.continual.learner import Sgd
from hyperlearning.learners.continual.strengths import strengths
from hyperlearning.learners.hypernet_continual.learner import AdamRule, HypernetLearner, with_doubt
from hyperlearning.learners.weight_codecs.residuals import QuantisedResiduals, uniform
from hyperlearning.networks.many_headed import ManyHeaded
from hyperlearning.systems.hypernetworks.continual_lines import Scenario, StageLine, TrialLine
from hyperlearning.systems.hypernetworks.continual_methods import Rival, num_outputs_in
from hyperlearning.systems.hypernetworks.continual_scores import known_scores, own_of_vectors, own_scores, vector_scores
from hyperlearning.systems.hypernetworks.continual_settings import HypernetSettings, RivalSettings
from hyperlearning.systems.hypernetworks.continual_tasks import Scores, Tasks

_MOST_EVERY_STAGE = 20
"""Tasks of a life up to which all networks are tried on all images after every task, not after the last alone."""
CLIPS = {8: 6.0, 7: 5.5, 6: 5.0, 5: 4.5, 4: 3.5, 3: 3.0, 2: 2.0, 1: 0.8}
"""Where differences are clipped, in standard deviations, by bits."""
_TRIAL_EPOCHS = 5
_EPOCH_SOURCE = "order of {}"


def hypernet_job(tasks: Tasks, make: Callable[[], HypernetLearner], num_steps: int, *, name: str, seed: int) -> Rounds:
    """Builds the job that lets a hypernetwork learn all tasks.

    Args:
        tasks: The tasks.
        make: Makes the learner at birth.
        num_steps: Updates of a task, for what one takes.
        name: Of the order of images.
        seed: Of it.
    """

    def play(state: RoundsState, source: torch.Generator) -> Played:
        begun, learner = time.monotonic(), make()
        if state.round:
            learner.restore(state.tensors, state.round)
        data = tasks.train(state.round)
        learning = time.monotonic()
        learner.learn(*data, source)
        taken = (time.monotonic() - learning) / num_steps
        kept = {name: tensor.clone() for name, tensor in learner.tensors().items()}
        held, cost = learner.objective.penalty.num_held, num_bytes(learner.kept())
        line = _stage(
            tasks,
            state.round + 1,
            learner.all_scores,
            learner.scores,
            cost,
            begun,
            held=held,
            steps=num_steps,
            step=taken,
        )
        return _told(kept, line)

    return _rounds(play, {}, len(tasks), generator(seed, _EPOCH_SOURCE.format(name)))


def decoding_job(tasks: Tasks, make: Callable[[], HypernetLearner], *, seed: int) -> Rounds:
    """Builds the job that lets a hypernetwork learn decoders of all tasks' images; nothing is tested."""

    def play(state: RoundsState, source: torch.Generator) -> Played:
        begun, learner = time.monotonic(), make()
        if state.round:
            learner.restore(state.tensors, state.round)
        learner.learn(*tasks.train(state.round), source)
        kept = {name: tensor.clone() for name, tensor in learner.tensors().items()}
        line = _line(state.round + 1, [], num_bytes(learner.kept()), begun)
        return Played(kept, {}, line, f"{state.round + 1} decoders")

    return _rounds(play, {}, len(tasks), generator(seed, _EPOCH_SOURCE.format("decoders")))


def separate_job(tasks: Tasks, rule: AdamRule, *, doubt: float, seed: int) -> Rounds:
    """Builds the job that learns every task by a network of its own, from the same first weights."""

    def play(state: RoundsState, source: torch.Generator) -> Played:
        begun, network = time.monotonic(), tasks.network()
        data = tasks.train(state.round)
        learning = time.monotonic()
        optimizer = torch.optim.Adam(network.parameters(), lr=rule.lr, fused=True)
        for number, places in enumerate(rule.places(len(data.labels), source)):
            optimizer.param_groups[0]["lr"] = rule.lr * (1 - number / rule.num_steps if rule.falls else 1)
            optimizer.zero_grad()
            with_doubt(network, data.images[places], data.labels[places], doubt=doubt).backward()
            optimizer.step()
        taken = (time.monotonic() - learning) / rule.num_steps
        vectors_KN = torch.cat([state.tensors["vectors"], parameters_to_vector(network.parameters()).detach()[None]])
        scores = vector_scores(tasks, vectors_KN)
        cost = 4 * vectors_KN.numel()
        own = partial(own_of_vectors, tasks, vectors_KN)
        line = _stage(tasks, state.round + 1, scores, own, cost, begun, steps=rule.num_steps, step=taken)
        return _told({"vectors": vectors_KN}, line)

    initial = {"vectors": torch.zeros(0, tasks.num_weights)}
    return _rounds(play, initial, len(tasks), generator(seed, _EPOCH_SOURCE.format("separate networks")))


def quantised(num_weights: int, bits: int) -> QuantisedResiduals:
    """A store of differences to weights that follow from a seed."""
    return QuantisedResiduals(num_weights, uniform(bits, clip=CLIPS[bits]), coder="huffman", around="zero")


def bits_within(tasks: Tasks, vectors_KN: Tensor, most_bytes: int) -> int:
    """The most bits a weight with which all networks' differences take no more bytes; 1 if none do."""
    apart_KN = vectors_KN - parameters_to_vector(tasks.network().parameters()).detach()
    for bits in CLIPS:
        store = quantised(apart_KN.shape[1], bits)
        store.learn(apart_KN)
        if num_bytes(store.tensors()) <= most_bytes:
            return bits
    return min(CLIPS)


def quantised_job(tasks: Tasks, vectors_KN: Tensor, bits: int) -> Rounds:
    """Builds the job that keeps separate networks as differences to their first weights, in so many bits each."""
    first_N = parameters_to_vector(tasks.network().parameters()).detach()

    def play(state: RoundsState, source: torch.Generator) -> Played:
        begun, store = time.monotonic(), quantised(len(first_N), bits)
        if state.round:
            store.restore(state.tensors)
        store.learn(vectors_KN[state.round][None] - first_N)
        kept = store.tensors()
        vectors = store.recollect() + first_N
        scores, own = vector_scores(tasks, vectors), partial(own_of_vectors, tasks, vectors)
        return _told(dict(kept), _stage(tasks, state.round + 1, scores, own, num_bytes(kept), begun))

    return _rounds(play, {}, len(tasks), torch.Generator())


def sgd_of(settings: RivalSettings, hyper: HypernetSettings, num_images: int) -> Sgd:
    """SGD of rivals that meet as many images of a task as the hypernetwork does."""
    num_epochs = max(1, round(hyper.num_steps * hyper.batch / num_images))
    return Sgd(num_epochs, hyper.batch, settings.rival_lr, settings.rival_momentum)


def rival_job(rival: Rival, strength: float, tasks: Tasks, scenario: Scenario, sgd: Sgd, *, seed: int) -> Rounds:
    """Builds the job that lets one network learn all tasks."""

    def play(state: RoundsState, source: torch.Generator) -> Played:
        begun, learner = time.monotonic(), rival.learner(tasks, strength, scenario, sgd)
        if state.round:
            learner.restore(state.tensors, state.round)
        data = tasks.train(state.round)
        learner.learn(data.images, labels_in(scenario, tasks, state.round, data.labels), source)
        kept = {name: tensor.clone() for name, tensor in learner.tensors().items()}
        right = [_right(learner.scores, tasks, scenario, number) for number in range(state.round + 1)]
        return _told(kept, _line(state.round + 1, right, num_bytes(kept), begun))

    name = f"{rival.named.method}, {scenario}"
    return _rounds(play, {}, len(tasks), generator(seed, _EPOCH_SOURCE.format(name)))


def tuning_job(rival: Rival, tasks: Tasks, scenario: Scenario, sgd: Sgd, *, trials: int, seed: int) -> Rounds:
    """Builds the job that tries strengths of a rival on tasks that are none of a life's, a life a round."""
    assert rival.first_strength is not None
    begun, sgd = strengths(rival.first_strength, trials), sgd._replace(num_epochs=min(sgd.num_epochs, _TRIAL_EPOCHS))

    def play(state: RoundsState, source: torch.Generator) -> Played:
        climb = begun._replace(scores={int(place): score for place, score in state.facts.items()})
        place = climb.next
        assert place is not None
        strength = climb.strength(place)
        learner = rival.learner(tasks, strength, scenario, sgd)
        for number in range(len(tasks)):
            data, order = tasks.train(number), generator(seed, f"order of trials, task {number}")
            learner.learn(data.images, labels_in(scenario, tasks, number, data.labels), order)
        right = [_right(learner.scores, tasks, scenario, number) for number in range(len(tasks))]
        line = TrialLine(trial=state.round + 1, strength=strength, accuracy=round(sum(right) / len(right), 5))
        facts = {str(known): value for known, value in climb.tried(place, line.accuracy).scores.items()}
        return Played({}, facts, line, f"strength {strength:g}: {line.accuracy:.4f}")

    return _rounds(play, {}, trials, generator(seed, "trials"), unit="trials")


def joint_job(tasks: Tasks, scenario: Scenario, sgd: Sgd, *, seed: int) -> Rounds:
    """Builds the job that learns all tasks at once, a batch of one after a batch of another."""

    def play(state: RoundsState, source: torch.Generator) -> Played:
        begun = time.monotonic()
        network = ManyHeaded(tasks.network(num_outputs=num_outputs_in(scenario, tasks)), own_heads=scenario == "task")
        data = [tasks.train(number) for number in range(len(tasks))]
        for _ in data:
            network.add_task()
        optimizer = torch.optim.SGD(network.parameters(), lr=sgd.lr, momentum=sgd.momentum)
        for number, places in _mixed([len(own.labels) for own in data], sgd, source):
            optimizer.zero_grad()
            labels = labels_in(scenario, tasks, number, data[number].labels[places])
            cross_entropy(network(data[number].images[places], number), labels).backward()
            optimizer.step()
        kept = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
        right = [_right(network, tasks, scenario, number) for number in range(len(tasks))]
        return _told(kept, _line(1, right, num_bytes(kept), begun))

    return _rounds(play, {}, 1, generator(seed, f"joint order, {scenario}"))


def _mixed(sizes: list[int], sgd: Sgd, source: torch.Generator) -> Iterator[tuple[int, Tensor]]:
    """All batches of all tasks in one random order, an epoch after another."""
    for _ in range(sgd.num_epochs):
        batches = [
            (number, places)
            for number, size in enumerate(sizes)
            for places in torch.randperm(size, generator=source).split(sgd.batch)
        ]
        for place in torch.randperm(len(batches), generator=source).tolist():
            yield batches[place]


def closed_form_job(tasks: Tasks, settings: RivalSettings, *, seed: int) -> Rounds:
    """Builds the job that solves a streaming discriminant of all labels of all tasks, on random features, an image at a time."""

    def play(state: RoundsState, source: torch.Generator) -> Played:
        begun = time.monotonic()
        features, readout = _closed_form(tasks, settings, seed)
        for name, tensor in readout.state.items():
            if state.round:
                tensor.copy_(state.tensors[name])
        data = tasks.train(state.round)
        places = torch.randperm(len(data.labels), generator=source)[: settings.feature_images]
        labels = labels_in("class", tasks, state.round, data.labels[places])
        for own, label in zip(features(data.images[places]), labels, strict=True):
            readout.learn(own, label)
        kept = {name: tensor.clone() for name, tensor in readout.state.items()}
        scores = closed_form_scores(tasks, settings, kept, state.round + 1, seed=seed)
        return _told(kept, _all_scenarios(tasks, state.round + 1, scores, num_bytes(kept), begun))

    return _rounds(play, {}, len(tasks), generator(seed, "order of a closed-form life"))


def _closed_form(
    tasks: Tasks, settings: RivalSettings, seed: int
) -> tuple[Callable[[Tensor], Tensor], LinearDiscriminant]:
    num_pixels = torch.Size(tasks.shape).numel()
    projection = torch.randn(num_pixels, settings.features, generator=generator(seed, "random features"))
    projection /= num_pixels**0.5

    def features(images: Tensor) -> Tensor:
        return ((images.flatten(1) - 0.5) @ projection).relu()

    return features, LinearDiscriminant(settings.features, num_outputs_in("class", tasks))


def closed_form_scores(tasks: Tasks, settings: RivalSettings, kept: Params, num_tasks: int, *, seed: int) -> Scores:
    """What the discriminant says of the labels of every task, from what its job kept."""
    features, readout = _closed_form(tasks, settings, seed)
    for name, tensor in readout.state.items():
        tensor.copy_(kept[name])

    def scores(images: Tensor) -> Tensor:
        logits = readout.predict(features(images)).unflatten(1, (len(tasks), tasks.num_outputs))
        return logits.transpose(0, 1)[:num_tasks]

    return scores


def _all_scenarios(tasks: Tasks, stage: int, scores: Scores, kept_bytes: int, begun: float) -> StageLine:
    """A line of what scores all labels on one scale: the task is that of the best label."""
    known, domain, right = [], [], []
    for number in range(stage):
        data = tasks.test(number)
        scores_TMO = scores(data.images)
        best_TM = scores_TMO.amax(2)
        chosen_M = best_TM.argmax(0)
        labels_M = scores_TMO[chosen_M, torch.arange(len(chosen_M))].argmax(1) == data.labels
        known.append(_share(scores_TMO[number].argmax(1) == data.labels))
        domain.append(_share(labels_M))
        right.append(_share(labels_M & (chosen_M == number)))
    line = _line(stage, known, kept_bytes, begun)
    return StageLine(**{**vars(line), "domain": tuple(domain), "right": tuple(right)})


def labels_in(scenario: Scenario, tasks: Tasks, number: int, labels: Tensor) -> Tensor:
    """Labels of a task, as one last layer of all tasks has them."""
    return labels + number * tasks.num_outputs if scenario == "class" else labels


@torch.no_grad()
def _right(scores: Callable[[Tensor, int], Tensor] | nn.Module, tasks: Tasks, scenario: Scenario, number: int) -> float:
    data = tasks.test(number)
    return _share(scores(data.images, number).argmax(1) == labels_in(scenario, tasks, number, data.labels))


def _share(right: Tensor) -> float:
    return float(right.double().mean())


def _stage(
    tasks: Tasks,
    stage: int,
    scores: Scores,
    own: Callable[[Tensor, int], Tensor],
    kept_bytes: int,
    begun: float,
    *,
    held: int = 0,
    steps: int = 0,
    step: float = 0.0,
) -> StageLine:
    """A line of networks that have a task each."""
    if len(tasks) <= _MOST_EVERY_STAGE or stage == len(tasks):
        known, (_, domain, right) = own_scores(tasks, scores, stage)
    else:
        known, domain, right = known_scores(tasks, own, stage), (), ()
    return StageLine(
        stage=stage,
        accuracies=known,
        domain=domain,
        right=right,
        num_bytes=kept_bytes,
        num_held=held,
        num_steps=steps,
        step_seconds=round(step, 6),
        seconds=round(time.monotonic() - begun, 2),
    )


def _line(stage: int, accuracies: list[float], kept_bytes: int, begun: float) -> StageLine:
    return StageLine(
        stage=stage,
        accuracies=tuple(round(value, 5) for value in accuracies),
        num_bytes=kept_bytes,
        seconds=round(time.monotonic() - begun, 2),
    )


def _told(tensors: Params, line: StageLine) -> Played:
    return Played(tensors, {}, line, f"{len(line.accuracies)} tasks: {sum(line.accuracies) / len(line.accuracies):.4f}")


def _rounds(
    play: Callable[[RoundsState, torch.Generator], Played],
    initial: Params,
    num_rounds: int,
    source: torch.Generator,
    *,
    unit: str = "tasks",
) -> Rounds:
    return Rounds(
        initial=RoundsState(initial, {}, 0, source.get_state()),
        play=play,
        num_rounds=num_rounds,
        source=source,
        title=unit,
        unit=unit,
    )
