"""Settings read back from a record."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar, get_type_hints

_T = TypeVar("_T")


def from_json(kind: type[_T], values: Mapping[str, Any]) -> _T:
    """Rebuilds a dataclass of settings from JSON values: nested dataclasses from objects, tuples from lists."""
    hints = get_type_hints(kind)

    def value_of(name: str, value: Any) -> Any:
        if dataclasses.is_dataclass(hints[name]):
            return from_json(hints[name], value)  # pyright: ignore[reportArgumentType]
        return tuple(value) if isinstance(value, list) else value

    return kind(**{name: value_of(name, value) for name, value in values.items()})
