"""How few-shot learners are tested: every image of the classes is embedded once, and episodes take their features from there.

That is possible where an image's features do not depend on what it is embedded with; other learners see the images of each
episode.

Shape suffixes: E episodes, W ways, S shots, Q queries, D features, N images.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from hyperlearning.learners.few_shot.embedded import Embedded
from hyperlearning.streams.episodes import Picks, in_parts
from hyperlearning.streams.image_pool import ImagePool

_PIXELS_AT_A_TIME = 400_000
_EPISODES_AT_A_TIME = 100


def num_right(learner: nn.Module, pool: ImagePool, picks: Picks) -> Int64[Tensor, " E"]:
    """Counts queries of each episode that a learner gets right.

    Args:
        learner: A learner in evaluation mode.
        pool: Where images come from.
        picks: Which.
    """
    if isinstance(learner, Embedded):
        return right_of_head(learner.head, pool_features(learner.network, pool), picks)
    found = []
    with torch.no_grad():
        for episodes in in_parts(pool, picks):
            found.append(_count(learner(episodes.support, episodes.query.flatten(1, 2)), episodes.query.shape[2]))
    return torch.cat(found)


def pool_features(network: nn.Module, pool: ImagePool) -> Float[Tensor, "N D"]:
    """Features of all images of a pool."""
    with torch.no_grad():
        return torch.cat([network(part.float() / 255) for part in pool.images.split(_at_a_time(pool))])


def _at_a_time(pool: ImagePool) -> int:
    return max(1, _PIXELS_AT_A_TIME // pool.images[0].numel())


def right_of_head(head: nn.Module, features_ND: Float[Tensor, "N D"], picks: Picks) -> Int64[Tensor, " E"]:
    """Counts queries of each episode that a head gets right, given the features of all images."""
    found = []
    parts = (tensor.split(_EPISODES_AT_A_TIME) for tensor in (picks.support, picks.query))
    with torch.no_grad():
        for support, query in zip(*parts, strict=True):
            logits = head(features_ND[support], features_ND[query.flatten(1, 2)])
            found.append(_count(logits, query.shape[2]))
    return torch.cat(found)


def _count(logits: Float[Tensor, "E WQ W"], num_queries: int) -> Int64[Tensor, " E"]:
    ways = torch.arange(logits.shape[-1], device=logits.device)
    return (logits.argmax(-1) == ways.repeat_interleave(num_queries)).sum(1)
