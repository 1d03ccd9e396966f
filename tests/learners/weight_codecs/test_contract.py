"""What holds of every codec of weights: vectors come back near and in order, from what was kept alone; bytes are counted."""

import json
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from hyperlearning.core.weight_vectors import num_bytes
from hyperlearning.learners.weight_codecs.codec import WeightCodec
from hyperlearning.learners.weight_codecs.low_rank import LowRankResiduals
from hyperlearning.learners.weight_codecs.principal import PrincipalComponents
from hyperlearning.learners.weight_codecs.product import ProductQuantised
from hyperlearning.learners.weight_codecs.residuals import (
    EntropyCoder,
    QuantisedResiduals,
    Quantiser,
    pruned,
    stepped,
    symmetric,
    ternary,
    uniform,
)
from hyperlearning.learners.weight_codecs.self_net import SelfNet, SelfNetRule
from hyperlearning.learners.weight_codecs.shared import MeanAlone, Separate

SIZE = 24
_SMALL = SelfNetRule(code_size=2, max_iterations=(40,), thresholds=(0.999,))
_OF_TEXT = SelfNetRule(
    hidden=(8,),
    code_size=2,
    activation="tanh",
    loss="cosine",
    contraction="exact",
    standardised=False,
    max_iterations=(60,),
)
_OF_CODE = SelfNetRule(
    code_size=2, contraction="authors", one_by_one=True, again_below_mean=True, every=True, max_iterations=(30,)
)

CODECS: dict[str, tuple[Callable[[], WeightCodec], float]] = {
    "separate": (lambda: Separate(SIZE), 1.0),
    "mean of the first": (lambda: MeanAlone(SIZE), 0.9),
    "mean": (lambda: MeanAlone(SIZE, of="all"), 0.9),
    "principal components": (lambda: PrincipalComponents(SIZE, num_components=3), 0.99),
    "principal components in halves": (lambda: PrincipalComponents(SIZE, num_components=3, dtype=torch.float16), 0.99),
    "8 bits": (lambda: QuantisedResiduals(SIZE, uniform(8, clip=4.0)), 0.9999),
    "3 bits, not compressed": (lambda: QuantisedResiduals(SIZE, uniform(3, clip=3.0), coder="none"), 0.99),
    "1 bit, zlib": (lambda: QuantisedResiduals(SIZE, uniform(1, clip=1.0), coder="zlib"), 0.9),
    "2 bits, zstd": (lambda: QuantisedResiduals(SIZE, uniform(2, clip=1.5), coder="zstd"), 0.95),
    "ternary": (lambda: QuantisedResiduals(SIZE, ternary(threshold=0.7)), 0.97),
    "the largest half": (lambda: QuantisedResiduals(SIZE, pruned(0.5, bits=6)), 0.97),
    "low rank": (lambda: LowRankResiduals([(4, 5), (4,)], rank=2), 0.99),
    "product quantised": (lambda: ProductQuantised(SIZE, piece=5), 0.99),
    "codes of 4 bits around 0": (lambda: QuantisedResiduals(SIZE, symmetric(4), coder="none", around="zero"), 0.99),
    "Self-Net": (lambda: SelfNet(SIZE, _SMALL), 0.9),
    "Self-Net, as the text has it": (lambda: SelfNet(SIZE, _OF_TEXT), 0.9),
    "Self-Net, as the authors' code has it": (lambda: SelfNet(SIZE, _OF_CODE), 0.9),
}
"""Every codec, and the cosine that it reaches on vectors which have much in common."""

each = pytest.mark.parametrize("name", CODECS)


def vectors(num: int, seed: int = 0) -> Tensor:
    """Vectors around a common one, which differ in two directions and a little in all."""
    source = torch.Generator().manual_seed(seed)
    common, directions = torch.randn(SIZE, generator=source), torch.randn(2, SIZE, generator=source)
    codes = 0.3 * torch.randn(num, 2, generator=source)
    return common + codes @ directions + 0.02 * torch.randn(num, SIZE, generator=source)


@each
def test_vectors_come_back_near_and_in_their_order(name: str):
    make, least = CODECS[name]
    codec, all_KS = make(), vectors(9)
    for new_MS in all_KS.split(3):
        codec.learn(new_MS)
    back_KS = codec.recollect()
    assert back_KS.shape == all_KS.shape
    assert codec.num_kept == 9
    assert float(torch.cosine_similarity(back_KS, all_KS).mean()) >= least - 1e-6


def test_a_book_waits_for_vectors_that_differ_from_the_source():
    all_KS = vectors(9)
    codec = ProductQuantised(SIZE, piece=1)
    for new_MS in all_KS.split([1, 4, 4]):
        codec.learn(new_MS)
    assert torch.equal(codec.recollect()[0], all_KS[0].half().float())
    assert float((codec.recollect() - all_KS).abs().max()) < 0.2


