"""A store of networks: any modules, several architectures in one codec, honest bytes, files that are whole or refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from hyperlearning.core.errors import FileError
from hyperlearning.learners.weight_codecs.principal import PrincipalComponents
from hyperlearning.learners.weight_codecs.residuals import QuantisedResiduals, uniform
from hyperlearning.learners.weight_codecs.shared import Separate
from hyperlearning.learners.weight_store import WeightStore


def dense(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))


def normed(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    own = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5))
    own(torch.randn(6, 4))
    return own


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())


def test_networks_of_several_architectures_share_a_codec_and_come_back_to_the_bit():
    store = WeightStore(Separate(10), buffer=2)
    own = {"a": dense(0), "b": normed(1), "c": dense(2)}
    for name, network in own.items():
        store.put(name, network)
    assert store.names == ("a", "b", "c")
    assert all(same(network, store.get(name)) for name, network in own.items())
    store.consolidate()
    assert all(same(network, store.get(name)) for name, network in own.items())


def test_a_network_that_is_got_is_a_copy():
    store = WeightStore(Separate(23))
    store.put("a", dense(0))
    for parameter in store.get("a").parameters():
        parameter.data.zero_()
    assert same(store.get("a"), dense(0))


def test_a_store_that_was_saved_goes_on_and_needs_an_architecture_of_what_it_read(tmp_path: Path):
    store, path = WeightStore(QuantisedResiduals(9, uniform(8, clip=4.0)), buffer=2), tmp_path / "store.safetensors"
    for name, network in (("a", dense(0)), ("b", normed(1)), ("c", dense(2))):
        store.put(name, network)
    store.save(path)
    other = WeightStore(QuantisedResiduals(9, uniform(8, clip=4.0)), buffer=2)
    other.load(path)
    assert other.names == store.names
    assert other.bytes() == store.bytes()
    assert all(
        same(store.get(name), other.get(name, like))
        for name, like in (("a", dense(7)), ("b", normed(7)), ("c", dense(7)))
    )
    with pytest.raises(ValueError, match="Expected `like`, a network of the architecture of 'a'"):
        other.get("a")
    for one in (store, other):
        one.put("d", dense(3))
    assert same(store.get("d"), other.get("d"))


def test_bytes_are_about_those_of_the_file(tmp_path: Path):
    store, path = WeightStore(PrincipalComponents(23, num_components=2)), tmp_path / "store.safetensors"
    for number in range(6):
        store.put(str(number), dense(number))
    store.save(path)
    assert 0 <= path.stat().st_size - store.bytes() < 1200


def test_a_file_of_another_codec_is_refused_and_nothing_is_lost(tmp_path: Path):
    store, path = WeightStore(QuantisedResiduals(23, uniform(8, clip=4.0))), tmp_path / "store.safetensors"
    store.put("a", dense(0))
    store.save(path)
    other = WeightStore(QuantisedResiduals(23, uniform(4, clip=4.0)))
    other.put("b", dense(1))
    with pytest.raises(FileError, match=r"4 bits, clipped at 4.*8 bits, clipped at 4"):
        other.load(path)
    assert other.names == ("b",)


@pytest.mark.parametrize("change", [lambda data: data[:-7], lambda data: data[:-1] + bytes([data[-1] ^ 1])])
def test_a_truncated_or_altered_file_is_refused(tmp_path: Path, change: Callable[[bytes], bytes]):
    store, path = WeightStore(Separate(23)), tmp_path / "store.safetensors"
    store.put("a", dense(0))
    store.save(path)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(FileError):
        WeightStore(Separate(23)).load(path)


def test_what_does_not_suit_is_refused_and_nothing_changes():
    store = WeightStore(Separate(23))
    store.put("a", dense(0))
    with pytest.raises(ValueError, match="a network 'a' already"):
        store.put("a", dense(1))
    broken = dense(1)
    next(broken.parameters()).data[0, 0] = float("inf")
    with pytest.raises(ValueError, match=r"infinity in '0\.weight'"):
        store.put("b", broken)
    with pytest.raises(KeyError, match="Expected one of a, but got 'b'"):
        store.get("b")
    with pytest.raises(ValueError, match=r"Expected a network with '0.weight' of shape \(3, 4\)"):
        store.get("a", normed(0))
    with pytest.raises(ValueError, match="`buffer` to be positive"):
        WeightStore(Separate(23), buffer=0)
    assert store.names == ("a",)
    assert same(store.get("a"), dense(0))
