"""A network in pieces and several architectures in one store: what is learned, counted and recollected; stopped, it goes on."""

from collections.abc import Callable, Mapping
from functools import cache, partial

import pytest
import torch
from tests.engine.resuming import check_goes_on_to_the_same_bits

from hyperlearning.core.params import Params
from hyperlearning.core.weight_vectors import weights_of
from hyperlearning.engine.job import Packed
from hyperlearning.engine.rounds import Rounds
from hyperlearning.learners.weight_codecs.self_net import SelfNet, SelfNetRule
from hyperlearning.systems.selfnet.settings import TaskTraining
from hyperlearning.systems.selfnet.split_lines import PiecesLine, SharedLine
from hyperlearning.systems.selfnet.split_networks import (
    COLOUR,
    NUM_SMALL,
    ROWS,
    RowReader,
    SplitsData,
    Taught,
    taught_networks,
)
from hyperlearning.systems.selfnet.splits import (
    Cut,
    pieces_job,
    shared_job,
    shared_stores,
    teaching_job,
    trained_network,
)
from hyperlearning.systems.selfnet.task_networks import accuracy

DATA, TRAINING = SplitsData(dataset="digits", most_images=30, test_images=30), TaskTraining(task_epochs=1, pull=0.0)
RULE = SelfNetRule(
    hidden=(6,),
    code_size=6,
    activation="tanh",
    loss="cosine",
    standardised=False,
    thresholds=(2.0,),
    max_iterations=(4,),
    lrs=(1e-3,),
)
CUTS = (Cut(1, one_by_one=False), Cut(3, one_by_one=False), Cut(3, one_by_one=True))


def teaching() -> Rounds:
    return teaching_job(DATA, TRAINING, repetitions=2, seed=0)


def networks(repetition: int) -> Mapping[str, Taught]:
    return taught_networks(DATA, TRAINING, 0, repetition)


@cache
def learned() -> Params:
    *_, last = teaching().steps(teaching().begin())
    return last.state.tensors


def pieces() -> Rounds:
    return pieces_job(CUTS, RULE, networks, learned(), repetitions=1, seed=0)


def shared() -> Rounds:
    return shared_job(RULE, networks, learned(), repetitions=1, seed=0)


@cache
def pieces_lines() -> tuple[PiecesLine, ...]:
    return tuple(step.line for step in pieces().steps(pieces().begin()))


@cache
def shared_lines() -> Mapping[str, SharedLine]:
    return {step.line.store: step.line for step in shared().steps(shared().begin())}


def test_networks_are_of_three_architectures_and_learn_their_tasks():
    job = teaching_job(
        SplitsData(dataset="digits"), TaskTraining(task_epochs=6, task_momentum=0.9), repetitions=1, seed=0
    )
    (step,) = job.steps(job.begin())
    assert step.line.sizes == (21_432,) * NUM_SMALL + (61_326, 19_626)
    assert step.line.names[NUM_SMALL:] == (COLOUR, ROWS)
    assert min(step.line.accuracies) > 0.8


def test_a_colour_image_is_of_one_class_or_of_all_others_half_and_half():
    data = networks(0)[COLOUR].data("train")
    assert data.images.shape[1:] == (3, 32, 32)
    assert -1 <= float(data.images.min()) < float(data.images.max()) <= 1
    assert 0.4 < float(data.labels.float().mean()) < 0.6


def test_networks_and_tasks_of_repetitions_differ():
    first, second = networks(0), networks(1)
    for name, taught in first.items():
        assert not torch.equal(weights_of(taught.first).vector, weights_of(second[name].first).vector)
    assert not torch.equal(first[COLOUR].data("test").images, second[COLOUR].data("test").images)


def test_a_row_reader_counts_its_batches_and_reads_as_the_formula_says():
    network, images = RowReader(torch.Generator().manual_seed(0)), torch.rand(5, 1, 8, 8)
    network(images)
    assert int(network.norm.num_batches_tracked) == 1
    network.eval()
    states, _ = network.reader(network.norm(images.squeeze(1)))
    torch.testing.assert_close(network(images), states[:, -1] @ network.output.weight.T + network.output.bias)


