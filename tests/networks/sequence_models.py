"""A sequence model that is small enough to be written out, in double precision."""

import pytest
import torch

from hyperlearning.networks.backbones import mlp
from hyperlearning.networks.sequence_model import SequenceModel

D, H = 8, 2
"""Its width and its heads."""

both = pytest.mark.parametrize("attention", ["softmax", "linear"])


def build(attention: str, *, width: int = D, num_layers: int = 3) -> SequenceModel:
    """Inputs of two numbers, targets of one."""
    source = torch.Generator().manual_seed(0)
    model = SequenceModel(
        mlp((2, width), generator=source),
        mlp((1, width), generator=source),
        width=width,
        num_layers=num_layers,
        num_heads=H,
        num_outputs=1,
        attention=attention,
        generator=source,
    )
    return model.double().requires_grad_(False)
