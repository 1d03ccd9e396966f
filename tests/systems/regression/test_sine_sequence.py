"""OML's sine waves read by a sequence model: lives at once against lives example by example, and its meta-training."""

import torch
from tests.engine.resuming import check_goes_on_to_the_same_bits
from tests.networks.sequence_models import both

from hyperlearning.learners.sequence_life import SequenceLife
from hyperlearning.networks.sequence_model import AttentionName
from hyperlearning.systems.regression.sine_lives import hold_out_lives
from hyperlearning.systems.regression.sine_sequence import (
    SequenceSystem,
    live_reading,
    sequence_method,
    sequence_system,
)
from hyperlearning.systems.regression.sine_settings import LifeSettings, SequenceSettings, TrainingSettings

LIFE = LifeSettings(num_tasks=3, capacity=4, updates_per_task=2, batch_size=4)


def build(attention: AttentionName = "softmax", *, num_steps: int = 4, seed: int = 0) -> SequenceSystem:
    settings = SequenceSettings(
        sequence_steps=num_steps, sequence_population=2, sequence_width=8, sequence_attention=attention
    )
    return sequence_system(settings, TrainingSettings(hyper_points=4), LIFE, seed=seed)


@both
def test_lives_read_at_once_are_those_read_one_example_after_another(attention: AttentionName):
    system, held_out = build(attention), hold_out_lives(LIFE, 2, seed=0)
    model = system.trained(system.job.begin())
    lived = live_reading(model, held_out)
    for number in range(2):
        life = SequenceLife(model)
        for task in range(LIFE.num_tasks):
            for inputs, targets in zip(*(tensor[2 * task : 2 * task + 2] for tensor in held_out.stream), strict=True):
                life.observe(inputs[number], targets[number])
            expected = life.predict(held_out.grid[number])[:, 0]
            torch.testing.assert_close(lived.predictions[task + 1, number], expected, rtol=1e-4, atol=1e-5)
        assert life.num_stored == sequence_method(model, LIFE).facts["num_plastic"]


def test_it_meets_whole_waves_in_a_row_and_is_asked_about_these_alone():
    job, lengths = build().job, set()
    for _ in range(20):
        lives = job.draw(job.source)
        code, asked = lives.inputs[..., :4].argmax(-1), lives.hyper_inputs[..., :4].argmax(-1)
        met = sorted(code.unique().tolist())
        assert met == list(range(met[0], met[0] + len(met)))
        assert all((code == wave).sum() == 2 * 2 * 4 for wave in met)
        assert all((asked == wave).sum() == 2 * 4 for wave in met)
        assert sorted(asked.unique().tolist()) == met
        lengths.add(len(met))
    assert lengths == {1, 2, 3}


def test_stopped_after_any_step_its_meta_training_goes_on_to_the_same_bits():
    check_goes_on_to_the_same_bits(lambda: build().job)


def test_its_numbers_follow_from_the_seed():
    first, again, other = (list(b.job.steps(b.job.begin()))[-1].state.params for b in (build(), build(), build(seed=1)))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["start"], other["start"])


def test_in_meta_training_the_loss_falls():
    job = build(num_steps=60).job
    losses = [step.line.hyper_loss for step in job.steps(job.begin()) if step.line]
    assert losses[-1] < 0.8 * losses[0]
