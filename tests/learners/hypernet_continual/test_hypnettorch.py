"""Hypernetworks and their output penalty against what hypnettorch makes of the same numbers (`benchmarks/hypernetworks.py`)."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.hypernetworks import copy_over
from torch import nn

from hyperlearning.learners.hypernet_continual.factored import Factored
from hyperlearning.networks.hypernetworks.hypernetwork import Hypernetwork

GOLDEN = json.loads((Path(__file__).parent / "hypnettorch.json").read_text())


@pytest.mark.parametrize("name", ["whole", "chunks"])
def test_hypernetworks_and_their_penalty_are_those_of_hypnettorch(name: str):
    golden = GOLDEN[name]
    target = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        for tensor in target.parameters():  # All of size 1, so that there are no scales, and no constants.
            tensor.fill_(1)[0] = -1
    chunks: dict[str, Any] = {"chunk_size": 10, "chunk_embedding_size": 2} if name == "chunks" else {}
    hyper = Hypernetwork(target, 3, embedding_size=3, hidden=(5, 4), **chunks).double()
    peer = _Peer(golden["params"])
    copy_over(peer, hyper, num_conditions=3)
    own = torch.cat([tensor.flatten(1) for tensor in hyper.weights(torch.arange(3)).values()], 1)
    torch.testing.assert_close(own, torch.tensor(golden["emitted"], dtype=torch.float64), rtol=1e-9, atol=1e-9)
    old = hyper.embeddings[:2].detach().clone()
    penalty = Factored(hyper, old, hyper.reaches().square())
    copy_over(_Peer(golden["moved_params"]), hyper, num_conditions=3)
    assert float(penalty.backward(hyper, old, None, 1 / 2)) == pytest.approx(golden["penalty"], rel=1e-9)
    head = hyper.chunk_head if hyper.chunk_head is not None else hyper.get_submodule("writers.target.head")
    slope = head.get_parameter("weight").grad
    assert slope is not None
    wanted = next(
        torch.tensor(one, dtype=torch.float64)
        for one in golden["slopes"][::-1]
        if one is not None and torch.tensor(one).shape == slope.shape
    )
    torch.testing.assert_close(slope, wanted, rtol=1e-9, atol=1e-9)


class _Peer:
    """What `copy_over` reads of a hypernetwork of theirs."""

    def __init__(self, values: list[Any]) -> None:
        self.internal_params = [torch.tensor(value, dtype=torch.float64) for value in values]