def test_a_mean_is_of_the_first_vectors_or_of_all():
    all_KS = vectors(9)
    first, every = MeanAlone(SIZE), MeanAlone(SIZE, of="all")
    for codec in (first, every):
        for new_MS in all_KS.split([3, 1, 5]):
            codec.learn(new_MS)
    assert torch.equal(first.recollect()[4], all_KS[:3].mean(0).half().float())
    torch.testing.assert_close(every.recollect()[4], all_KS.mean(0))


@pytest.mark.parametrize("quantiser", [uniform(3, clip=3.0), stepped(0.5)])
def test_bytes_by_another_coder_are_those_of_a_codec_with_it(quantiser: Quantiser):
    coders: tuple[EntropyCoder, ...] = get_args(EntropyCoder)
    codecs = [QuantisedResiduals(SIZE, quantiser, coder=coder) for coder in coders]
    for codec in codecs:
        codec.learn(vectors(200))
    found = [codec.num_bytes_by(coder) for codec, coder in zip(codecs[::-1], coders, strict=True)]
    assert found == [num_bytes(codec.tensors()) for codec in codecs]


@each
def test_what_is_kept_is_enough_to_go_on_to_the_same_bits(name: str):
    make, _ = CODECS[name]
    codec, all_KS = make(), vectors(9)
    codec.learn(all_KS[:3])
    codec.learn(all_KS[3:6])
    other = make()
    other.restore({key: tensor.clone() for key, tensor in codec.tensors().items()})
    assert torch.equal(other.recollect(), codec.recollect())
    assert other.num_kept == codec.num_kept
    for own in (codec, other):
        own.learn(all_KS[6:])
    assert torch.equal(other.recollect(), codec.recollect())


@each
def test_nothing_of_what_it_was_given_is_changed_or_kept_by_reference(name: str):
    make, _ = CODECS[name]
    codec, new_MS = make(), vectors(4)
    before = new_MS.clone()
    codec.learn(new_MS)
    assert torch.equal(new_MS, before)
    kept = codec.recollect()
    new_MS.zero_()
    codec.recollect().zero_()
    assert torch.equal(codec.recollect(), kept)


@each
def test_before_the_first_vector_there_is_none(name: str):
    codec = CODECS[name][0]()
    assert codec.num_kept == 0
    assert codec.recollect().shape == (0, SIZE)


@each
@pytest.mark.parametrize("places", [(0, 1), (2, 5), (5, 9), (4, 4), (9, 12)])
def test_vectors_of_some_places_alone_are_those_of_all(name: str, places: tuple[int, int]):
    codec, which = CODECS[name][0](), slice(*places)
    codec.learn(vectors(9))
    some_KS = codec.recollect(which)
    assert some_KS.shape == (len(range(9)[which]), SIZE)
    torch.testing.assert_close(some_KS, codec.recollect()[which])


@each
def test_a_codec_goes_back_to_what_it_was_also_to_nothing(name: str):
    make, _ = CODECS[name]
    codec, all_KS = make(), vectors(6)
    before = {key: tensor.clone() for key, tensor in codec.tensors().items()}
    codec.learn(all_KS[:3])
    codec.restore(before)
    assert codec.num_kept == 0
    codec.learn(all_KS)
    other = make()
    other.learn(all_KS)
    assert torch.equal(codec.recollect(), other.recollect())


@each
@pytest.mark.parametrize("wrong", [torch.zeros(0, SIZE), torch.zeros(2, SIZE + 1)])
def test_no_vector_and_vectors_of_another_size_are_refused(name: str, wrong: Tensor):
    with pytest.raises(ValueError, match=f"vectors? or more of {SIZE} numbers"):
        CODECS[name][0]().learn(wrong)


