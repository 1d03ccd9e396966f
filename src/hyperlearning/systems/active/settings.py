"""Pools, questions and oracles as settings."""

from dataclasses import dataclass
from typing import Annotated, Literal

from hyperlearning.acquisition.answers import Policy
from hyperlearning.core.expect import AtLeast, Count, Distinct, Share, Within, check_ranges


@dataclass(frozen=True, kw_only=True)
class PoolSettings:
    """Images of which labels can be asked for."""

    dataset: Literal["mnist", "fashion_mnist", "cifar10", "cifar100", "digits"] = "mnist"
    """Images of ours; digits are built in."""
    pool_images: Count = 100_000
    """The most of them in the pool."""
    test_images: Count = 100_000
    """The most that what is trained is tested on."""
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
    missing: Annotated[tuple[Annotated[int, AtLeast(0)], ...], Distinct()] = ()
    """Classes of which nothing is labelled at the start."""
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
