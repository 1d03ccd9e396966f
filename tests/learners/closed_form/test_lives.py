"""What every closed-form life keeps to: one table, the same checks for each that is listed."""

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from hyperlearning.core.errors import FileError
from hyperlearning.learners.closed_form.class_means import ClassMeans
from hyperlearning.learners.closed_form.conjugate_bayes import ConjugateBayes, flat_prior
from hyperlearning.learners.closed_form.discriminant import LinearDiscriminant
from hyperlearning.learners.closed_form.least_mean_squares import NormalisedLMS
from hyperlearning.learners.closed_form.least_squares import RecursiveLeastSquares, RidgeClassifier
from hyperlearning.learners.closed_form.life import ClosedFormLife, Readout

D, C = 5, 3


class Listed(NamedTuple):
    make: Callable[[], Readout]
    classifies: bool
    num_stored: int


LISTED = {
    "recursive least squares": Listed(lambda: RecursiveLeastSquares(D, C), False, D * D + D * C + C + 1),
    "with forgetting": Listed(lambda: RecursiveLeastSquares(D, C, forgetting=0.99), False, D * D + D * C + C + 1),
    "normalised least mean squares": Listed(lambda: NormalisedLMS(D, C), False, D * C),
    "ridge classifier": Listed(lambda: RidgeClassifier(D, C), True, D * D + D * C + C + 1),
    "class means": Listed(lambda: ClassMeans(D, C), True, C * D + 2 * C),
    "cosine means": Listed(lambda: ClassMeans(D, C, cosine=True), True, C * D + 2 * C),
    "conjugate Bayes": Listed(lambda: ConjugateBayes(C, flat_prior(D)), True, 2 * C * D + C),
    "streaming discriminant": Listed(lambda: LinearDiscriminant(D, C), True, C * D + C + D * D),
    "innate discriminant": Listed(lambda: LinearDiscriminant(D, C, strength=math.inf), True, C * D + C),
}
pytestmark = pytest.mark.parametrize("listed", LISTED.values(), ids=LISTED)


def stream(listed: Listed, num_examples: int = 60, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, C, (num_examples,), generator=source)
    inputs = 0.3 * torch.randn(num_examples, D, generator=source) + torch.eye(C, D)[labels]
    numbers = inputs @ torch.randn(D, C, generator=torch.Generator().manual_seed(1))
    return inputs, labels if listed.classifies else numbers


def test_a_trivial_stream_is_learned(listed: Listed):
    life = ClosedFormLife(listed.make())
    inputs, targets = stream(listed, 300)
    losses = [life.observe(x[None], y[None]) for x, y in zip(inputs, targets, strict=True)]
    if not listed.classifies:
        assert sum(losses[-50:]) < 0.1 * sum(losses[:50])
    else:
        assert (life.predict(inputs).argmax(-1) == targets).float().mean() > 0.9
    assert life.num_updates == 300


def test_the_same_stream_gives_the_same_numbers(listed: Listed):
    inputs, targets = stream(listed)
    lives = [ClosedFormLife(listed.make()) for _ in range(2)]
    for life in lives:
        life.observe(inputs, targets)
    assert torch.equal(lives[0].predict(inputs), lives[1].predict(inputs))


def test_a_batch_is_one_example_after_another(listed: Listed):
    inputs, targets = stream(listed)
    whole, single = ClosedFormLife(listed.make()), ClosedFormLife(listed.make())
    loss = whole.observe(inputs, targets)
    losses = [single.observe(x[None], y[None]) for x, y in zip(inputs, targets, strict=True)]
    assert torch.equal(whole.predict(inputs), single.predict(inputs))
    assert loss == pytest.approx(sum(losses) / len(losses))


def test_inputs_are_left_as_they_were(listed: Listed):
    inputs, targets = stream(listed)
    before = inputs.clone(), targets.clone()
    ClosedFormLife(listed.make()).observe(inputs, targets)
    assert torch.equal(inputs, before[0])
    assert torch.equal(targets, before[1])


def test_saved_loaded_and_continued_equals_uninterrupted_to_the_bit(listed: Listed, tmp_path: Path):
    inputs, targets = stream(listed)
    whole, first, second = (ClosedFormLife(listed.make()) for _ in range(3))
    whole.observe(inputs, targets)
    first.observe(inputs[:20], targets[:20])
    first.save(tmp_path / "life.safetensors")
    second.predict(inputs)  # What it computed before loading must not stay.
    second.load(tmp_path / "life.safetensors")
    second.observe(inputs[20:], targets[20:])
    assert torch.equal(whole.predict(inputs), second.predict(inputs))
    assert second.num_updates == 60


def test_a_file_of_another_life_is_refused(listed: Listed, tmp_path: Path):
    ClosedFormLife(NormalisedLMS(D + 1, C)).save(tmp_path / "life.safetensors")
    life = ClosedFormLife(listed.make())
    with pytest.raises(FileError, match="Expected a life of"):
        life.load(tmp_path / "life.safetensors")


def test_it_stores_as_many_numbers_as_it_says_and_never_more(listed: Listed):
    life = ClosedFormLife(listed.make())
    assert life.num_stored == listed.num_stored
    life.observe(*stream(listed))
    assert life.num_stored == listed.num_stored


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_nan_or_an_infinity_is_refused_and_changes_nothing(listed: Listed, bad: float):
    life = ClosedFormLife(listed.make())
    inputs, targets = stream(listed)
    life.observe(inputs, targets)
    before = copy.deepcopy(life.readout.state)
    spoilt = inputs[:1].clone()
    spoilt[0, 2] = bad
    with pytest.raises(ValueError, match="finite"):
        life.observe(spoilt, targets[:1])
    if not listed.classifies:
        with pytest.raises(ValueError, match="finite"):
            life.observe(inputs[:1], targets[:1] * bad)
    for name, tensor in life.readout.state.items():
        assert torch.equal(tensor, before[name])


def test_an_empty_batch_and_a_label_out_of_range_are_refused(listed: Listed):
    life = ClosedFormLife(listed.make())
    inputs, targets = stream(listed)
    with pytest.raises(ValueError, match="one example or more"):
        life.observe(inputs[:0], targets[:0])
    for label in (-100, -1, C) if listed.classifies else ():
        with pytest.raises(ValueError, match=f"from 0 to {C - 1}"):
            life.observe(inputs[:1], torch.tensor([label]))


def test_features_are_computed_before(listed: Listed):
    inputs, targets = stream(listed)
    flipped, plain = ClosedFormLife(listed.make(), lambda x: x.flip(-1)), ClosedFormLife(listed.make())
    flipped.observe(inputs.flip(-1), targets)
    plain.observe(inputs, targets)
    assert torch.equal(flipped.predict(inputs.flip(-1)), plain.predict(inputs))
