"""What a hypernetwork emits for old tasks stays where it was before the new one.

Shape suffixes: B tasks of a batch, T old tasks, N numbers emitted, E numbers of an embedding.

Source: von Oswald et al., "Continual learning with hypernetworks" (2020), equation 2 and section 2.1.
"""

import copy
from collections.abc import Callable
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hyperlearning.learners.hypernet_continual.factored import Factored
from hyperlearning.networks.hypernetworks.hypernetwork import Hypernetwork

TargetsOf = Literal["stored", "recomputed", "factored"]
Emit = Callable[[Hypernetwork, Float[Tensor, "B E"]], Float[Tensor, "B N"]]
"""What is kept of a hypernetwork for embeddings: what it emits, or several such vectors side by side."""


def what_is_emitted(hyper: Hypernetwork, embeddings_BE: Float[Tensor, "B E"]) -> Float[Tensor, "B N"]:
    """What a hypernetwork emits."""
    return hyper.emitted(embeddings_BE)


class OutputPenalty:
    """`strength / T * sum_t || reach * (f(e_t) - f*(e_t)) ||^2`, over T old tasks as one batch, f* as it stood before the task.

    `reach` makes numbers that are emitted what weights are moved by, so that for whole weights the norm is that of the weights.
    Its gradient is known without a graph over elementwise arithmetic: `slopes`.

    Args:
        strength: The paper's beta.
        targets: Whether f*(e_t) are stored, N numbers an old task; or recomputed from a copy of the hypernetwork, which takes as
            much memory however many tasks there are, and twice the time; or known by their factors alone (`factored.Factored`),
            the last layer and its inputs, which takes little of both where these are few.
        num_old: How many old tasks, drawn anew every step, are looked at; absent: all. Time a step stops growing there.
        emit: What f is.

    Raises:
        ValueError: If `strength` is negative, `num_old` not positive, or `targets` none of these.
    """

    def __init__(
        self,
        *,
        strength: float,
        targets: TargetsOf = "stored",
        num_old: int | None = None,
        emit: Emit = what_is_emitted,
    ) -> None:
        if strength < 0:
            raise ValueError(f"Expected `strength` to be 0 or more, but got {strength}.")
        if num_old is not None and num_old < 1:
            raise ValueError(f"Expected `num_old` to be positive, but got {num_old}.")
        if targets not in get_args(TargetsOf):
            raise ValueError(f"Expected `targets` to be one of {', '.join(get_args(TargetsOf))}, but got {targets!r}.")
        self.strength, self.num_old, self._emit = strength, num_old, emit
        if targets == "factored" and emit is not what_is_emitted:
            raise ValueError("Expected `targets` of 'factored' for what is emitted alone, but got another `emit`.")
        self._targets: TargetsOf = targets
        self._embeddings_TE, self._weights_N = torch.zeros(0, 0), torch.zeros(0)
        self._stored_TN: Tensor | None = None
        self._copy: Hypernetwork | None = None
        self.factored: Factored | None = None

    @torch.no_grad()
    def before_task(self, hyper: Hypernetwork, num_old: int) -> None:
        """Notes what is emitted for the first tasks.

        Args:
            hyper: The hypernetwork, of learned embeddings.
            num_old: How many tasks it has learned, T.
        """
        self._embeddings_TE = hyper.embeddings[:num_old].detach().clone()
        self._stored_TN = self._copy = self.factored = None
        if not num_old or not self.strength:
            return
        emitted_TN = self._emit(hyper, self._embeddings_TE)
        reaches_N = hyper.reaches().to(emitted_TN).square_()
        self._weights_N = reaches_N.repeat(emitted_TN.shape[1] // len(reaches_N))
        if self._targets == "stored":
            self._stored_TN = emitted_TN
        elif self._targets == "factored":
            self.factored = Factored(hyper, self._embeddings_TE, self._weights_N)
        else:
            self._copy = copy.deepcopy(hyper).requires_grad_(False)

    @property
    def num_looked_at(self) -> int:
        """Old tasks of a step."""
        num = len(self._embeddings_TE) if self.strength else 0
        return num if self.num_old is None else min(num, self.num_old)

    @property
    def num_held(self) -> int:
        """Numbers that are held for the penalty while a task is learned."""
        if self.factored is not None:
            return self.factored.num_held
        if self._copy is not None:
            return sum(tensor.numel() for tensor in self._copy.parameters())
        return 0 if self._stored_TN is None else self._stored_TN.numel()

    def draw(self, source: torch.Generator) -> Int64[Tensor, " B"] | None:
        """Draws which old tasks a step looks at; absent: all."""
        if self.num_looked_at == len(self._embeddings_TE) or not self.num_looked_at:
            return None
        return torch.randperm(len(self._embeddings_TE), generator=source)[: self.num_looked_at]

    def embeddings(self, which: Int64[Tensor, " B"] | None) -> Float[Tensor, "B E"]:
        """Embeddings of old tasks, which do not learn."""
        if not self.num_looked_at:
            return self._embeddings_TE[:0]
        return self._embeddings_TE if which is None else self._embeddings_TE[which]

    def backward(self, hyper: Hypernetwork, which: Int64[Tensor, " B"] | None) -> None:
        """Adds the penalty's gradient to what the hypernetwork has.

        Args:
            hyper: The hypernetwork as it stands now.
            which: The old tasks.
        """
        old_BE = self.embeddings(which)
        if self.factored is not None:
            self.factored.backward(hyper, old_BE, which, self.strength / len(old_BE))
        else:
            emitted_BN = self._emit(hyper, old_BE)
            emitted_BN.backward(self.slopes(emitted_BN, which))

    @torch.no_grad()
    def slopes(
        self, emitted_BN: Float[Tensor, "B N"], which: Int64[Tensor, " B"] | None, *, out: Tensor | None = None
    ) -> Float[Tensor, "B N"]:
        """The gradient of the penalty by what is emitted now for old tasks.

        Args:
            emitted_BN: What is emitted for `embeddings(which)`.
            which: The old tasks.
            out: Where it is written, if there is such a place.
        """
        slopes_BN = torch.sub(emitted_BN, self._before(which), out=out)
        return slopes_BN.mul_(self._weights_N).mul_(2 * self.strength / len(emitted_BN))

    @torch.no_grad()
    def value(self, emitted_BN: Float[Tensor, "B N"], which: Int64[Tensor, " B"] | None) -> Float[Tensor, ""]:
        """The penalty."""
        apart_BN = emitted_BN - self._before(which)
        return (apart_BN.square() @ self._weights_N).mean() * self.strength

    def _before(self, which: Tensor | None) -> Tensor:
        if self._stored_TN is not None:
            return self._stored_TN if which is None else self._stored_TN[which]
        assert self._copy is not None
        return self._emit(self._copy, self.embeddings(which))
