"""How a folder is labelled: what stays as it was from the first question to the last."""

from dataclasses import dataclass, fields
from typing import Any, Literal

from hyperlearning.acquisition.answers import Policy
from hyperlearning.acquisition.strategies import StrategyName
from hyperlearning.core.expect import Count, Seed, check_ranges
from hyperlearning.systems.active.embedders import FeatureKind
from hyperlearning.systems.active.questions import check_strategies


@dataclass(frozen=True, kw_only=True)
class LabellingSettings:
    """What questions follow from, beside the images and the answers."""

    strategy: StrategyName = "margin"
    """What chooses."""
    first: StrategyName = "random"
    """What chooses before two classes are known."""
    classes: tuple[str, ...] = ()
    """Classes that are known beforehand; others are met as they come."""
    policy: Policy = "remove"
    """What becomes of images that are none of ours."""
    ignore_rejects: bool = False
    """Whether nothing is learned from them; otherwise they are a class of their own, and what is asked about is surest ours."""
    features: FeatureKind = "pixels"
    """What the head is solved on."""
    side: Count = 32
    """Height and width that images are brought to."""
    channels: Literal[1, 3] = 3
    """1, grey, or 3."""
    seed: Seed = 0
    """Of chance."""

    def __post_init__(self) -> None:
        check_ranges(self)
        check_strategies(self.strategy, self.first, learns_rejects=not self.ignore_rejects)
        if len(self.classes) == 1 or len(set(self.classes)) < len(self.classes):
            raise ValueError(f"Expected two different `classes` or more, or none, but got {', '.join(self.classes)}.")


def going_on(kept: LabellingSettings, given: dict[str, Any], where: str) -> None:
    """Raises if what is given now is not what was given first.

    Args:
        kept: What was given first.
        given: What is given now, by name.
        where: The directory, for the message.

    Raises:
        ValueError: If so; the message says what to do.
    """
    for field in fields(kept):
        was = getattr(kept, field.name)
        if field.name in given and given[field.name] != was:
            raise ValueError(
                f"Expected `{field.name}` as it was when {where} was begun, {_shown(was)}, but got "
                f"{_shown(given[field.name])}. Leave the option out to go on, or begin another labelling with `--into DIR`, "
                f"which takes what was answered by `--import {where}/labels.csv`."
            )


def _shown(value: Any) -> str:
    return " ".join(value) if isinstance(value, tuple) else str(value)
