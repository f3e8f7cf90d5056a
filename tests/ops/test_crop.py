import math

import numpy as np
import pytest
import torch

from siamrpnpp_plugin.ops.crop import box_in_window, context_side, crop_and_resize, square_window

SLOPE = 4  # grey levels per pixel: half a pixel of error is two levels


def noise_image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def ramp_image(side: int = 64) -> np.ndarray:
    """Blue rises with x, green with y, red falls with x; at the continuous place u blue is SLOPE * (u - 0.5)."""
    x, y = np.meshgrid(np.arange(side), np.arange(side))
    return np.stack((SLOPE * x, SLOPE * y, 255 - SLOPE * x), axis=2).astype(np.uint8)


def mapped_places(low: float, high: float, size: int) -> np.ndarray:
    """Continuous coordinates in the image of the centres of the result's pixels."""
    return low + (np.arange(size) + 0.5) * (high - low) / size


def test_context_side_of_a_hand_computed_box():
    """20 x 60: half of 80 is added to each side, 60 x 100, the square of the same area."""
    assert context_side(np.array([10., 20., 30., 80.])) == pytest.approx(math.sqrt(6000))


def test_context_side_without_context_keeps_the_area():
    assert context_side(np.array([0., 0., 4., 9.]), context=0) == pytest.approx(6)


def test_context_side_of_tensors_equals_that_of_arrays():
    boxes = np.array([[[0., 0., 10., 10.], [5., 5., 6., 50.]]])
    sides = context_side(torch.from_numpy(boxes))
    assert sides.shape == (1, 2)
    assert sides.tolist() == context_side(boxes).tolist()
    assert sides[0, 0].item() == pytest.approx(20)


@pytest.mark.parametrize('box', [
    [5., 5., 5., 9.],           # no width
    [5., 5., 9., 5.],           # no height
    [9., 5., 5., 9.],           # turned round
    [5., 5., math.nan, 9.],     # unknown
])
@pytest.mark.parametrize('kind', [np.array, torch.tensor])
def test_a_box_without_area_has_no_context_side(box, kind):
    with pytest.raises(ValueError, match='box_xyxy must have an area'):
        context_side(kind([[0., 0., 1., 1.], box]))


def test_square_window_has_its_side_and_centre():
    assert square_window((10, 20), 7).tolist() == [6.5, 16.5, 13.5, 23.5]


def test_box_in_the_window_of_its_own_size_only_moves():
    boxes = np.array([[12., 23., 14.5, 30.], [0., 0., 1., 1.]])
    assert np.array_equal(box_in_window(boxes, (10, 20, 40, 50), 30), boxes - [10, 20, 10, 20])


def test_the_window_itself_becomes_the_whole_crop():
    window = np.array([-3.3, 8.1, 40.2, 70.9])
    np.testing.assert_allclose(box_in_window(window, window, 127), [0, 0, 127, 127], atol=1e-12)


def test_box_scales_in_x_and_y_on_its_own():
    """The window is 10 x 40: 2 times larger in x, half in y."""
    assert box_in_window(np.array([5., 10., 15., 50.]), (5, 10, 15, 50), 20).tolist() == [0, 0, 20, 20]
    assert box_in_window(np.array([6., 14., 8., 22.]), (5, 10, 15, 50), 20).tolist() == [2, 2, 6, 6]


@pytest.mark.parametrize('window', [
    (0, 0, 40, 40),     # corner
    (13, 7, 53, 47),    # middle
    (30, 20, 70, 60),   # the last pixels of the image
])
def test_window_of_whole_pixels_and_the_same_size_gives_the_same_pixels(window):
    image = noise_image(60, 70)
    x1, y1, x2, y2 = window
    assert np.array_equal(crop_and_resize(image, np.array(window), 40), image[y1:y2, x1:x2])


@pytest.mark.parametrize(('x1', 'y1'), [
    (-4, 10),       # to the left and below
    (12, 0),        # to the right only
    (5, 2),         # below only
    (12, -7),       # to the right and above
    (-1, -1),
])
def test_identity_crop_that_leaves_the_image_is_padded(x1, y1):
    image = noise_image(40, 50)
    crop = crop_and_resize(image, np.array([x1, y1, x1 + 40, y1 + 40]), 40, padding=(1, 2, 3))
    around = np.full((140, 150, 3), (1, 2, 3), np.uint8)
    around[50:90, 50:100] = image
    assert np.array_equal(crop, around[y1 + 50:y1 + 90, x1 + 50:x1 + 90])


@pytest.mark.parametrize('window', [
    (100.5, 10, 120.5, 30),     # right of it
    (-300, 0, -200, 100),       # left of it
    (0, 500, 20.5, 520.5),      # below
    (0, -90, 20, -70),          # above
    (60, 40, 80, 60),           # touches its corner
])
def test_window_outside_has_the_rounded_padding_colour(window):
    crop = crop_and_resize(noise_image(40, 60), np.array(window), 16, padding=(10.6, 99.2, 300))
    assert crop.shape == (16, 16, 3)
    assert (crop == (11, 99, 255)).all()


