"""Shape and type checks at run time for the whole library, the repository's root on the path, and what is numerical."""

import os
import sys
from pathlib import Path

# As the command does: numbers must not differ from run to run, and threads that wait must not spin.
os.environ.setdefault("MKL_CBWR", "AUTO")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import pytest
import torch
from hypothesis import settings
from jaxtyping import install_import_hook

_ROOT = Path(__file__).parents[1]
if str(_ROOT) not in sys.path:
    sys.path.insert(0, str(_ROOT))  # For `benchmarks`, which is not part of the package.

# A test that needs the library as users run it starts a process of its own with this variable set.
if not os.environ.get("HYPERLEARNING_UNCHECKED"):
    install_import_hook("hyperlearning", "beartype.beartype")

# On networks of a few neurons a second thread only waits; no number may depend on how many there are.
torch.set_num_threads(int(os.environ.get("HYPERLEARNING_TEST_THREADS", "1")))

settings.register_profile("default", deadline=None, derandomize=True)
settings.register_profile("hunt", deadline=None, max_examples=2000)  # `pytest --hypothesis-profile hunt` looks farther.
settings.load_profile("default")

_NUMERICAL = {"core", "kernels", "networks", "learners", "streams", "evaluation"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what computes: `pytest -m numerical` is what has to pass under every setting of the processor."""
    for item in items:
        if item.path.relative_to(Path(__file__).parent).parts[0] in _NUMERICAL:
            item.add_marker(pytest.mark.numerical)
