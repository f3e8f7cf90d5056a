"""Scores of boxes: hand-computed cases and identities; tests/parity/test_metrics.py shows that the presets are the toolkits'."""

from dataclasses import replace

import numpy as np
import pytest

from siamrpnpp_plugin.evaluation.ope import (
    NORM_PRECISION_THRESHOLDS,
    PRECISION_THRESHOLDS,
    PRESETS,
    SUCCESS_THRESHOLDS,
    Convention,
    center_error,
    evaluate_sequence,
    overlap,
    summarize,
)

SQUARE = np.array([[0., 0, 10, 10]])
LENIENT = [name for name in PRESETS if not name.startswith('pytracking') and name != 'default']


def still(frames: int, at: float = 20) -> np.ndarray:
    return np.repeat(SQUARE + at, frames, axis=0)


def noisy(frames: int = 60) -> tuple:
    generator = np.random.default_rng(0)
    truth = generator.integers(5, 50, (frames, 4)).astype(float)
    truth[:, 2:] += truth[:, :2]
    predicted = truth + generator.integers(-4, 5, (frames, 1))
    return predicted, truth


@pytest.mark.parametrize(('other', 'expected'), [
    ([0, 0, 10, 10], 1), ([5, 0, 15, 10], 1 / 3), ([10, 0, 20, 10], 0), ([2, 2, 7, 7], 0.25), ([0, 0, 0, 0], 0)])
def test_overlap(other, expected):
    assert overlap(SQUARE, np.array([other], float)) == pytest.approx(expected)


def test_overlap_with_nothing_known_is_nan():
    assert np.isnan(overlap(SQUARE, np.full((1, 4), np.nan))).all()


def test_overlap_of_two_points_is_zero():
    assert overlap(np.zeros((1, 4)), np.zeros((1, 4))) == 0


def test_center_error_is_a_distance():
    assert center_error(SQUARE, SQUARE + [3, 4, 3, 4]) == pytest.approx(5)


def test_a_sequence_is_scored_without_its_first_frame_and_without_unknown_frames():
    truth = np.repeat(SQUARE, 5, axis=0)
    truth[3] = np.nan
    found = truth.copy()
    found[0] = [100, 100, 110, 110]  # given, does not count
    found[1] = [5, 0, 15, 10]  # 1 / 3, 5 pixels off, half a width
    found[3] = [0, 0, 1, 1]
    found[4] = [40, 0, 50, 10]  # 0, 40 pixels off
    scores = evaluate_sequence(found, truth)
    assert scores['num_frames'] == scores['num_known'] == 3
    assert scores['ao'] == pytest.approx((1 / 3 + 1 + 0) / 3)
    assert scores['sr50'] == scores['sr75'] == pytest.approx(1 / 3)
    assert scores['precision'] == pytest.approx(2 / 3)
    # overlap above 0 ... .3 (7 thresholds): two frames; up to .95 (13 more): one; above 1: none
    assert scores['auc'] == pytest.approx((7 * 2 / 3 + 13 * 1 / 3) / 21)
    # half a width off: only at the last of 51 thresholds
    assert scores['norm_precision'] == pytest.approx(1 / 3)
    assert scores['norm_precision_auc'] == pytest.approx((50 * 1 / 3 + 2 / 3) / 51)


def test_the_default_leaves_out_absent_and_covered_frames():
    truth = still(5)
    found = truth + [[0], [0], [100], [100], [0]]
    flags = np.array([False, False, True, False, False])
    assert evaluate_sequence(found, truth, is_absent=flags, cover=np.array([8, 8, 8, 0, 8]))['ao'] == 1
    assert evaluate_sequence(found, truth, is_absent=flags)['ao'] == pytest.approx(2 / 3)


def test_counting_equals_comparing_every_frame_with_every_threshold():
    predicted, truth = noisy()
    scores = evaluate_sequence(predicted, truth, 'lasot')
    overlaps, errors = overlap(predicted, truth), center_error(predicted, truth)
    overlaps[0], errors[0] = 1, 0  # the truth takes the first frame's place
    assert np.array_equal(scores['success'], (overlaps[:, None] > SUCCESS_THRESHOLDS).mean(axis=0))
    assert np.array_equal(scores['precisions'], (errors[:, None] <= PRECISION_THRESHOLDS).mean(axis=0))
    assert scores['ao'] == pytest.approx(overlaps.mean())


def test_an_overlap_at_a_threshold_is_not_above_it_and_an_error_at_one_is_within_it():
    truth = still(2)
    scores = evaluate_sequence(truth + [[0, 0, 0, 0], [0, 0, -5, 0]], truth)  # half the box, the centre 2.5 pixels off
    assert scores['success'][9] == 1
    assert scores['success'][10] == scores['sr50'] == 0
    scores = evaluate_sequence(truth + [[0], [2]], truth, replace(PRESETS['default'], norm='plain'))
    assert scores['norm_precisions'][28] == 0
    assert scores['norm_precisions'][29] == 1  # 2 * sqrt(2) / 10 = .2828
    scores = evaluate_sequence(truth + [[0, 0, 0, 0], [3, 4, 3, 4]], truth)
    assert scores['precisions'][4] == 0
    assert scores['precisions'][5] == 1


def test_curves_fall_and_rise():
    scores = evaluate_sequence(*noisy())
    assert (np.diff(scores['success']) <= 0).all()
    assert (np.diff(scores['precisions']) >= 0).all()
    assert (np.diff(scores['norm_precisions']) >= 0).all()
    assert len(scores['success']) == 21
    assert len(scores['precisions']) == len(scores['norm_precisions']) == len(NORM_PRECISION_THRESHOLDS)


