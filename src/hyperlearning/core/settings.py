"""From dataclasses of settings and of record lines to JSON values, and back.

A field marked `absent()` is left out while it is `None`; one marked `rest()` holds whatever else an object says.
"""

import dataclasses
import functools
from collections.abc import Mapping
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

_T = TypeVar("_T")
_REST, _ABSENT = "rest", "absent"


def absent() -> Any:
    """Marks a field that only some objects have: it is `None`, and not written, unless given."""
    return dataclasses.field(default=None, metadata={_ABSENT: True})


def rest() -> Any:
    """Marks the field, a mapping, that an object's further values are written from and read into."""
    return dataclasses.field(default_factory=dict, metadata={_REST: True})


def to_json(values: Any) -> dict[str, Any]:
    """Turns a dataclass into JSON values, nested ones and tuples too.

    Args:
        values: A dataclass.
    """
    written: dict[str, Any] = {}
    for field in dataclasses.fields(values):
        value = getattr(values, field.name)
        if field.metadata.get(_REST):
            written |= {name: _plain(each) for name, each in value.items()}
        elif value is not None or not field.metadata.get(_ABSENT):
            written[field.name] = _plain(value)
    return written


def from_json(kind: type[_T], values: Mapping[str, Any]) -> _T:
    """Rebuilds what `to_json` wrote: nested dataclasses and named tuples from objects, tuples from lists.

    Raises:
        TypeError: If a field is missing.
        ValueError: If there are values that the dataclass has no field for, or a value is out of range.
    """
    hints, fields = _hints(kind), dataclasses.fields(kind)  # pyright: ignore[reportArgumentType]
    named = {name: _rebuilt(hints[name], value) for name, value in values.items() if name in hints}
    others = {name: value for name, value in values.items() if name not in hints}
    holder = next((field.name for field in fields if field.metadata.get(_REST)), None)
    if holder is not None:
        named[holder] = others
    elif others:
        known = ", ".join(field.name for field in fields)
        raise ValueError(f"Expected {kind.__name__} to have fields among {known}, but got {', '.join(others)}.")
    return kind(**named)


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_json(value)
    if isinstance(value, tuple) and type(value) is not tuple:  # A named tuple.
        return {name: _plain(each) for name, each in value._asdict().items()}  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def _rebuilt(hint: Any, value: Any) -> Any:
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, UnionType):
        kinds = [part for part in parts if part is not type(None)]
        return None if value is None else _rebuilt(kinds[0], value) if len(kinds) == 1 else value
    if dataclasses.is_dataclass(hint):
        return from_json(hint, value)  # pyright: ignore[reportArgumentType]
    if isinstance(hint, type) and issubclass(hint, tuple) and isinstance(value, Mapping):
        own = get_type_hints(hint)
        return hint(**{name: _rebuilt(own[name], each) for name, each in value.items()})
    if isinstance(value, Mapping):
        return {name: _rebuilt(parts[1], each) for name, each in value.items()} if len(parts) == 2 else dict(value)
    if isinstance(value, list):
        rebuilt = [_rebuilt(parts[0], each) for each in value] if parts else value
        return rebuilt if origin is list or hint is list else tuple(rebuilt)
    return value
