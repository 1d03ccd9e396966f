"""BatchBALD: the images whose labels together say most about which draw of a system is right.

Of labels y of images S, I(y_S; draw) = H(y_S) - sum_i E_k H(y_i | draw k). An image adds E_m H(y_i | y_S = m) - E_k H(y_i | k):
how unsure the system will be of it once all others are answered, whatever the answers m, less how unsure every draw is. What an
image adds only shrinks as others are chosen, so that what it added once bounds it, and few are looked at again.

Shape suffixes: K draws, N images of the pool, C classes, M answers to the images chosen so far, J images looked at.

Source: Kirsch et al., "BatchBALD" (2019), equations 8 and 13; lazy greedy choice after Minoux (1978).
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.acquisition.query import Choose, Query, Views
from hyperlearning.acquisition.uncertainty import mutual_information

_BLOCK = 64
"""Images that are looked at again at once."""


class _Answers:
    """Answers to the images chosen so far: every one of them, or, where there would be too many, as many as are drawn.

    Attributes:
        share_M: How likely each is.
        draws_MK: How likely every draw of the system is, given it; rows sum to 1.
    """

    def __init__(self, num_draws: int, most: int, like: Tensor, source: torch.Generator) -> None:
        self.share_M = like.new_ones(1)
        self.draws_MK = like.new_full((1, num_draws), 1 / num_draws)
        self._most, self._source = most, source

    def add(self, said_KC: Float[Tensor, "draws classes"]) -> None:
        """Answers one image more in every way, or, past `most`, in one way each, drawn by how likely it is."""
        answers_MC = self.draws_MK @ said_KC
        if answers_MC.numel() <= self._most:
            self.share_M = (self.share_M[:, None] * answers_MC).flatten()
            joint_MK = (self.draws_MK[:, None] * said_KC.T).flatten(0, 1)
        else:
            if len(self.share_M) < self._most:
                first_M = self.share_M.multinomial(self._most, replacement=True, generator=self._source)
                answers_MC, self.draws_MK = answers_MC[first_M], self.draws_MK[first_M]
                self.share_M = self.share_M.new_full((self._most,), 1 / self._most)
            drawn_M = answers_MC.multinomial(1, generator=self._source)[:, 0]
            joint_MK = self.draws_MK * said_KC.T[drawn_M]
        total_M1 = joint_MK.sum(1, keepdim=True)
        possible_M = total_M1[:, 0] > 0
        self.share_M, self.draws_MK = self.share_M[possible_M], (joint_MK / total_M1)[possible_M]

    def unsure(self, said_KJC: Float[Tensor, "draws looked classes"]) -> Float[Tensor, " looked"]:
        """The mean entropy of images, once the others are answered, in nats."""
        _, num_looked, num_classes = said_KJC.shape
        then = (self.draws_MK @ said_KJC.flatten(1)).view(-1, num_looked, num_classes)
        return self.share_M @ torch.special.entr(then).sum(-1)


def batch_bald(*, most_answers: int = 10_000) -> Choose:
    """Makes the strategy.

    Args:
        most_answers: Answers to a batch that are told apart. All are, and the greedy batch is exact, while there are no more:
            with ten classes up to four images. Beyond, as many are drawn, which the paper does with 10,000.

    Needs probabilities of two draws or more. Cost: O(answers K C) for every image looked at; memory as much for 64 images.
    """

    def choose(views: Views, num: int, source: torch.Generator) -> Query:
        all_KNC = views.need("probabilities_KNC").double()
        each_N = torch.special.entr(all_KNC).sum(-1).mean(0)
        answers = _Answers(len(all_KNC), most_answers, all_KNC, source)
        gains_N = mutual_information(all_KNC)
        # Chance decides between equals, once for all.
        turn_N = torch.randperm(len(gains_N), generator=source)
        chosen, gained = [], []
        for _ in range(num):
            place = _best(gains_N, turn_N, lambda at_J: answers.unsure(all_KNC[:, at_J]) - each_N[at_J])
            chosen.append(place)
            gained.append(float(gains_N[place]))
            gains_N[place] = -torch.inf
            answers.add(all_KNC[:, place])
        return Query(torch.tensor(chosen), torch.tensor(gained))

    return choose


def _best(gains_N: Tensor, turn_N: Tensor, gain: Callable[[Tensor], Tensor]) -> int:
    """Finds the largest gain, given former ones: they are found anew, in place, the largest first, while one may matter."""
    stale_N = gains_N.clone()
    best = torch.tensor(-torch.inf, dtype=gains_N.dtype)
    while float(stale_N.max()) >= float(best) and bool((stale_N > -torch.inf).any()):
        at_J = stale_N.topk(min(_BLOCK, len(stale_N))).indices
        at_J = at_J[stale_N[at_J] > -torch.inf]
        gains_N[at_J], stale_N[at_J] = gain(at_J), -torch.inf
        best = torch.maximum(best, gains_N[at_J].max())
    fresh_N = (stale_N == -torch.inf) & (gains_N == best)
    return int(turn_N.masked_fill(~fresh_N, len(turn_N)).argmin())
