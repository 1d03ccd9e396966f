"""How far emitted weights move: against emitting them, gradients too, and against hypnettorch's regulariser."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.hypernetworks import copy_over
from torch import Tensor, nn

from hyperlearning.networks.hypernetworks.drift import output_drift, remember
from hyperlearning.networks.hypernetworks.emissions import ResidualEmission
from hyperlearning.networks.hypernetworks.hypernetwork import Hypernetwork

SHAPES: tuple[dict[str, Any], ...] = (
    {},
    {"chunk_size": 8},
    {"chunk_size": 7, "chunk_embedding_size": 5},
    {"chunk_size": 100},
    {"heads": "per_tensor"},
    {"hidden": ()},
    {"hidden": (), "chunk_size": 7},
)
GOLDEN = json.loads((Path(__file__).parent / "hypnettorch.json").read_text())


def made(**options: Any) -> Hypernetwork:
    target = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    source = torch.Generator().manual_seed(0)
    options = {"embedding_size": 3, "hidden": (5, 4), "generator": source, **options}
    return Hypernetwork(target, 4, **options).double()


def emitted(hyper: Hypernetwork, embeddings: Tensor) -> Tensor:
    weights = hyper.emit(embeddings)
    return torch.cat([(weights[own.name].flatten(1) - own.mean) / own.spread for own in hyper.tensors()], 1)


@pytest.mark.parametrize("size", [1e-1, 1e-6])
@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_the_distance_of_what_is_emitted(shape: dict[str, Any], size: float):
    hyper = made(**shape)
    old = hyper.embeddings[:3].detach().clone()
    before, was = remember(hyper, hyper.embeddings[:3]), emitted(hyper, old).detach()
    assert not output_drift(hyper, before).detach().any()
    source = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in hyper.parameters():
            tensor.add_(size * torch.randn(tensor.shape, generator=source, dtype=torch.float64))
    drift, wanted = output_drift(hyper, before), (emitted(hyper, old) - was).square().sum(1)
    torch.testing.assert_close(drift, wanted, rtol=1e-7 if size < 1e-3 else 1e-11, atol=0)
    trained = [tensor for name, tensor in hyper.named_parameters() if name != "embeddings"]
    pairs = zip(torch.autograd.grad(drift.sum(), trained), torch.autograd.grad(wanted.sum(), trained), strict=True)
    for slope, want in pairs:
        torch.testing.assert_close(slope, want, rtol=1e-6, atol=1e-9 * size)


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
    before = remember(hyper, hyper.embeddings[:2])
    copy_over(_Peer(golden["moved_params"]), hyper, num_conditions=3)
    penalty = output_drift(hyper, before).mean()
    assert float(penalty.detach()) == pytest.approx(golden["penalty"], rel=1e-9)
    head = hyper.chunk_head if hyper.chunk_head is not None else hyper.get_submodule("writers.target.head")
    (slope,) = torch.autograd.grad(penalty, [head.get_parameter("weight")])
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


def test_what_cannot_be_remembered_is_refused():
    hyper = made()
    with pytest.raises(ValueError, match="one condition or more"):
        remember(hyper, hyper.embeddings[:0])
    hyper = made(emission=ResidualEmission())
    with pytest.raises(ValueError, match="without a base, which moves weights too, but got ResidualEmission"):
        remember(hyper, hyper.embeddings[:1])
