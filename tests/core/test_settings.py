"""Settings and record lines as JSON: what is written reads back equal."""

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple

import pytest

from hyperlearning.core.settings import absent, from_json, rest, to_json


class Counts(NamedTuple):
    plastic: int
    innate: int


@dataclass(frozen=True, kw_only=True)
class Inner:
    sizes: tuple[int, ...] = (1, 2)
    bound: float | None = None


@dataclass(frozen=True, kw_only=True)
class Line:
    kind: ClassVar[str] = "line"

    name: Literal["a", "b"]
    counts: Counts | None
    inner: Inner = field(default_factory=Inner)
    scores: dict[str, list[float]] = field(default_factory=dict)
    by_name: dict[str, Inner] = field(default_factory=dict)
    look: Any = None
    trials: dict[str, float] | None = absent()
    facts: dict[str, Any] = rest()


FULL = Line(
    name="b",
    counts=Counts(3, 4),
    inner=Inner(sizes=(5,), bound=0.1),
    scores={"memory": [0.1, 1 / 3]},
    by_name={"x": Inner()},
    look={"of": [1, {"any": None}]},
    trials={"0.1": 2.0},
    facts={"epochs": 3, "images": [1, 2]},
)


@pytest.mark.parametrize("line", [FULL, Line(name="a", counts=None)])
def test_what_is_written_reads_back_equal(line: Line):
    assert from_json(Line, json.loads(json.dumps(to_json(line)))) == line


def test_an_absent_field_is_left_out_while_others_are_written_as_null():
    written = to_json(Line(name="a", counts=None))
    assert "trials" not in written
    assert written["counts"] is None
    assert written["inner"] == {"sizes": [1, 2], "bound": None}


def test_facts_stand_beside_the_other_keys():
    assert to_json(FULL)["epochs"] == 3


def test_a_value_without_a_field_is_refused_where_there_is_no_room_for_it():
    with pytest.raises(ValueError, match="Expected Inner to have fields among sizes, bound, but got width"):
        from_json(Inner, {"width": 3})


def test_a_missing_value_is_refused():
    with pytest.raises(TypeError, match="counts"):
        from_json(Line, {"name": "a"})
