"""The ranges that settings are allowed, written beside each field and checked at once.

```python
@dataclass(frozen=True, kw_only=True)
class Config:
    population: Count = 4
    inner_lr: Rate = 0.1
    lrs: Annotated[tuple[Rate, ...], Some()] = (0.001, 0.003)

    def __post_init__(self) -> None:
        check_ranges(self)
```
"""

import dataclasses
import functools
import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, NamedTuple, Protocol, get_args, get_origin, get_type_hints, runtime_checkable


@runtime_checkable
class Rule(Protocol):
    """Says whether a value is allowed; its text completes "Expected `name` to be ..."."""

    def allows(self, value: Any) -> bool:
        """Says whether a value is allowed."""
        ...


class AtLeast(NamedTuple):
    """A finite number from here on."""

    low: float | int

    def allows(self, value: Any) -> bool:
        """Says whether a number is high enough."""
        return self.low <= value < math.inf

    def __str__(self) -> str:
        return "non-negative" if self.low == 0 else "positive" if self.low == 1 else f"at least {self.low:g}"


class Above(NamedTuple):
    """A finite number beyond this one."""

    low: float | int

    def allows(self, value: Any) -> bool:
        """Says whether a number is high enough."""
        return self.low < value < math.inf

    def __str__(self) -> str:
        return "positive and finite" if self.low == 0 else f"above {self.low:g} and finite"


class Within(NamedTuple):
    """A number from one to another, both included."""

    low: float | int
    high: float | int

    def allows(self, value: Any) -> bool:
        """Says whether a number lies between the two."""
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"from {self.low:g} to {self.high:g}"


class Some(NamedTuple):
    """One element or more, no two of them equal where `distinct`."""

    distinct: bool = False

    def allows(self, value: Sequence[Any]) -> bool:
        """Says whether there is an element, and none twice."""
        return len(value) > 0 and not (self.distinct and len(set(value)) < len(value))

    def __str__(self) -> str:
        return "one or more different ones" if self.distinct else "one or more"


class Distinct(NamedTuple):
    """Any number of elements, none included, no two of them equal."""

    def allows(self, value: Sequence[Any]) -> bool:
        """Says whether no element is there twice."""
        return len(set(value)) == len(value)

    def __str__(self) -> str:
        return "different ones"


class Including(NamedTuple):
    """Any number of elements, this one among them."""

    element: Any

    def allows(self, value: Sequence[Any]) -> bool:
        """Says whether it is there."""
        return self.element in value

    def __str__(self) -> str:
        return f"some with {self.element} among them"


Count = Annotated[int, AtLeast(1)]
"""How many, at least one."""
Amount = Annotated[int, AtLeast(0)]
"""How many, none allowed."""
Seed = Annotated[int, AtLeast(0)]
"""What random numbers follow from."""
Rate = Annotated[float, Above(0)]
"""A positive finite rate, scale or weight."""
Share = Annotated[float, Within(0, 1)]
"""A share of the whole."""


def check_ranges(settings: Any) -> None:
    """Raises if a field is outside the range that its annotation names; elements of tuples are checked one by one.

    Args:
        settings: A dataclass whose annotations carry rules, such as `Count`.

    Raises:
        ValueError: If so; the message names the field, what was expected and what came.
    """
    for name, rules in _rules_of(type(settings)).items():
        value = getattr(settings, name)
        for rule, each in rules:
            if value is not None and not all(rule.allows(item) for item in (value if each else (value,))):
                wanted = f"{rule} throughout" if each else str(rule)
                raise ValueError(f"Expected `{name}` to be {wanted}, but got {value}.")


@functools.cache
def _rules_of(kind: type) -> dict[str, tuple[tuple[Rule, bool], ...]]:
    """The rules of each field, and whether they are of its elements."""
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: tuple(_rules(hints[field.name], each=False)) for field in dataclasses.fields(kind)}


def _rules(hint: Any, *, each: bool) -> Iterator[tuple[Rule, bool]]:
    if get_origin(hint) is Annotated:
        inner, *notes = get_args(hint)
        yield from ((note, each) for note in notes if isinstance(note, Rule))
        yield from _rules(inner, each=each)
    elif get_origin(hint) is tuple:
        yield from _rules(get_args(hint)[0], each=True)
    else:
        for part in get_args(hint):  # Of `Rate | None`.
            if get_origin(part) is Annotated:
                yield from _rules(part, each=each)
