"""Continual lives of hypernetworks: tasks are those of the stream, and lives that are stopped go on to the same bits."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from tests.engine.resuming import check_goes_on_to_the_same_bits
from torch import Tensor
from torch.nn.utils import parameters_to_vector

from hyperlearning.engine.rounds import Rounds
from hyperlearning.learners.continual.learner import Sgd
from hyperlearning.learners.hypernet_continual.learner import AdamRule
from hyperlearning.systems.hypernetworks.continual_lines import MethodLine, Scenario, StageLine
from hyperlearning.systems.hypernetworks.continual_lives import (
    bits_within,
    closed_form_job,
    hypernet_job,
    joint_job,
    quantised_job,
    rival_job,
    separate_job,
    tuning_job,
)
from hyperlearning.systems.hypernetworks.continual_methods import hypernet_learner, rivals_of
from hyperlearning.systems.hypernetworks.continual_scores import own_scores, shares, vector_scores
from hyperlearning.systems.hypernetworks.continual_settings import (
    ContinualTaskSettings,
    HypernetSettings,
    RivalSettings,
    Variant,
)
from hyperlearning.systems.hypernetworks.continual_tasks import Tasks

DATA = ContinualTaskSettings(stream="split", dataset="digits", num_tasks=3, units=(16,))
HYPER = HypernetSettings(embedding_size=8, hidden=(8,), chunk_size=300, chunk_embedding_size=8, num_steps=30, batch=32)
RIVALS = RivalSettings(features=20, feature_images=100, replay_images=20, fisher_images=20)
SGD = Sgd(2, 32, 0.05, 0.9)


def tasks() -> Tasks:
    return Tasks(DATA, 0)


def life(variant: Variant) -> Rounds:
    own = tasks()
    make = partial(hypernet_learner, own, HYPER, variant, seed=0)
    return hypernet_job(own, make, HYPER.num_steps, name=variant, seed=0)


def lines_of(job: Rounds) -> list[StageLine]:
    return [step.line for step in job.steps(job.begin())]


@pytest.mark.parametrize("variant", ["outputs", "lookahead", "subset", "masks", "intervals"])
def test_stopped_after_any_task_hypernetworks_go_on_to_the_same_bits(variant: Variant):
    check_goes_on_to_the_same_bits(partial(life, variant))


@pytest.mark.parametrize("scenario", ["task", "domain", "class"])
def test_stopped_after_any_task_rivals_go_on_to_the_same_bits(scenario: Scenario):
    for rival in rivals_of(RIVALS, seed=0):
        check_goes_on_to_the_same_bits(partial(rival_job, rival, 1.0, tasks(), scenario, SGD, seed=0))


def test_stopped_after_any_task_what_needs_no_remedy_goes_on_to_the_same_bits():
    own = tasks()
    check_goes_on_to_the_same_bits(lambda: separate_job(own, AdamRule(20, 32), doubt=0.5, seed=0))
    check_goes_on_to_the_same_bits(lambda: closed_form_job(own, RIVALS, seed=0))
    check_goes_on_to_the_same_bits(lambda: joint_job(own, "class", SGD, seed=0))
    vectors = torch.randn(3, own.num_weights, generator=torch.Generator().manual_seed(0))
    check_goes_on_to_the_same_bits(lambda: quantised_job(own, vectors, 3))
    rival = next(one for one in rivals_of(RIVALS, seed=0) if one.first_strength is not None)
    check_goes_on_to_the_same_bits(lambda: tuning_job(rival, own, "task", SGD, trials=3, seed=0))


def test_a_split_stream_deals_classes_in_order_and_trials_meet_others():
    own, others = tasks(), Tasks(DATA, 0, validation=True)
    assert own.titles == ("0, 1, 2", "3, 4, 5", "6, 7, 8")
    assert others.titles == ("1, 2, 3", "4, 5, 6", "7, 8, 9")
    assert set(own.train(1).labels.tolist()) == {0, 1, 2}


def test_permuted_tasks_are_the_same_pixels_in_another_order_for_training_and_for_tests():
    own = Tasks(replace(DATA, stream="permuted"), 0)
    first, second = own.train(0), own.train(1)
    assert torch.equal(first.labels, second.labels)
    assert not torch.equal(first.images, second.images)
    torch.testing.assert_close(first.images.sum((1, 2, 3)), second.images.sum((1, 2, 3)))


def test_shifted_images_are_five_times_as_many_and_too_many_tasks_are_refused():
    own = Tasks(replace(DATA, shifted=True), 0)
    assert len(own.train(0).labels) == 5 * len(tasks().train(0).labels)
    assert torch.equal(own.train(0).images[: len(tasks().train(0).labels)], tasks().train(0).images)
    with pytest.raises(ValueError, match="Expected at most 5 tasks of two classes or more of digits, but got 6"):
        Tasks(replace(DATA, num_tasks=6), 0)
    with pytest.raises(ValueError, match="Expected no `shifted` images of permuted pixels"):
        Tasks(replace(DATA, stream="permuted", shifted=True), 0)


def test_separate_networks_in_8_bits_do_as_well_in_a_quarter_of_the_bytes_or_less():
    own = tasks()
    job = separate_job(own, AdamRule(100, 32, 0.01), doubt=0.0, seed=0)
    *_, last = job.steps(job.begin())
    whole, few = lines_of(job)[-1], lines_of(quantised_job(own, last.state.tensors["vectors"], 8))[-1]
    assert min(whole.accuracies) > 0.85
    assert few.num_bytes < whole.num_bytes / 3.9
    torch.testing.assert_close(torch.tensor(few.accuracies), torch.tensor(whole.accuracies), rtol=0, atol=0.02)
    assert bits_within(own, last.state.tensors["vectors"], whole.num_bytes) == 8
    assert bits_within(own, last.state.tensors["vectors"], few.num_bytes - 1) < 8
    assert bits_within(own, last.state.tensors["vectors"], 1) == 1


def test_scores_of_vectors_are_those_of_each_network_by_itself():
    own = tasks()
    networks = [own.network() for _ in range(2)]
    with torch.no_grad():
        networks[1][1].weight.mul_(2)
    vectors = torch.stack([parameters_to_vector(network.parameters()).detach() for network in networks])
    images = own.test(0).images
    wanted = torch.stack([network(images) for network in networks]).detach()
    torch.testing.assert_close(vector_scores(own, vectors)(images), wanted, rtol=1e-5, atol=1e-6)


def test_shares_of_what_is_inferred_are_those_of_counting():
    scores = torch.zeros(2, 3, 2)
    scores[1, 0, 1] = scores[0, 1, 1] = scores[1, 2, 0] = 5.0
    chosen = torch.tensor([1, 0, 1])
    assert shares(scores, chosen, torch.tensor([1, 1, 1]), 1) == (0.66667, 0.66667, 0.33333)


def test_known_and_inferred_tasks_of_networks_that_say_the_truth_are_all_right():
    own = tasks()

    def scores(images: Tensor) -> Tensor:
        made = torch.zeros(3, len(images), 3)
        for number in range(3):
            data = own.test(number)
            for place, image in enumerate(images):
                same = (data.images == image).all(dim=(1, 2, 3)).nonzero()
                if len(same):
                    made[number, place, data.labels[same[0, 0]]] = 50.0
        return made

    known, found = own_scores(own, scores, 3)
    assert min(known) == 1.0
    assert min(found.found) == min(found.right) == 1.0


def _method(*stages: tuple[float, ...]) -> MethodLine:
    lines = tuple(
        StageLine(stage=number, accuracies=own, num_bytes=1, seconds=0.0) for number, own in enumerate(stages, start=1)
    )
    return MethodLine(method="m", title="t", note="n", scenario="task", stages=lines)


def test_forgetting_and_forward_transfer_of_a_line_are_those_of_their_formulas():
    line, alone = _method((0.9,), (0.95, 0.8), (0.7, 0.6, 1.0)), _method((0.8,), (0.8, 0.7), (0.8, 0.7, 0.9))
    assert line.forgetting == pytest.approx((0.95 - 0.7 + 0.8 - 0.6) / 2)
    assert line.forward_transfer(alone) == pytest.approx((0.8 - 0.7 + 1.0 - 0.9) / 2)
    assert _method((0.5, 0.5)).forgetting is None


def test_a_target_network_begins_at_the_same_weights_whatever_it_is_for():
    first, second = tasks().network(), tasks().network()
    assert torch.equal(parameters_to_vector(first.parameters()), parameters_to_vector(second.parameters()))
    colour = ContinualTaskSettings(stream="split", dataset="digits", target="convolutional", units=(8,))
    assert Tasks(colour, 0).network()(torch.zeros(2, 1, 8, 8)).shape == (2, 2)
