"""The diagonal of the Fisher information of a classifier."""

import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap

from hyperlearning.core.params import Params
from hyperlearning.networks.many_headed import ManyHeaded

_AT_ONCE = 64
"""Images whose gradients are held at a time."""


def fisher_diagonal(network: ManyHeaded, images: Tensor, task: int) -> Params:
    """Computes the mean over images of `sum_c p(c) (d log p(c) / d theta)^2`, of parameters that tasks share.

    The sum goes over all labels, each as probable as the network has it, so that nothing is drawn.

    Args:
        network: The network.
        images: Images of the task, (N, ...).
        task: Which head.

    Source: Kirkpatrick et al., "Overcoming catastrophic forgetting in neural networks" (2017); Martens, "New insights and
    perspectives on the natural gradient method" (2020), section 5, for why labels are the network's own.
    """
    shared = {name: tensor.detach() for name, tensor in network.shared().items()}
    rest = {name: tensor.detach() for name, tensor in network.named_parameters() if name not in shared}
    num_labels = network(images[:1], task).shape[1]

    def log_probability(own: Params, image: Tensor, label: Tensor) -> Tensor:
        scores = functional_call(network, {**rest, **own}, (image[None], task))
        return scores.log_softmax(1)[0].index_select(0, label)[0]

    per_image = vmap(grad(log_probability), in_dims=(None, 0, None))
    total = {name: torch.zeros_like(tensor) for name, tensor in shared.items()}
    for some in images.split(_AT_ONCE):
        with torch.no_grad():
            probable = network(some, task).softmax(1)
        for label in range(num_labels):
            slopes = per_image(shared, some, torch.tensor([label]))
            for name, slope in slopes.items():
                total[name] += torch.einsum("n,n...->...", probable[:, label], slope.square())
    return {name: tensor / len(images) for name, tensor in total.items()}
