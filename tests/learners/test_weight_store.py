"""A store of networks: any modules, several architectures in one codec, honest bytes, files that are whole or refused."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from hyperlearning.core.errors import BudgetError, FileError
from hyperlearning.core.tensor_files import save_tensors
from hyperlearning.learners.weight_codecs.codec import WeightCodec
from hyperlearning.learners.weight_codecs.principal import PrincipalComponents
from hyperlearning.learners.weight_codecs.residuals import QuantisedResiduals, uniform
from hyperlearning.learners.weight_codecs.self_net import SelfNet, SelfNetRule
from hyperlearning.learners.weight_codecs.shared import Separate
from hyperlearning.learners.weight_store import WeightStore

_RULE = SelfNetRule(code_size=2, max_iterations=(3,))


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
        store.load(path)
    assert same(store.get("a"), dense(0))


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_text("no tensors"),
        lambda path: path.mkdir(),
        lambda path: save_file({"weight": torch.zeros(3)}, path),
        lambda path: save_tensors(path, {"innate/weight": torch.zeros(3)}, {"settings": {}}),
    ],
    ids=["text", "folder", "tensors of others", "another file of ours"],
)
def test_a_file_that_is_no_store_is_refused_and_nothing_is_lost(tmp_path: Path, write: Callable[[Path], object]):
    store, path = WeightStore(Separate(23)), tmp_path / "store.safetensors"
    store.put("a", dense(0))
    write(path)
    with pytest.raises(FileError):
        store.load(path)
    assert same(store.get("a"), dense(0))


_SAVE = """
import os, sys, time
from pathlib import Path
from tests.learners.test_weight_store import dense
from hyperlearning.learners.weight_codecs.shared import Separate
from hyperlearning.learners.weight_store import WeightStore

def rest(*_):
    print("here", flush=True)
    time.sleep(60)

def replace(self, target, own=Path.replace):
    own(self, target)
    rest()

if sys.argv[2] == "written":
    os.fsync = rest
else:
    Path.replace = replace
store = WeightStore(Separate(23))
store.load(sys.argv[1])
store.put("b", dense(1))
store.save(sys.argv[1])
"""


@pytest.mark.parametrize(("moment", "names"), [("written", ("a",)), ("renamed", ("a", "b"))])
def test_killed_while_it_is_saved_a_store_is_as_before_or_whole(tmp_path: Path, moment: str, names: tuple[str, ...]):
    store, path = WeightStore(Separate(23)), tmp_path / "store.safetensors"
    store.put("a", dense(0))
    store.save(path)
    command = [sys.executable, "-c", _SAVE, str(path), moment]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    other = WeightStore(Separate(23))
    other.load(path)
    assert other.names == names
    assert same(other.get("a", dense(7)), dense(0))


@pytest.mark.parametrize("buffer", [1, 2])
@pytest.mark.parametrize(
    "make", [Separate, lambda size: QuantisedResiduals(size, 4), lambda size: SelfNet(size, _RULE)]
)
def test_what_a_budget_does_not_allow_is_refused_and_nothing_is_lost(buffer: int, make: Callable[[int], WeightCodec]):
    free = WeightStore(make(23), buffer=buffer)
    for number in range(3):
        free.put(str(number), dense(number))
    store = WeightStore(make(23), buffer=buffer, most_bytes=free.bytes())
    for number in range(3):
        store.put(str(number), dense(number))
    before = {name: store.get(name) for name in store.names}
    with pytest.raises(BudgetError, match=rf"{free.bytes():,} bytes at most, but it would take"):
        store.put("a network of 23 numbers that comes too late", normed(3))
    assert store.names == ("0", "1", "2")
    assert store.bytes() == free.bytes()
    assert all(same(network, store.get(name)) for name, network in before.items())


def test_a_buffer_that_a_budget_does_not_let_be_consolidated_waits_on():
    store = WeightStore(PrincipalComponents(23, num_components=9), buffer=9, most_bytes=700)
    for number in range(2):
        store.put(str(number), dense(number))
    with pytest.raises(BudgetError, match="700 bytes at most"):
        store.consolidate()
    assert all(same(store.get(str(number)), dense(number)) for number in range(2))


def test_a_file_that_takes_more_bytes_than_a_budget_is_refused_and_nothing_is_lost(tmp_path: Path):
    store, path = WeightStore(Separate(23)), tmp_path / "store.safetensors"
    for number in range(3):
        store.put(str(number), dense(number))
    store.save(path)
    other = WeightStore(Separate(23), most_bytes=store.bytes() - 1)
    other.put("a", dense(5))
    with pytest.raises(BudgetError, match=f"would take {store.bytes():,}"):
        other.load(path)
    assert same(other.get("a"), dense(5))


def test_a_codec_that_fails_leaves_the_store_as_it_was():
    class Failing(Separate):
        def learn(self, new_MS: torch.Tensor) -> None:
            if self.num_kept:
                raise MemoryError
            super().learn(new_MS)

    store = WeightStore(Failing(23))
    store.put("a", dense(0))
    with pytest.raises(MemoryError):
        store.put("b", dense(1))
    assert store.names == ("a",)
    assert same(store.get("a"), dense(0))


def test_what_does_not_suit_is_refused_and_nothing_changes():
    store = WeightStore(Separate(23))
    store.put("a", dense(0))
    with pytest.raises(ValueError, match="a network 'a' already"):
        store.put("a", dense(1))
    for value in (float("inf"), float("nan")):
        broken = dense(1)
        next(broken.parameters()).data[0, 0] = value
        with pytest.raises(ValueError, match=r"a NaN or an infinity in '0\.weight'"):
            store.put("b", broken)
    with pytest.raises(KeyError, match="Expected one of a, but got 'b'"):
        store.get("b")
    with pytest.raises(ValueError, match=r"Expected a network with '0.weight' of shape \(3, 4\)"):
        store.get("a", normed(0))
    with pytest.raises(ValueError, match="`buffer` to be positive"):
        WeightStore(Separate(23), buffer=0)
    with pytest.raises(ValueError, match="`most_bytes` to be positive"):
        WeightStore(Separate(23), most_bytes=0)
    assert store.names == ("a",)
    assert same(store.get("a"), dense(0))
