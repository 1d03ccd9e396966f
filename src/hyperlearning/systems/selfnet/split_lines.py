"""What records of networks in pieces, and of stores of several architectures, say."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class TaughtLine:
    """Networks of a repetition after training.

    Attributes:
        repetition: Which, from 1.
        names: Of the networks.
        titles: What figures call them.
        sizes: Numbers of each.
        accuracies: Of each.
    """

    kind: ClassVar[str] = "taught"

    repetition: int
    names: tuple[str, ...]
    titles: tuple[str, ...]
    sizes: tuple[int, ...]
    accuracies: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class PiecesLine:
    """An autoencoder that learned one network, whole or in pieces.

    Attributes:
        repetition: Which network, from 1.
        num_pieces: Pieces that the network was cut into.
        one_by_one: Whether each piece made an update of its own, or all of them one.
        size: Inputs.
        code_size: Numbers of a piece's code.
        num_parameters: Of the autoencoder.
        num_bytes: Everything that it takes to recollect the network and to go on.
        undisturbed: Accuracy of the network as it was trained.
        cosines: Of the recollected network to the trained one, after every iteration.
        worst: Of the worst piece, likewise.
        seconds: Of training so far, likewise; the processor's, which do not depend on what else it does.
        looks: Iterations after which the recollected network was tested.
        accuracies: What came of it.
    """

    kind: ClassVar[str] = "pieces"

    repetition: int
    num_pieces: int
    one_by_one: bool
    size: int
    code_size: int
    num_parameters: int
    num_bytes: int
    undisturbed: float
    cosines: tuple[float, ...]
    worst: tuple[float, ...]
    seconds: tuple[float, ...]
    looks: tuple[int, ...]
    accuracies: tuple[float, ...]

    @property
    def multiplications(self) -> int:
        """Of an iteration's layers: one for every weight and piece forwards, two backwards; without a contractive term's."""
        return 3 * self.num_parameters * self.num_pieces

    @property
    def written(self) -> int:
        """Weights that Adam writes in an iteration."""
        return self.num_parameters * (self.num_pieces if self.one_by_one else 1)


@dataclass(frozen=True, kw_only=True)
class SharedLine:
    """A store that took in networks of several architectures.

    Attributes:
        repetition: Which networks, from 1.
        store: Its name.
        title: What a figure calls it.
        num_bytes: Everything that it keeps.
        unit: Bytes of as many separate networks in float32.
        looks: Iterations after which networks were recollected and tested; 0 alone where nothing is trained.
        accuracies: A list a look, of every network's.
        cosines: Likewise, to the trained weights.
    """

    kind: ClassVar[str] = "shared"

    repetition: int
    store: str
    title: str
    num_bytes: int
    unit: int
    looks: tuple[int, ...]
    accuracies: tuple[tuple[float, ...], ...]
    cosines: tuple[tuple[float, ...], ...]
