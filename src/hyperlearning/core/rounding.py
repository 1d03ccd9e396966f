"""Short numbers for a record."""

from typing import Any

import numpy as np
from torch import Tensor


def rounded(values: Tensor, digits: int = 5) -> Any:
    """Turns a tensor into nested lists of short numbers, for a record."""
    return np.round(values.double().cpu().numpy(), digits).tolist()
