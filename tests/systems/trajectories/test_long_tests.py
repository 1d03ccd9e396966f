"""OML and ANML as experiments: what cannot be is refused before work starts, and what a record has is not done again."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from hyperlearning.core.params import partition
from hyperlearning.data import prepared
from hyperlearning.data.catalogue import CATALOGUE
from hyperlearning.data.errors import AbsentDataError
from hyperlearning.engine.hyper_training import hyper_train
from hyperlearning.engine.run_record import RunError, RunRecord
from hyperlearning.experiments.trajectories import omniglot_600, omniglot_anml, omniglot_oml
from hyperlearning.experiments.trajectories.omniglot_600_embeddings import prototypical_settings, train_prototypical
from hyperlearning.systems.images.settings import EmbeddingSettings
from hyperlearning.systems.trajectories import build
from hyperlearning.systems.trajectories.build import build_continual, check_parameters, check_training, embedding_of
from hyperlearning.systems.trajectories.characters import CharacterSettings, meta_train_characters
from hyperlearning.systems.trajectories.long_tests import (
    LongTestSettings,
    SplitFeatures,
    Splits,
    _best_shrinkage,
    whitened,
)
from hyperlearning.systems.trajectories.long_tests import test_embedding as run_tests
from hyperlearning.systems.trajectories.meta_test import ClassFeatures
from hyperlearning.systems.trajectories.settings import ContinualSettings, ContinualTraining, TrajectorySettings
from hyperlearning.systems.trajectories.training import train_below

ROOT = os.environ.get("HYPERLEARNING_DATA", "")
CONSOLE = Console(quiet=True)

needs_omniglot = pytest.mark.skipif(
    not ROOT
    or not all(
        prepared.split_path(CATALOGUE["omniglot"], split, Path(ROOT)).is_file()
        for split in ("background", "evaluation")
    ),
    reason="omniglot is not under HYPERLEARNING_DATA",
)

SMALL = ContinualTraining(
    data=CharacterSettings(meta_train_classes=6),
    network=ContinualSettings(architecture="oml", width=1 / 64),
    training=TrajectorySettings(num_steps=3, images_per_class=3, remember_size=4, inner_lr=0.03),
)


def _characters(num_classes: int = 6, seed: int = 0):
    return torch.randint(0, 256, (num_classes, 20, 1, 28, 28), generator=torch.Generator().manual_seed(seed)).byte()


def _trained(settings: ContinualTraining, images: torch.Tensor | None = None):
    system = build_continual(settings, _characters() if images is None else images)
    states = [progress.state for progress in hyper_train(system.phases, system.initial, system.generator)]
    return system, states[-1]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"network": ContinualSettings(width=1 / 16)},
        {"network": ContinualSettings(width=1 / 16, gates="random")},
        {"training": replace(SMALL.training, first_order=True)},
        {"supervised": True},
        {"data": CharacterSettings(meta_train_classes=6, augmentation="mild")},
    ],
)
def test_the_same_seed_trains_to_the_same_numbers_and_every_plastic_one_moves(changes: dict[str, object]):
    settings = replace(SMALL, **changes)
    system, state = _trained(settings)
    _, again = _trained(settings)
    for name, tensor in state.hyper.start.items():
        torch.testing.assert_close(tensor, again.hyper.start[name], rtol=0, atol=0)
        assert not torch.equal(tensor, system.initial.hyper.start[name])


def test_first_and_second_order_differ():
    _, exact = _trained(SMALL)
    _, shipped = _trained(replace(SMALL, training=replace(SMALL.training, first_order=True)))
    assert SMALL.order == "second order, exact"
    assert not torch.equal(exact.hyper.start["predictor.last.weight"], shipped.hyper.start["predictor.last.weight"])


def test_a_pretrained_network_learns_its_classes():
    alike = _characters()[:, :1].expand(-1, 20, -1, -1, -1)
    training = replace(SMALL.training, num_steps=60, images_per_class=1, remember_size=30, outer_lr=0.003)
    system, state = _trained(replace(SMALL, supervised=True, training=training), alike)
    logits = torch.func.functional_call(system.network, state.hyper.start, (alike.flatten(0, 1).float() / 255,))
    right = (logits.argmax(1) == torch.arange(6).repeat_interleave(20)).float().mean()
    assert right > 0.9


def test_an_embedding_is_what_the_last_layer_takes():
    network = ContinualSettings(width=1 / 16).build(SMALL.data, 0)
    plastic, innate = partition(network, network.is_innate)
    images = _characters(1)[0]
    features = embedding_of(network, plastic, innate)(images)
    torch.testing.assert_close(network.predictor.last(features), network(images.float() / 255))


def test_whitened_features_have_unit_spread_of_one_length_and_see_nothing_of_the_test():
    source = torch.Generator().manual_seed(0)
    train, test = (
        ClassFeatures(
            train=torch.randn(30, 15, 8, generator=source) * torch.arange(1, 9),
            held_out=torch.randn(30, 5, 8, generator=source) * torch.arange(1, 9),
            split=split,
        )
        for split in ("meta-train", "meta-test")
    )
    first = whitened(SplitFeatures(train, test), 0.1)
    other = whitened(SplitFeatures(train, replace(test, held_out=test.held_out + 1)), 0.1)
    assert torch.allclose(first.meta_test.train.norm(dim=-1), torch.full((30, 15), 8**0.5))
    assert torch.equal(first.meta_test.train, other.meta_test.train)
    spread = first.meta_train.train.flatten(0, 1).T.cov()
    assert spread.diagonal().max() / spread.diagonal().min() < 4


def test_shrinkage_is_chosen_on_meta_train_classes_where_a_nuisance_dominates():
    source = torch.Generator().manual_seed(0)
    # One direction varies widely within classes and says nothing of them: only whitening, not the sphere, removes it.
    means = torch.randn(30, 1, 8, generator=source)
    loud = torch.ones(8).index_fill(0, torch.tensor(0), 40.0)
    train, held_out = (means + 0.3 * torch.randn(30, n, 8, generator=source) * loud for n in (15, 5))
    known = ClassFeatures(train=train, held_out=held_out, split="meta-train")
    noise = ClassFeatures(train=torch.zeros(30, 15, 8), held_out=torch.zeros(30, 5, 8), split="meta-test")
    settings = LongTestSettings(test_classes=(20,), shrinkages=(0.01, 1.0), lr_runs=2)
    assert _best_shrinkage(SplitFeatures(known, noise), settings, 0) == 0.01


def test_tests_go_on_where_the_record_ends(tmp_path: Path):
    record = RunRecord.create(tmp_path, "x", "y", SMALL, preset="", command="", overwrite=False)
    splits = Splits(_characters(8), _characters(7, seed=1))
    settings = LongTestSettings(test_classes=(3, 5), num_runs=2, lrs=(0.001,), lr_runs=1)
    calls = []

    def embed(images: torch.Tensor):
        calls.append(len(images))
        return images.flatten(1).float()[:, :50] / 255

    def go():
        run_tests(
            record,
            embed,
            splits,
            settings,
            CONSOLE,
            label="a",
            title="A",
            order="none",
            heads=("last_layer", "joint", "unit_layer", "euclidean", "whitened"),
            seed=0,
        )

    go()
    whole, done = (record.path / "metrics.jsonl").read_text(), len(calls)
    lines = whole.splitlines(keepends=True)
    assert len(lines) == 10
    (record.path / "metrics.jsonl").write_text("".join(lines[:4]))
    go()
    assert (record.path / "metrics.jsonl").read_text() == whole
    go()
    assert len(calls) == 2 * done


def test_a_prototypical_network_is_trained_once_and_maps_images_to_features(tmp_path: Path):
    record = RunRecord.create(tmp_path, "x", "y", SMALL, preset="", command="", overwrite=False)
    splits = Splits(_characters(3), _characters(4, seed=1))
    training = EmbeddingSettings(embedding_epochs=2, embedding_classes=100)
    settings = prototypical_settings(SMALL.data, (4, 4, 4), training, num_classes=12, seed=0)
    assert settings.training.train_tasks == 12
    embed, again = (train_prototypical(record, "prototypical", settings, splits, CONSOLE) for _ in range(2))
    images = _characters(2, seed=2).flatten(0, 1)
    assert embed(images).shape == (40, 4 * 4**2)
    torch.testing.assert_close(again(images), embed(images), rtol=0, atol=0)
    own = RunRecord(record.path / "systems" / "prototypical")
    assert [(line["step"], line["classes"]) for line in own.lines("validation")] == [(1, 4), (2, 4)]


def test_a_system_of_other_settings_is_not_gone_on_with(tmp_path: Path):
    record = RunRecord.create(tmp_path, "x", "y", SMALL, preset="", command="", overwrite=False)
    RunRecord.create(record.path, "systems", "oml", SMALL, preset="", command="", overwrite=False)
    with pytest.raises(RunError, match="to be of this run's settings, but it is of others"):
        train_below(record, "oml", replace(SMALL, seed=1), lambda own: pytest.fail("trained"), title="", order="")


def test_parameters_of_another_architecture_are_refused():
    network = ContinualSettings(width=1 / 16).build(SMALL.data, 0)
    plastic, innate = partition(ContinualSettings(width=1 / 8).build(SMALL.data, 0), network.is_innate)
    with pytest.raises(
        ValueError, match=r"of the same architecture in there, but `predictor\.stack.weights\.0` is of shape"
    ):
        check_parameters(network, plastic, innate, where="there")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ContinualSettings(architecture="oml", gates="none"), "`gates` to be left as they are for OML"),
        (
            lambda: TrajectorySettings(first_order=True, checkpoint=True),
            "`checkpoint` to be left out with `first_order`",
        ),
        (lambda: TrajectorySettings(num_steps=0), "Expected positive `num_steps`"),
        (lambda: LongTestSettings(num_runs=1), "2 or more `num_runs`"),
        (lambda: LongTestSettings(lrs=(0.001, 0.0)), "some positive `lrs`"),
        (lambda: LongTestSettings(shrinkages=(0.0,)), "`shrinkages` above 0"),
        (
            lambda: LongTestSettings(test_classes=(700,)).check(meta_train=963, meta_test=659),
            "from 2 to 659, the classes",
        ),
        (lambda: LongTestSettings(test_classes=(1,)).check(meta_train=963, meta_test=659), "from 2 to 659"),
        (
            lambda: omniglot_600.Config(methods=("anml",), joint_methods=("oml",)),
            "among `methods`, but got \\['oml'\\]",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(make: object, message: str):
    assert callable(make)
    with pytest.raises(ValueError, match=message):
        make()


def test_a_network_of_the_other_experiment_is_refused():
    with pytest.raises(ValueError, match="`architecture` to be 'oml' in this experiment, but got 'anml'"):
        omniglot_oml.check(replace(omniglot_oml.PRESETS["smoke"], network=ContinualSettings()))


def test_absent_data_name_the_command_that_fetches_them(tmp_path: Path):
    with pytest.raises(AbsentDataError, match="hyperlearning data fetch omniglot"):
        meta_train_characters(CharacterSettings(data_root=str(tmp_path)), rotated=False)


@needs_omniglot
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            replace(SMALL, data=CharacterSettings(meta_train_classes=965)),
            "`num_classes` to be at most 964, the classes",
        ),
        (
            replace(SMALL, training=TrajectorySettings(images_per_class=21)),
            "at most 20, the images of a class, but got 21",
        ),
    ],
)
def test_more_than_omniglot_has_is_refused_before_work_starts(settings: ContinualTraining, message: str):
    with pytest.raises(ValueError, match=message):
        check_training(settings)


@needs_omniglot
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": ("dan",), "data": CharacterSettings(meta_train_classes=6)}, "25 classes or more.*but got 24"),
        ({"methods": ("prototypical",), "dan_maps": (8,) * 6}, "Expected images of side"),
    ],
)
def test_lives_and_convolutions_that_cannot_be_are_refused_before_work_starts(changes: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        omniglot_600.check(replace(omniglot_600.PRESETS["smoke"], joint_methods=(), **changes))


@needs_omniglot
def test_a_graph_that_does_not_fit_is_refused_with_what_shrinks_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(build, "available_bytes", lambda device: 1_000_000)
    with pytest.raises(ValueError, match=r"fits in 0\.00 GB, but got one of .* GB for inner graph.*`checkpoint`"):
        omniglot_anml.check(omniglot_anml.PRESETS["smoke"])


@needs_omniglot
def test_rotated_classes_follow_the_upright_ones():
    data = CharacterSettings(meta_train_classes=3)
    upright, all_four = (meta_train_characters(data, rotated=rotated) for rotated in (False, True))
    assert all_four.shape == (12, 20, 1, 28, 28)
    assert torch.equal(all_four[:3], upright)
    assert torch.equal(all_four[3:6], upright.rot90(1, (-2, -1)))
