"""A folder of a user's own pictures becomes images of a run's form; what is done is said, what is not read is named."""

import os
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from PIL import Image

from hyperlearning.data.errors import DataError
from hyperlearning.data.image_folders import UserImages, read_image_folder
from hyperlearning.data.images import load
from hyperlearning.streams.image_pool import image_pool


def drawing(height: int = 20, width: int = 20, seed: int = 0) -> np.ndarray:
    """Ink of 255 in the middle of a ground of 0."""
    pixels = np.zeros((height, width), np.uint8)
    inside = pixels[height // 4 : -(height // 4), width // 4 : -(width // 4)]
    inside[:] = np.random.default_rng(seed).integers(0, 2, inside.shape) * 255
    return pixels


def put(path: Path, pixels: np.ndarray | Image.Image, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(path, **options)
    return path


def said(read: UserImages) -> str:
    return " ".join(read.said)


def test_a_data_sets_pictures_are_read_as_a_run_has_them(tmp_path: Path):
    digits = load("digits", "test")
    pool = image_pool([digits], side=28, channels=1)
    chosen = [(k, int(pool.first[k]) + i) for k in range(10) for i in range(3)]
    by_class = digits.images[digits.labels.argsort(stable=True)]
    for k, place in chosen:
        put(tmp_path / str(k) / f"{place}.png", by_class[place, 0].numpy())
    read = read_image_folder(tmp_path, side=28)
    expected = torch.stack([pool.images[place] for _, place in chosen]).float() / 255
    assert (read.images - expected).abs().max() <= 0.5 / 255 + 1e-6
    assert read.labels.tolist() == [k for k, _ in chosen]
    assert read.class_names == tuple(map(str, range(10)))


def test_classes_and_files_are_in_natural_order(tmp_path: Path):
    for name in ("b10", "b2", "A", "b1", "日本"):
        for file in ("10.png", "9.png", "x.png"):
            put(tmp_path / name / file, drawing())
    read = read_image_folder(tmp_path)
    assert read.class_names == ("A", "b1", "b2", "b10", "日本")
    assert read.file_names[:3] == ("A/9.png", "A/10.png", "A/x.png")
    assert read.labels.tolist() == [label for label in range(5) for _ in range(3)]
    assert len(read.of("b2")) == 3
    with pytest.raises(ValueError, match="Expected a class among A, b1"):
        read.of("c")


def test_a_light_ground_is_recognised_inverted_and_said_and_options_override(tmp_path: Path):
    for i in range(3):
        put(tmp_path / "light" / "a" / f"{i}.png", 255 - drawing(28, 28, i))
        put(tmp_path / "dark" / "a" / f"{i}.png", drawing(28, 28, i))
    light, dark = (read_image_folder(tmp_path / name) for name in ("light", "dark"))
    expected = torch.stack([torch.from_numpy(drawing(28, 28, i)).float() / 255 for i in range(3)])[:, None]
    assert torch.allclose(light.images, expected, atol=1e-6)
    assert torch.equal(dark.images, expected)
    assert "ground is light, so all pictures were inverted" in said(light)
    assert "ground is dark, so no picture was inverted" in said(dark)
    kept = read_image_folder(tmp_path / "light", ground="dark")
    assert torch.allclose(kept.images, 1 - expected, atol=1e-6)
    assert "Ground as given (dark): 0 of 3 pictures were inverted" in said(kept)
    assert torch.allclose(read_image_folder(tmp_path / "dark", ground="light").images, 1 - expected, atol=1e-6)


def test_pictures_of_different_grounds_are_refused_unless_each_is_looked_at(tmp_path: Path):
    put(tmp_path / "a" / "light.png", 255 - drawing(28, 28))
    put(tmp_path / "a" / "dark.png", drawing(28, 28))
    with pytest.raises(DataError, match=r'1 have a light one \(a/light.png\) and 1 a dark one \(a/dark.png\).*"each"'):
        read_image_folder(tmp_path)
    each = read_image_folder(tmp_path, ground="each")
    assert torch.allclose(each.images[0], each.images[1], atol=1e-6)
    assert "1 of 2 pictures were inverted" in said(each)


def test_photographs_are_left_as_they_are_and_that_is_said(tmp_path: Path):
    noise = np.random.default_rng(0).integers(0, 256, (4, 28, 28), np.uint8)
    for i in range(4):
        put(tmp_path / "a" / f"{i}.png", noise[i])
    put(tmp_path / "a" / "one.png", 255 - drawing(28, 28))
    read = read_image_folder(tmp_path)
    assert torch.equal(read.images[:4, 0], torch.from_numpy(noise).float() / 255)
    assert "No even ground was recognised in 4 of 5 pictures" in said(read)


def test_scans_of_which_some_have_an_uneven_edge_are_inverted_like_the_others(tmp_path: Path):
    for i in range(3):
        put(tmp_path / "a" / f"{i}.png", 255 - drawing(28, 28, i))
    shadowed = 255 - drawing(28, 28)
    shadowed[:, :14] //= 2
    put(tmp_path / "a" / "3.png", shadowed)
    assert torch.allclose(
        read_image_folder(tmp_path).images[3, 0], 1 - torch.from_numpy(shadowed).float() / 255, atol=1e-6
    )


def test_an_oblong_picture_keeps_its_shape_in_the_middle_of_its_own_ground(tmp_path: Path):
    wide = np.full((10, 40), 230, np.uint8)
    wide[3:7, 10:30] = 30
    put(tmp_path / "a" / "wide.png", wide)
    put(tmp_path / "a" / "tall.png", wide.T)
    image, turned = reversed(read_image_folder(tmp_path, side=20).images[:, 0])
    ground = 1 - 230 / 255
    for edge in (image[:7], image[-7:], image[:, :3], image[:, -3:]):
        assert torch.allclose(edge, torch.tensor(ground), atol=1e-5)
    assert float(image[9, 6:14].min()) > 0.8
    assert torch.allclose(image, turned.T, atol=1e-6)
    assert "2 of 2 pictures: not square" in said(read_image_folder(tmp_path, side=20))


def in_form(form: str) -> tuple[Image.Image, str, dict[str, Any]]:
    """The same drawing, light ground, in one of the forms that pictures come in."""
    grey = Image.fromarray(255 - drawing())
    if form == "16 bits":
        return Image.fromarray((255 - drawing()).astype(np.uint16) * 257), "png", {}
    if form == "floats":
        return Image.fromarray((255 - drawing()).astype(np.float32) / 255), "tiff", {}
    if form == "transparent palette":
        palette = grey.convert("P")
        return palette, "png", {"transparency": 255}
    modes = {
        "1": "png",
        "L": "png",
        "LA": "png",
        "RGB": "png",
        "RGBA": "png",
        "P": "gif",
        "CMYK": "tiff",
        "jpeg": "jpeg",
    }
    return (grey if form == "jpeg" else grey.convert(form)), modes[form], {"quality": 100} if form == "jpeg" else {}


@pytest.mark.parametrize("form", ["1", "L", "LA", "RGB", "RGBA", "P", "CMYK", "jpeg", "16 bits", "floats",
                                  "transparent palette"])  # fmt: skip
def test_a_picture_of_any_form_is_the_same_image(tmp_path: Path, form: str):
    picture, suffix, options = in_form(form)
    put(tmp_path / "a" / f"x.{suffix}", picture, **options)
    expected = torch.from_numpy(drawing()).float() / 255
    read = read_image_folder(tmp_path, side=20)
    assert (read.images[0, 0] - expected).abs().max() < 0.04
    assert "in colour" not in said(read)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (drawing().astype(np.uint16) * 16, "uint16"),
        (drawing().astype(np.int32), "int32"),
        (drawing().astype(np.float32), "float32"),
        (np.where(drawing() > 0, np.nan, 1).astype(np.float32), "float32"),
        (drawing().astype(np.float32) - 1, "float32"),
    ],
)
def test_deep_pictures_of_another_range_are_named_with_it(tmp_path: Path, values: np.ndarray, kind: str):
    """12 bits in a picture of 16 would be nearly black, and its light ground a dark one."""
    assert values.dtype == kind
    put(tmp_path / "a" / "odd.tiff", values)
    put(tmp_path / "a" / "good.tiff", drawing().astype(np.uint16) * 257)
    read = read_image_folder(tmp_path)
    assert read.file_names == ("a/good.tiff",)
    assert re.fullmatch(
        r"its values are from \S+ to \S+: a picture of this kind has 0 to (65535|1); scale them", read.unread[0][1]
    )


