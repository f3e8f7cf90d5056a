import cv2
import numpy as np
import pytest

import siamrpnpp_plugin.datasets  # noqa: F401  registers the transforms
from siamrpnpp_plugin.datasets.jpeg import EncodedImage, JPEGError, encode_jpeg
from siamrpnpp_plugin.datasets.transforms import ColorPCA, MotionBlur, RandomFlip, RandomGray, ShiftScaleCrop, View, stored_view
from siamrpnpp_plugin.registry import TRANSFORMS

FULL = 511  # side of a stored crop
BOX = np.array([200., 210., 300., 290.])

# PySOT's colour noise, rows R, G, B (pysot/datasets/augmentation.py)
COLOR_NOISE = np.array([[-0.55919361, 0.98062831, -0.41940627], [1.72091413, 0.19879334, -1.82968581],
                        [4.64467907, 4.73710203, 4.88324118]])


def noise_view(height: int = 64, width: int = 64, seed: int = 0) -> View:
    return View(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8), np.array([10., 20., 40., 50.]))


def pair(view: View) -> dict:
    return dict(template=view, search=view)


def edges(profile: np.ndarray) -> tuple:
    """Where a bright bar begins and ends on a dark line: the dark and the bright shares up to a place within it."""
    share = profile.astype(float) / 255
    middle = int(np.flatnonzero(share > 0.5).mean())
    return middle - share[:middle].sum(), middle + share[middle:].sum()


def windows_of(transform: ShiftScaleCrop, draws: int, full: int = FULL) -> np.ndarray:
    """(draws, 4) windows, from where the transform moved a box: crop = (image - start) * size / side."""
    image, rng = np.zeros((full, full, 3), np.uint8), np.random.default_rng(0)
    box = np.array([0., 0., full, full])
    found = np.stack([transform.apply(View(image, box), transform.draw(rng)).box_xyxy for _ in range(draws)])
    side = transform.size * full / (found[:, 2:] - found[:, :2])
    start = -found[:, :2] * side / transform.size
    return np.concatenate((start, start + side), axis=1)


def largest_gap(values: np.ndarray, low: float, high: float) -> float:
    """Distance of Kolmogorov and Smirnov to the uniform distribution, times sqrt(n): above 1.95 once in a thousand cases."""
    places = (np.sort(values) - low) / (high - low)
    steps = np.arange(len(values) + 1) / len(values)
    return max((places - steps[:-1]).max(), (steps[1:] - places).max()) * len(values)**0.5


# ---- ShiftScaleCrop


@pytest.mark.parametrize(('size', 'shift', 'scale'), [(127, 4, 0.05), (255, 64, 0.18), (255, 0, 0)])
def test_box_follows_the_target(size, shift, scale):
    transform = ShiftScaleCrop('search', size, shift, scale)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        xmin, ymin = rng.integers(225, 248, 2)
        xmax, ymax = rng.integers(263, 286, 2)
        image = np.zeros((FULL, FULL, 3), np.uint8)
        image[ymin:ymax, xmin:xmax] = 255
        view = transform(dict(search=View(image, np.array([xmin, ymin, xmax, ymax], float))), rng)['search']
        assert view.size == (size, size)
        x1, y1, x2, y2 = view.box_xyxy
        middle_x, middle_y = int((x1 + x2) / 2), int((y1 + y2) / 2)
        (left, right), (top, bottom) = edges(view.image[middle_y, :, 0]), edges(view.image[:, middle_x, 0])
        assert np.abs(np.array([left, top, right, bottom]) - view.box_xyxy).max() < 0.6


def test_box_has_no_systematic_offset_to_the_target():
    """Half a pixel of offset, the usual mistake, would be seen here."""
    transform, errors = ShiftScaleCrop('search', 255, 64, 0.18), []
    image = np.zeros((FULL, FULL, 3), np.uint8)
    image[230:280, 240:270] = 255
    for seed in range(100):
        view = transform(dict(search=View(image, np.array([240., 230., 270., 280.]))), np.random.default_rng(seed))['search']
        middle_x, middle_y = (view.box_xyxy[:2] + view.box_xyxy[2:]).astype(int) // 2
        (left, right), (top, bottom) = edges(view.image[middle_y, :, 0]), edges(view.image[:, middle_x, 0])
        errors.append(np.array([left, top, right, bottom]) - view.box_xyxy)
    assert np.abs(np.mean(errors, axis=0)).max() < 0.1


def test_crop_without_change_is_the_middle_of_the_stored_crop():
    view = noise_view(FULL, FULL)
    crop = ShiftScaleCrop('template', 127)(dict(template=View(view.image, BOX)), np.random.default_rng(0))['template']
    assert np.array_equal(crop.image, view.image[192:319, 192:319])
    assert np.array_equal(crop.box_xyxy, BOX - 192)


