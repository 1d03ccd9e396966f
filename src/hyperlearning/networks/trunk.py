"""An innate trunk before a head that holds all plastic parameters: what the trunk makes of an image never changes in a life."""

import torch
from torch import Tensor, nn

from hyperlearning.core.params import Params


class TrunkNetwork(nn.Module):
    """A network in two parts, of which the first is innate as a whole.

    The learners compute the trunk's features once for many inner steps (`trunk_features`), which a network that is one piece
    cannot offer them.

    Args:
        trunk: Maps inputs (B, ...) to features (B, F). All its parameters are innate.
        head: Maps features (B, F) to outputs. Its `is_innate` tells its own innate parameters, such as phenotypes.
    """

    def __init__(self, trunk: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head

    def is_innate(self, name: str) -> bool:
        """Says whether a parameter of this name is the trunk's, or innate in the head."""
        part, _, rest = name.partition(".")
        return part == "trunk" or self.head.is_innate(rest)  # pyright: ignore[reportCallIssue]

    def forward(self, inputs: Tensor) -> Tensor:
        """Runs one network, without a member axis."""
        return self.head(self.trunk(inputs))


def trunk_features(network: TrunkNetwork, innate: Params, inputs: Tensor, *, num_batch_axes: int) -> Tensor:
    """Runs the trunk on inputs with any number of batch axes (steps, members, batch), all images in one call.

    Args:
        network: The network. Its own parameter values are not used.
        innate: Innate parameters of the whole network by name.
        inputs: (..., *one input).
        num_batch_axes: Leading axes that are not part of one input.

    Returns:
        Features, (..., F).
    """
    own = {
        name.removeprefix("trunk."): _channels_last(tensor)
        for name, tensor in innate.items()
        if name.startswith("trunk.")
    }
    features = torch.func.functional_call(network.trunk, own, (inputs.flatten(0, num_batch_axes - 1),))
    return features.unflatten(0, inputs.shape[:num_batch_axes])


def _channels_last(tensor: Tensor) -> Tensor:
    """Kernels of convolutions in the memory layout in which a CPU is fastest, above all at their gradients."""
    fits = tensor.ndim == 4 and tensor.device.type == "cpu"
    # With one input map `contiguous` would see nothing to do and leave strides that say otherwise.
    return tensor.clone(memory_format=torch.channels_last) if fits else tensor
