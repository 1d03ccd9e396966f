"""Networks of active learners: every recipe learns, follows from its generator, and says what strategies look at."""

from dataclasses import replace
from typing import Literal

import pytest
import torch

from hyperlearning.acquisition.query import OF_REJECTS
from hyperlearning.acquisition.strategies import StrategyName
from hyperlearning.systems.active.asking import AskConfig, check_conditions, only_condition
from hyperlearning.systems.active.networks import make_encoder
from hyperlearning.systems.active.problem import Problem, draw_problem
from hyperlearning.systems.active.recipes import Fitted, Labelled, TrainedNetworks
from hyperlearning.systems.active.settings import RECIPES, PoolSettings, PretrainingSettings, RecipeSettings
from hyperlearning.systems.active.twins import TwinsConfig, with_and_without

QUICK = RecipeSettings(recipe_epochs=1, least_updates=40, recipe_batch=32)


def digits() -> Problem:
    return draw_problem(PoolSettings(dataset="digits", pool_images=300, test_images=150, validation_images=50), 0)


def labelled(num: int = 100, problem: Problem | None = None) -> Labelled:
    places = torch.arange(num)
    return Labelled(places, (problem or digits()).labels_N[:num], places[:0])


def fitted(settings: RecipeSettings, *, seed: int = 0, num: int = 100) -> Fitted:
    return TrainedNetworks(digits(), settings).fit(labelled(num), torch.Generator().manual_seed(seed))


def right(of: Fitted) -> float:
    return float((of.test_probabilities().argmax(1) == digits().test_labels).float().mean())


@pytest.mark.parametrize("model", ["m1", "m2", "twins", "plain"])
def test_every_model_learns_and_says_what_strategies_look_at(model: Literal["m1", "m2", "twins", "plain"]):
    of = fitted(replace(QUICK, model=model, recipe_lr=0.005, least_updates=150))
    assert right(of) > 0.5
    views = of.views(torch.arange(100, 160), torch.Generator().manual_seed(0))
    said = views.need("probabilities_KNC")
    assert said.shape == (1, 60, 10)
    torch.testing.assert_close(said.sum(-1), torch.ones(1, 60))
    assert views.need("features_ND").shape[0] == 60
    assert views.need("labelled_features_LD").shape[0] == views.need("labelled_probabilities_LC").shape[0] == 100


@pytest.mark.parametrize(
    "settings",
    [
        replace(QUICK, draws=4),
        replace(QUICK, model="plain", dropout=0.3, draws=4),
        replace(QUICK, model="plain", members=4, least_updates=5),
    ],
)
def test_draws_of_a_latent_of_dropout_and_of_an_ensemble_differ(settings: RecipeSettings):
    said = fitted(settings).views(torch.arange(100, 130), torch.Generator().manual_seed(0)).need("probabilities_KNC")
    assert said.shape == (4, 30, 10)
    assert float((said[0] - said[1]).abs().max()) > 1e-3
    torch.testing.assert_close(said.sum(-1), torch.ones(4, 30))


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_follow_from_their_generator_and_nothing_else(name: str):
    settings = replace(RECIPES[name], recipe_epochs=1, least_updates=3)
    torch.manual_seed(0)
    first = fitted(settings, seed=5).test_probabilities()
    torch.manual_seed(1)
    assert torch.equal(fitted(settings, seed=5).test_probabilities(), first)
    assert not torch.equal(fitted(settings, seed=6).test_probabilities(), first)


def test_the_best_checkpoint_is_kept():
    chosen = right(fitted(replace(QUICK, recipe_lr=0.05, chosen_on="test")))
    last = right(fitted(replace(QUICK, recipe_lr=0.05)))
    assert chosen >= last
    bare = digits()._replace(validation_labels=digits().validation_labels[:0])
    recipe = TrainedNetworks(bare, replace(QUICK, chosen_on="validation"))
    with pytest.raises(ValueError, match="validation_images"):
        recipe.fit(labelled(), torch.Generator())


@pytest.mark.parametrize("num", [1, 2, 33])
@pytest.mark.parametrize("model", ["m1", "twins"])
def test_few_labels_are_enough_to_train_on(num: int, model: Literal["m1", "twins"]):
    of = fitted(replace(QUICK, model=model, least_updates=2), num=num)
    assert bool(of.test_probabilities().isfinite().all())