@pytest.mark.parametrize(
    ("form", "suffix", "options"),
    [
        ("CMYK", "jpg", {}),
        ("LAB", "tiff", {}),
        ("I;16", "png", {}),
        ("L", "webp", {"lossless": True}),
    ],
)
def test_a_picture_of_a_rarer_form_is_the_same_image(tmp_path: Path, form: str, suffix: str, options: dict[str, Any]):
    grey = Image.fromarray(255 - drawing())
    if form == "LAB":
        flat = Image.new("L", grey.size, 128)
        picture = Image.merge("LAB", (grey, flat, flat))
    else:
        deep = Image.fromarray((255 - drawing()).astype(np.uint16) * 257)
        picture = deep if form == "I;16" else grey.convert(form)
    put(tmp_path / "a" / f"x.{suffix}", picture, **options)
    read = read_image_folder(tmp_path, side=20)
    assert (read.images[0, 0] - torch.from_numpy(drawing()).float() / 255).abs().mean() < 0.02


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tiff"])
def test_of_an_animation_the_first_frame_is_read_whatever_its_format(tmp_path: Path, suffix: str):
    first, second = (Image.fromarray(values) for values in (255 - drawing(), drawing()))
    put(tmp_path / "a" / f"x.{suffix}", first, save_all=True, append_images=[second])
    read = read_image_folder(tmp_path, side=20)
    assert (read.images[0, 0] - torch.from_numpy(drawing()).float() / 255).abs().mean() < 0.02
    assert "of several frames: the first was taken" in said(read)


