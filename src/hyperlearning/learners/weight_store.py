"""A store of whole networks: any module goes in under a name, comes back when it is asked for, and takes few bytes meanwhile."""

import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from hyperlearning.core.errors import BudgetError, FileError
from hyperlearning.core.params import Params
from hyperlearning.core.tensor_files import load_tensors, save_tensors
from hyperlearning.core.weight_vectors import Header, Weights, join, num_bytes, split, weights_of, with_weights
from hyperlearning.learners.weight_codecs.codec import WeightCodec


class _Entry(NamedTuple):
    """What is kept of a network beside its vector."""

    header: Header
    first: int
    num_pieces: int
    exact: Params

    @property
    def places(self) -> slice:
        """Where its pieces are among all."""
        return slice(self.first, self.first + self.num_pieces)


class WeightStore:
    """Keeps networks in a codec, several at a time in a buffer until the codec takes them in.

    Networks of different architectures share a codec: their vectors are cut into pieces of the codec's size.

    Args:
        codec: What keeps the vectors.
        buffer: Networks that are kept as they are until there are so many; then the codec learns them together.
        most_bytes: The most bytes that the store may take, as `bytes` counts them; any number if absent.

    Raises:
        ValueError: If `buffer` or `most_bytes` is not positive, or the codec has learned vectors already.

    Example:
        >>> store = WeightStore(QuantisedResiduals(6, 8))
        >>> for name in ("left", "right"):
        ...     store.put(name, nn.Linear(2, 2))
        >>> copied = store.get("left")
        >>> store.names
        ('left', 'right')

    Source: dissertation, figure 2.1.
    """

    def __init__(self, codec: WeightCodec, *, buffer: int = 1, most_bytes: int | None = None) -> None:
        if buffer < 1:
            raise ValueError(f"Expected `buffer` to be positive, but got {buffer}.")
        if most_bytes is not None and most_bytes < 1:
            raise ValueError(f"Expected `most_bytes` to be positive, but got {most_bytes}.")
        if codec.num_kept:
            raise ValueError(
                f"Expected a codec that has learned nothing yet, but got one with {codec.num_kept} vectors."
            )
        self._codec, self._buffer, self._most_bytes = codec, buffer, most_bytes
        self._entries: dict[str, _Entry] = {}
        self._waiting_MS = torch.zeros(0, codec.size)
        self._num_waiting = 0
        self._alike: dict[str, nn.Module] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all networks, in the order in which they came."""
        return tuple(self._entries)

    def put(self, name: str, module: nn.Module) -> None:
        """Keeps a network's parameters and buffers. The module is not changed and may be changed afterwards.

        Raises:
            ValueError: If the name is taken, there are no weights, or one is a NaN or an infinity.
            BudgetError: If the store would take more bytes than it may. Whatever is raised, nothing has changed then.
        """
        if name in self._entries:
            raise ValueError(f"Expected a new name, but there is a network {name!r} already.")
        weights = weights_of(module)
        pieces_PS = split(weights.vector, self._codec.size)
        first = self._codec.num_kept + len(self._waiting_MS)
        with self._all_or_nothing():
            self._entries[name] = _Entry(weights.header, first, len(pieces_PS), weights.exact)
            self._alike[name] = _without_weights(module)
            self._waiting_MS = torch.cat([self._waiting_MS, pieces_PS])
            self._num_waiting += 1
            if self._num_waiting >= self._buffer:
                self._learn_waiting()

    def consolidate(self) -> None:
        """Lets the codec learn what waits in the buffer, whether it is full or not.

        Raises:
            BudgetError: If the store would take more bytes than it may; nothing has changed then.
        """
        if self._num_waiting:
            with self._all_or_nothing():
                self._learn_waiting()

    def _learn_waiting(self) -> None:
        self._codec.learn(self._waiting_MS)
        self._waiting_MS, self._num_waiting = torch.zeros(0, self._codec.size), 0

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Takes back what changes where it fails, is stopped, or leaves more bytes than may be."""
        # A codec that fails or is stopped has changed nothing; only a budget is known to be exceeded after it has learned.
        learned = {} if self._most_bytes is None else {key: own.clone() for key, own in self._codec.tensors().items()}
        entries, alike = dict(self._entries), dict(self._alike)
        waiting_MS, num_waiting = self._waiting_MS, self._num_waiting
        try:
            yield
            if self._most_bytes is not None:
                self._check_budget(self.bytes())
        except BaseException:
            if self._most_bytes is not None:
                self._codec.restore(learned)
            self._entries, self._alike = entries, alike
            self._waiting_MS, self._num_waiting = waiting_MS, num_waiting
            raise

    def get(self, name: str, like: nn.Module | None = None) -> nn.Module:
        """Recollects a network.

        Args:
            name: Its name.
            like: A network of its architecture, whose own weights do not matter. Not needed of a network that was put in by
                this process: a file holds no code.

        Raises:
            KeyError: If there is no network of this name.
            ValueError: If `like` is needed and absent, or does not fit; the message names the first tensor that differs.
        """
        if name not in self._entries:
            raise KeyError(f"Expected one of {', '.join(self._entries) or 'no network at all'}, but got {name!r}.")
        entry, module = self._entries[name], like if like is not None else self._alike.get(name)
        if module is None:
            raise ValueError(f"Expected `like`, a network of the architecture of {name!r}: it was read from a file.")
        pieces_PS = self._codec.recollect(entry.places)
        if not len(pieces_PS):
            first = entry.first - self._codec.num_kept
            pieces_PS = self._waiting_MS[first : first + entry.num_pieces]
        return with_weights(module, Weights(entry.header, join(pieces_PS, entry.header.size), entry.exact))

    def bytes(self) -> int:
        """Counts the bytes of everything that recollecting needs: the codec, what waits in the buffer, names and shapes."""
        return _bytes_of(self._tensors(), self._facts())

    def _check_budget(self, needed: int) -> None:
        if self._most_bytes is not None and needed > self._most_bytes:
            raise BudgetError(f"Expected a store of {self._most_bytes:,} bytes at most, but it would take {needed:,}.")

    def save(self, path: str | Path) -> None:
        """Writes the store to one safetensors file; what was there stays until the new file is complete."""
        save_tensors(Path(path), self._tensors(), self._facts())

    def load(self, path: str | Path) -> None:
        """Reads what a store with a codec of the same settings saved, in place of what is here.

        Raises:
            FileError: If the file is missing, truncated, altered, or of another codec; nothing has changed then.
            BudgetError: If it takes more bytes than this store may; likewise.
        """
        saved = load_tensors(Path(path))
        if saved.facts.get("codec") != self._described():
            raise FileError(f"Expected a store of {self._described()} in {path}, but got {saved.facts.get('codec')}.")
        self._check_budget(_bytes_of(saved.tensors, saved.facts))
        parts: dict[str, Params] = {"codec": {}, "exact": {}}
        for key, tensor in saved.tensors.items():
            part, _, rest = key.partition("/")
            if part in parts:
                parts[part][rest] = tensor
        self._codec.restore(parts["codec"])
        self._waiting_MS, self._num_waiting = saved.tensors["waiting"], saved.facts["num_waiting"]
        self._entries, self._alike = {}, {}
        for number, (name, header, first, num_pieces) in enumerate(saved.facts["networks"]):
            own = f"{number}/"
            exact = {key.removeprefix(own): value for key, value in parts["exact"].items() if key.startswith(own)}
            self._entries[name] = _Entry(Header.of_facts(header), first, num_pieces, exact)

    def _tensors(self) -> Params:
        tensors: dict[str, Tensor] = {f"codec/{name}": tensor for name, tensor in self._codec.tensors().items()}
        for number, entry in enumerate(self._entries.values()):
            tensors |= {f"exact/{number}/{name}": tensor for name, tensor in entry.exact.items()}
        return tensors | {"waiting": self._waiting_MS}

    def _facts(self) -> Mapping[str, Any]:
        networks = [
            [name, entry.header.facts(), entry.first, entry.num_pieces] for name, entry in self._entries.items()
        ]
        return {"codec": self._described(), "networks": networks, "num_waiting": self._num_waiting}

    def _described(self) -> dict[str, Any]:
        settings = json.loads(json.dumps(dict(self._codec.settings)))
        return {"kind": type(self._codec).__name__, "size": self._codec.size, "settings": settings}


def _bytes_of(tensors: Params, facts: Mapping[str, Any]) -> int:
    return num_bytes(tensors) + len(json.dumps(facts).encode())


def _without_weights(module: nn.Module) -> nn.Module:
    """A copy whose parameters and buffers have shapes and no numbers; buffers that are no part of its state stay."""
    own = copy.deepcopy(module)
    own.load_state_dict({name: tensor.to("meta") for name, tensor in own.state_dict().items()}, assign=True)
    return own