def test_images_that_are_none_of_ours_are_learned_by_another_network():
    of, places = digits(), torch.arange(60)
    rejected = torch.arange(60, 100)
    noise = torch.rand(40, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    mixed = of._replace(images=torch.cat([of.images[:60], noise, of.images[100:]]))
    recipe = TrainedNetworks(mixed, replace(QUICK, recipe_lr=0.003), reject=True)
    made = recipe.fit(Labelled(places, of.labels_N[:60], rejected), torch.Generator().manual_seed(0))
    assert made.views(rejected, torch.Generator(), ("features_ND",)).foreign_KN is None
    views = made.views(rejected, torch.Generator(), OF_REJECTS)
    assert views.need("probabilities_KNC").shape == (1, 40, 10)
    assert float(views.need("foreign_KN").mean()) > 0.8
    assert views.need("rejected_features_RD").shape[0] == views.need("open_features_ND").shape[0] == 40
    alone = TrainedNetworks(mixed, replace(QUICK, recipe_lr=0.003))
    same = alone.fit(Labelled(places, of.labels_N[:60], rejected), torch.Generator().manual_seed(0))
    assert torch.equal(made.test_probabilities(), same.test_probabilities())
    assert same.views(rejected, torch.Generator(), OF_REJECTS).foreign_KN is None


def test_before_the_first_rejected_image_nothing_is_likely_to_be_one():
    made = TrainedNetworks(digits(), QUICK, reject=True).fit(labelled(), torch.Generator().manual_seed(0))
    views = made.views(torch.arange(100, 160), torch.Generator(), OF_REJECTS)
    assert views.need("foreign_KN").tolist() == [[0.0] * 60]
    assert views.need("rejected_features_RD").shape[0] == 0
    assert torch.equal(views.need("open_features_ND"), views.need("features_ND"))


@pytest.mark.parametrize("name", ["lfosa", "eoal", "reject_margin", "reject_least_confidence"])
def test_strategies_that_look_at_rejected_images_are_refused_where_nothing_learns_from_them(name: StrategyName):
    data = PoolSettings(dataset="digits", foreign="digits", foreign_share=0.1)
    config = AskConfig(data=data, strategies=("random", name))
    with pytest.raises(ValueError, match="Expected `learns_rejects` for"):
        check_conditions(config, only_condition(config))
    learns = replace(config, learns_rejects=True)
    check_conditions(learns, only_condition(learns))


def test_draws_without_what_is_drawn_are_refused():
    with pytest.raises(ValueError, match="Expected `dropout`"):
        RecipeSettings(model="plain", draws=3)


def test_the_strided_encoder_learns_with_twins():
    assert right(fitted(replace(QUICK, model="twins", encoder="strided"))) > 0.4


def test_a_network_begins_where_an_encoder_was_left_and_leaves_it_so():
    problem = digits()
    settings = replace(QUICK, model="plain", recipe_lr=1e-12, least_updates=1)
    encoder = make_encoder("lenet", problem.images[0], torch.Generator().manual_seed(3))
    before = encoder(problem.images[:20]).detach()
    recipe = TrainedNetworks(problem, settings, encoder=encoder)
    views = recipe.fit(labelled(), torch.Generator().manual_seed(0)).views(torch.arange(20), torch.Generator())
    torch.testing.assert_close(views.need("features_ND"), before)
    far = TrainedNetworks(problem, replace(settings, recipe_lr=0.01, least_updates=20), encoder=encoder)
    far.fit(labelled(), torch.Generator().manual_seed(0))
    assert torch.equal(encoder(problem.images[:20]), before)


def test_an_encoder_that_learned_first_is_of_the_kind_that_learns_from_labels():
    recipe = RecipeSettings(model="twins", pretraining=PretrainingSettings(pretrained="strided"))
    config = TwinsConfig(data=PoolSettings(dataset="digits"), recipe=recipe, strategies_first=("random",))
    with pytest.raises(ValueError, match="Expected `pretrained` and `width` of the lenet"):
        check_conditions(config, with_and_without(config))
    absent = replace(config, strategies_first=())
    check_conditions(absent, with_and_without(absent))
    strided = replace(config, recipe=replace(recipe, encoder="strided"))
    check_conditions(strided, with_and_without(strided))
    narrow = replace(strided, recipe=replace(strided.recipe, pretraining=PretrainingSettings(width=8)))
    with pytest.raises(ValueError, match="with 8 channels"):
        check_conditions(narrow, with_and_without(narrow))


def test_a_solved_head_has_draws():
    with pytest.raises(ValueError, match="Expected 2 `draws` or more"):
        RecipeSettings(model="frozen")