@pytest.mark.parametrize(('size', 'shift', 'scale', 'full'), [
    (127, 4, 0.05, 511),
    (255, 64, 0.18, 511),
    (255, 400, 0.18, 511),      # shifts reach beyond the crop
    (255, 64, 0.99, 511),       # windows down to two pixels
    (300, 64, 0.9, 511),        # windows wider than the crop
    (255, 64, 0.18, 255),       # a stored crop as small as the window
    (127, 3, 0.2, 130),
])
def test_window_never_leaves_the_crop(size, shift, scale, full):
    windows = windows_of(ShiftScaleCrop('search', size, shift, scale), 150, full)
    assert windows.min() >= -1e-9
    assert windows.max() <= full + 1e-9
    white = View(np.full((full, full, 3), 255, np.uint8), BOX)
    transform, rng = ShiftScaleCrop('search', size, shift, scale), np.random.default_rng(1)
    assert all((transform.apply(white, transform.draw(rng)).image == 255).all() for _ in range(50)), 'no padding gets in'


@pytest.mark.parametrize(('size', 'shift', 'scale'), [(127, 4, 0.05), (255, 64, 0.18)])
def test_shift_and_scale_are_uniform_and_independent(size, shift, scale):
    """Template and search image of PySOT's recipe."""
    draws = 3000
    windows = windows_of(ShiftScaleCrop('search', size, shift, scale), draws)
    shifts = (windows[:, :2] + windows[:, 2:]) / 2 - FULL / 2
    scales = (windows[:, 2:] - windows[:, :2]) / size - 1
    for axis in range(2):
        assert largest_gap(shifts[:, axis], -shift, shift) < 1.95
        assert largest_gap(scales[:, axis], -scale, scale) < 1.95
        for values, limit in ((shifts[:, axis], shift), (scales[:, axis], scale)):
            assert np.abs(values).max() <= limit + 1e-9
            assert values.min() < -0.97 * limit
            assert values.max() > 0.97 * limit
            assert abs(values.mean()) < 4 * limit / (3 * draws)**0.5
    correlation = np.corrcoef(np.concatenate((shifts, scales), axis=1).T)
    assert np.abs(correlation - np.eye(4)).max() < 4 / draws**0.5


def test_windows_start_on_whole_pixels():
    starts = windows_of(ShiftScaleCrop('search', 255, 64, 0.18), 200)[:, :2]
    np.testing.assert_allclose(starts, np.round(starts), atol=1e-9)
    assert len(np.unique(np.round(starts[:, 0]))) > 50


def test_shift_without_scale_takes_each_whole_step_equally_often():
    starts = windows_of(ShiftScaleCrop('template', 127, shift=4), 1800)[:, 0]
    places, counts = np.unique(np.round(starts).astype(int), return_counts=True)
    assert places.tolist() == list(range(192 - 4, 192 + 5))
    assert ((counts - 200)**2 / 200).sum() < 8 + 5 * 16**0.5


@pytest.mark.parametrize(('size', 'shift', 'scale'), [
    (127, 4, 0.05),
    (255, 64, 0.18),
    (255, 400, 0.5),    # up to the border of the crop
    (254, 0, 0),        # starts between pixels
])
def test_encoded_and_decoded_images_give_the_same_pixels(size, shift, scale):
    image = cv2.resize(noise_view(40, 40).image, (FULL, FULL), interpolation=cv2.INTER_CUBIC)
    encoded = EncodedImage(encode_jpeg(image))
    decoded, transform = encoded.pixels(), ShiftScaleCrop('search', size, shift, scale)
    for seed in range(20):
        params = transform.draw(np.random.default_rng(seed))
        first, second = transform.apply(View(encoded, BOX), params), transform.apply(View(decoded, BOX), params)
        assert np.array_equal(first.image, second.image)
        assert np.array_equal(first.box_xyxy, second.box_xyxy)


@pytest.mark.parametrize(('size', 'shift', 'scale'), [(0, 0, 0), (127, -1, 0), (127, 0, -0.1), (127, 0, 1)])
def test_crop_refuses_numbers_out_of_range(size, shift, scale):
    with pytest.raises(ValueError, match='ShiftScaleCrop needs'):
        ShiftScaleCrop('search', size, shift, scale)


# ---- colour


def color_offsets(draws: int) -> np.ndarray:
    """(draws, 3) what is subtracted from R, G, B, read from the change of a grey pixel; rounded to whole levels."""
    transform, rng = ColorPCA('search'), np.random.default_rng(0)
    view = View(np.full((1, 1, 3), 128, np.uint8), BOX)
    pixels = np.stack([transform(dict(search=view), rng)['search'].image[0, 0] for _ in range(draws)])
    return 128 - pixels[:, ::-1].astype(float)


