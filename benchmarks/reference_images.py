"""Hyper-Learning on images as a plain PyTorch loop: ordinary modules, one member at a time, the optimizers PyTorch ships.

What the engine must agree with, and what its speed is measured against. No code of the library is used; parameters come and go
under the library's names.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, leaky_relu

Params = dict[str, Tensor]


class Neuron(nn.Module):
    """The neuron that all members share: convolutions on the drive as an image, then dense layers.

    Args:
        side: Side of the drive's image.
        maps: Feature maps of each convolution.
        kernel_size: Side of its kernels.
        hidden_sizes: Units of the dense hidden layers.
    """

    def __init__(self, side: int, *, maps: tuple[int, ...], kernel_size: int, hidden_sizes: tuple[int, ...]) -> None:
        super().__init__()
        left = side - len(maps) * (kernel_size - 1)
        self.side = side
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, kernel_size) for a, b in pairwise((1, *maps)))
        self.dense = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise((maps[-1] * left**2, *hidden_sizes, 1)))

    def forward(self, drive: Tensor) -> Tensor:
        """Turns (batch, neurons * channels) into (batch, neurons)."""
        hidden = drive.reshape(-1, 1, self.side, self.side)
        for convolution in self.convolutions:
            hidden = leaky_relu(convolution(hidden))
        hidden = hidden.flatten(1)
        for number, dense in enumerate(self.dense, start=1):
            hidden = dense(hidden)
            if number < len(self.dense):
                hidden = leaky_relu(hidden)
        return hidden.reshape(len(drive), -1)


class Synapses(nn.Module):
    """What a member has of its own: features to hidden neurons to outputs, and from features to outputs directly."""

    def __init__(self, sizes: tuple[int, int, int], num_channels: int) -> None:
        super().__init__()
        features, hidden, outputs = sizes
        self.maps = nn.ModuleDict(
            {
                "0_1": nn.Linear(features, hidden * num_channels),
                "1_2": nn.Linear(hidden, outputs * num_channels),
                "0_2": nn.Linear(features, outputs * num_channels),
            }
        )

    def forward(self, features: Tensor, neuron: nn.Module) -> Tensor:
        """Turns features into logits."""
        hidden = neuron(self.maps["0_1"](features))
        return neuron(self.maps["1_2"](hidden) + self.maps["0_2"](features))


def trunk(num_maps: int) -> nn.Sequential:
    """Three strided convolutions from an image of one channel to features."""
    layers: list[nn.Module] = []
    for source in (1, num_maps, num_maps):
        layers += [nn.Conv2d(source, num_maps, 3, stride=2, padding=1), nn.LeakyReLU()]
    return nn.Sequential(*layers, nn.Flatten())


class ReferenceImages:
    """A population whose trunk and neuron are shared, and the loop of algorithm Hyper-Learning over it.

    Args:
        trunk: The innate convolutions; its values are the first ones.
        neuron: The innate neuron, likewise.
        members: Synapses of each member, likewise.
        inner_lr: Rate of the members' Adam.
        outer_lr: Rate of the outer Adam.
        frugal: Whether an inner step computes gradients of synapses only, and no graph through the trunk. The plain way is
            `loss.backward()`, which computes those of all innate parameters too, to be thrown away.

    Source: dissertation, section 6.3.
    """

    def __init__(
        self,
        trunk: nn.Module,
        neuron: nn.Module,
        members: list[Synapses],
        *,
        inner_lr: float,
        outer_lr: float,
        frugal: bool,
    ) -> None:
        self.trunk, self.neuron, self.members, self.frugal = trunk, neuron, members, frugal
        self.inner = [torch.optim.Adam(member.parameters(), lr=inner_lr) for member in members]
        self.outer = torch.optim.Adam([*trunk.parameters(), *neuron.parameters()], lr=outer_lr)

    def step(self, images: Tensor, labels: Tensor, hyper_images: Tensor, hyper_labels: Tensor) -> tuple[Tensor, Tensor]:
        """Makes one update of every member and one of what they share; returns each member's two losses."""
        task = [self._learn(m, images[m], labels[m]) for m in range(len(self.members))]
        self.outer.zero_grad()
        hyper = [self._judge(m, hyper_images[m], hyper_labels[m]) for m in range(len(self.members))]
        self.outer.step()
        return torch.stack(task), torch.stack(hyper)

    def _learn(self, member: int, images: Tensor, labels: Tensor) -> Tensor:
        synapses, optimizer = self.members[member], self.inner[member]
        optimizer.zero_grad()
        with torch.set_grad_enabled(not self.frugal):
            features = self.trunk(images)
        loss = cross_entropy(synapses(features, self.neuron), labels)
        loss.backward(inputs=list(synapses.parameters()) if self.frugal else None)
        optimizer.step()
        return loss.detach()

    def _judge(self, member: int, images: Tensor, labels: Tensor) -> Tensor:
        synapses = self.members[member]
        loss = cross_entropy(synapses(self.trunk(images), self.neuron), labels)
        innate = [*self.trunk.parameters(), *self.neuron.parameters()]
        (loss / len(self.members)).backward(inputs=innate if self.frugal else None)
        return loss.detach()

    @property
    def plastic(self) -> Params:
        """The members' synapses, stacked, in the library's layout."""
        return {
            f"head.synapses.{name}.{kind}": torch.stack([_turned(m.maps[name], kind) for m in self.members])
            for name in self.members[0].maps
            for kind in ("weight", "bias")
        }

    @property
    def innate(self) -> Params:
        """Trunk and neuron, in the library's layout."""
        params = {f"trunk.{name}": value.detach().clone() for name, value in self.trunk.named_parameters()}
        assert isinstance(self.neuron, Neuron)
        for i, layer in enumerate(self.neuron.convolutions):
            params[f"head.phenotypes.0.conv_weights.{i}"] = layer.weight.detach().clone()
            params[f"head.phenotypes.0.conv_biases.{i}"] = layer.bias.detach().clone()
        for i, layer in enumerate(self.neuron.dense):
            params[f"head.phenotypes.0.weights.{i}"] = _turned(layer, "weight")
            params[f"head.phenotypes.0.biases.{i}"] = _turned(layer, "bias")
        return params


def _turned(layer: nn.Module, kind: str) -> Tensor:
    """The library's dense weights are (in, out)."""
    value = layer.get_parameter(kind).detach()
    return value.t().clone() if kind == "weight" else value.clone()
