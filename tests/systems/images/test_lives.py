"""Lives on images: a plain loop with torch.optim, which lives are drawn, what mixing them keeps."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from torch import nn

from hyperlearning.core.params import stack_members
from hyperlearning.evaluation.accuracy import LifeAccuracy
from hyperlearning.learners.inner_loop import live
from hyperlearning.streams.class_incremental import ClassLives
from hyperlearning.systems.images.build import build_system
from hyperlearning.systems.images.lines import scores_of
from hyperlearning.systems.images.lives import (
    accuracy_at_the_end,
    deploy,
    deploy_prototypes,
    hold_out,
    mixed,
    some_lives,
)
from hyperlearning.systems.images.pools import SPLITS, Split, load_pools
from hyperlearning.systems.images.settings import (
    DataSettings,
    ImageSettings,
    LifeSettings,
    NetworkSettings,
    TrainingSettings,
)

SETTINGS = ImageSettings(
    data=DataSettings(dataset="digits", side=12),
    network=NetworkSettings(maps=(4, 4), num_channels=3, phenotype_units=3, num_outputs=8, zero_start=False),
    life=LifeSettings(num_tasks=3, num_instances=4, steps_per_task=2, num_held_out=5, num_lives=3),
    training=TrainingSettings(population=1, num_epochs=1, train_tasks=3, train_classes=4, temperature=2.0),
)
POOLS = load_pools(SETTINGS.data)


def _hold_out(split: Split = "meta_test", *, seed: int = 0, purpose: str = "held-out"):
    return hold_out(SETTINGS.life, POOLS, split, num_outputs=8, seed=seed, purpose=purpose)


def _in_double(lives: ClassLives):
    return lives._replace(
        inputs=lives.inputs.double(), learned=lives.learned.double(), held_out=lives.held_out.double()
    )


def _accuracies(network: nn.Module, lives: ClassLives, index: int, part: str, among: list[int]):
    images, labels = getattr(lives, part)[index], lives.labels[index]
    with torch.no_grad():
        logits = torch.stack([network(of_task) for of_task in images])
    chosen = torch.tensor(among)[logits[..., among].argmax(-1)]
    return (chosen == labels[:, None]).double().mean(1)


def _plain_loop(lives: ClassLives):
    """One life after another, the network's own parameters trained in place by `torch.optim.SGD`."""
    everything = list(range(8))
    rows: dict[str, list[torch.Tensor]] = {name: [] for name in LifeAccuracy._fields}
    for index in range(len(lives.labels)):
        network = SETTINGS.network.build(SETTINGS.data, SETTINGS.seed).double()
        plastic = [p for name, p in network.named_parameters() if not network.is_innate(name)]
        sgd = torch.optim.SGD(plastic, lr=SETTINGS.training.inner_lr)
        stages = {part: [_accuracies(network, lives, index, part, everything)] for part in ("learned", "held_out")}
        for inputs, targets in zip(lives.inputs[:, index], lives.targets[:, index], strict=True):
            for _ in range(SETTINGS.life.steps_per_task):
                sgd.zero_grad()
                (2 * nn.functional.cross_entropy(network(inputs) / 2, targets)).backward()
                sgd.step()
            for part, looks in stages.items():
                looks.append(_accuracies(network, lives, index, part, everything))
        of_life = sorted(lives.labels[index].tolist())
        rows["memory"].append(torch.stack(stages["learned"]))
        rows["generalization"].append(torch.stack(stages["held_out"]))
        rows["memory_of_life"].append(_accuracies(network, lives, index, "learned", of_life))
        rows["generalization_of_life"].append(_accuracies(network, lives, index, "held_out", of_life))
    return LifeAccuracy(**{name: torch.stack(values) for name, values in rows.items()})


@pytest.fixture(scope="module")
def deployed() -> tuple[ClassLives, LifeAccuracy]:
    lives = _in_double(_hold_out())
    hyper = build_system(SETTINGS, POOLS.meta_train).job.begin().hyper
    start, innate = ({name: p.double() for name, p in params.items()} for params in (hyper.start, hyper.innate))
    learner = build_system(SETTINGS, POOLS.meta_train).learner
    return lives, deploy(learner, start, innate, lives, steps_per_task=SETTINGS.life.steps_per_task)