@pytest.mark.parametrize(('window', 'size'), [
    ((10, 12, 42, 44), 16),                 # whole, half the size
    ((10, 12, 42, 44), 51),                 # whole, larger
    ((10, 12, 20, 22), 80),                 # eight times larger, to its last pixels: the image goes on behind them
    ((10, 12, 42.7, 44.7), 20),             # starts whole, ends between: cv2.resize
    ((5, 20, 47.3, 31.9), 25),              # not square: cv2.resize
    ((10.25, 12.6, 42.9, 45.1), 20),        # starts between: cv2.warpAffine
    ((10.5, 12, 30.5, 32), 20),             # half a pixel
    ((3.7, 20.2, 55.1, 31.9), 25),          # not square: cv2.warpAffine
    ((20.3, 20.3, 27.9, 27.9), 40),         # five times larger, to its outermost pixels
])
@pytest.mark.parametrize('origin', [(0, 0), (3, 2)])
def test_each_pixel_shows_the_image_where_its_centre_lies(window, size, origin):
    x1, y1, x2, y2 = window
    crop = crop_and_resize(ramp_image()[origin[1]:, origin[0]:], np.array(window), size, origin=origin).astype(float)
    blue = SLOPE * (mapped_places(x1, x2, size)[None, :] - 0.5)
    green = SLOPE * (mapped_places(y1, y2, size)[:, None] - 0.5)
    repeated = isinstance(x1, int) and size > min(x2 - x1, y2 - y1)  # when enlarging `resize` repeats its first pixels
    inside = slice(size // 8 if repeated else 0, None)
    for channel, expected in enumerate((blue, green, 255 - blue)):
        error = (crop[:, :, channel] - expected)[inside, inside]
        assert np.abs(error).max() <= 1
        assert abs(error.mean()) < 0.3, 'no systematic shift of a tenth of a pixel'


def test_ramp_stays_exact_where_the_window_leaves_the_image_and_is_padded_beyond():
    window, size = (-10.4, -6.3, 45.6, 49.7), 70
    crop = crop_and_resize(ramp_image(), np.array(window), size, padding=(200, 200, 200)).astype(float)
    x, y = mapped_places(window[0], window[2], size), mapped_places(window[1], window[3], size)
    inside_x, inside_y = x > 0.5, y > 0.5
    blue = SLOPE * (x[inside_x] - 0.5)
    assert np.abs(crop[inside_y][:, inside_x, 0] - blue).max() <= 1
    assert (crop[:, x < -0.6] == 200).all()
    assert (crop[y < -0.6] == 200).all()


@pytest.mark.parametrize('seed', range(20))
def test_crop_of_a_cut_out_equals_the_crop_of_the_whole(seed):
    """The cut-out holds the window and a pixel around it, as the decoder of a part gives it."""
    rng = np.random.default_rng(seed)
    image = noise_image(90, 120)
    x1, y1 = rng.uniform(5, 40, 2)
    window = np.array([x1, y1, x1 + rng.uniform(10, 70), y1 + rng.uniform(10, 45)])
    if seed % 2:
        window[:2] = np.floor(window[:2])
    left, top = int(window[0]) - 1 - rng.integers(0, 3), int(window[1]) - 1 - rng.integers(0, 3)
    right, bottom = math.ceil(window[2]) + 1 + rng.integers(0, 3), math.ceil(window[3]) + 1 + rng.integers(0, 3)
    part = image[top:bottom, left:right]
    size = int(rng.integers(8, 100))
    assert np.array_equal(crop_and_resize(part, window, size, origin=(left, top)), crop_and_resize(image, window, size))


@pytest.mark.parametrize('window', [(3, 4, 50, 51.5), (3.2, 4, 50, 51.5)])
def test_result_is_a_square_of_bytes_for_any_window(window):
    for size in (1, 2, 33, 127):
        crop = crop_and_resize(noise_image(60, 60), np.array(window), size)
        assert crop.shape == (size, size, 3)
        assert crop.dtype == np.uint8


@pytest.mark.parametrize('seed', range(10))
def test_both_code_paths_agree_on_nearly_the_same_window(seed):
    """A start that is a hair off a whole pixel takes the other path."""
    rng = np.random.default_rng(seed)
    x1, y1 = rng.integers(2, 10, 2)
    side = rng.uniform(30, 48)
    image = ramp_image()
    first = crop_and_resize(image, np.array([x1, y1, x1 + side, y1 + side]), 25)
    second = crop_and_resize(image, np.array([x1, y1, x1 + side, y1 + side]) + 1e-9, 25)
    assert np.abs(first.astype(int) - second).max() <= 1