def test_trained_networks_are_rebuilt_to_the_bit_and_do_as_well_as_was_said():
    job = teaching()
    step = next(iter(job.steps(job.begin())))
    for place, (name, taught) in enumerate(networks(0).items()):
        network = trained_network(taught, step.state.tensors, 0, name)
        assert round(accuracy(network, taught.data("test")), 5) == step.line.accuracies[place]


@pytest.mark.parametrize("make", [teaching, pieces, shared])
def test_stopped_after_any_round_it_goes_on_to_the_same_bits_and_lines(make: Callable[[], Rounds]):
    check_goes_on_to_the_same_bits(make)
    job, other = make(), make()
    steps = list(job.steps(job.begin()))
    packed = job.pack(steps[0].state)
    rest = list(other.steps(other.unpack(Packed(dict(packed.tensors), dict(packed.facts)))))
    assert [_timeless(step.line) for step in rest] == [_timeless(step.line) for step in steps[1:]]


def _timeless(line: object) -> dict[str, object]:
    return {name: value for name, value in vars(line).items() if name != "seconds"}


def test_pieces_share_the_code_of_the_whole_and_are_counted():
    whole, at_once, one_by_one = pieces_lines()[:3]
    assert (whole.size, at_once.size, one_by_one.size) == (61_326, 20_442, 20_442)
    assert (whole.code_size, at_once.code_size) == (6, 2)
    for line, size, code in ((whole, 61_326, 6), (at_once, 20_442, 2)):
        assert line.num_parameters == 2 * (size * 6 + 6 * code) + 6 + code + 6 + size
    assert whole.multiplications == 3 * whole.num_parameters
    assert at_once.multiplications == 9 * at_once.num_parameters
    assert (at_once.written, one_by_one.written) == (at_once.num_parameters, 3 * at_once.num_parameters)
    assert {len(line.cosines) for line in pieces_lines()} == {4}
    assert all(line.looks == (1, 2, 3, 4) and len(line.accuracies) == 4 for line in pieces_lines())
    assert all(list(line.seconds) == sorted(line.seconds) for line in pieces_lines())


def test_what_is_said_after_an_iteration_is_that_of_an_autoencoder_that_ends_there():
    line, taught = pieces_lines()[1], networks(0)[COLOUR]
    network = trained_network(taught, learned(), 0, COLOUR)
    vector = weights_of(network).vector
    job = pieces()
    job.source.set_state(job.begin().generator_state)
    seeds = [int(torch.randint(2**31, (), generator=job.source)) for _ in CUTS]
    rule = SelfNetRule(**{**vars(RULE), "code_size": 2, "max_iterations": (3,)})
    codec = SelfNet(20_442, rule, seed=seeds[1])
    codec.learn(vector.reshape(3, -1))
    near = float(torch.cosine_similarity(codec.recollect().flatten(), vector, dim=0))
    assert line.cosines[2] == pytest.approx(near, abs=2e-6)


def test_every_store_gives_all_networks_back_and_says_its_bytes():
    lines = shared_lines()
    assert set(lines) == set(shared_stores(RULE))
    unit = 4 * (NUM_SMALL * 21_432 + 61_326 + 19_626)
    assert {line.unit for line in lines.values()} == {unit}
    assert lines["self_net"].looks == (1, 2, 3, 4)
    assert all(line.looks == (0,) for name, line in lines.items() if name != "self_net")
    assert lines["bits_4"].num_bytes < lines["bits_8"].num_bytes < unit < lines["self_net"].num_bytes
    assert min(lines["bits_8"].cosines[-1]) > 0.999
    taught = [accuracy(trained_network(own, learned(), 0, name), own.data("test")) for name, own in networks(0).items()]
    assert lines["bits_8"].accuracies[-1] == pytest.approx(taught, abs=0.03)


def test_one_autoencoder_learns_networks_of_all_architectures():
    rule = SelfNetRule(**{**vars(RULE), "hidden": (40,), "code_size": 20, "max_iterations": (60,), "lrs": (3e-3,)})
    job = partial(shared_job, rule, networks, learned(), repetitions=1, seed=0)()
    line = next(iter(job.steps(job.begin()))).line
    assert line.store == "self_net"
    assert min(line.cosines[-1]) > 0.9 > max(line.cosines[0])