@pytest.mark.parametrize('preset', sorted(PRESETS))
def test_shifting_every_box_changes_nothing_within_the_image(preset):
    predicted, truth = noisy()
    scores = [evaluate_sequence(predicted + shift, truth + shift, preset, size=(500, 500)) for shift in (20, 137)]
    assert all(np.allclose(scores[0][key], scores[1][key]) for key in scores[0])


def test_a_frame_without_truth_is_a_miss_for_pysots_success_and_a_hit_for_its_precision():
    truth = still(4)
    found, truth[2] = truth.copy() + 100, np.nan
    scores = evaluate_sequence(found, truth, 'pysot')
    assert scores['auc'] == 0
    assert scores['precision'] == 1 / 4


def test_absent_frames_stay_in_pysots_denominator():
    scores = evaluate_sequence(still(4), still(4), 'pysot', is_absent=np.array([False, True, True, False]))
    assert scores['sr50'] == scores['precision'] == 0.5
    assert scores['ao'] == 1


def test_pytracking_repeats_a_box_without_size_and_loses_boxes_at_the_border():
    truth = still(4)
    found = truth.copy()
    found[2, 2] = found[2, 0]
    assert evaluate_sequence(found, truth, 'pytracking')['sr75'] == 1
    assert evaluate_sequence(still(4, at=0), still(4, at=0), 'pytracking')['sr75'] == 0
    some = np.concatenate((still(2), still(2, at=0)))
    excluded = replace(PRESETS['pytracking_uav'], exclude_unknown=True)
    assert evaluate_sequence(some, some, excluded)['precision'] == 2  # as pytracking with that option


def test_pytracking_pads_missing_frames():
    assert evaluate_sequence(still(3), still(4), 'pytracking')['sr50'] == 3 / 4
    with pytest.raises(ValueError, match='4 frames need as many boxes, got 3'):
        evaluate_sequence(still(3), still(4), 'pytracking_lasot')


def test_otb_takes_the_first_frame_from_the_truth_and_cuts_to_the_shorter():
    found = still(4) + 100
    assert evaluate_sequence(found, still(5), 'otb')['precision'] == 1 / 4


def test_got10k_moves_boxes_into_the_image_and_pools_frames():
    truth = still(3) + 75
    scores = [evaluate_sequence(truth + 5, truth, 'got10k', size=(100, 100), cover=np.array(cover)) for cover in
              ([8, 8, 8], [8, 0, 0])]
    assert scores[0]['ao'] == 0  # (95, 95, 105, 105) becomes 5 pixels wide, the one at 100 nothing
    assert len(scores[0]['success']) == 101
    assert np.isnan(scores[1]['ao'])
    perfect = evaluate_sequence(still(7), still(7), 'got10k', size=(100, 100))
    summary = summarize([scores[0], scores[1], perfect], 'got10k')
    assert summary['ao'] == summary['sr75'] == pytest.approx(6 / 8)
    assert summary['num_frames'] == 8


def test_the_mean_counts_each_sequence_once():
    scores = [evaluate_sequence(still(3), still(3)), evaluate_sequence(still(30) + 100, still(30))]
    summary = summarize(scores)
    assert summary['ao'] == summary['precision'] == 0.5
    assert np.allclose(summary['success'], scores[0]['success'] / 2)
    assert summarize(scores, Convention(pooling='frames'))['ao'] == pytest.approx(2 / 31)


@pytest.mark.parametrize('preset', LENIENT)
def test_a_prediction_that_is_not_finite_is_a_miss_in_toolkits(preset):
    found = still(4)
    found[2] = np.nan
    scores = evaluate_sequence(found, still(4), preset, size=(100, 100))
    assert scores['sr50'] == pytest.approx(2 / 3 if preset == 'got10k' else 3 / 4)


def test_a_size_that_a_file_had_comes_back_exactly():
    corner, size = np.array([[20., 0.2]]), np.array([[10., 0.1]])
    truth = np.concatenate((corner, corner + size), axis=1).repeat(2, axis=0)
    half = np.concatenate((corner, corner + size / [1, 2]), axis=1).repeat(2, axis=0)
    assert (truth[0, 3] - truth[0, 1]) != size[0, 1], 'the difference alone is not the size'
    assert evaluate_sequence(half, truth)['sr50'] == 0, 'exactly half is not above one half'


@pytest.mark.parametrize(('found', 'truth', 'options', 'message'), [
    (np.zeros((2, 4)), np.zeros((3, 4)), {}, '3 frames need as many boxes, got 2'),
    (np.full((2, 4), np.nan), still(2), {}, 'box of frame 0 is not finite'),
    (np.zeros((2, 4)), np.full((2, 4), np.nan), {}, 'none of 2 frames counts'),
    (still(2), still(2), dict(is_absent=np.zeros(3, bool)), '2 frames need as many values of is_absent, got 3'),
    (still(2), still(2), dict(convention='got10k'), 'size is missing'),
    (still(2), still(2), dict(convention='vot'), "unknown convention 'vot'; known are default"),
    (still(2)[:, [2, 1, 0, 3]], still(2), dict(convention='pytracking'), 'box of frame 0 has a negative size')])
def test_wrong_input_is_named(found, truth, options, message):
    with pytest.raises(ValueError, match=message):
        evaluate_sequence(found, truth, **options)


@pytest.mark.parametrize(('options', 'message'), [
    (dict(first='dropped'), 'first must be one of left_out, truth, kept'),
    (dict(without_truth=('hit',)), 'three of hit and miss')])
def test_a_misspelt_convention_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        Convention(**options)


def test_nothing_to_summarize_is_an_error():
    with pytest.raises(ValueError, match='no frame of 0 sequences counts'):
        summarize([])
