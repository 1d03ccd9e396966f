"""A life that reads: one example at a time as the whole stream at once, and what is kept, saved and refused."""

from pathlib import Path

import pytest
import torch
from tests.networks.sequence_models import D, H, both, build
from torch import Tensor

from hyperlearning.core.errors import FileError
from hyperlearning.learners.life import Life
from hyperlearning.learners.sequence_life import SequenceLife

N, LAYERS = 12, 3


def stream(num_examples: int = N) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(1)
    inputs = torch.randn(num_examples, 2, generator=source, dtype=torch.float64)
    return inputs, inputs.sum(1, keepdim=True)


@both
def test_it_is_a_life_and_learns_one_example_at_a_time_what_the_model_reads_at_once(attention: str):
    model, (inputs, targets) = build(attention), stream()
    life = SequenceLife(model)
    assert isinstance(life, Life)
    losses = life.observe_each(inputs, targets)
    expected = model(inputs[None], targets[None], inputs[None])[0]
    torch.testing.assert_close(life.predict(inputs), expected, rtol=1e-10, atol=1e-12)
    for number in range(N):
        answer = model(inputs[None, :number], targets[None, :number], inputs[None, number : number + 1])
        assert abs(losses[number] - float((answer - targets[number]).square())) < 1e-10


@both
def test_after_meta_training_the_second_half_of_a_stream_is_predicted_from_the_first(attention: str):
    model, source = build(attention).float().requires_grad_(True), torch.Generator().manual_seed(2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)

    def draw(num_lives: int) -> tuple[Tensor, Tensor]:
        inputs = torch.randn(num_lives, 8, 2, generator=source)
        return inputs, torch.randn(num_lives, 1, 1, generator=source).expand(-1, 8, 1)

    for _ in range(30):
        inputs, targets = draw(16)
        optimizer.zero_grad()
        (model(inputs[:, :4], targets[:, :4], inputs[:, 4:]) - targets[:, 4:]).square().mean().backward()
        optimizer.step()
    losses = torch.stack([SequenceLife(model).observe_each(x, y) for x, y in zip(*draw(20), strict=True)]).mean(0)
    assert losses[-2:].mean() < 0.2 * losses[0]


def test_it_counts_keys_and_values_of_all_examples_and_the_first_token():
    life = SequenceLife(build("softmax"))
    life.observe(*stream())
    assert life.num_updates == N
    assert life.num_stored == LAYERS * 2 * D * (N + 1)


def test_with_linear_attention_it_counts_the_same_numbers_throughout():
    life = SequenceLife(build("linear"))
    expected = LAYERS * (D + D * D // H)
    assert life.num_stored == expected
    life.observe(*stream())
    assert life.num_stored == expected


@both
def test_learning_leaves_model_and_inputs_as_they_were_and_predicting_leaves_the_life(attention: str):
    model, (inputs, targets) = build(attention), stream()
    before = [tensor.clone() for tensor in (*model.parameters(), inputs, targets)]
    life = SequenceLife(model)
    life.observe(inputs, targets)
    first = life.predict(inputs)
    assert torch.equal(first, life.predict(inputs))
    assert all(torch.equal(a, b) for a, b in zip(before, (*model.parameters(), inputs, targets), strict=True))


@both
def test_saved_loaded_and_continued_equals_uninterrupted(attention: str, tmp_path: Path):
    (inputs, targets), model = stream(), build(attention)
    whole, first, second = (SequenceLife(model) for _ in range(3))
    whole.observe(inputs, targets)
    first.observe(inputs[:5], targets[:5])
    first.save(tmp_path / "life.safetensors")
    second.observe(inputs[:2], targets[:2])  # What it has read is replaced.
    second.load(tmp_path / "life.safetensors")
    second.observe(inputs[5:], targets[5:])
    assert second.num_updates == N
    assert torch.equal(second.predict(inputs), whole.predict(inputs))


@pytest.mark.parametrize(("attention", "width"), [("linear", D), ("softmax", 2 * D)])
def test_a_life_of_another_model_is_refused(attention: str, width: int, tmp_path: Path):
    SequenceLife(build("softmax")).save(tmp_path / "life.safetensors")
    with pytest.raises(FileError, match="Expected a life that read 0 examples"):
        SequenceLife(build(attention, width=width)).load(tmp_path / "life.safetensors")


def test_an_example_that_is_not_finite_is_refused_and_not_read():
    life, (inputs, targets) = SequenceLife(build("softmax")), stream()
    inputs[3, 1] = torch.nan
    with pytest.raises(ValueError, match="Expected a finite example"):
        life.observe(inputs, targets)
    assert life.num_updates == 3


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match="one example or more, but got none"):
        SequenceLife(build("softmax")).observe(torch.zeros(0, 2), torch.zeros(0, 1))
