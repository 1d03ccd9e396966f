"""Shape and type checks at run time for the whole library, and the repository's root on the path."""

import os
import sys
from pathlib import Path

import torch
from hypothesis import settings
from jaxtyping import install_import_hook

_ROOT = Path(__file__).parents[1]
if str(_ROOT) not in sys.path:
    sys.path.insert(0, str(_ROOT))  # For `benchmarks`, which is not part of the package.

# A test that needs the library as users run it starts a process of its own with this variable set.
if not os.environ.get("HYPERLEARNING_UNCHECKED"):
    install_import_hook("hyperlearning", "beartype.beartype")

# On networks of a few neurons a second thread only waits.
torch.set_num_threads(1)

settings.register_profile("default", deadline=None, derandomize=True)
settings.load_profile("default")
