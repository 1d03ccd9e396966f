"""Differences to a source, kept roughly: quantised to a few bits, or the largest alone. Nothing is trained.

The source is the mean of the first stage's vectors; a later vector never changes what is kept of an earlier one, so that
nothing compounds. Symbols of all vectors are compressed together by a general entropy coder.

Shape suffixes: K vectors kept, M new ones, S numbers of a vector.
"""

import lzma
import sys
import zlib
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from hyperlearning.core.params import Params, on_default_device
from hyperlearning.learners.weight_codecs.codec import EVERY, Vectors, check_vectors

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

EntropyCoder = Literal["none", "huffman", "zlib", "zstd", "lzma"]

_ZSTD_LEVEL = 22
"""The highest."""
_LZMA = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 0, "lp": 0, "pb": 0}]
_COMPRESS: dict[EntropyCoder, Callable[[bytes], bytes]] = {
    "none": bytes,
    "huffman": lambda data: _huffman(data),
    "zlib": lambda data: zlib.compress(data, 9),
    "zstd": lambda data: zstd.compress(data, level=_ZSTD_LEVEL),
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_RAW, filters=_LZMA),
}
_EXPAND: dict[EntropyCoder, Callable[[bytes], bytes]] = {
    "none": bytes,
    "huffman": lambda data: zlib.decompress(data, wbits=-zlib.MAX_WBITS),
    "zlib": zlib.decompress,
    "zstd": zstd.decompress,
    "lzma": lambda data: lzma.decompress(data, format=lzma.FORMAT_RAW, filters=_LZMA),
}


def _huffman(data: bytes) -> bytes:
    """Deflate without repeats and header: near the entropy of symbols that follow no order, from a bit a symbol on."""
    coder = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, 9, zlib.Z_HUFFMAN_ONLY)
    return coder.compress(data) + coder.flush()


_CLIP = 3.5
_FARTHEST = 127


class Quantiser(NamedTuple):
    """Maps differences to a few symbols and back.

    Attributes:
        name: What it is, with its settings.
        num_symbols: Symbols that there are.
        quantise: Maps differences (S,) to symbols (S,), uint8, and a scale.
        value: Maps symbols and a scale to differences.
        same_scale: The scale, where it is the same for all vectors and need not be kept.
    """

    name: str
    num_symbols: int
    quantise: Callable[[Tensor], tuple[Tensor, float]]
    value: Callable[[Tensor, float], Tensor]
    same_scale: float | None = None


def uniform(bits: int, *, clip: float) -> Quantiser:
    """Makes a quantiser of `2 ** bits` values at equal distances, from -`clip` to `clip` standard deviations.

    Raises:
        ValueError: If `bits` is not from 1 to 8.
    """
    if not 1 <= bits <= 8:
        raise ValueError(f"Expected `bits` from 1 to 8, but got {bits}.")
    top = 2**bits - 1

    def quantise(apart_S: Tensor) -> tuple[Tensor, float]:
        reach = max(clip * float(apart_S.std()), torch.finfo(torch.float32).tiny)
        places = (apart_S.clamp(-reach, reach) + reach) / (2 * reach) * top
        return places.round().to(torch.uint8), reach

    return Quantiser(
        f"{bits} bits, clipped at {clip:g}",
        top + 1,
        quantise,
        lambda symbols, reach: symbols.float() / top * 2 * reach - reach,
    )


def symmetric(bits: int) -> Quantiser:
    """Makes a quantiser of `2 ** bits - 1` values at equal distances, 0 among them, from minus the largest size to plus it.

    Raises:
        ValueError: If `bits` is not from 2 to 8.
    """
    if not 2 <= bits <= 8:
        raise ValueError(f"Expected `bits` from 2 to 8, but got {bits}.")
    top = 2 ** (bits - 1) - 1

    def quantise(apart_S: Tensor) -> tuple[Tensor, float]:
        step = max(float(apart_S.abs().max()) / top, torch.finfo(torch.float32).tiny)
        return ((apart_S / step).round() + top).to(torch.uint8), step

    return Quantiser(
        f"{bits} bits, symmetric", 2 * top + 1, quantise, lambda symbols, step: (symbols.float() - top) * step
    )


def ternary(*, threshold: float) -> Quantiser:
    """Makes a quantiser of -1, 0 and 1 times a scale: differences below `threshold` standard deviations are 0.

    The scale is the mean size of what is not 0, which has the least squared error.
    """

    def quantise(apart_S: Tensor) -> tuple[Tensor, float]:
        far = apart_S.abs() > threshold * apart_S.std()
        scale = float(apart_S[far].abs().mean()) if bool(far.any()) else 0.0
        return (apart_S.sign() * far + 1).to(torch.uint8), scale

    return Quantiser(
        f"ternary, threshold {threshold:g}", 3, quantise, lambda symbols, scale: (symbols.float() - 1) * scale
    )


def stepped(step: float) -> Quantiser:
    """Makes a quantiser that rounds to multiples of one step, the same for all vectors, up to 127 of them.

    Raises:
        ValueError: If `step` is not positive.
    """
    if not step > 0:
        raise ValueError(f"Expected `step` to be positive, but got {step}.")

    def quantise(apart_S: Tensor) -> tuple[Tensor, float]:
        return ((apart_S / step).round().clamp(-_FARTHEST, _FARTHEST) + _FARTHEST).to(torch.uint8), step

    return Quantiser(
        f"steps of {step:g}",
        2 * _FARTHEST + 1,
        quantise,
        lambda symbols, scale: (symbols.float() - _FARTHEST) * scale,
        same_scale=step,
    )


