"""Decoders that a hypernetwork emits, one a task: what they make of noise teaches a classifier which task an image is of.

Shape suffixes: T tasks, M images, D pixels, Z latent numbers.

Source: von Oswald et al., "Continual learning with hypernetworks" (2020), section 2.2 (HNET+TIR); Kingma and Welling,
"Auto-encoding variational Bayes" (2014), for the loss.
"""

import copy
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from hyperlearning.learners.hypernet_continual.learner import KeepOutputs, Update, emitting
from hyperlearning.learners.hypernet_continual.output_penalty import OutputPenalty
from hyperlearning.networks.first_weights import draw_weights
from hyperlearning.networks.hypernetworks.hypernetwork import Hypernetwork


def decoder(latent: int, hidden: int, num_pixels: int, source: torch.Generator) -> nn.Sequential:
    """Makes a decoder: dense layers from latent numbers to logits of pixels.

    Args:
        latent: Latent numbers, Z.
        hidden: Units of its layer.
        num_pixels: Pixels, D.
        source: Of first weights.
    """
    network = nn.Sequential(nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, num_pixels))
    draw_weights(network, source)
    return network


class KeepDecoders(KeepOutputs):
    """A variational autoencoder a task, whose decoder is emitted and kept; its encoder is drawn anew and thrown away.

    Images are shares of white, from 0 to 1; labels are not looked at.

    Args:
        penalty: On decoders of old tasks.
        latent: Latent numbers, Z.
        hidden: Units of an encoder's layer.
        num_pixels: Pixels, D.
        source: Of first weights of encoders.
    """

    def __init__(
        self, penalty: OutputPenalty, *, latent: int, hidden: int, num_pixels: int, source: torch.Generator
    ) -> None:
        super().__init__(penalty)
        self._encoder = nn.Sequential(nn.Linear(num_pixels, hidden), nn.ReLU(), nn.Linear(hidden, 2 * latent))
        draw_weights(self._encoder, source)
        self._first = copy.deepcopy(self._encoder.state_dict())

    def moving(self, hyper: Hypernetwork) -> list[nn.Parameter]:
        """The encoder learns as well."""
        return [*emitting(hyper), *self._encoder.parameters()]

    def before_task(self, hyper: Hypernetwork, task: int) -> None:
        """The encoder begins anew."""
        super().before_task(hyper, task)
        self._encoder.load_state_dict(self._first)

    def _task_loss(self, hyper: Hypernetwork, own_1N: Tensor, update: Update) -> Tensor:
        pixels_MD = update.images.flatten(1)
        mean_MZ, log_variance_MZ = self._encoder(pixels_MD).chunk(2, 1)
        noise_MZ = torch.randn(mean_MZ.shape, generator=update.source)
        latent_MZ = mean_MZ + (log_variance_MZ / 2).exp() * noise_MZ
        weights = {name: tensor[0] for name, tensor in hyper.weights_of(own_1N).items()}
        missed = binary_cross_entropy_with_logits(hyper.run_one(weights, latent_MZ), pixels_MD, reduction="none").sum(1)
        divergence = (mean_MZ.square() + log_variance_MZ.exp() - log_variance_MZ - 1).sum(1) / 2
        return (missed + divergence).mean()

    def _inputs(self, hyper: Hypernetwork, own_1N: Tensor) -> Sequence[Tensor]:
        return [own_1N, *self._encoder.parameters()]


@torch.no_grad()
def replayed(
    hyper: Hypernetwork, num_tasks: int, num_images: int, latent: int, source: torch.Generator
) -> Float[Tensor, "T M D"]:
    """Images that the decoders of the first tasks make of noise, as many of each."""
    noise = torch.randn(num_tasks, num_images, latent, generator=source)
    return hyper(noise, torch.arange(num_tasks)).sigmoid()


def task_classifier(
    hyper: Hypernetwork,
    num_tasks: int,
    *,
    latent: int,
    hidden: int,
    num_steps: int,
    batch: int,
    lr: float,
    source: torch.Generator,
) -> nn.Sequential:
    """Learns which task an image is of from replayed images alone, new ones at every update.

    Args:
        hyper: What emits decoders.
        num_tasks: Tasks, T.
        latent: Latent numbers of a decoder.
        hidden: Units of each of the classifier's two layers.
        num_steps: Updates by Adam, whose rate falls to 0.
        batch: Images of each.
        lr: Its rate at first.
        source: Of weights and noise.

    Returns:
        A network of images (M, D) to a score for every task.
    """
    each = max(1, batch // num_tasks)
    num_pixels = replayed(hyper, 1, 1, latent, source).shape[2]
    layers = [nn.Linear(num_pixels, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()]
    network = nn.Sequential(*layers, nn.Linear(hidden, num_tasks))
    draw_weights(network, source)
    optimizer = torch.optim.Adam(network.parameters(), lr=lr, fused=True)
    tasks: Int64[Tensor, " batch"] = torch.arange(num_tasks).repeat_interleave(each)
    for number in range(num_steps):
        optimizer.param_groups[0]["lr"] = lr * (1 - number / num_steps)
        optimizer.zero_grad()
        images = replayed(hyper, num_tasks, each, latent, source).flatten(0, 1)
        cross_entropy(network(images), tasks).backward()
        optimizer.step()
    return network.requires_grad_(False)