def test_suffixes_do_not_matter(tmp_path: Path):
    put(tmp_path / "a" / "x.png", drawing()).rename(tmp_path / "a" / "X.JPEG")
    put(tmp_path / "a" / "y.png", drawing()).rename(tmp_path / "a" / "noSuffix")
    assert len(read_image_folder(tmp_path).images) == 2


def test_colour_becomes_grey_by_its_luma_or_stays(tmp_path: Path):
    colour = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    put(tmp_path / "a" / "x.png", colour)
    grey = read_image_folder(tmp_path, side=8, ground="dark")
    expected = torch.from_numpy(colour @ np.array([0.299, 0.587, 0.114])).float() / 255
    assert torch.allclose(grey.images[0, 0], expected, atol=1e-5)
    assert "1 of 1 pictures: in colour" in said(grey)
    kept = read_image_folder(tmp_path, side=8, channels=3, ground="dark").images[0]
    assert torch.allclose(kept, torch.from_numpy(colour).permute(2, 0, 1).float() / 255)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_exif_says(tmp_path: Path, orientation: int):
    upright = Image.fromarray(drawing(20, 30))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    put(tmp_path / "turned" / "a" / "x.png", stored, exif=exif)
    put(tmp_path / "upright" / "a" / "x.png", upright)
    turned, plain = (read_image_folder(tmp_path / name) for name in ("turned", "upright"))
    assert torch.equal(turned.images, plain.images)
    assert ("turned as their EXIF says" in said(turned)) == (orientation > 1)


@pytest.mark.parametrize(("ink", "expected_ground"), [(0, "light"), (255, "dark")])
def test_what_is_visible_of_a_transparent_picture_stands_out(tmp_path: Path, ink: int, expected_ground: str):
    opacity = drawing()
    layers = np.stack([*[np.full_like(opacity, ink)] * 3, opacity], axis=-1)
    put(tmp_path / "a" / "x.png", layers)
    read = read_image_folder(tmp_path, side=20)
    assert torch.allclose(read.images[0, 0], torch.from_numpy(opacity).float() / 255, atol=1e-6)
    assert f"ground is {expected_ground}" in said(read)
    assert "transparent" in said(read)


def test_the_first_of_several_frames_is_taken_and_that_is_said(tmp_path: Path):
    first, second = (Image.fromarray(drawing(seed=seed)) for seed in (0, 1))
    put(tmp_path / "a" / "x.gif", first, save_all=True, append_images=[second])
    read = read_image_folder(tmp_path, side=20)
    assert torch.allclose(read.images[0, 0], torch.from_numpy(drawing()).float() / 255, atol=0.02)
    assert "of several frames: the first was taken" in said(read)


def test_a_large_picture_is_brought_to_the_side(tmp_path: Path):
    small = drawing(28, 28)
    put(tmp_path / "a" / "x.png", np.kron(small, np.ones((40, 40), np.uint8)))
    read = read_image_folder(tmp_path)
    assert read.images.shape == (1, 1, 28, 28)
    assert float(((read.images[0, 0] > 0.5) == torch.from_numpy(small > 0)).float().mean()) > 0.97
    assert "Pictures of 1120 x 1120 pixels were brought to 28 x 28." in read.said


