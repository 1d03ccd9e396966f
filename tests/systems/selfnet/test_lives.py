"""Lives of stores: networks are learned stage by stage, recollected and tested; stopped, they go on to the same bits."""

import torch
from tests.engine.resuming import check_goes_on_to_the_same_bits

from hyperlearning.core.seeding import generator
from hyperlearning.core.weight_vectors import Weights, weights_of, with_weights
from hyperlearning.engine.rounds import Rounds
from hyperlearning.learners.weight_codecs.residuals import QuantisedResiduals, uniform
from hyperlearning.learners.weight_codecs.self_net import SelfNet, SelfNetRule
from hyperlearning.systems.selfnet.lines import StageLine, StoreLine
from hyperlearning.systems.selfnet.lives import coding_job, learning_job, masking_job, store_job
from hyperlearning.systems.selfnet.settings import CodeSettings, MaskSettings, TaskSettings, TaskTraining
from hyperlearning.systems.selfnet.stores import Store
from hyperlearning.systems.selfnet.task_networks import accuracy, train_task
from hyperlearning.systems.selfnet.tasks import Judge, Tasks, drawn_tasks, first_network

SETTINGS = TaskSettings(dataset="digits", num_tasks=4)
TRAINING = TaskTraining(task_epochs=2, task_lr=0.05)


def tasks() -> Tasks:
    return drawn_tasks(SETTINGS, 0)


def learning() -> Rounds:
    own = tasks()
    return learning_job(own, TRAINING, Judge(own), buffer=2, seed=0)


def lines_of(job: Rounds) -> list[StageLine]:
    return [step.line for step in job.steps(job.begin())]


def test_a_task_network_has_the_weights_that_the_text_counts_less_those_of_the_outputs_it_lacks():
    assert weights_of(first_network(0)).header.size == 21_432


def test_a_task_is_learned_and_its_score_is_of_images_that_it_did_not_learn():
    own, network = tasks(), first_network(0)
    before = accuracy(network, own.test(0))
    train_task(network, own.train(0), TaskTraining(task_epochs=6, task_lr=0.05), generator(0, "order"))
    assert accuracy(network, own.test(0)) > max(0.9, before)


def test_pulled_hard_a_network_stays_where_it_is_pulled_to():
    own, apart = tasks(), []
    for pull in (0.0, 1e5):
        network = first_network(0)
        towards = {name: tensor.detach().clone() for name, tensor in network.named_parameters()}
        train_task(network, own.train(0), TaskTraining(pull=pull), generator(0, "order"), towards=towards)
        apart.append(
            sum(float((tensor - towards[name]).detach().square().sum()) for name, tensor in network.named_parameters())
        )
    assert apart[1] < apart[0] / 2


def test_later_networks_begin_at_the_mean_of_the_first_stage():
    own = tasks()
    job = learning_job(own, TaskTraining(task_lr=1e-9), Judge(own), buffer=2, seed=0)
    first, second = job.steps(job.begin())
    other = first.state._replace(tensors={"vectors": torch.randn(2, 21_432)})
    *_, last = job.steps(other)
    torch.testing.assert_close(
        last.state.tensors["vectors"][2:], other.tensors["vectors"].mean(0).expand(2, -1), atol=0.01, rtol=0
    )
    torch.testing.assert_close(second.state.tensors["vectors"][:2], first.state.tensors["vectors"])


def test_stopped_after_any_stage_task_networks_go_on_to_the_same_bits():
    check_goes_on_to_the_same_bits(learning)


def test_stopped_after_any_stage_a_store_goes_on_to_the_same_bits():
    own, vectors = tasks(), torch.randn(4, 21_432, generator=torch.Generator().manual_seed(0))
    rule = SelfNetRule(code_size=2, max_iterations=(5, 3), one_by_one=True)
    for make in (lambda size: SelfNet(size, rule), lambda size: QuantisedResiduals(size, uniform(4, clip=3.0))):
        store = Store("a store", "a note", make)
        check_goes_on_to_the_same_bits(lambda: store_job(store, vectors, own, Judge(own), buffer=2))  # noqa: B023


def test_stopped_after_any_stage_coded_networks_go_on_to_the_same_bits():
    own, codes = tasks(), CodeSettings(code_epochs=1)

    def job() -> Rounds:
        return coding_job(own, codes, Judge(own), code_size=16, batch=32, buffer=2, seed=0)

    check_goes_on_to_the_same_bits(job)


def test_a_store_of_8_bits_recollects_networks_that_do_as_well_and_its_bytes_are_counted():
    own, judge = tasks(), Judge(tasks())
    *_, last = learning().steps(learning().begin())
    vectors = last.state.tensors["vectors"]
    store = Store("8 bits", "a note", lambda size: QuantisedResiduals(size, uniform(8, clip=5.0), coder="none"))
    lines = lines_of(store_job(store, vectors, own, judge, buffer=2))
    assert [len(line.accuracies) for line in lines] == [2, 4]
    torch.testing.assert_close(
        torch.tensor(lines[-1].accuracies), torch.tensor(judge.accuracies(vectors)), rtol=0, atol=0.02
    )
    assert min(lines[-1].cosines) > 0.995
    assert lines[-1].num_bytes == 4 * 21_432 + 2 * 21_432 + 4 * 4


def test_all_at_once_is_one_stage():
    own, vectors = tasks(), torch.randn(4, 21_432)
    store = Store("a store", "a note", lambda size: QuantisedResiduals(size, uniform(2, clip=3.0)), at_once=True)
    (line,) = lines_of(store_job(store, vectors, own, Judge(own), buffer=2))
    assert len(line.accuracies) == 4


def test_coded_networks_learn_and_take_less_than_half_a_byte_a_number():
    own, codes = tasks(), CodeSettings(code_epochs=8)
    lines = lines_of(coding_job(own, codes, Judge(own), code_size=64, batch=32, buffer=2, seed=0))
    assert sum(lines[-1].accuracies) / 4 > 0.85
    assert 4 * 16 < lines[-1].num_bytes < 4 * 32 + 24


def test_masked_networks_learn_take_a_bit_a_weight_and_go_on_to_the_same_bits():
    own, masks = tasks(), MaskSettings(mask_epochs=6, mask_lr=0.01)

    def job() -> Rounds:
        return masking_job(own, masks, Judge(own), batch=32, buffer=2, seed=0)

    lines = lines_of(job())
    assert sum(lines[-1].accuracies) / 4 > 0.85
    assert lines[-1].num_bytes == 4 * 2_669 + 16
    check_goes_on_to_the_same_bits(job)


def test_a_judge_tests_every_vector_on_its_own_task():
    own, network = tasks(), first_network(0)
    vectors = torch.stack([weights_of(first_network(seed)).vector for seed in (1, 2)])
    header = weights_of(network).header
    wanted = [
        accuracy(with_weights(network, Weights(header, vector, {})), own.test(number))
        for number, vector in enumerate(vectors)
    ]
    assert Judge(own).accuracies(vectors) == wanted


def test_what_a_line_says_of_bytes():
    stages = tuple(
        StageLine(stage=number, accuracies=(0.9,) * 5 * number, num_bytes=size, seconds=0.0)
        for number, size in ((1, 1000), (2, 1500))
    )
    line = StoreLine(method="m", title="t", note="n", num_tasks=(5, 10), num_weights=100, stages=stages)
    assert line.compression() == 4 * 100 * 10 / 1500
    assert line.compression(0) == 2.0
    assert line.bytes_a_task == 100
