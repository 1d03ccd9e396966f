"""Whether to ask about an image of a stream, at once: what is let pass never comes back, and no example is kept.

A rule scores an image by what a life says of it, the higher the more worth a question, and asks where the score is high among
the last ones. Of n scores before, a above and e equal, and a number u of chance,

`p = (a + u (e + 1)) / (n + 1)`

is uniform from 0 to 1 as long as scores come in no order, so that `p < rate` asks at just that rate; where all scores are equal,
it is chance. The rate is what is left of the budget over what is left of the stream: whoever asked too often asks less from then
on. Scores fall as a life learns, and rise where a stream turns to something new, so that a rate over all that is left spends
unevenly; a rate over one short stretch after another does not.

Sources: Zliobaite, Bifet, Pfahringer and Holmes, "Active Learning With Drifting Streaming Data" (2014), for budgets on streams,
thresholds that adapt, and a part by chance; Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World" (2005),
for p, smoothed; Fan, Muller and Rezucha (1962) for chance with an exact number (selection sampling).

Shape suffixes: N images, C classes, F features.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Annotated, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cosine_similarity

from hyperlearning.acquisition.uncertainty import least_confidence, margin
from hyperlearning.core.errors import QueryError
from hyperlearning.core.expect import Including, Some

StreamRuleName = Literal[
    "random",
    "random_evenly",
    "margin",
    "margin_part_random",
    "margin_evenly",
    "leverage",
    "leverage_evenly",
    "doubt",
    "doubt_evenly",
    "typical_evenly",
    "variable_threshold",
]

ComparedRules = Annotated[tuple[StreamRuleName, ...], Some(distinct=True), Including("random")]
"""Rules that are measured by chance, which must be there."""

_LAST = 50
"""Scores that an image is compared with."""
_OF_A_STRETCH = 2
"""Questions of a stretch of an even rate."""
_RANDOM_SHARE = 0.3
"""Of images, that are decided on by chance where a part is."""
_NEWEST = 0.1
"""What an image counts in the running mean that it is compared with."""
_STEP, _SPREAD, _SPENDING_OVER = 0.01, 1.0, 100
"""Of the variable threshold: how far a decision moves it, how far chance does, and over how many images spending is estimated."""


class Said(NamedTuple):
    """What is said of images: by a life of the first two, by the stream of the third.

    Attributes:
        probabilities_NC: Of classes, or what stands for them: they need not sum to 1.
        leverage_N: f'P f, with P the inverse of what was asked about so far, `(A + F'F)^-1`: how unlike all that an image is.
        typicality_N: How like what came just before an image is, as `typicality` has it.
    """

    probabilities_NC: Float[Tensor, "images classes"]
    leverage_N: Float[Tensor, " images"]
    typicality_N: Float[Tensor, " images"]


Scores = Float[Tensor, " images"]
Score = Callable[[Said], Scores]


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a stream and its budget stand.

    Attributes:
        num_images: Images of the stream.
        budget: Questions that may be asked, no more than images.
        seen: Images decided on.
        asked: Questions asked.
        memory: What a rule keeps, such as the last scores.

    Raises:
        QueryError: If the budget is below 0 or above the number of images.
    """

    num_images: int
    budget: int
    seen: int = 0
    asked: int = 0
    memory: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.budget <= self.num_images:
            raise QueryError(f"Expected a budget from 0 to {self.num_images:,} questions, but got {self.budget:,}.")

    @property
    def left(self) -> int:
        """Questions that may still be asked."""
        return self.budget - self.asked


class Decision(NamedTuple):
    """Whether to ask, and what the rule keeps from then on."""

    asks: bool
    memory: tuple[float, ...]


Decide = Callable[[Standing, float, torch.Generator], Decision]
"""Decides on an image by its score. What must be asked for the budget to be spent, or cannot, is decided by `decided`."""

Rate = Callable[[Standing], float]
"""Questions an image from here on."""


def decided(decide: Decide, standing: Standing, score: float, source: torch.Generator) -> tuple[bool, Standing]:
    """Decides on the next image: never beyond the budget, and always where as many questions as images are left.

    So a budget is spent to the last question, whatever the rule.

    Args:
        decide: The rule.
        standing: Before the image.
        score: Of the image.
        source: Of chance.

    Returns:
        Whether to ask, and the standing after.

    Raises:
        QueryError: If the stream is over.
    """
    if standing.seen == standing.num_images:
        raise QueryError(f"Expected {standing.num_images:,} images, but the stream goes on.")
    decision = decide(standing, score, source)
    images_left = standing.num_images - standing.seen
    asks = standing.left > 0 and (decision.asks or standing.left >= images_left)
    return asks, replace(standing, seen=standing.seen + 1, asked=standing.asked + asks, memory=decision.memory)


def over_the_rest(standing: Standing) -> float:
    """What is left of the budget over what is left of the stream."""
    return standing.left / (standing.num_images - standing.seen)


def evenly(of_a_stretch: int) -> Rate:
    """What is left of the budget of a stretch over what is left of the stretch; all are about equally long.

    Args:
        of_a_stretch: Questions of each.
    """

    def rate(standing: Standing) -> float:
        num, images = max(1, standing.budget // of_a_stretch), standing.num_images
        stretch = standing.seen * num // images
        end, spent_then = -(-(stretch + 1) * images // num), (stretch + 1) * standing.budget // num
        return (spent_then - standing.asked) / (end - standing.seen)

    return rate


def by_rank(rate: Rate, *, random_share: float = 0.0) -> Decide:
    """Asks where the score is among the highest of the last ones, as many as the rate says.

    Args:
        rate: Of questions.
        random_share: Of images, that are decided on by chance alone.
    """

    def decide(standing: Standing, score: float, source: torch.Generator) -> Decision:
        chance, part = torch.rand(2, generator=source, device=source.device, dtype=torch.float64).tolist()
        before = standing.memory
        higher, equal = sum(other > score for other in before), before.count(score)
        place = chance if part < random_share else (higher + chance * (equal + 1)) / (len(before) + 1)
        return Decision(place < rate(standing), (*before, score)[-_LAST:])

    return decide


def variable_threshold(standing: Standing, score: float, source: torch.Generator) -> Decision:
    """Asks where confidence is below a threshold that falls with every question and rises with every image let pass.

    The threshold is multiplied by a normal number around 1 each time, so that every image may be asked about; and nothing is
    asked while the last images' share of questions is above the budget's share of the stream.

    Source: Zliobaite et al. (2014), variable uncertainty with randomization, with their values.
    """
    threshold, spending = standing.memory or (1.0, 0.0)
    chance = float(torch.randn((), generator=source, device=source.device, dtype=torch.float64))
    asks = False
    if spending / _SPENDING_OVER < standing.budget / standing.num_images:
        asks = 1 - score < threshold * (1 + _SPREAD * chance)
        threshold *= 1 - _STEP if asks else 1 + _STEP
    return Decision(asks, (threshold, spending * (1 - 1 / _SPENDING_OVER) + asks))


def typicality(features_NF: Float[Tensor, "images features"]) -> Float[Tensor, " images"]:
    """The cosine between each image of a stream and a running mean up to it: one vector is kept, and no image.

    `m <- (1 - s) m + s f`, with s a tenth: about the last ten images count. Where classes come one after another this is the
    class in hand, and typical images are what few labels are best spent on; where they come mixed it is no class.

    Source: the thought is that of Hacohen, Dekel and Weinshall, "Active Learning on a Budget" (2022), without their pool.

    Args:
        features_NF: Of the images, in the order in which they come.
    """
    mean_F, found = torch.zeros_like(features_NF[0]), []
    for features_F in features_NF:
        mean_F = torch.lerp(mean_F, features_F, _NEWEST)
        found.append(cosine_similarity(mean_F, features_F, dim=0))
    return torch.stack(found)


def _equal(said: Said) -> Scores:
    return torch.zeros_like(said.leverage_N)


def _margin(said: Said) -> Scores:
    return margin(said.probabilities_NC[None])


def _least_confidence(said: Said) -> Scores:
    return least_confidence(said.probabilities_NC[None])


def _leverage(said: Said) -> Scores:
    return said.leverage_N


def _typicality(said: Said) -> Scores:
    return said.typicality_N


def _doubt(said: Said) -> Scores:
    """The margin in units of its standard deviation under least squares, which is the root of the leverage but for the noise."""
    return _margin(said) / said.leverage_N.sqrt()


@dataclass(frozen=True, kw_only=True)
class StreamRule:
    """A way to decide at once.

    Attributes:
        title: What a figure calls it.
        score: Of images, by what a life says of them.
        decide: Whether to ask, by the score.
    """

    title: str
    score: Score
    decide: Decide


_REST, _EVENLY = by_rank(over_the_rest), by_rank(evenly(_OF_A_STRETCH))

STREAM_RULES: Mapping[StreamRuleName, StreamRule] = MappingProxyType(
    {
        "random": StreamRule(title="random", score=_equal, decide=_REST),
        "random_evenly": StreamRule(title="random, evenly", score=_equal, decide=_EVENLY),
        "margin": StreamRule(title="margin", score=_margin, decide=_REST),
        "margin_part_random": StreamRule(
            title="margin, part random", score=_margin, decide=by_rank(over_the_rest, random_share=_RANDOM_SHARE)
        ),
        "margin_evenly": StreamRule(title="margin, evenly", score=_margin, decide=_EVENLY),
        "leverage": StreamRule(title="leverage", score=_leverage, decide=_REST),
        "leverage_evenly": StreamRule(title="leverage, evenly", score=_leverage, decide=_EVENLY),
        "doubt": StreamRule(title="doubt", score=_doubt, decide=_REST),
        "doubt_evenly": StreamRule(title="doubt, evenly", score=_doubt, decide=_EVENLY),
        "typical_evenly": StreamRule(title="typical, evenly", score=_typicality, decide=_EVENLY),
        "variable_threshold": StreamRule(
            title="variable threshold", score=_least_confidence, decide=variable_threshold
        ),
    }
)
"""What it is called in settings, and what it is."""
