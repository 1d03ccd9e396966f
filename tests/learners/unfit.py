"""What users give a life that does not suit it, given as users give it: without the tests' own checks of types and shapes."""

import json
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from hyperlearning.core.losses import cross_entropy
from hyperlearning.learners.closed_form.class_means import ClassMeans
from hyperlearning.learners.closed_form.least_mean_squares import NormalisedLMS
from hyperlearning.learners.closed_form.least_squares import RecursiveLeastSquares
from hyperlearning.learners.closed_form.life import ClosedFormLife
from hyperlearning.learners.deployment import Deployment
from hyperlearning.networks.dan.network import DANNetwork

_X, _Y = torch.ones(5, 2), torch.ones(5, 1)

BATCHES: dict[str, tuple[Any, Any]] = {
    "an array": (_X.numpy(), _Y),
    "a list": ([[1.0, 2.0]], torch.ones(1, 1)),
    "targets in a list": (_X, [[1.0]] * 5),
    "float64": (_X.double(), _Y.double()),
    "targets of float64": (_X, _Y.double()),
    "float16": (_X.half(), _Y.half()),
    "whole numbers": (_X.long(), _Y.long()),
    "truth values": (_X > 0, _Y > 0),
    "another width": (torch.ones(5, 3), _Y),
    "targets without an axis": (_X, _Y[:, 0]),
    "targets of another width": (_X, torch.ones(5, 2)),
    "one target for all": (_X, _Y[:1]),
    "a target too few": (_X, _Y[:4]),
    "an example without a batch": (_X[0], _Y[0]),
    "a number": (torch.tensor(1.0), torch.tensor(1.0)),
    "no example": (_X[:0], _Y[:0]),
}


def torch_network() -> nn.Sequential:
    """A network that is learned by autograd."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))


def dan_network() -> DANNetwork:
    """A network that is learned by a kernel, where there is one."""
    torch.manual_seed(0)
    return DANNetwork((2, 8, 1), num_channels=4)


def _lives() -> dict[str, Deployment]:
    dans = dan_network()
    innate = {name: p for name, p in dans.named_parameters() if dans.is_innate(name)}
    return {"torch": Deployment(torch_network(), {"0.bias": torch.zeros(4)}), "DANs": Deployment(dans, innate)}


def _refused(action: Callable[[], object]) -> str:
    try:
        action()
    except (ValueError, TypeError) as error:
        return str(error)
    return "nothing was refused"


def _said() -> dict[str, str]:
    """What each is refused with, and `changed` behind it if something of the life has."""
    said = {}
    for kind, life in _lives().items():
        before = life.plastic
        for name, (x, y) in BATCHES.items():
            actions = {"observe": life.observe, "observe_each": life.observe_each}
            for verb, act in actions.items():
                said[f"{kind} {verb} {name}"] = _refused(lambda act=act, x=x, y=y: act(x, y))
        for name in ("an array", "a list", "float64", "whole numbers", "another width"):
            said[f"{kind} predict {name}"] = _refused(lambda life=life, name=name: life.predict(BATCHES[name][0]))
        same = all(torch.equal(life.plastic[name], tensor) for name, tensor in before.items())
        said[f"{kind} afterwards"] = "as before" if same and not life.num_updates else "changed"
    for label in (-100, -1, 4):
        life = Deployment(
            nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4)), {}, loss_fn=cross_entropy, batch_norm="plastic"
        )
        before = life.predict(_X)
        said[f"label {label}"] = _refused(lambda life=life, label=label: life.observe(_X, torch.full((5,), label)))
        said[f"label {label} afterwards"] = "as before" if torch.equal(life.predict(_X), before) else "changed"
    for name, innate in {"a list": ["0.bias"], "numbers": {"0.bias": [0.0] * 4}}.items():
        said[f"innate {name}"] = _refused(lambda innate=innate: Deployment(torch_network(), innate))  # pyright: ignore[reportArgumentType]
    said |= _said_by_closed_forms()
    said["several outputs"] = _refused(lambda: Deployment(nn.LSTM(2, 1), {}).observe(_X, _Y))
    return said


def _said_by_closed_forms() -> dict[str, str]:
    said, labels = {}, torch.tensor([0, 1, 2, 0, 1])
    for name, life in {
        "numbers": lambda: ClosedFormLife(RecursiveLeastSquares(2, 1)),
        "labels": lambda: ClosedFormLife(ClassMeans(2, 3)),
    }.items():
        y = _Y if name == "numbers" else labels
        wrong = {
            "an array": (_X.numpy(), y), "a list": (_X.tolist(), y), "another width": (torch.ones(5, 3), y),
            "a target too few": (_X, y[:4]), "an example without a batch": (_X[0], y[0]), "no example": (_X[:0], y[:0]),
        }  # fmt: skip
        for what, (inputs, targets) in wrong.items():
            said[f"{name} observe {what}"] = _refused(lambda a=inputs, b=targets, life=life: life().observe(a, b))
        for what in ("an array", "another width"):
            said[f"{name} predict {what}"] = _refused(lambda a=wrong[what][0], life=life: life().predict(a))
        said[f"{name} predict a NaN"] = _refused(lambda life=life: life().predict(_X * torch.nan))
    for what, targets in {
        "labels of floats": labels + 0.5, "labels of truth values": labels > 0, "labels as ones among zeros": torch.eye(5, 3),
    }.items():  # fmt: skip
        said[what] = _refused(lambda y=targets: ClosedFormLife(ClassMeans(2, 3)).observe(_X, y))
    for what, readout in {"RLS": RecursiveLeastSquares, "LMS": NormalisedLMS}.items():
        said[f"{what} one number for three"] = _refused(lambda make=readout: ClosedFormLife(make(2, 3)).observe(_X, _Y))
        said[f"{what} too large"] = _refused(lambda make=readout: ClosedFormLife(make(2, 1)).observe(_X, _Y * 1e38))
    return said


if __name__ == "__main__":
    print(json.dumps(_said()))
