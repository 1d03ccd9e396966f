"""The tests themselves: each of them can fail."""

import ast
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent


def _test_functions():
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                yield pytest.param(node, id=f"{path.relative_to(TESTS)}::{node.name}")


def _name(call: ast.Call):
    """The last part of what is called: `assert_close` for `torch.testing.assert_close(...)`."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def _asserts(function: Any):
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call) and (
            ast.unparse(node.func) == "pytest.raises" or _name(node).startswith(("check_", "assert_"))
        ):
            return True
    return False


@pytest.mark.parametrize("function", list(_test_functions()))
def test_every_test_asserts_something(function: Any):
    assert _asserts(function)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("run()", False),
        ("x == y", False),
        ("assert x", True),
        ("with pytest.raises(ValueError): run()", True),
        ("torch.testing.assert_close(a, b)", True),
        ("check_agreement()", True),
    ],
)
def test_the_search_tells_a_test_that_asserts_from_one_that_does_not(body: str, expected: Any):
    assert _asserts(ast.parse(f"def test_it():\n    {body}")) is expected