def test_color_noise_has_the_mean_and_the_covariance_of_pysot():
    draws = 10000
    offsets = color_offsets(draws)
    expected = COLOR_NOISE @ COLOR_NOISE.T
    variances = np.diag(expected)
    assert (np.abs(offsets.mean(axis=0)) < 4 * (variances / draws)**0.5).all()
    error = np.cov(offsets.T) - expected - np.eye(3) / 12  # rounding adds a twelfth
    assert (np.abs(error) < 5 * ((np.outer(variances, variances) + expected**2) / draws)**0.5).all()


def test_color_noise_equals_pysots_subtraction_in_floating_point():
    transform, view = ColorPCA(), noise_view()
    for seed in range(30):
        params = transform.draw(np.random.default_rng(seed))
        expected = COLOR_NOISE @ np.random.default_rng(seed).standard_normal(3)
        np.testing.assert_allclose(params, expected, rtol=1e-12)
        changed = transform.apply(view, params)
        assert changed.image.dtype == np.uint8
        assert np.array_equal(changed.box_xyxy, view.box_xyxy)
        exact = np.clip(np.rint(view.image.astype(np.float64) - expected[::-1]), 0, 255)
        assert np.abs(changed.image - exact).max() <= 1


def test_color_noise_of_any_size_stays_in_range_and_spares_the_original():
    transform, view = ColorPCA(), noise_view()
    original = view.image.copy()
    changed = transform.apply(view, np.array([300., -300., 0.])).image  # R, G, B
    assert (changed[..., 2] == 0).all()
    assert (changed[..., 1] == 255).all()
    assert np.array_equal(changed[..., 0], original[..., 0])
    assert np.array_equal(view.image, original)


def test_gray_image_has_equal_channels_of_the_luminance_and_the_same_box():
    view = noise_view()
    gray = RandomGray()(pair(view), np.random.default_rng(0))['template']
    assert (gray.image == gray.image[..., :1]).all()
    luminance = view.image.astype(float) @ [0.114, 0.587, 0.299]
    assert np.abs(gray.image[..., 0] - luminance).max() <= 1
    assert np.array_equal(gray.box_xyxy, view.box_xyxy)


# ---- blur


