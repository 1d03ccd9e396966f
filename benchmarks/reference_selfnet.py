"""Self-Net's training as its authors' code has it: one vector at a time, in random order, hard ones a second time.

Only the end of a stage is the library's, in favour of the loop: cosines of all vectors after a pass, where the authors' code
takes each one's from before its own step.

What the library's training of the autoencoder is measured against, from the same first weights. It is written with PyTorch's own
operations and optimizer.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the loop is given.

    Attributes:
        lr: Adam's rate; 0.003 in the authors' first stage.
        strength: What their contractive term is multiplied by; 0 leaves it out.
        most_passes: After which the loop gives up.
    """

    lr: float = 3e-3
    strength: float = 1e-4
    most_passes: int = 1800


def passes_to(
    cosine: float,
    seen: Tensor,
    encoder: nn.Linear,
    decoder: nn.Linear,
    own: Settings,
    *,
    spread: Tensor,
    mean: Tensor,
    seed: int,
) -> int | None:
    """Trains an autoencoder until the mean cosine of recollections to vectors is above one.

    Args:
        cosine: Which.
        seen: The vectors as the autoencoder sees them, (K, S).
        encoder: From a vector to its code, before an ELU; it is trained.
        decoder: Back; likewise.
        own: How.
        spread: What they are multiplied by, and
        mean: what is added, before cosines are taken.
        seed: Of the order.

    Returns:
        Passes over the vectors; none if that many were not enough.
    """
    torch.manual_seed(seed)
    adam = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=own.lr)
    targets, before = seen * spread + mean, -1.0

    def show(place: int) -> float:
        one = seen[place : place + 1]
        code = nn.functional.elu(encoder(one))
        made = decoder(code)
        loss = nn.functional.mse_loss(made, one)
        if own.strength:
            slopes = (code * (1 - code)).square()
            loss = loss + own.strength * (slopes @ encoder.weight.detach().square().sum(1)).sum()
        adam.zero_grad()
        loss.backward()
        adam.step()
        return float(cosine_similarity(made.detach() * spread + mean, targets[place : place + 1]))

    for done in range(1, own.most_passes + 1):
        near = {place: show(place) for place in torch.randperm(len(seen)).tolist()}
        for place in [place for place, value in near.items() if value <= before]:
            near[place] = show(place)
        before = sum(near.values()) / len(near)
        with torch.no_grad():
            made = decoder(nn.functional.elu(encoder(seen)))
            if float(cosine_similarity(made * spread + mean, targets).mean()) > cosine:
                return done
    return None