def test_files_that_are_no_pictures_are_named_and_hidden_ones_skipped(tmp_path: Path):
    put(tmp_path / "a" / "good.png", drawing())
    whole = (tmp_path / "a" / "good.png").read_bytes()
    (tmp_path / "a" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "a" / "empty.png").write_bytes(b"")
    (tmp_path / "a" / "notes.txt").write_text("x")
    (tmp_path / "a" / "gone.png").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "a" / "pipe.png")
    for hidden in (".DS_Store", "._good.png", "Thumbs.db", "desktop.ini"):
        (tmp_path / "a" / hidden).write_text("x")
    (tmp_path / ".git").mkdir()
    (tmp_path / "__MACOSX").mkdir()
    read = read_image_folder(tmp_path)
    assert read.file_names == ("a/good.png",)
    assert [file.name for file in read.unread] == [
        "a/cut.png",
        "a/empty.png",
        "a/gone.png",
        "a/notes.txt",
        "a/pipe.png",
    ]
    assert dict(read.unread)["a/notes.txt"] == "no picture"
    assert "5 files could not be read: a/cut.png (" in said(read)


def test_what_lies_elsewhere_in_the_folder_is_named(tmp_path: Path):
    put(tmp_path / "a" / "x.png", drawing())
    put(tmp_path / "a" / "old" / "y.png", drawing())
    put(tmp_path / "z.png", drawing())
    read = read_image_folder(tmp_path)
    assert len(read.images) == 1
    assert "1 folder inside classes not looked into: a/old." in read.said
    assert "1 file beside the classes' folders not read: z.png." in read.said


def test_blank_and_faint_pictures_are_named(tmp_path: Path):
    thin = np.full((1000, 1000), 255, np.uint8)
    thin[400:600, 500] = 0
    put(tmp_path / "a" / "thin.png", thin)
    put(tmp_path / "a" / "good.png", 255 - drawing())
    put(tmp_path / "a" / "blank.png", np.full((50, 50), 255, np.uint8))
    read = read_image_folder(tmp_path)
    assert "1 picture blank: a/blank.png." in read.said
    assert "1 picture faint once resized (lines too thin?): a/thin.png." in said(read)


def test_many_names_are_counted_and_a_few_shown(tmp_path: Path):
    put(tmp_path / "a" / "x.png", drawing())
    for i in range(9):
        (tmp_path / "a" / f"{i}.txt").write_text("")
    read = read_image_folder(tmp_path)
    assert len(read.unread) == 9
    assert "and 4 more." in said(read)


def folder_of(what: str, root: Path) -> Path:
    folder = root / "folder"
    if what != "absent":
        folder.mkdir()
    if what == "a file":
        folder.rmdir()
        folder.write_text("")
    if what == "pictures alone":
        put(folder / "x.png", drawing())
    if what in ("an empty class", "a class without a picture", "a picture too large"):
        put(folder / "a" / "x.png", drawing())
        (folder / "b").mkdir()
    if what == "a class without a picture":
        (folder / "b" / "x.png").write_text("no picture")
    if what == "one folder too high":
        put(folder / "train" / "a" / "x.png", drawing())
    if what == "a name twice":
        put(folder / "caf\u00e9" / "x.png", drawing())
        put(folder / "cafe\u0301" / "x.png", drawing())
    if what == "a picture too large":
        put(folder / "b" / "x.png", Image.new("1", (20_000, 6_000)))
    return folder


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("absent", "Expected a folder of pictures at .*folder, but there is none"),
        ("a file", "but that is a file"),
        ("empty", "one subfolder a class in .*folder, but it holds nothing"),
        ("pictures alone", "one subfolder a class in .*folder, but it holds 1 file and no subfolder. Put"),
        ("an empty class", "pictures of class 'b' in .*, but it is empty"),
        ("a class without a picture", r"class 'b' in .*, but none of its 1 file can be read: b/x.png \(no picture\)"),
        ("one folder too high", r"in .*train, but it holds folders alone \(train/a\). Are they the classes\?"),
        ("a name twice", "'caf\u00e9' is there twice"),
        ("a picture too large", "it has 20000 x 6000 pixels, over 100,000,000"),
    ],
)
def test_a_folder_that_cannot_be_right_is_refused_by_name(tmp_path: Path, what: str, message: str):
    with pytest.raises(DataError, match=message):
        read_image_folder(folder_of(what, tmp_path))


@pytest.mark.parametrize("options", [{"side": 0}, {"channels": 2}])
def test_options_that_cannot_be_are_refused(tmp_path: Path, options: dict[str, Any]):
    with pytest.raises(ValueError, match="Expected a positive `side` and 1 or 3 `channels`"):
        read_image_folder(tmp_path, **options)


