"""Training and testing few-shot learners: resumed to the same bits, the best is kept, and all meet the same images."""

from dataclasses import replace

import pytest
import torch
from tests.engine.resuming import check_goes_on_to_the_same_bits

from hyperlearning.learners.few_shot.embedded import Embedded
from hyperlearning.streams.episodes import EpisodeShape, episodes_of
from hyperlearning.systems.hypernetworks.few_shot_comparison import check_plan, models_of, picks_of_test, readouts_of
from hyperlearning.systems.hypernetworks.few_shot_methods import METHODS
from hyperlearning.systems.hypernetworks.few_shot_pools import in_domain_pools
from hyperlearning.systems.hypernetworks.few_shot_scoring import num_right
from hyperlearning.systems.hypernetworks.few_shot_settings import (
    EpisodeData,
    EpisodeTests,
    EpisodeTraining,
    LearnerName,
    LearnerSettings,
)
from hyperlearning.systems.hypernetworks.few_shot_training import (
    FewShotPlan,
    build_learner,
    common_job,
    drawers,
    embedding_of,
    episode_loss,
    trained_learner,
    training_job,
)

DATA = EpisodeData(dataset="digits")
TRAINING = EpisodeTraining(
    images=150, width=4, train_ways=3, train_shots=(1, 2), train_queries=2, step_images=30, looks=2
)


def plan(**changes: object) -> FewShotPlan:
    made = FewShotPlan(
        data=DATA,
        training=TRAINING,
        learners=LearnerSettings(inner_steps=2, tuning_steps=2, adapting_steps=2, whole_ways=(3,)),
        tests=EpisodeTests(ways=(3, 4), shots=(1, 2), queries=3, episodes=8, validation_episodes=4),
        pools=in_domain_pools(DATA),
        seed=0,
    )
    return made._replace(**changes)


@pytest.mark.parametrize("name", ["equivariant_hyper_shot", "hyper_maml", "maml"])
def test_a_stopped_training_goes_on_to_the_same_bits(name: LearnerName):
    blended = LearnerSettings(inner_steps=2, blend="published", whole_ways=(3,))
    check_goes_on_to_the_same_bits(lambda: training_job(plan(learners=blended), name, 3))


@pytest.mark.parametrize("name", METHODS)
def test_every_learner_lowers_its_loss_on_episodes_that_it_meets_again_and_again(name: LearnerName):
    own = plan()
    learner = build_learner(own, name, 3)
    episodes = drawers(own, 3)[1](torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(learner.parameters(), lr=0.01)
    losses = []
    for _ in range(30):
        loss = episode_loss(METHODS[name], learner, episodes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def test_the_learner_that_validated_best_is_kept():
    job = training_job(plan(), "prototypes", 3)
    steps = list(job.steps(job.begin()))
    rights = [step.line.validation for step in steps]
    best = max(range(len(rights)), key=lambda place: (rights[place], place))
    kept = trained_learner(plan(), "prototypes", 3, steps[-1].state)
    found = kept.state_dict()
    assert not kept.training
    assert all(torch.equal(steps[best].state.tensors[f"now/{key}"], tensor) for key, tensor in found.items())


@pytest.mark.parametrize("name", ["equivariant_hyper_shot", "maml"])
def test_learners_begin_with_the_common_embedding_and_go_on_from_it_to_the_same_bits(name: LearnerName):
    own = plan(training=replace(TRAINING, common_images=60))
    job = common_job(own)
    start = embedding_of(list(job.steps(job.begin()))[-1].state)
    first = training_job(own, name, 3, start=start).begin().tensors
    prefix = "now/network" if name != "maml" else "now/whole.0"
    assert torch.equal(first[f"{prefix}.convolutions.2.weight"], start["convolutions.2.weight"])
    check_goes_on_to_the_same_bits(lambda: training_job(own, name, 3, start=start))


def test_every_learner_of_one_number_of_ways_meets_the_same_images():
    facts = []
    for name in ("prototypes", "hyper_shot"):
        job = training_job(plan(), name, 3)
        last = list(job.steps(job.begin()))[-1].state
        facts.append((last.facts["images"], last.generator_state))
    assert facts[0][0] == facts[1][0]
    assert torch.equal(facts[0][1], facts[1][1])


def test_features_that_are_made_once_score_as_images_of_each_episode_do():
    own = plan()
    learner = build_learner(own, "ridge", 3)
    assert isinstance(learner, Embedded)
    learner.eval()
    picks = picks_of_test(own, "digits", EpisodeShape(3, 2, 3))
    pool = own.pools.tests["digits"]
    episodes = episodes_of(pool, picks)
    with torch.no_grad():
        said = learner(episodes.support, episodes.query.flatten(1, 2)).argmax(-1)
    expected = (said == torch.arange(3).repeat_interleave(3)).sum(1)
    assert torch.equal(num_right(learner, pool, picks), expected)


def test_test_episodes_are_the_same_whatever_is_trained():
    other = plan(training=replace(TRAINING, images=999, width=8))
    shape = EpisodeShape(3, 1, 3)
    first, second = picks_of_test(plan(), "digits", shape), picks_of_test(other, "digits", shape)
    assert torch.equal(first.query, second.query)


def test_learners_of_a_fixed_number_of_ways_are_trained_for_each_and_whole_ones_for_those_named():
    found = [(model.label, model.tested_ways) for model in models_of(plan())]
    assert ("prototypes", (3, 4)) in found
    assert ("hyper_shot_3", (3,)) in found
    assert ("hyper_shot_4", (4,)) in found
    assert ("maml_3", (3,)) in found
    assert ("maml_4", (4,)) not in found


def test_adapting_changes_the_head_of_a_copy_alone():
    own = plan()
    model = next(model for model in models_of(own) if model.name == "hyper_shot")
    learner = build_learner(own, "hyper_shot", 3)
    heads = readouts_of(own, model, learner)
    assert heads["own"].num_steps == 0
    assert heads["adapted"].num_steps == 2


def test_no_class_of_a_test_is_learned_from():
    pools = in_domain_pools(DATA)
    assert (pools.train.num_classes, pools.validation.num_classes, pools.tests["digits"].num_classes) == (20, 20, 20)
    assert not set(map(bytes, pools.train.images.numpy())) & set(map(bytes, pools.tests["digits"].images.numpy()))


def test_too_few_classes_or_images_are_refused_before_work():
    with pytest.raises(ValueError, match="Expected 21 or more classes in digits/train, but got 20"):
        check_plan(plan(training=replace(TRAINING, train_ways=21)))
    with pytest.raises(ValueError, match="have fewer shots or queries"):
        check_plan(plan(tests=replace(plan().tests, queries=50)))
