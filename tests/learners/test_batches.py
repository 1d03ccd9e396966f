"""Lives as users call them: what is no batch, or does not suit, is refused by type and shape, and nothing changes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def refusals() -> dict[str, str]:
    """What a life says of what does not suit it, in a process without the tests' own checks."""
    command, environment = [sys.executable, "-m", "tests.learners.unfit"], os.environ | {"HYPERLEARNING_UNCHECKED": "1"}
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("an array", "`inputs` to be a tensor, but got ndarray.*torch.as_tensor"),
        ("a list", "`inputs` to be a tensor, but got list"),
        ("targets in a list", "`targets` to be a tensor, but got list"),
        ("float64", r"float32, but got inputs of shape \(5, 2\) and float64"),
        ("targets of float64", r"targets of shape \(5, 1\) and float64"),
        ("float16", "and float16"),
        ("whole numbers", "and int64"),
        ("truth values", "and bool"),
        ("another width", r"inputs of shape \(5, 3\)"),
        ("targets without an axis", r"\(5,\)|\(1,\)"),
        ("targets of another width", r"targets of shape \(5, 2\)|, but got \([15], 2\)"),
        ("one target for all", "as many targets as inputs"),
        ("a target too few", r"as many .* inputs of shape \(5, 2\) .* targets of shape \(4,( 1)?\)"),
        ("an example without a batch", "as many targets as inputs"),
        ("a number", "as many targets as inputs"),
        ("no example", "one example or more"),
    ],
)
def test_a_batch_that_does_not_suit_is_refused_by_type_and_shape(name: str, message: str, refusals: dict[str, str]):
    said = {key: text for key, text in refusals.items() if key.split(" ", 2)[-1] == name}
    assert len(said) >= 4
    for key, text in said.items():
        assert text.startswith("Expected "), key
        assert re.search(message, text), key


def test_nothing_changes_where_a_batch_is_refused(refusals: dict[str, str]):
    assert {text for key, text in refusals.items() if key.endswith("afterwards")} == {"as before"}


@pytest.mark.parametrize("label", [-100, -1, 4])
def test_a_label_that_no_output_stands_for_is_refused(label: int, refusals: dict[str, str]):
    assert f"Target {label} is out of bounds" in refusals[f"label {label}"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("labels of floats", "a label as a whole number from 0 to 2, but got one of shape () and float32"),
        ("labels of truth values", "a label as a whole number from 0 to 2, but got one of shape () and bool"),
        ("labels as ones among zeros", "a label as a whole number from 0 to 2, but got one of shape (3,)"),
        ("numbers predict a NaN", "finite inputs"),
        ("labels predict a NaN", "finite inputs"),
        ("RLS one number for three", "a target of 3 numbers, but got one of shape (1,)"),
        ("LMS one number for three", "a target of 3 numbers, but got one of shape (1,)"),
        ("RLS too large", "finite targets within their type's range"),
        ("LMS too large", "finite targets within their type's range"),
        ("innate a list", "map names to tensors, but got list"),
        ("innate numbers", "`innate['0.bias']` to be a tensor, but got list"),
        ("several outputs", "'tuple' object"),
    ],
)
def test_what_else_cannot_be_is_refused_by_name(name: str, message: str, refusals: dict[str, str]):
    assert message in refusals[name]
