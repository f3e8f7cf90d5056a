"""Overlap of polygons: hand-computed cases and identities."""

import numpy as np
import pytest

from siamrpnpp_plugin.ops.polygons import box_corners, exact_overlap, raster_overlap

SQUARE = box_corners(np.array([[0., 0, 10, 10]]))
DIAMOND = np.array([[[5., 0], [10, 5], [5, 10], [0, 5]]])


def convex(count: int, corners: int, seed: int) -> np.ndarray:
    """Polygons within ellipses."""
    generator = np.random.default_rng(seed)
    angles = np.sort(generator.uniform(0, 2 * np.pi, (count, corners)), axis=1)
    return generator.uniform(30, 60, (count, 1, 2)) + np.stack((25 * np.cos(angles), 15 * np.sin(angles)), axis=2)


def test_corners_turn_from_the_upper_left():
    assert box_corners(np.array([[1, 2, 5, 8]])).tolist() == [[[1, 2], [5, 2], [5, 8], [1, 8]]]


@pytest.mark.parametrize(('second', 'exact', 'by_pixels', 'why'), [
    (SQUARE, 1, 1, 'the same'),
    (SQUARE + 5, 25 / 175, 36 / 206, 'both borders hold pixels: 6x6 of 2 * 11x11'),
    (SQUARE + [10, 0], 0, 0, 'touching: one column of pixels is common, but the boxes have no common area'),
    (SQUARE + 30, 0, 0, 'apart'),
    (DIAMOND, 0.5, 59 / 121, 'rows of 3, 5 ... 11 ... 3 pixels: two equal nodes make none'),
    (SQUARE[:, ::-1], 1, 1, 'in the other direction'),
    (SQUARE * 0 + 5, 0, 0, 'a point')])
def test_overlap_with_a_square(second, exact, by_pixels, why):
    assert exact_overlap(SQUARE, second) == pytest.approx(exact), why
    assert raster_overlap(SQUARE, second) == pytest.approx(by_pixels, abs=1e-7), why


def test_what_lies_beyond_the_bound_does_not_count():
    assert exact_overlap(SQUARE, SQUARE + [5, 0], (12, 5)) == pytest.approx(5 / 12)
    assert raster_overlap(SQUARE, SQUARE + [5, 0], (12, 5)) == pytest.approx(6 / 13)
    assert exact_overlap(SQUARE + 50, SQUARE + 50, (40, 40)) == 0


def test_nothing_known_is_nan():
    for overlap in (exact_overlap, raster_overlap):
        values = overlap(np.concatenate((SQUARE, SQUARE * np.nan)), np.concatenate((SQUARE, SQUARE)))
        assert values[0] == 1
        assert np.isnan(values[1])


def test_exact_overlap_is_symmetric_and_does_not_depend_on_place_direction_or_start():
    first, second = convex(200, 5, seed=0), convex(200, 4, seed=1)
    overlaps = exact_overlap(first, second)
    assert 0.05 < overlaps.mean() < 0.5 < overlaps.max()
    assert np.allclose(exact_overlap(second, first), overlaps, atol=1e-12)
    assert np.allclose(exact_overlap(first[:, ::-1], np.roll(second, 1, axis=1)), overlaps, atol=1e-12)
    assert np.allclose(exact_overlap(first + 1000, second + 1000), overlaps, atol=1e-9)


def test_overlap_by_pixels_tends_to_the_exact_one():
    first, second = convex(50, 4, seed=2), convex(50, 4, seed=3)
    errors = [np.abs(raster_overlap(first * scale, second * scale) - exact_overlap(first, second)).max() for scale in (1, 20)]
    assert errors[1] < 0.02 < errors[0]


def test_a_batch_gives_what_each_pair_gives():
    first, second = convex(40, 5, seed=4) * 30, convex(40, 4, seed=5) * 30  # several chunks of rows
    for overlap in (exact_overlap, raster_overlap):
        assert np.allclose(overlap(first, second), [overlap(first[k:k + 1], second[k:k + 1])[0] for k in range(40)], atol=1e-12)


def test_no_polygons_have_no_overlaps():
    assert exact_overlap(SQUARE[:0], SQUARE[:0]).shape == raster_overlap(SQUARE[:0], SQUARE[:0]).shape == (0,)


@pytest.mark.parametrize(('overlap', 'second', 'message'), [
    (raster_overlap, SQUARE[0], r'second is \(4, 2\)'),
    (exact_overlap, SQUARE[:, :2], r'second is \(1, 2, 2\)'),
    (exact_overlap, SQUARE.repeat(2, axis=0), r'second is \(2, 4, 2\)'),
    (exact_overlap, SQUARE[:, [0, 2, 1, 3]], 'second polygon 0 is not convex')])
def test_wrong_input_is_named(overlap, second, message):
    with pytest.raises(ValueError, match=message):
        overlap(SQUARE, second)
