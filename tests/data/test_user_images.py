"""Arrays of a user's own: they become images from 0 to 1 that mean what was meant, or are refused by name."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from hyperlearning.data.user_images import as_images, ground_of

DRAWN = np.random.default_rng(0).integers(0, 256, (3, 1, 6, 6), np.uint8)
MEANT = torch.from_numpy(DRAWN).float() / 255


def test_uint8_is_from_0_to_255():
    assert torch.equal(as_images(DRAWN, side=6), MEANT)


@pytest.mark.parametrize(
    "values",
    [
        torch.from_numpy(DRAWN), MEANT, MEANT.numpy(), MEANT.double(), MEANT.clone().requires_grad_(),
        DRAWN[:, 0], DRAWN.transpose(0, 2, 3, 1), np.asfortranarray(DRAWN), np.ascontiguousarray(DRAWN[::-1])[::-1],
        list(DRAWN), tuple(DRAWN), list(torch.from_numpy(DRAWN)), MEANT.double().tolist(), MEANT[:, 0].tolist(),
        MEANT.numpy().astype(">f8"), MEANT.numpy().astype(np.longdouble), list(DRAWN[:, 0]), [image[0] for image in MEANT],
        (DRAWN.astype(np.float32) / np.float32(255))[:, 0],
    ],
    ids=lambda values: type(values).__name__,
)  # fmt: skip
def test_arrays_lists_and_tensors_of_any_width_mean_the_same(values: Any):
    images = as_images(values, side=6)
    assert images.dtype == torch.float32
    assert images.is_contiguous()
    assert not images.requires_grad
    assert torch.equal(images, MEANT)


@pytest.mark.parametrize("values", [MEANT.half(), MEANT.bfloat16(), MEANT.numpy().astype(np.float16)])
def test_floats_of_16_bits_are_as_near_as_they_can_be(values: Any):
    images = as_images(values, side=6)
    assert torch.equal(images, torch.as_tensor(values).float())


@pytest.mark.parametrize(
    "values",
    [DRAWN[0, 0], DRAWN[0], DRAWN[0].transpose(1, 2, 0), torch.from_numpy(DRAWN[0, 0]), DRAWN[0, 0].view(np.matrix)],
)
def test_a_single_image_needs_no_axis_for_it(values: Any):
    assert torch.equal(as_images(values, side=6), MEANT[:1])


def test_bool_is_ink_or_not():
    assert torch.equal(as_images(DRAWN > 127, side=6), (MEANT > 0.5).float())


def test_colour_stays_colour_channels_first_or_last():
    colour = np.random.default_rng(1).integers(0, 256, (2, 3, 6, 6), np.uint8)
    expected = torch.from_numpy(colour).float() / 255
    for values in (colour, colour.transpose(0, 2, 3, 1)):
        assert torch.equal(as_images(values, side=6, channels=3), expected)
    for values in (colour[0], colour[0].transpose(1, 2, 0)):
        assert torch.equal(as_images(values, side=6, channels=3), expected[:1])


def test_where_channels_could_be_first_or_last_they_are_first():
    values = np.random.default_rng(1).integers(0, 256, (2, 3, 3, 3), np.uint8)
    assert torch.equal(as_images(values, side=3, channels=3), torch.from_numpy(values).float() / 255)


def test_what_rounding_left_beyond_0_and_1_is_taken_back():
    images = as_images(np.array([[-1e-7, 1 + 1e-7], [0.5, 1.0]]), side=2)
    assert images.flatten().tolist() == [0.0, 1.0, 0.5, 1.0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (MEANT * 255, r"from 0 .ground. to 1 .ink., but got .*Divide them by 255"),
        (MEANT.numpy() * 2 - 1, r"from 0 .ground. to 1 .ink., but got -.*Scale them first"),
        (MEANT.numpy() * 1e30, "Scale them first"),
        ((MEANT * 255).half(), "Divide them by 255"),
        (np.full((6, 6), np.nan), "finite images"),
        (np.full((6, 6), -np.inf, np.float16), "finite images"),
        (torch.full((6, 6), torch.nan, dtype=torch.bfloat16), "finite images"),
        (DRAWN.astype(np.int64), r"but got int64.*astype\(numpy.uint8\)"),
        (DRAWN.astype(np.int8), "but got int8"),
        (DRAWN.astype(np.uint16), "but got uint16.*images / 65535"),
        (DRAWN.tolist(), "but got int64"),
        ((DRAWN > 127).astype(np.uint8), r"from 0 to 255, but got nothing above 1.*astype\(bool\)"),
        (DRAWN.astype(np.complex64), "but got complex64"),
        (DRAWN.astype(str), "but got <U3"),
        (DRAWN.astype(object), "but got object"),
        (np.zeros((2, 6, 6), "M8[s]"), "but got datetime64"),
        (np.ma.masked_array(DRAWN, DRAWN > 3), "without a mask"),
        (torch.from_numpy(DRAWN).to_sparse(), "dense tensor"),
        (torch.empty(2, 6, 6, device="meta"), "dense tensor"),
        (torch.nested.nested_tensor([torch.zeros(6, 6)], layout=torch.jagged), "dense tensor"),
        (Image.new("P", (6, 6)), r"but got Image.*convert"),
        ([Image.new("P", (6, 6))], "but got one of Image"),
        (None, "but got NoneType"), ("six", "but got str"), (["six"], "but got one of str"), (3, "but got int"),
        ({1: 2}, "but got dict"), ([None], "NoneType"), ([[None]], "but got object|shape"),
        (b"\0" * 36, "but got bytes"),
    ],
)  # fmt: skip
def test_what_means_something_else_is_refused_by_name(values: Any, message: str):
    with pytest.raises(ValueError, match=message):
        as_images(values, side=6)


@pytest.mark.parametrize(
    "values",
    [np.zeros((2, 7, 7)), np.zeros((2, 1, 7, 6)), np.zeros((2, 2, 6, 6)), np.zeros((1, 2, 1, 6, 6)), np.zeros(36),
     np.zeros(()), np.zeros((36, 1)), np.zeros((2, 36)), np.zeros((6, 6, 6, 6))],
    ids=lambda values: str(values.shape),
)  # fmt: skip
def test_another_shape_is_refused_with_what_is_understood(values: np.ndarray):
    expected = r"Expected images of shape \(N, 6, 6\), \(N, 1, 6, 6\) or \(N, 6, 6, 1\), but got "
    with pytest.raises(ValueError, match=expected + str(values.shape).replace("(", r"\(").replace(")", r"\)")):
        as_images(values, side=6)


def test_colour_where_a_run_sees_none_is_refused_with_the_remedy():
    for shape in ((2, 3, 6, 6), (2, 6, 6, 3), (6, 6, 4), (2, 6, 6, 4)):
        with pytest.raises(ValueError, match="make the images grey"):
            as_images(np.zeros(shape), side=6)


@pytest.mark.parametrize("values", [[], np.zeros((0, 6, 6)), torch.zeros(0, 1, 6, 6), [[]], np.zeros((2, 0, 6))])
def test_no_image_is_refused(values: Any):
    with pytest.raises(ValueError, match="Expected one image or more, but got none"):
        as_images(values, side=6)


@pytest.mark.parametrize(
    "values",
    [
        [DRAWN[0], DRAWN[0, 0]],
        [DRAWN[0], MEANT[0]],
        [[[0.0, 1.0], [0.0]]],
        [np.zeros((6, 6)), [0.0]],
        [torch.zeros(6, 6), torch.zeros(5, 6)],
    ],
)
def test_images_of_different_shapes_or_types_in_a_list_are_refused(values: Any):
    with pytest.raises(ValueError, match=r"Expected (a list of )?images of one shape"):
        as_images(values, side=6)


@pytest.mark.parametrize("values", [DRAWN, MEANT, MEANT.numpy()])
def test_what_comes_back_is_a_copy(values: Any):
    images = as_images(values, side=6)
    images.zero_()
    assert torch.equal(as_images(values, side=6), MEANT)


_ANY_ARRAY = st.one_of(arrays.scalar_dtypes(), arrays.unicode_string_dtypes(max_len=2)).flatmap(
    lambda kind: arrays.arrays(kind, arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4))
)


def answer_or_refusal(values: Any) -> torch.Tensor | ValueError:
    try:
        return as_images(values, side=4)
    except ValueError as error:
        return error


@given(st.one_of(_ANY_ARRAY, _ANY_ARRAY.map(np.ndarray.tolist), st.lists(_ANY_ARRAY, max_size=2)))
def test_whatever_is_given_becomes_images_from_0_to_1_or_is_refused_by_name(values: Any):
    answer = answer_or_refusal(values)
    if isinstance(answer, ValueError):
        assert str(answer).startswith("Expected ")
    else:
        assert answer.shape[1:] == (1, 4, 4)
        assert answer.numel() == np.size(values)
        assert 0 <= float(answer.min()) <= float(answer.max()) <= 1


@given(arrays.arrays(np.uint8, (2, 4, 4)).filter(lambda values: values.max() != 1))
def test_the_same_pixels_as_uint8_and_as_floats_are_the_same_images(values: np.ndarray):
    assert torch.equal(as_images(values, side=4), as_images(values.astype(np.float32) / 255, side=4))


def test_the_ground_is_recognised_by_an_even_edge():
    drawn = torch.zeros(1, 20, 30)
    drawn[:, 5:15, 10:14] = 1
    assert ground_of(drawn) == "dark"
    assert ground_of(1 - drawn) == "light"
    assert ground_of(1 - 0.5 * drawn) == "light"
    assert ground_of(torch.rand(3, 20, 20, generator=torch.Generator().manual_seed(0))) is None
    assert ground_of(torch.ones(1, 5, 5)) is None
    assert ground_of(torch.zeros(1, 1, 1)) is None
    touching = drawn.clone()
    touching[:, :, 10:14] = 1
    assert ground_of(touching) == "dark"