@pytest.mark.parametrize('size', [5, 7, 21, 45])
@pytest.mark.parametrize('share', [0, 0.3, 0.5, 0.99])
def test_blur_equals_the_filter_with_pysots_cross(size, share):
    kernel = np.zeros((size, size))
    kernel[:, size // 2] += share / size
    kernel[size // 2, :] += (1 - share) / size
    assert kernel.sum() == pytest.approx(1)
    view = noise_view(60, 80)
    blurred = MotionBlur().apply(view, (size, share))
    assert blurred.image.dtype == np.uint8
    assert np.abs(blurred.image.astype(int) - cv2.filter2D(view.image, -1, kernel)).max() <= 1
    assert np.array_equal(blurred.box_xyxy, view.box_xyxy)


def test_blur_sizes_are_odd_and_uniform_and_shares_uniform():
    transform, rng, draws = MotionBlur(), np.random.default_rng(0), 4200
    sizes, shares = zip(*(transform.draw(rng) for _ in range(draws)))
    found, counts = np.unique(sizes, return_counts=True)
    assert found.tolist() == list(range(5, 46, 2))
    assert ((counts - 200)**2 / 200).sum() < 20 + 5 * 40**0.5
    assert largest_gap(np.array(shares), 0, 1) < 1.95


def test_blur_of_one_length_is_possible():
    assert MotionBlur(sizes=(9, 9)).draw(np.random.default_rng(0))[0] == 9


@pytest.mark.parametrize('sizes', [(4, 45), (5, 44), (9, 5), (-1, 5)])
def test_blur_refuses_sizes_that_are_even_or_out_of_order(sizes):
    with pytest.raises(ValueError, match='two odd numbers in order'):
        MotionBlur(sizes=sizes)


# ---- flip


def test_flip_mirrors_the_pixels_and_the_box():
    view = View(np.arange(2 * 5 * 3, dtype=np.uint8).reshape(2, 5, 3), np.array([0.5, 0, 2, 1.5]))
    flipped = RandomFlip()(pair(view), np.random.default_rng(0))['search']
    assert np.array_equal(flipped.image, view.image[:, ::-1])
    assert flipped.box_xyxy.tolist() == [3, 0, 4.5, 1.5]


def test_flipping_twice_changes_nothing():
    views, transform, rng = pair(noise_view(30, 50)), RandomFlip(), np.random.default_rng(0)
    twice = transform(transform(views, rng), rng)['template']
    assert np.array_equal(twice.image, views['template'].image)
    assert np.array_equal(twice.box_xyxy, views['template'].box_xyxy)


# ---- all


ALL = [dict(type='ShiftScaleCrop', keys='search', size=31, shift=8, scale=0.3), dict(type='ColorPCA', keys='search'),
       dict(type='MotionBlur', keys='search', prob=1), dict(type='RandomGray', keys='search'),
       dict(type='RandomFlip', keys='search')]


def build(config: dict, **changes):
    return TRANSFORMS.build({**config, 'type': f'siamrpnpp_plugin.{config["type"]}', **changes})


def name_of(config: dict) -> str:
    return config['type']


@pytest.mark.parametrize('config', ALL, ids=name_of)
def test_only_the_views_that_are_named_change(config):
    view = noise_view()
    changed = build(config)(pair(view), np.random.default_rng(0))
    assert list(changed) == ['template', 'search']
    assert changed['template'] is view
    assert not np.array_equal(changed['search'].image, view.image)


@pytest.mark.parametrize('config', ALL, ids=name_of)
def test_two_views_of_one_transform_change_alike(config):
    changed = build(config, keys=['template', 'search'])(pair(noise_view()), np.random.default_rng(0))
    assert np.array_equal(changed['template'].image, changed['search'].image)
    assert np.array_equal(changed['template'].box_xyxy, changed['search'].box_xyxy)


@pytest.mark.parametrize('config', ALL[:3], ids=name_of)
def test_two_transforms_draw_independently(config):
    views, rng = pair(noise_view()), np.random.default_rng(0)
    for key in ('template', 'search'):
        views = build(config, keys=key)(views, rng)
    assert not np.array_equal(views['template'].image, views['search'].image)


@pytest.mark.parametrize('config', ALL, ids=name_of)
def test_the_same_generator_state_gives_the_same_views(config):
    first, second = (build(config)(pair(noise_view()), np.random.default_rng(7))['search'] for _ in range(2))
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.box_xyxy, second.box_xyxy)


@pytest.mark.parametrize('config', ALL[1:], ids=name_of)
@pytest.mark.parametrize('prob', [0, 0.2, 1])
def test_probability_is_respected(config, prob):
    """An unchanged view is the same object."""
    transform, view, rng, draws = build(config, prob=prob), noise_view(8, 8), np.random.default_rng(0), 2000
    changed = sum(transform(dict(search=view), rng)['search'] is not view for _ in range(draws))
    assert abs(changed / draws - prob) <= 4 * (prob * (1 - prob) / draws)**0.5


@pytest.mark.parametrize('config', ALL, ids=name_of)
@pytest.mark.parametrize('keys', [(), 'templates', ['template', 'detection']])
def test_keys_must_be_template_and_search(config, keys):
    with pytest.raises(ValueError, match=f"keys of {config['type']} must be of 'template' and 'search'"):
        build(config, keys=keys)


@pytest.mark.parametrize('config', ALL[1:], ids=name_of)
@pytest.mark.parametrize('prob', [-0.1, 1.1, float('nan')])
def test_prob_must_be_a_probability(config, prob):
    with pytest.raises(ValueError, match=rf"prob of {config['type']} must be in \[0, 1\]"):
        build(config, prob=prob)


@pytest.mark.parametrize('config', ALL, ids=name_of)
def test_unknown_argument_is_answered_with_the_known_ones(config):
    with pytest.raises(ValueError, match=f"{config['type']} has no argument 'strength'.*expected: keys"):
        build(config, strength=1)


def test_stored_view_has_its_target_in_the_middle_and_is_not_decoded():
    view = stored_view(encode_jpeg(noise_view(40, 61).image), np.array([20, 9]))
    assert isinstance(view.image, EncodedImage)
    assert view.size == (61, 40)
    assert view.box_xyxy.tolist() == [20.5, 15.5, 40.5, 24.5]


def test_stored_view_of_no_jpeg_is_an_error():
    with pytest.raises(JPEGError):
        stored_view(b'no image', np.array([20, 9]))


def test_a_transform_before_the_crop_gets_pixels():
    image = np.random.default_rng(0).integers(0, 256, (511, 511, 3), dtype=np.uint8)
    view = stored_view(encode_jpeg(image), np.array([60.0, 40.0]))
    flipped = RandomFlip()(dict(template=view, search=view), np.random.default_rng(0))['search']
    assert np.array_equal(flipped.image, EncodedImage(encode_jpeg(image)).pixels()[:, ::-1])