def test_lives_side_by_side_score_as_a_plain_loop_over_them(deployed: tuple[ClassLives, LifeAccuracy]):
    lives, alive = deployed
    torch.testing.assert_close(alive, _plain_loop(lives), rtol=1e-12, atol=1e-12)


def test_scores_are_means_over_the_last_stage_and_forgetting_is_what_was_lost_since_a_class_was_learned(
    deployed: tuple[ClassLives, LifeAccuracy],
):
    _, alive = deployed
    scores = scores_of(alive)
    for life in range(3):
        after = [float(alive.memory[life, task + 1, task] - alive.memory[life, 3, task]) for task in range(3)]
        assert (scores.forgetting or [])[life] == pytest.approx(sum(after) / 3, abs=1e-6)
        assert scores.generalization[life] == pytest.approx(float(alive.generalization[life, 3].mean()), abs=1e-6)


def test_lives_scored_at_their_end_score_as_those_looked_at_throughout(deployed: tuple[ClassLives, LifeAccuracy]):
    lives, alive = deployed
    system = build_system(SETTINGS, POOLS.meta_train)
    hyper = system.job.begin().hyper
    start, innate = ({name: p.double() for name, p in params.items()} for params in (hyper.start, hyper.innate))
    births = stack_members(start, 3)
    *_, plastic = live(system.learner, births, innate, lives.inputs, lives.targets, steps_per_batch=2)
    final = accuracy_at_the_end(system.learner, plastic, innate, lives)
    assert torch.equal(final.memory[:, -1], alive.memory[:, -1])
    assert torch.equal(final.generalization_of_life, alive.generalization_of_life)
    assert torch.isnan(final.memory[:, :-1]).all()
    assert scores_of(final).forgetting is None


@pytest.mark.parametrize("split", SPLITS)
def test_the_lives_held_out_follow_from_seed_and_purpose_alone(split: Split):
    first = _hold_out(split)
    torch.rand(7)
    assert all(torch.equal(a, b) for a, b in zip(first, _hold_out(split), strict=True))
    assert not torch.equal(first.inputs, _hold_out(split, seed=1).inputs)
    assert not torch.equal(first.inputs, _hold_out(split, purpose="validation").inputs)


def test_lives_of_meta_eval_have_classes_and_labels_in_order():
    lives = _hold_out("meta_eval")
    assert lives.labels.tolist() == [[0, 1, 2]] * 3


@pytest.mark.parametrize("seed", range(3))
def test_mixing_keeps_every_lifes_images_with_their_labels(seed: int):
    lives = _hold_out()
    shuffled = mixed(lives, seed=seed)

    def content(of: ClassLives, life: int):
        pairs = zip(of.inputs[:, life].flatten(0, 1), of.targets[:, life].flatten(), strict=True)
        return Counter((image.numpy().tobytes(), int(label)) for image, label in pairs)

    assert all(content(shuffled, life) == content(lives, life) for life in range(3))
    assert not torch.equal(shuffled.targets, lives.targets)
    assert shuffled.learned is lives.learned


def test_the_first_lives_of_many_are_lives_among_them():
    lives = _hold_out()
    few = some_lives(lives, slice(2))
    assert torch.equal(few.inputs, lives.inputs[:, :2])
    assert torch.equal(few.labels, lives.labels[:2])
    assert few.held_out.shape[0] == few.learned.shape[0] == few.targets.shape[1] == 2


def test_prototypes_on_pixels_that_say_their_class_make_no_mistake_and_forget_nothing():
    lives = hold_out(replace(SETTINGS.life, num_instances=1), POOLS, "meta_eval", num_outputs=8, seed=0)
    told = lives._replace(held_out=lives.learned.repeat(1, 1, 2, 1, 1, 1))
    scores = scores_of(deploy_prototypes(lambda images: images.flatten(-3), told, num_labels=8))
    assert scores.generalization == scores.memory == [1.0] * 3
    assert scores.forgetting == [0.0] * 3
