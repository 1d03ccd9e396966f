"""Comparisons of hyper-trained image systems: what is equal among the systems, what is refused, what records say."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from hyperlearning.experiments.images import dan_versus_warp, over_training, scaling
from hyperlearning.learners import footprint as memory
from hyperlearning.systems.images import build
from hyperlearning.systems.images.comparison import check_comparison
from hyperlearning.systems.images.lives import hold_out
from hyperlearning.systems.images.pools import load_pools
from hyperlearning.systems.images.settings import DataSettings, LifeSettings, TrainingSettings
from hyperlearning.systems.images.training import images_per_epoch

DIGITS = DataSettings(dataset="digits")


def test_settings_of_over_training_meet_equally_many_images_or_have_equally_many_epochs():
    contenders = over_training.PRESETS["laptop"].contenders
    by_budget = {
        budget: [c.settings for c in contenders if c.facts["budget"] == budget] for budget in ("images", "epochs")
    }
    assert [len(settings) for settings in by_budget.values()] == [4, 3]
    met = [s.training.num_epochs * images_per_epoch(s) for s in by_budget["images"]]
    assert max(met) / min(met) < 1.01
    assert {s.training.num_epochs for s in by_budget["epochs"]} == {by_budget["images"][-1].training.num_epochs}


@pytest.mark.parametrize("preset", ["laptop", "paper"])
def test_over_training_has_the_papers_four_settings(preset: str):
    first = [c.settings for c in over_training.PRESETS[preset].contenders][:4]
    sizes = [
        (s.life.num_instances + s.training.train_held_out, s.training.train_tasks, s.training.train_classes)
        for s in first
    ]
    assert sizes == [(1, 3, 5), (5, 6, 10), (10, 10, 15), (20, 20, 25)]


def test_all_systems_of_a_comparison_have_the_same_data_network_and_seed():
    contenders = over_training.PRESETS["laptop"].contenders
    assert len({(repr(c.settings.data), repr(c.settings.network), c.settings.seed) for c in contenders}) == 1


def test_warp_layers_have_as_many_parameters_as_dans_and_start_and_scale_likewise():
    config = dan_versus_warp.PRESETS["laptop"]
    built = {c.label: c.settings for c in config.contenders}
    totals = {label: s.network.count(s.data).total for label, s in built.items()}
    assert max(totals.values()) / min(totals.values()) < 1.02
    heads = {label: s.network.build(s.data, 0).head for label, s in built.items()}
    largest = {
        label: max(float(p.detach().abs().max()) for name, p in head.named_parameters() if name.startswith("synapses"))
        for label, head in heads.items()
    }
    assert (largest["dan"], largest["warp"]) == (0, 0)
    assert min(largest["plain dan"], largest["plain warp"]) > 0
    assert {label: heads[label].synapses[0].scaling for label in ("warp", "plain warp")} == {
        "warp": 1.0,
        "plain warp": 0.0,
    }


def test_dans_and_warp_layers_stand_on_the_same_trunk():
    config = dan_versus_warp.PRESETS["smoke"]
    first, second = (c.settings.network.build(config.data, 3).trunk for c in config.contenders)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


@pytest.mark.parametrize(
    ("name", "wanted"), [("25M", 25e6), ("75M", 75e6), ("200M", 200e6), ("1.5M", 1.5e6), ("150k", 1.5e5)]
)
def test_sizes_have_the_parameters_that_they_say(name: str, wanted: float):
    assert scaling.SIZES[name].count(DataSettings()).total == pytest.approx(wanted, rel=0.02)


def test_the_papers_largest_population_is_refused_with_the_figure_where_memory_is_short(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(memory, "available_bytes", lambda device: 8_000_000_000)
    # Sizes are checked before data: this needs none.
    config = replace(scaling.PRESETS["paper"], data=DataSettings(dataset="mixture", data_root="nowhere"))
    with pytest.raises(ValueError, match=r"fits into the 8\.0 GB available on cpu, but got one that needs 11\.\d GB"):
        scaling.check(config)


def test_the_papers_largest_population_needs_thirty_gigabytes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "available_bytes", lambda device: 16_000_000_000)
    largest = scaling.PRESETS["paper"].contenders[-1].settings
    with pytest.raises(ValueError, match=r"needs 30\.\d GB"):
        build.check_size(largest)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: over_training.Config(images_of_class=(1, 20)), "as many positive numbers"),
        (lambda: over_training.Config(images_of_class=(1, 5, 10, 0)), "as many positive numbers"),
        (lambda: over_training.Config(images_of_class=(1, 5, 10, 19)), "Expected the last setting"),
        (lambda: over_training.Config(tasks_of_stream=(3, 6, 10, 15)), "Expected the last setting"),
        (lambda: over_training.Config(budgets=()), "`budgets`"),
        (lambda: over_training.Config(budgets=("images", "images")), "`budgets`"),
        (lambda: over_training.Config(seed=-1), "`seed`"),
        (lambda: dan_versus_warp.Config(inner_lrs=()), "`inner_lrs`"),
        (lambda: dan_versus_warp.Config(inner_lrs=(0.1, -0.1)), "`inner_lrs`"),
        (lambda: dan_versus_warp.Config(tuning_epochs=0), "`tuning_epochs`"),
        (lambda: dan_versus_warp.Config(network=replace(dan_versus_warp.Config().network, warp=True)), "`warp`"),
        (lambda: replace(dan_versus_warp.PRESETS["paper"], with_plain=True), "`with_plain`"),
        (lambda: scaling.Config(sizes=("5M",)), "`sizes`"),
        (lambda: scaling.Config(sizes=("50k", "50k")), "`sizes`"),
        (lambda: scaling.Config(sizes=()), "`sizes`"),
        (lambda: scaling.Config(threads=0), "`threads`"),
    ],
)  # fmt: skip
def test_settings_that_contradict_one_another_are_refused(make: Callable[[], object], message: str):
    with pytest.raises(ValueError, match=message):
        make()


def test_more_images_than_a_class_has_are_refused_before_training():
    smoke = scaling.PRESETS["smoke"]
    config = replace(smoke, data=DIGITS, life=replace(smoke.life, num_held_out=10_000))
    with pytest.raises(ValueError, match="Expected 4 classes of 10005 images"):
        scaling.check(config)


def test_more_classes_than_there_are_are_refused_before_training():
    smoke = scaling.PRESETS["smoke"]
    training = TrainingSettings(train_tasks=24, train_classes=25)
    with pytest.raises(ValueError, match="at least 25 classes"):
        scaling.check(replace(smoke, data=replace(DIGITS, rotated_classes=False), training=training))


def test_systems_that_could_not_meet_the_same_lives_are_not_compared():
    first, second = scaling.PRESETS["smoke"].contenders
    life = LifeSettings(num_tasks=4)
    with pytest.raises(ValueError, match="label of its own"):
        check_comparison([first, first], life)
    other = replace(second, settings=replace(second.settings, data=DIGITS))
    with pytest.raises(ValueError, match="the same data and `num_outputs`"):
        check_comparison([first, other], life)


def test_deployed_lives_do_not_depend_on_what_a_system_was_trained_with():
    pools = load_pools(DIGITS)
    contenders = replace(over_training.PRESETS["smoke"], data=DIGITS).contenders
    life = over_training.PRESETS["smoke"].life
    drawn = [
        hold_out(life, pools, "meta_train", num_outputs=c.settings.network.num_outputs, seed=c.settings.seed)
        for c in contenders
    ]
    assert all(torch.equal(drawn[0].inputs, lives.inputs) for lives in drawn[1:])
