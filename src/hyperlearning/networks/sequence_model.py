"""A causal transformer that reads a stream of examples and answers queries: its weights are innate, what it has read is plastic.

An example is one token, an encoding of its input plus one of its target; a query's token has the input's alone. Every layer keeps
keys and values of the tokens read, or, where attention is linear, the sum of their outer products, whose size does not grow. A
first token of learned numbers is read at birth, so that there is always something to attend to. Tokens know nothing of their
place; only causality orders them.

Source: Lee, Son and Kim, "Recasting Continual Learning as Sequence Modeling" (2023), section 3. Theirs has two tokens an example,
x and y, positions and no normalization; here an example is one token. Linear attention: Katharopoulos et al., "Transformers are
RNNs" (2020), equations 16 to 20.

Shape suffixes: L lives, N examples, Q queries, H heads, K features of a head, D features of a token.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn.functional import elu, scaled_dot_product_attention

from hyperlearning.networks.backbones import mlp

AttentionName = Literal["softmax", "linear"]
Memory = tuple[tuple[Tensor, Tensor], ...]
"""What every layer keeps: keys and values (L, H, N, K), or the sums of keys (L, H, K) and of `k v'` (L, H, K, K)."""


class SequenceModel(nn.Module):
    """A causal transformer over a stream of examples.

    Args:
        encoder: Maps inputs (..., *inputs) to tokens (..., D).
        target_encoder: Likewise for targets.
        width: Features of a token, D; a multiple of `num_heads`.
        num_layers: Layers.
        num_heads: Heads of each.
        num_outputs: Numbers that answer a query.
        attention: "softmax", whose memory grows with the stream, or "linear", whose memory does not.
        alike: Whether keys begin as queries do, so that tokens at first attend to those that are like them: what a label is read
            from then need not be found first.
        generator: Source of initial numbers; the global one if absent.

    Raises:
        ValueError: If heads do not divide the width.
    """

    def __init__(
        self,
        encoder: nn.Module,
        target_encoder: nn.Module,
        *,
        width: int,
        num_layers: int,
        num_heads: int,
        num_outputs: int,
        attention: AttentionName = "softmax",
        alike: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if width % num_heads:
            raise ValueError(f"Expected `width` to be a multiple of `num_heads` ({num_heads}), but got {width}.")
        self.encoder, self.target_encoder = encoder, target_encoder
        self.attention, self.num_outputs = attention, num_outputs
        self.start = nn.Parameter(torch.randn(width, generator=generator))
        self.layers = nn.ModuleList(_Layer(width, num_heads, attention, generator) for _ in range(num_layers))
        if alike:
            for layer in self._layers:
                layer.begin_alike()
        self.normalize = nn.LayerNorm(width)
        self.readout = mlp((width, num_outputs), generator=generator)

    def forward(
        self,
        inputs: Float[Tensor, "lives examples *inputs"],
        targets: Shaped[Tensor, "lives examples *targets"],
        queries: Float[Tensor, "lives queries *inputs"],
    ) -> Float[Tensor, "lives queries outputs"]:
        """Reads whole streams and answers queries after their last examples."""
        start = self.start.expand(len(inputs), 1, -1)
        tokens = torch.cat([start, self.encoder(inputs) + self.target_encoder(targets)], dim=1)
        return self.answer(queries, self._read(tokens, None))

    def begin(self, num_lives: int) -> Memory:
        """Makes what lives have read at birth: the first token."""
        return self._read(self.start.expand(num_lives, 1, -1), None)

    def read(
        self,
        inputs: Float[Tensor, "lives examples *inputs"],
        targets: Shaped[Tensor, "lives examples *targets"],
        memory: Memory,
    ) -> Memory:
        """Reads examples, each of which attends to those before it and to itself; returns what is kept after them.

        Args:
            inputs: (L, N, ...).
            targets: (L, N, ...).
            memory: What was kept before; it is not changed.
        """
        return self._read(self.encoder(inputs) + self.target_encoder(targets), memory)

    def answer(
        self, queries: Float[Tensor, "lives queries *inputs"], memory: Memory
    ) -> Float[Tensor, "lives queries outputs"]:
        """Answers queries, which attend to what was read and not to one another; nothing is kept."""
        tokens = self.encoder(queries)
        for layer, kept in zip(self._layers, memory, strict=True):
            tokens = layer.answer(tokens, kept)
        return self.readout(self.normalize(tokens))

    def _read(self, tokens: Tensor, memory: Memory | None) -> Memory:
        kept = []
        for number, layer in enumerate(self._layers):
            tokens, after = layer.read(tokens, memory[number] if memory else None)
            kept.append(after)
        return tuple(kept)

    @property
    def _layers(self) -> Sequence["_Layer"]:
        return [layer for layer in self.layers if isinstance(layer, _Layer)]


class _Layer(nn.Module):
    """Attention, then two dense layers, each on normalized tokens and added to them."""

    def __init__(self, width: int, num_heads: int, attention: AttentionName, source: torch.Generator | None) -> None:
        super().__init__()
        self._num_heads, self._is_linear = num_heads, attention == "linear"
        self.before_attention, self.before_dense = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix = mlp((width, 3 * width), generator=source)
        self.join = mlp((width, width), generator=source)
        self.dense = nn.Sequential(
            mlp((width, 4 * width), generator=source), nn.GELU(), mlp((4 * width, width), generator=source)
        )

    @torch.no_grad()
    def begin_alike(self) -> None:
        for parameter in self.mix.parameters():
            queries, keys, _ = parameter.chunk(3)
            keys.copy_(queries)

    def read(self, tokens: Tensor, before: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        queries, keys, values = self._heads(tokens)
        attend = _read_linear if self._is_linear else _read_softmax
        attended, after = attend(queries, keys, values, before)
        return self._add(tokens, attended), after

    def answer(self, tokens: Tensor, kept: tuple[Tensor, Tensor]) -> Tensor:
        queries, _, _ = self._heads(tokens)
        if self._is_linear:
            return self._add(tokens, _look_up(queries, *kept))
        return self._add(tokens, scaled_dot_product_attention(queries, *kept))

    def _heads(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        parts = self.mix(self.before_attention(tokens)).unflatten(-1, (3, self._num_heads, -1))
        queries_LHNK, keys_LHNK, values_LHNK = (part.transpose(1, 2) for part in parts.unbind(2))
        if self._is_linear:
            return elu(queries_LHNK) + 1, elu(keys_LHNK) + 1, values_LHNK
        return queries_LHNK, keys_LHNK, values_LHNK

    def _add(self, tokens: Tensor, attended_LHNK: Tensor) -> Tensor:
        tokens = tokens + self.join(attended_LHNK.transpose(1, 2).flatten(2))
        return tokens + self.dense(self.before_dense(tokens))


def _read_softmax(
    queries_LHNK: Tensor, keys_LHNK: Tensor, values_LHNK: Tensor, before: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Attends to what was kept and, causally, to the new tokens; keeps their keys and values."""
    if before is None:
        attended = scaled_dot_product_attention(queries_LHNK, keys_LHNK, values_LHNK, is_causal=True)
        return attended, (keys_LHNK, values_LHNK)
    num_new, num_before = keys_LHNK.shape[2], before[0].shape[2]
    kept = torch.cat([before[0], keys_LHNK], dim=2), torch.cat([before[1], values_LHNK], dim=2)
    if num_new == 1:
        return scaled_dot_product_attention(queries_LHNK, *kept), kept
    seen = torch.ones(num_new, num_before + num_new, dtype=torch.bool, device=keys_LHNK.device).tril(num_before)
    return scaled_dot_product_attention(queries_LHNK, *kept, attn_mask=seen), kept


def _read_linear(
    queries_LHNK: Tensor, keys_LHNK: Tensor, values_LHNK: Tensor, before: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Likewise; what is kept are sums over tokens, `sum k` and `sum k v'`."""
    keys_LHK, outer_LHKK = keys_LHNK.sum(2), keys_LHNK.mT @ values_LHNK
    weights_LHNN = (queries_LHNK @ keys_LHNK.mT).tril()
    wanted, total = weights_LHNN @ values_LHNK, weights_LHNN.sum(-1)
    if before is not None:
        total = total + (queries_LHNK @ before[0][..., None])[..., 0]
        wanted = wanted + queries_LHNK @ before[1]
        keys_LHK, outer_LHKK = before[0] + keys_LHK, before[1] + outer_LHKK
    return wanted / total[..., None], (keys_LHK, outer_LHKK)


def _look_up(queries_LHNK: Tensor, keys_LHK: Tensor, outer_LHKK: Tensor) -> Tensor:
    """Linear attention to all that sums hold."""
    return (queries_LHNK @ outer_LHKK) / (queries_LHNK @ keys_LHK[..., None])
