"""Ranges beside fields: what they refuse, and what they say."""

from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from hyperlearning.core.expect import Amount, AtLeast, Count, Rate, Seed, Share, Some, check_ranges


@dataclass(frozen=True, kw_only=True)
class Settings:
    count: Count = 1
    amount: Amount = 0
    seed: Seed = 0
    rate: Rate = 0.1
    share: Share = 0.5
    pair: Annotated[int, AtLeast(2)] = 2
    bound: Rate | None = None
    sizes: tuple[Count, ...] = ()
    rates: Annotated[tuple[Rate, ...], Some(distinct=True)] = (0.1, 0.2)
    name: str = ""

    def __post_init__(self) -> None:
        check_ranges(self)


def test_values_at_the_edges_of_their_ranges_are_allowed():
    settings = Settings(share=1.0, bound=1e-300, sizes=(1, 2), rates=(5.0,))
    assert (settings.share, settings.sizes) == (1.0, (1, 2))


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("count", 0, "to be positive, but got 0."),
        ("amount", -1, "to be non-negative, but got -1."),
        ("seed", -1, "to be non-negative, but got -1."),
        ("rate", 0.0, "to be positive and finite, but got 0.0."),
        ("rate", float("nan"), "to be positive and finite, but got nan."),
        ("rate", float("inf"), "to be positive and finite, but got inf."),
        ("share", 1.1, "to be from 0 to 1, but got 1.1."),
        ("pair", 1, "to be at least 2, but got 1."),
        ("bound", -1.0, "to be positive and finite, but got -1.0."),
        ("sizes", (3, 0), r"to be positive throughout, but got \(3, 0\)."),
        ("rates", (), r"to be one or more different ones, but got \(\)."),
        ("rates", (0.1, 0.1), r"to be one or more different ones, but got \(0.1, 0.1\)."),
        ("rates", (0.1, -0.1), r"to be positive and finite throughout, but got \(0.1, -0.1\)."),
    ],
)
def test_a_value_out_of_range_is_refused_by_name_with_what_was_expected_and_what_came(
    field: str, value: Any, expected: str
):
    with pytest.raises(ValueError, match=f"Expected `{field}` {expected}"):
        Settings(**{field: value})
