"""What a run's meta-train classes say of its features, in a file beside its model for lives where the classes are absent."""

from pathlib import Path
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from hyperlearning.core.tensor_files import load_tensors, save_tensors
from hyperlearning.data.errors import AbsentDataError
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.learners.closed_form.conjugate_bayes import NormalGamma
from hyperlearning.systems.images.pools import load_pools
from hyperlearning.systems.images.settings import ImageSettings
from hyperlearning.systems.innate import Innate, innate_of

_FILE = "innate.safetensors"


@runtime_checkable
class Featured(Protocol):
    """What a run has trained, as far as it makes features of images."""

    @property
    def settings(self) -> ImageSettings:
        """What it was trained from."""
        ...

    def features(self, images: Float[Tensor, "N C S S"]) -> Float[Tensor, "N F"]:
        """What no life changes makes of images from 0 to 1."""
        ...


def innate_statistics(record: RunRecord, run: Featured) -> Innate | None:
    """Reads what is innate of a run, or estimates it from its meta-train classes; none if there is neither file nor data.

    Args:
        record: The run's record.
        run: What it has trained.

    Raises:
        FileError: If the file was altered.
    """
    if (record.path / _FILE).is_file():
        return read_innate(record.path / _FILE)
    try:
        return estimated(run)
    except AbsentDataError:
        return None


def estimated(run: Featured) -> Innate:
    """Estimates it from meta-train classes.

    Raises:
        AbsentDataError: If the run's data set is not there.
    """
    return innate_of(run.features, load_pools(run.settings.data).meta_train, seed=run.settings.seed)


def write_innate(folder: Path, innate: Innate) -> None:
    """Writes it beside a model."""
    prior = {f"prior/{name}": tensor for name, tensor in innate.prior._asdict().items()}
    save_tensors(folder / _FILE, {"covariance": innate.covariance, **prior}, {"square": innate.square})


def read_innate(path: Path) -> Innate:
    """Reads what `write_innate` wrote.

    Raises:
        FileError: If the file is missing, truncated or altered.
    """
    saved = load_tensors(path)
    prior = NormalGamma(*(saved.tensors[f"prior/{name}"] for name in NormalGamma._fields))
    return Innate(saved.tensors["covariance"], prior, saved.facts["square"])
