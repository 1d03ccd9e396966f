"""Code that follows the run's device: read from the source, since a machine without a GPU would not notice.

New tensors are where `torch.get_default_device()` says, or where their generator or their inputs are. What does not follow by
itself is looked for here: arrays and files turned into tensors, tensors turned into arrays, and devices named in the code.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "hyperlearning"
MODULES = [pytest.param(path, id=str(path.relative_to(PACKAGE))) for path in sorted(PACKAGE.rglob("*.py"))]

_READS_PIXELS = {"data/images.py", "data/picture_files.py", "data/pictures.py", "data/readers.py"}
"""Where files become tensors on the CPU; `image_pool` and `read_image_folder` move what a run uses of them."""


def _calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))


@pytest.mark.parametrize("path", MODULES)
def test_a_tensor_becomes_an_array_by_way_of_the_cpu(path: Path):
    arrays = [ast.unparse(call) for call in _calls(path) if ast.unparse(call.func).endswith(".numpy")]
    assert [text for text in arrays if ".cpu()" not in text] == []


@pytest.mark.parametrize("path", MODULES)
def test_an_array_or_a_buffer_becomes_a_tensor_where_new_tensors_are_made(path: Path):
    if str(path.relative_to(PACKAGE)) in _READS_PIXELS:
        return
    calls = list(_calls(path))
    moved = {ast.unparse(a) for call in calls if ast.unparse(call.func) == "on_default_device" for a in call.args}
    made = [ast.unparse(call) for call in calls if ast.unparse(call.func) in ("torch.from_numpy", "torch.frombuffer")]
    assert [text for text in made if not any(text in argument for argument in moved)] == []


@pytest.mark.parametrize("path", MODULES)
def test_no_tensor_is_made_on_a_device_that_the_code_names(path: Path):
    named = [
        ast.unparse(call)
        for call in _calls(path)
        for keyword in call.keywords
        if keyword.arg == "device" and isinstance(keyword.value, ast.Constant) and keyword.value.value != "meta"
    ]
    assert named == []
