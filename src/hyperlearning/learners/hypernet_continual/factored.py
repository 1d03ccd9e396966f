"""The penalty on what is emitted for old tasks, without emitting it.

What is emitted is `W h + b` of a last layer, whose inputs h are few. So what it moved by is a product of two thin factors, and
the sum of its squares over S numbers of a chunk follows from a Gram matrix of the last layer, which is the same for all tasks and
for all chunks whose numbers move weights alike. Time and memory hardly grow with the number of old tasks.

Shape suffixes: T old tasks, B of them, C chunks, H inputs of the last layer, S numbers of a chunk, K = 2 H + 1, E numbers of an
embedding.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from hyperlearning.networks.hypernetworks.hypernetwork import Hypernetwork
from hyperlearning.networks.hypernetworks.writing import AtOnce, InChunks

_GAIN = 9
"""Gram matrices are worth it up to so many multiply-adds an input, a chunk and a task: three that emitting takes, each of which
waits for memory about three times as long as it computes."""


class Factored:
    """Squares of what is emitted less what was, from factors.

    Args:
        hyper: The hypernetwork as it stands before the task, with one last layer for all.
        embeddings_TE: Embeddings of old tasks.
        squares_N: What squares of emitted numbers are weighted by.

    Raises:
        ValueError: If every tensor has layers of its own.
    """

    def __init__(
        self, hyper: Hypernetwork, embeddings_TE: Float[Tensor, "T E"], squares_N: Float[Tensor, " N"]
    ) -> None:
        head = _head(hyper)
        self._weight_SH, self._bias_S = head.weight.detach().clone(), head.bias.detach().clone()
        with torch.no_grad():
            self._inputs_TCH = _inputs(hyper, embeddings_TE)
        squares_CS = squares_N.view(-1, len(self._bias_S))
        alike_C = (squares_CS == squares_CS[:, :1]).all(1)
        self._alike, self._mixed = torch.nonzero(alike_C)[:, 0], torch.nonzero(~alike_C)[:, 0].tolist()
        self._square_C, self._squares_CS = squares_CS[self._alike, 0], squares_CS

    @property
    def num_held(self) -> int:
        """Numbers that are held."""
        return sum(tensor.numel() for tensor in (self._weight_SH, self._bias_S, self._inputs_TCH))

    def backward(
        self, hyper: Hypernetwork, embeddings_BE: Float[Tensor, "B E"], which: Int64[Tensor, " B"] | None, scale: float
    ) -> Float[Tensor, ""]:
        """Adds the gradient of `scale` times the sum of squares to what the hypernetwork has, and returns that.

        Args:
            hyper: The hypernetwork as it stands now.
            embeddings_BE: Embeddings of the old tasks that are looked at.
            which: These tasks; absent: all.
            scale: What the sum is multiplied by.
        """
        head, inputs_BCH = _head(hyper), _inputs(hyper, embeddings_BE)
        before_BCH = self._inputs_TCH if which is None else self._inputs_TCH[which]
        with torch.no_grad():
            one = torch.ones_like(inputs_BCH[..., :1])
            apart_BCK = torch.cat([inputs_BCH, inputs_BCH - before_BCH, one], 2)
            moved = head.weight - self._weight_SH, self._weight_SH, (head.bias - self._bias_S)[:, None]
            factor_SK = torch.cat(moved, 1)
            slopes_BCK, by_factor_SK = torch.empty_like(apart_BCK), torch.zeros_like(factor_SK)
            for chunks, square in self._groups():
                own_BCK = apart_BCK[:, chunks]
                weighted_SK = factor_SK if square is None else factor_SK * square[:, None]
                gram_KK = factor_SK.T @ weighted_SK
                weighed_BCK = own_BCK * self._square_C[:, None] if square is None else own_BCK
                slopes_BCK[:, chunks] = weighed_BCK @ gram_KK
                flat, weighed = own_BCK.flatten(0, 1), weighed_BCK.flatten(0, 1)
                by_factor_SK.addmm_(weighted_SK, flat.T @ weighed)
            value = scale * (slopes_BCK * apart_BCK).sum()
            num = inputs_BCH.shape[2]
            _add_grad(head.weight, by_factor_SK[:, :num], 2 * scale)
            _add_grad(head.bias, by_factor_SK[:, -1], 2 * scale)
            slopes_BCH = slopes_BCK[..., :num] + slopes_BCK[..., num : 2 * num]
        if inputs_BCH.requires_grad:
            inputs_BCH.backward(slopes_BCH.mul_(2 * scale))
        return value

    def _groups(self) -> list[tuple[Tensor | list[int], Tensor | None]]:
        """Chunks that share a Gram matrix, and weights of their numbers where these are not alike."""
        own: list[tuple[Tensor | list[int], Tensor | None]] = [
            ([chunk], self._squares_CS[chunk]) for chunk in self._mixed
        ]
        return [(self._alike, None), *own] if len(self._alike) else own


def is_worth_it(hyper: Hypernetwork, num_old: int) -> bool:
    """Says whether factors take less time than emitting for so many old tasks at once."""
    if not isinstance(hyper.writers["target"], AtOnce | InChunks):
        return False
    num_numbers, num_inputs = _head(hyper).weight.shape
    squares_CS = hyper.reaches().view(-1, num_numbers)
    num_grams = 1 + int((squares_CS != squares_CS[:, :1]).any(1).sum())
    return (2 * num_inputs + 1) ** 2 * num_grams <= _GAIN * num_inputs * len(squares_CS) * num_old


def _head(hyper: Hypernetwork) -> nn.Linear:
    writer = hyper.writers["target"]
    if isinstance(writer, AtOnce):
        return writer.head
    if isinstance(writer, InChunks):
        assert hyper.chunk_head is not None
        return hyper.chunk_head
    raise ValueError("Expected `heads` of 'shared', but got a hypernetwork with layers of their own for every tensor.")


def _inputs(hyper: Hypernetwork, embeddings_BE: Tensor) -> Float[Tensor, "B C H"]:
    """What the last layer gets; one chunk where everything is emitted at once."""
    writer = hyper.writers["target"]
    if isinstance(writer, InChunks):
        return hyper.body.of_pairs(embeddings_BE, writer.embeddings)
    return hyper.body(embeddings_BE)[:, None]


def _add_grad(tensor: Tensor, slopes: Tensor, scale: float) -> None:
    if tensor.grad is None:
        tensor.grad = slopes * scale
    else:
        tensor.grad.add_(slopes, alpha=scale)
