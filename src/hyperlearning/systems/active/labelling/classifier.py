"""What a labelling leaves: features and head in one file, to be restored anywhere.

Shape suffixes: N images, C channels, S side.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from hyperlearning.core.atomic_files import write_json
from hyperlearning.core.tensor_files import load_tensors, save_tensors
from hyperlearning.learners.ridge_head import RidgeHead
from hyperlearning.systems.active.embedders import EMBEDDERS, FeatureKind
from hyperlearning.systems.active.features import Embedder
from hyperlearning.systems.active.questions import Prediction, predicted


@dataclass(frozen=True, kw_only=True, eq=False)
class FolderClassifier:
    """Says what images are, as the labelling that it comes from does.

    Attributes:
        classes: Names of classes; the last is `hl.NOT_OURS` if that was learned.
        side: Height and width of images, S.
        channels: Their channels, C.
        features: What the head was solved on.
        embedder: Turns images into features.
        head: Says what features are.
    """

    classes: tuple[str, ...]
    side: int
    channels: int
    features: FeatureKind
    embedder: Embedder
    head: RidgeHead

    def predict(self, images: Float[Tensor, "N C S S"]) -> Prediction:
        """Says what images are, such as those of `hl.read_unlabelled_folder(FOLDER, side=side, channels=channels)`."""
        return predicted(self.head, self.classes, self.embedder(images))

    def save(self, path: Path) -> None:
        """Writes the file, and beside it what it says in words and numbers as JSON."""
        kept = {f"embedder.{name}": own for name, own in self.embedder.tensors().items()}
        head = {f"head.{name}": own for name, own in self.head._asdict().items() if isinstance(own, Tensor)}
        facts = {
            "classes": list(self.classes),
            "side": self.side,
            "channels": self.channels,
            "features": self.features,
            "head": {name: own for name, own in self.head._asdict().items() if not isinstance(own, Tensor)},
        }
        save_tensors(path, kept | head, facts)
        write_json(path.with_suffix(".json"), facts)

    @classmethod
    def restore(cls, path: Path | str) -> "FolderClassifier":
        """Reads what `save` wrote; the JSON beside it is for people, and is not read.

        Raises:
            FileError: If the file is missing, truncated or altered.
        """
        file = load_tensors(Path(path))
        facts: dict[str, Any] = file.facts
        parts: dict[str, dict[str, Tensor]] = {"embedder": {}, "head": {}}
        for name, own in file.tensors.items():
            kind, _, rest = name.partition(".")
            parts[kind][rest] = own
        return cls(
            classes=tuple(facts["classes"]),
            side=facts["side"],
            channels=facts["channels"],
            features=facts["features"],
            embedder=EMBEDDERS[facts["features"]].restore(parts["embedder"]),
            head=RidgeHead(**(facts["head"] | parts["head"])),
        )
