"""Pools, questions and oracles as settings."""

from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from hyperlearning.acquisition.answers import Policy
from hyperlearning.core.expect import AtLeast, Count, Rate, Share, Within, check_ranges
from hyperlearning.learners.variational import Divergence
from hyperlearning.networks.variational.network import Scale

ViewsName = Literal["characters", "grey_things", "photos"]
_LEAST_HEADS = 2


@dataclass(frozen=True, kw_only=True)
class PoolSettings:
    """Images of which labels can be asked for."""

    dataset: Literal["mnist", "fashion_mnist", "cifar10", "cifar100", "digits"] = "mnist"
    """Images of ours; digits are built in."""
    pool_images: Count = 100_000
    """The most of them in the pool."""
    test_images: Count = 100_000
    """The most that what is trained is tested on."""
    validation_images: Annotated[int, AtLeast(0)] = 0
    """Labelled images beside the pool that checkpoints are chosen on (code: 5,000); they are not counted as answers."""
    foreign: Literal["none", "kmnist", "fashion_mnist", "mnist", "cifar10", "cifar100", "svhn", "digits"] = "none"
    """Images that are none of ours, mixed into the pool."""
    foreign_split: Literal["train", "test"] = "test"
    """Which of them."""
    foreign_share: Annotated[float, Within(0, 0.9)] = 0.0
    """How much of the pool they are (text: .2)."""
    data_root: str = ""
    """Where data lie; HYPERLEARNING_DATA, or the user's cache, if empty."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if (self.foreign == "none") != (self.foreign_share == 0):
            raise ValueError(
                f"Expected a share above 0 of foreign images alone, but got {self.foreign_share} of {self.foreign}."
            )


@dataclass(frozen=True, kw_only=True)
class QuestionSettings:
    """What is asked, and who answers."""

    first_labelled: Annotated[int, AtLeast(0)] = 100
    """Images that are labelled at the start, by chance."""
    query_size: Count = 100
    """Questions of a round."""
    num_rounds: Count = 5
    """Rounds of questions."""
    num_missing: Annotated[int, AtLeast(0)] = 0
    """Classes, drawn anew for every life, of which nothing is labelled at the start."""
    noise: Share = 0.0
    """Share of images that the oracle mislabels."""
    noise_is_redrawn: bool = False
    """Whether other images are mislabelled every round, as in the authors' code, or the same for good."""
    policy: Policy = "remove"
    """What becomes of images that are none of ours: all return to the pool (text), none, or all but the last round's (code)."""
    num_seeds: Count = 3
    """Lives of every strategy; the same pools, starts and oracles for all."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class PretrainingSettings:
    """How features are learned without labels."""

    pretrained: Literal["strided", "small_resnet", "lenet"] = "strided"
    """What makes features: convolutions of which every other one halves the side, a small ResNet, or LeNet."""
    width: Annotated[int, Within(4, 512)] = 32
    """Channels of the first convolution; the last ones have four times as many. LeNet has its own."""
    views: ViewsName = "photos"
    """How two views of an image differ."""
    pretrain_epochs: Count = 60
    """Passes over the pool."""
    pretrain_batch: Annotated[int, Within(2, 100_000)] = 256
    """Images of an update, in two views each."""
    pretrain_lr: Rate = 0.002
    """Its rate at its highest: it rises in a straight line, and falls along a cosine."""
    warm_up: Share = 0.05
    """Share of updates in which it rises."""
    pretrain_decay: Annotated[float, AtLeast(0)] = 1e-4
    """Weight decay."""
    pretrain_optimizer: Literal["adamw", "lars"] = "adamw"
    """What descends; LARS, which the authors have, is for large batches and rates of about .3."""
    projections: Annotated[int, Within(2, 16_384)] = 512
    """Units of each of the projector's three layers."""
    redundancy_weight: Annotated[float, AtLeast(0)] = 0.0
    """Lambda; 0: 1 over `projections`."""
    bfloat16: bool = True
    """Whether convolutions and dense layers multiply in bfloat16, which is up to twice as fast where a CPU can."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class RecipeSettings:
    """A network, how it is trained on what is labelled, and how it is looked at. Defaults are what we recommend."""

    model: Literal["m1", "m2", "twins", "plain", "frozen"] = "m1"
    """A drawn latent that is classified (equation 3.2), of which the image is drawn again (3.1), Barlow Twins beside a classifier
    (chapter 4), a classifier alone, or a solved head on what Barlow Twins learned from the pool before the first question."""
    encoder: Literal["lenet", "small_resnet", "strided", "vgg16"] = "lenet"
    """What makes features of images: for 28 x 28, for 32 x 32 on a CPU, for either and faster, and the text's for 32 x 32."""
    begins_as: Literal["random", "pretrained"] = "random"
    """What encoders begin as at every training: random, or as Barlow Twins left one, which learned from the pool before."""
    pretraining: PretrainingSettings = field(default_factory=PretrainingSettings)
    """How Barlow Twins learns from the pool before the first question, where anything begins or stays so."""
    latent_size: Count = 60
    """Numbers of the latent."""
    latent_scale: Scale = "softplus"
    """How the latent's standard deviation is made; in the authors' code it may be negative."""
    divergence: Divergence = "code"
    """What beta multiplies: the mean over the latent's numbers (code), or their sum (text)."""
    beta: Annotated[float, AtLeast(0)] = 0.1
    """Weight of the latent's divergence (code: .1)."""
    twins_weight: Annotated[float, AtLeast(0)] = 1e-5
    """Weight of Barlow Twins beside the classes (text of chapter 4: a constant of .001, at which its gradient is ten to thirty
    times theirs at first)."""
    twins_on: Literal["labelled", "pool", "both"] = "both"
    """What Barlow Twins learns from (text: what is labelled)."""
    dropout: Annotated[float, Within(0, 0.9)] = 0.0
    """Of features, in training and, where it is not 0, in each draw."""
    members: Count = 1
    """Networks that are trained beside one another, each a draw."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Text: both."""
    recipe_lr: Rate = 0.003
    """Its rate at first (text and code: .001, at which few updates leave a network half trained); it falls by
    10 after two thirds and again after five sixths of the updates (code)."""
    rate_falls: bool = True
    """Whether it falls (text: it does not)."""
    weight_decay: Annotated[float, AtLeast(0)] = 5e-5
    """Code: .00005; text: .00001."""
    recipe_batch: Annotated[int, Within(2, 100_000)] = 128
    """Images of an update."""
    recipe_epochs: Count = 20
    """Passes over what is labelled (text: 10 on MNIST, 150 on CIFAR; code: 200 and 300)."""
    least_updates: Annotated[int, AtLeast(0)] = 300
    """Updates at least, however little is labelled."""
    shift: Annotated[int, Within(0, 16)] = 2
    """Pixels that images are moved by, at most, in training."""
    flip_prob: Share = 0.0
    """Probability of a mirror image, in training."""
    draws: Annotated[int, AtLeast(0)] = 0
    """Latents, or masks of dropout, drawn of every pool image; 0: the latent's mean (code: 1 latent)."""
    scores_distorted: bool = False
    """Whether pool images are moved and flipped while they are scored, as in the authors' code."""
    chosen_on: Literal["validation", "test", "nothing"] = "nothing"
    """What the best of ten checkpoints is chosen on (code: test); the last is taken if nothing."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.draws and self.model in ("plain", "twins") and not self.dropout:
            raise ValueError(f"Expected `dropout` for draws of a network without a latent, but got {self.draws} draws.")
        if self.model == "frozen" and self.draws < _LEAST_HEADS:
            raise ValueError(f"Expected {_LEAST_HEADS} `draws` or more of a solved head, but got {self.draws}.")


RECIPES: dict[str, RecipeSettings] = {
    "recommended": RecipeSettings(),
    "text": RecipeSettings(
        recipe_lr=0.001,
        divergence="text",
        beta=0.1,
        weight_decay=1e-5,
        rate_falls=False,
        recipe_epochs=10,
        least_updates=0,
        shift=0,
        draws=1,
    ),
    "code": RecipeSettings(
        recipe_lr=0.001,
        latent_scale="signed",
        recipe_epochs=200,
        least_updates=0,
        shift=0,
        draws=1,
        scores_distorted=True,
        chosen_on="test",
    ),
}
"""Of chapter 3, for MNIST: as the text has it, as its code has it, and what we recommend."""


def _of_photos(recipe: RecipeSettings, *, epochs: int) -> RecipeSettings:
    return replace(recipe, model="m2", encoder="vgg16", recipe_epochs=epochs, shift=3, flip_prob=0.5)


PHOTO_RECIPES: dict[str, RecipeSettings] = {
    "small": RecipeSettings(encoder="strided", shift=3, flip_prob=0.5),
    "text": _of_photos(RECIPES["text"], epochs=150),
    "code": _of_photos(RECIPES["code"], epochs=300),
    "features": RecipeSettings(
        model="frozen", draws=20, pretraining=PretrainingSettings(pretrain_epochs=30, pretrain_batch=128)
    ),
}
"""Of chapter 3, for small photographs: what a CPU can train, as the text has it, and as its code has it; and a solved head on
features of the pool."""
