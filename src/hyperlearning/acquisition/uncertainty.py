"""How unsure a system is of an image: scores of probabilities, the higher the less sure.

Shape suffixes: K draws of a system, N images of the pool, C classes.

Sources: Lewis and Gale (1994) for least confidence; Scheffer et al. (2001) for the margin; Shannon (1948) for entropy; Houlsby et
al. (2011) and Gal et al. (2017) for mutual information (BALD); Freeman (1965) and Beluch et al. (2018) for variation ratios.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.acquisition.query import Choose, Query, Views, highest

Probabilities = Float[Tensor, "draws pool classes"]
Scores = Float[Tensor, " pool"]


def least_confidence(probabilities_KNC: Probabilities) -> Scores:
    """1 - max_c p(c), of the mean over draws."""
    return 1 - probabilities_KNC.mean(0).amax(-1)


def margin(probabilities_KNC: Probabilities) -> Scores:
    """p(second) - p(first), of the mean over draws; 0 where two classes are equally likely. One class alone scores -1."""
    mean_NC = probabilities_KNC.mean(0)
    if mean_NC.shape[1] == 1:
        return -mean_NC[:, 0]
    first_second = mean_NC.topk(2, dim=-1).values
    return first_second[:, 1] - first_second[:, 0]


def entropy(probabilities_KNC: Probabilities) -> Scores:
    """-sum_c p(c) log p(c), of the mean over draws, in nats."""
    return torch.special.entr(probabilities_KNC.mean(0)).sum(-1)


def mutual_information(probabilities_KNC: Probabilities) -> Scores:
    """Entropy of the mean less the mean of entropies, in nats: what draws disagree about (BALD)."""
    return entropy(probabilities_KNC) - torch.special.entr(probabilities_KNC).sum(-1).mean(0)


def variation_ratio(probabilities_KNC: Probabilities) -> Scores:
    """The share of draws that do not say what most of them say; at most K values, so that there are many equals."""
    num_draws, _, num_classes = probabilities_KNC.shape
    said_KN = probabilities_KNC.argmax(-1)
    votes_NC = torch.nn.functional.one_hot(said_KN, num_classes).sum(0)
    return 1 - votes_NC.amax(-1).to(probabilities_KNC.dtype) / num_draws


def by_score(score: Callable[[Probabilities], Scores]) -> Choose:
    """Chooses those of the highest score of probabilities."""

    def choose(views: Views, num: int, source: torch.Generator) -> Query:
        return highest(score(views.need("probabilities_KNC")), num, source)

    return choose


def at_random(views: Views, num: int, source: torch.Generator) -> Query:
    """Chooses by chance alone: what every other strategy is measured by."""
    return highest(torch.zeros(views.num_pool), num, source)
