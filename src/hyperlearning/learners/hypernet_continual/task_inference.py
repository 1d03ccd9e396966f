"""Which task an input is of, where nobody says so: the task whose network is the surest.

Shape suffixes: T tasks, M inputs, O outputs.

Source: von Oswald et al., "Continual learning with hypernetworks" (2020), section 2.2 (HNET+ENT).
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def entropies(scores_TMO: Float[Tensor, "T M O"]) -> Float[Tensor, "T M"]:
    """Entropies of softmaxes, in nats, from log-probabilities: finite however far scores are apart.

    `-sum p log p` of probabilities is NaN once one of them is 0, and a NaN is found to be the least.
    """
    logs_TMO = scores_TMO.log_softmax(-1)
    return -(logs_TMO.exp() * logs_TMO.clamp(min=torch.finfo(logs_TMO.dtype).min)).sum(-1)


def surest(scores_TMO: Float[Tensor, "T M O"]) -> Int64[Tensor, " M"]:
    """The task whose network has the least entropy; of equals the one whose best score stands out the most."""
    entropies_TM = entropies(scores_TMO)
    two_TM2 = scores_TMO.topk(2, -1).values
    gaps_TM = two_TM2[..., 0] - two_TM2[..., 1]
    equal_TM = entropies_TM == entropies_TM.amin(0)
    return torch.where(equal_TM, gaps_TM, -torch.inf).argmax(0)


def said_of(scores_TMO: Float[Tensor, "T M O"], tasks_M: Int64[Tensor, " M"]) -> Int64[Tensor, " M"]:
    """The label that the network of each input's task gives."""
    return scores_TMO[tasks_M, torch.arange(len(tasks_M), device=tasks_M.device)].argmax(-1)