def pruned(share: float, *, bits: int) -> Quantiser:
    """Makes a quantiser that keeps the largest `share` of differences, by size, as `symmetric` does; all others are 0.

    Raises:
        ValueError: If `share` is not above 0 and at most 1, or `bits` not from 2 to 8.
    """
    if not 0 < share <= 1:
        raise ValueError(f"Expected `share` above 0 and at most 1, but got {share}.")
    inner = symmetric(bits)

    def quantise(apart_S: Tensor) -> tuple[Tensor, float]:
        num_kept = max(1, round(share * len(apart_S)))
        least = apart_S.abs().kthvalue(len(apart_S) - num_kept + 1).values
        return inner.quantise(torch.where(apart_S.abs() >= least, apart_S, 0.0))

    return Quantiser(f"the largest {share:g}, {inner.name}", inner.num_symbols, quantise, inner.value)


class QuantisedResiduals:
    """Quantised differences to a source.

    Args:
        size: Numbers of a vector.
        quantiser: How differences are written; a number of bits for a uniform one that is clipped at 3.5 standard deviations.
        coder: What compresses the symbols.
        around: What differences are to: the mean of the first stage, or 0, which takes no memory.
    """

    def __init__(
        self,
        size: int,
        quantiser: Quantiser | int = 4,
        *,
        coder: EntropyCoder = "lzma",
        around: Literal["mean", "zero"] = "mean",
    ) -> None:
        self.size = size
        quantiser = uniform(quantiser, clip=_CLIP) if isinstance(quantiser, int) else quantiser
        self._quantiser = quantiser
        self._coder: EntropyCoder = coder
        self._around_zero = around == "zero"
        self.settings = {"quantiser": quantiser.name, "coder": coder, "around": around}
        self._source_S = torch.zeros(0, dtype=torch.float16)
        self._symbols_KS, self._scales_K = torch.zeros(0, size, dtype=torch.uint8), torch.zeros(0)

    @property
    def num_kept(self) -> int:
        """Vectors kept."""
        return len(self._symbols_KS)

    def learn(self, new_MS: Vectors) -> None:
        """Writes further vectors down; the first ones also make the source."""
        check_vectors(new_MS, self.size)
        if not self.num_kept:
            self._source_S = self._source_S[:0] if self._around_zero else new_MS.mean(0).half()
        written = [self._quantiser.quantise(vector - self._source()) for vector in new_MS.float()]
        self._symbols_KS = torch.cat([self._symbols_KS, *(symbols[None] for symbols, _ in written)])
        self._scales_K = torch.cat([self._scales_K, torch.tensor([scale for _, scale in written])])

    def recollect(self, which: slice = EVERY) -> Vectors:
        """Adds differences to the source."""
        values = [
            self._quantiser.value(symbols, float(scale))
            for symbols, scale in zip(self._symbols_KS[which], self._scales_K[which], strict=True)
        ]
        return torch.stack([self._source() + value for value in values]) if values else torch.zeros(0, self.size)

    def _source(self) -> Tensor:
        return torch.zeros(self.size) if self._around_zero else self._source_S.float()

    def num_bytes_by(self, coder: EntropyCoder) -> int:
        """Counts what `tensors` would hold, were symbols compressed by another coder."""
        others = sum(tensor.nbytes for tensor in (self._source_S, *self._scales().values()))
        return others + len(self._compressed(coder))

    def _compressed(self, coder: EntropyCoder) -> bytes:
        return _COMPRESS[coder](_packed(self._symbols_KS, self._quantiser.num_symbols, coder))

    def tensors(self) -> Params:
        """Source, compressed symbols and scales."""
        packed = self._compressed(self._coder)
        symbols = (
            on_default_device(torch.frombuffer(bytearray(packed), dtype=torch.uint8))
            if packed
            else torch.zeros(0, dtype=torch.uint8)
        )
        return {"source": self._source_S, "symbols": symbols, **self._scales()}

    def _scales(self) -> Params:
        """The scale of every vector, or their number alone where it is always the same."""
        if self._quantiser.same_scale is None:
            return {"scales": self._scales_K}
        return {"num_kept": torch.tensor([self.num_kept], dtype=torch.int32)}

    def restore(self, tensors: Params) -> None:
        """Goes on from them."""
        self._source_S, scale = tensors["source"], self._quantiser.same_scale
        self._scales_K = tensors["scales"] if scale is None else torch.full((int(tensors["num_kept"]),), scale)
        data = _EXPAND[self._coder](tensors["symbols"].cpu().numpy().tobytes())
        shape = (len(self._scales_K), self.size)
        self._symbols_KS = _unpacked(data, shape, self._quantiser.num_symbols, self._coder)


def _bits(num_symbols: int) -> int:
    return (num_symbols - 1).bit_length()


def _packed(symbols_KS: Tensor, num_symbols: int, coder: EntropyCoder) -> bytes:
    """Symbols as bytes: as tight as their number allows where nothing compresses them, else a byte each."""
    array = symbols_KS.cpu().numpy().reshape(-1)
    if coder != "none":
        return array.tobytes()
    places = (array[:, None] >> np.arange(_bits(num_symbols), dtype=np.uint8)) & 1
    return np.packbits(places.astype(np.uint8)).tobytes()


def _unpacked(data: bytes, shape: tuple[int, int], num_symbols: int, coder: EntropyCoder) -> Tensor:
    array = np.frombuffer(data, dtype=np.uint8)
    if coder == "none":
        width, count = _bits(num_symbols), shape[0] * shape[1]
        places = np.unpackbits(array)[: count * width].reshape(count, width)
        array = (places << np.arange(width, dtype=np.uint8)).sum(1).astype(np.uint8)
    return on_default_device(torch.from_numpy(array.reshape(shape).copy()))