@each
def test_settings_are_json_and_tell_codecs_of_one_kind_apart(name: str):
    codec = CODECS[name][0]()
    assert json.loads(json.dumps(dict(codec.settings))) is not None


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
def test_symbols_that_are_not_compressed_take_their_bits_and_no_more(bits: int):
    codec = QuantisedResiduals(SIZE, uniform(bits, clip=3.0), coder="none")
    codec.learn(vectors(10))
    symbols = -(-10 * SIZE * bits // 8)
    assert num_bytes(codec.tensors()) == symbols + 2 * SIZE + 4 * 10


def test_an_entropy_coder_changes_bytes_and_nothing_else():
    made = [QuantisedResiduals(SIZE, ternary(threshold=2.0), coder=coder) for coder in ("none", "zlib", "zstd", "lzma")]
    for codec in made:
        codec.learn(vectors(200))
    assert all(torch.equal(codec.recollect(), made[0].recollect()) for codec in made)
    assert all(num_bytes(codec.tensors()) < num_bytes(made[0].tensors()) for codec in made[2:])


def test_uniform_values_are_within_half_a_step():
    quantiser, apart = uniform(4, clip=10.0), torch.randn(1000)
    symbols, reach = quantiser.quantise(apart)
    assert float((quantiser.value(symbols, reach) - apart).abs().max()) <= reach / 15 + 1e-6


def test_the_ternary_scale_is_the_one_of_least_squared_error():
    quantiser, apart = ternary(threshold=0.5), torch.randn(500, dtype=torch.float64)
    symbols, scale = quantiser.quantise(apart)

    def error(value: float) -> float:
        return float((quantiser.value(symbols, value) - apart).square().sum())

    assert all(error(scale) <= error(scale * factor) for factor in (0.99, 1.01))


def test_of_pruned_differences_as_many_are_kept_as_asked_for_the_largest():
    quantiser, apart = pruned(0.25, bits=8), torch.randn(400)
    symbols, scale = quantiser.quantise(apart)
    values = quantiser.value(symbols, scale)
    kept = values != 0
    assert int(kept.sum()) == 100
    assert float(apart.abs()[kept].min()) > float(apart.abs()[~kept].max())
    torch.testing.assert_close(values[kept], apart[kept], rtol=0, atol=scale)


def test_low_rank_is_the_best_of_its_rank_by_an_independent_decomposition_and_whole_where_factors_are_no_smaller():
    codec, matrices = LowRankResiduals([(12, 10), (7,)], rank=3), torch.randn(4, 127)
    codec.learn(matrices)
    source = matrices.mean(0).half().float()
    for vector, back in zip(matrices, codec.recollect(), strict=True):
        left, values, right = np.linalg.svd((vector - source)[:120].reshape(12, 10).double().numpy())
        wanted = (left[:, :3] * values[:3]) @ right[:3]
        np.testing.assert_allclose((back - source)[:120].reshape(12, 10), wanted, atol=0.02)
        torch.testing.assert_close(back[120:], vector[120:], rtol=0, atol=0.005)
    assert num_bytes(codec.tensors()) == 2 * 127 + 4 * 2 * (3 * 22 + 7)


def test_a_book_is_made_of_the_first_stage_and_every_piece_has_its_nearest_centre():
    codec, all_KS = ProductQuantised(SIZE, piece=4), vectors(60)
    codec.learn(all_KS[:50])
    book = codec.tensors()["book"].float()
    codec.learn(all_KS[50:])
    kept = codec.tensors()
    assert torch.equal(kept["book"].float(), book)
    pieces = (all_KS - kept["source"].float()).reshape(-1, 4)
    nearest = (pieces[:, None] - book).square().sum(-1).min(1).values
    chosen = (pieces - book[kept["places"].long().flatten()]).square().sum(-1)
    torch.testing.assert_close(chosen, nearest, rtol=1e-3, atol=1e-6)


def test_principal_components_of_as_many_numbers_as_vectors_differ_in_are_exact():
    codec, all_KS = PrincipalComponents(SIZE, num_components=5), vectors(6).double()
    codec.learn(all_KS)
    torch.testing.assert_close(codec.recollect(), all_KS.float(), rtol=1e-4, atol=1e-5)


def test_self_net_gives_every_vector_its_length_back():
    codec, all_KS = (
        SelfNet(SIZE, SelfNetRule(code_size=2, loss="cosine", max_iterations=(20,), standardised=False)),
        vectors(4),
    )
    codec.learn(all_KS)
    torch.testing.assert_close(codec.recollect().norm(dim=1), all_KS.norm(dim=1), rtol=1e-4, atol=0)


def test_a_stage_of_self_net_ends_at_its_threshold_or_after_its_most_iterations():
    rule = SelfNetRule(code_size=2, thresholds=(2.0, 0.5), max_iterations=(7, 50), least_iterations=3)
    codec = SelfNet(SIZE, rule)
    codec.learn(vectors(3))
    codec.learn(vectors(3, seed=1))
    assert [stage.iterations for stage in codec.stages] == [7, 3]
    assert [stage.reached for stage in codec.stages] == [False, True]


def test_self_net_can_be_watched_and_recollects_what_it_would_if_training_ended_there():
    seen: list[Tensor] = []
    rule = SelfNetRule(code_size=2, max_iterations=(6,), thresholds=(2.0,))
    codec = SelfNet(SIZE, rule, watch=lambda iteration: seen.append(codec.recollect()) if iteration in (2, 6) else None)
    codec.learn(vectors(4))
    shorter = SelfNet(SIZE, SelfNetRule(code_size=2, max_iterations=(2,), thresholds=(2.0,)))
    shorter.learn(vectors(4))
    assert torch.equal(seen[0], shorter.recollect())
    assert torch.equal(seen[1], codec.recollect())


def test_self_net_that_is_stopped_in_the_course_of_a_stage_is_what_it_was():
    class Stopped(Exception):
        pass

    def stop(iteration: int):
        if iteration == 3 and codec.num_kept == 6:
            raise Stopped

    codec, other = SelfNet(SIZE, _SMALL, watch=stop), SelfNet(SIZE, _SMALL)
    for own in (codec, other):
        own.learn(vectors(3))
    with pytest.raises(Stopped):
        codec.learn(vectors(3, seed=1))
    assert (codec.num_kept, codec.stages) == (3, other.stages)
    assert torch.equal(codec.recollect(), other.recollect())
