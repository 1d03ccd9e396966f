"""Archives that must not be trusted: paths and links that lead out, bombs, damage."""

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.data import canonical_archives as canonical

from hyperlearning.data.archives import Limits, read_gzip, read_tar_gzip, read_zip
from hyperlearning.data.errors import DataError

ESCAPES = ("../evil", "a/../../evil", "/etc/evil", "..\\evil", "C:/evil", "a/..")
SMALL = Limits(max_bytes=100_000, ratio_from=50_000)  # An empty tar archive alone is 10,240 bytes.


def everything(_: str) -> bool:
    return True


def saved(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def read_all(path: Path, read: Callable[..., object], limits: Limits = SMALL) -> list[tuple[str, bytes]]:
    return list(read(path, everything, limits))


def tar_of(*infos: tarfile.TarInfo) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for info in infos:
            archive.addfile(info, io.BytesIO(bytes(info.size)))
    return content.getvalue()


def info_of(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


members = st.dictionaries(st.text("abc", min_size=1, max_size=6).map("d/".__add__), st.binary(max_size=50), max_size=5)


@given(members)
def test_members_come_out_as_they_went_in(tmp_path_factory: pytest.TempPathFactory, content: dict[str, bytes]):
    folder = tmp_path_factory.mktemp("archive")
    tar = saved(folder / "a.tar.gz", canonical.tar_gz(content))
    assert dict(read_all(tar, read_tar_gzip)) == content
    zipped = saved(folder / "a.zip", canonical.zipped(content))
    assert read_all(zipped, read_zip) == sorted(content.items())


def test_only_wanted_members_are_given_out(tmp_path: Path):
    path = saved(tmp_path / "a.zip", canonical.zipped({"a.png": b"1", "b.txt": b"2"}))
    assert list(read_zip(path, lambda name: name.endswith(".png"))) == [("a.png", b"1")]


@pytest.mark.parametrize("name", ESCAPES)
def test_paths_that_lead_out_of_the_archive_are_refused(tmp_path: Path, name: str):
    tar = saved(tmp_path / "a.tar.gz", tar_of(info_of(name)))
    with pytest.raises(DataError, match="only paths inside the archive"):
        read_all(tar, read_tar_gzip)
    zipped = saved(tmp_path / "a.zip", canonical.zipped({name: b"evil"}))
    with pytest.raises(DataError, match="only paths inside the archive"):
        read_all(zipped, read_zip)
    assert {path.name for path in tmp_path.iterdir()} == {"a.tar.gz", "a.zip"}


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (tarfile.SYMTYPE, "link"),
        (tarfile.LNKTYPE, "link"),
        (tarfile.FIFOTYPE, "special file"),
        (tarfile.CHRTYPE, "special file"),
        (tarfile.GNUTYPE_SPARSE, "special file|cannot be read"),
    ],
)
def test_links_and_special_files_in_a_tar_are_refused(tmp_path: Path, kind: bytes, word: str):
    path = saved(tmp_path / "a.tar.gz", tar_of(info_of("data.bin", kind, "/etc/passwd")))
    with pytest.raises(DataError, match=word):
        read_all(path, read_tar_gzip)


def test_links_in_a_zip_are_refused(tmp_path: Path):
    link = zipfile.ZipInfo("data.png")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match=r"the link 'data\.png'"):
        read_all(tmp_path / "a.zip", read_zip)


@pytest.mark.parametrize("size", [60_000, 300_000])
def test_bombs_are_stopped_by_their_size_or_their_ratio(tmp_path: Path, size: int):
    limits = Limits(max_bytes=100_000, max_ratio=10.0, ratio_from=50_000)
    expected = (
        "at most 10 bytes for each" if size < limits.max_bytes else "at most 100,000 bytes|at most 10 bytes for each"
    )
    bomb = bytes(size)
    with pytest.raises(DataError, match=expected):
        read_all(saved(tmp_path / "a.tar.gz", canonical.tar_gz({"a": bomb})), read_tar_gzip, limits)
    with pytest.raises(DataError, match=expected):
        read_all(saved(tmp_path / "a.zip", canonical.zipped({"a": bomb})), read_zip, limits)
    with pytest.raises(DataError, match=expected):
        read_gzip(saved(tmp_path / "a.gz", gzip.compress(bomb)), limits)


def test_a_bomb_costs_little_memory_before_it_is_stopped(tmp_path: Path):
    path = saved(tmp_path / "a.gz", gzip.compress(bytes(64 << 20)))
    counted = []

    class Counting(Limits):
        def check(self, path: Path, num_bytes: int, compressed: int) -> None:
            counted.append(num_bytes)
            super().check(path, num_bytes, compressed)

    with pytest.raises(DataError, match="It is not read"):
        read_gzip(path, Counting(max_bytes=3 << 20))
    assert max(counted) <= 4 << 20


def test_a_tar_header_that_claims_terabytes_is_refused(tmp_path: Path):
    info = info_of("data.bin")
    info.size = 1 << 40
    header = gzip.compress(info.tobuf(tarfile.GNU_FORMAT))
    with pytest.raises(DataError, match="unpack to at most 100,000 bytes"):
        read_all(saved(tmp_path / "a.tar.gz", header), read_tar_gzip)


def test_too_many_members_are_refused(tmp_path: Path):
    limits = Limits(max_members=3)
    content = {f"m{i}": b"" for i in range(4)}
    for read, data in ((read_tar_gzip, canonical.tar_gz(content)), (read_zip, canonical.zipped(content))):
        with pytest.raises(DataError, match="at most 3 members"):
            read_all(saved(tmp_path / "archive", data), read, limits)


def test_a_zip_whose_member_claims_less_than_it_holds_is_refused(tmp_path: Path):
    content = bytearray(canonical.zipped({"a": bytes(5_000)}))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = content.index(signature) + offset
        content[place : place + 4] = struct.pack("<I", 10)
    with pytest.raises(DataError, match=r"a zip archive at .* cannot be read"):
        read_all(saved(tmp_path / "a.zip", bytes(content)), read_zip)


def test_an_altered_byte_is_found_by_the_archives_own_checksum(tmp_path: Path):
    tar = bytearray(canonical.tar_gz({"a": bytes(canonical.numbers(300))}))
    tar[-6] ^= 1  # Within gzip's checksum.
    with pytest.raises(DataError, match=r"gzipped tar archive at .* cannot be read"):
        read_all(saved(tmp_path / "a.tar.gz", bytes(tar)), read_tar_gzip)


@pytest.mark.parametrize("read", [read_zip, read_tar_gzip])
def test_a_missing_archive_is_named(tmp_path: Path, read: Callable[..., object]):
    with pytest.raises(DataError, match="nowhere"):
        read_all(tmp_path / "nowhere", read)