@pytest.mark.skipif(os.name == "nt", reason="names are bytes on Linux alone")
def test_names_that_no_terminal_can_write_are_marked(tmp_path: Path):
    try:
        put(Path(os.fsdecode(bytes(tmp_path) + b"/a\xff\x1b[2J")) / "x.png", drawing())
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    assert read_image_folder(tmp_path).class_names == ("a\ufffd\ufffd[2J",)


_PICTURE = st.tuples(st.integers(1, 40), st.integers(1, 40), st.sampled_from(["1", "L", "RGB", "RGBA", "P", "I;16"]))


@examples(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.one_of(_PICTURE, st.binary(max_size=40)), min_size=1, max_size=4),
    st.integers(1, 30),
    st.sampled_from(["each", "light", "dark"]),
    st.data(),
)
def test_every_file_is_read_or_named(
    tmp_path_factory: pytest.TempPathFactory, files: list[Any], side: int, ground: Any, data: st.DataObject
):
    root = tmp_path_factory.mktemp("pictures")
    put(root / "a" / "sure.png", drawing())
    for i, file in enumerate(files):
        path = root / "a" / f"{i}.png"
        if isinstance(file, bytes):
            path.write_bytes(file)
            continue
        content = put(path, Image.new(file[2], file[:2])).read_bytes()
        place = data.draw(st.integers(0, len(content) - 1))
        path.write_bytes(content[:place] + data.draw(st.binary(max_size=3)) + content[place + 1 :])
    read = read_image_folder(root, side=side, ground=ground)
    assert {*read.file_names, *(file.name for file in read.unread)} == {
        "a/sure.png",
        *(f"a/{i}.png" for i in range(len(files))),
    }
    assert len(read.file_names) + len(read.unread) == 1 + len(files)
    assert read.images.shape == (len(read.file_names), 1, side, side)
    assert 0 <= float(read.images.min()) <= float(read.images.max()) <= 1


_NAME = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=12).filter(
    lambda name: name not in (".", "..") and len(name.encode()) <= 40
)
_KINDS = st.sampled_from(
    ["bytes", "png", "cut png", "jpeg", "cut jpeg", "folder", "to nowhere", "to itself", "to a file"]
)


def _fill(path: Path, kind: str, cut: float, noise: bytes):
    if kind == "folder":
        path.mkdir()
        (path / "inner.png").write_bytes(noise)
    elif kind.startswith("to "):
        path.symlink_to(
            {"to nowhere": path.parent / "?", "to itself": path, "to a file": path.parents[1] / "sure.png"}[kind]
        )
    elif kind == "bytes":
        path.write_bytes(noise)
    else:
        form = kind.removeprefix("cut ")
        with path.open("wb") as file:
            Image.fromarray(drawing()).save(file, form)
        if kind.startswith("cut "):
            content = path.read_bytes()
            path.write_bytes(content[: int(cut * len(content))])


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@examples(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        _NAME,
        st.dictionaries(_NAME, st.tuples(_KINDS, st.floats(0, 1), st.binary(max_size=60)), max_size=4),
        min_size=1,
        max_size=3,
    ),
    st.booleans(),
)
def test_a_folder_of_anything_is_answered_or_refused_by_name_within_a_second(classes: dict[str, Any], is_sure: bool):
    with tempfile.TemporaryDirectory() as base:
        root = Path(base)
        put(root / "sure.png", drawing())
        for name, files in classes.items():
            try:
                (root / name).mkdir()
            except OSError:  # Two names that a file system takes for one.
                continue
            for file, (kind, cut, noise) in files.items():
                if not (root / name / file).is_symlink() and not (root / name / file).exists():
                    _fill(root / name / file, kind, cut, noise)
            if is_sure:
                put(root / name / "sure enough.png", drawing())
        began = time.process_time()
        answer = read_or_refusal(root)
        assert time.process_time() - began < 1
        if isinstance(answer, DataError):
            assert str(answer).startswith("Expected ")
            assert not is_sure or "is there twice" in str(answer) or "no subfolder" in str(answer)
            return
        shown = [path for path in root.iterdir() if path.is_dir() and not _hidden(path)]
        files = [file for path in shown for file in path.iterdir() if not _hidden(file) and not file.is_dir()]
        assert len(answer.file_names) + len(answer.unread) == len(files)
        assert len(answer.class_names) == len(shown)
        assert answer.images.shape == (len(answer.file_names), 1, 28, 28)


def _hidden(path: Path) -> bool:
    return path.name.startswith(".") or path.name.lower() in ("thumbs.db", "desktop.ini", "__macosx", "@eadir")


def read_or_refusal(root: Path) -> UserImages | DataError:
    try:
        return read_image_folder(root, ground="dark")
    except DataError as error:
        return error
