"""Scores of boxes: hand-computed cases."""

import numpy as np
import pytest

from siamrpnpp_plugin.evaluation.ope import average, center_error, evaluate_sequence, overlap

SQUARE = np.array([[0., 0, 10, 10]])


@pytest.mark.parametrize(('other', 'expected'), [
    ([0, 0, 10, 10], 1), ([5, 0, 15, 10], 1 / 3), ([10, 0, 20, 10], 0), ([2, 2, 7, 7], 0.25), ([0, 0, 0, 0], 0)])
def test_overlap(other, expected):
    assert overlap(SQUARE, np.array([other], float)) == pytest.approx(expected)


def test_overlap_with_nothing_known_is_nan():
    assert np.isnan(overlap(SQUARE, np.full((1, 4), np.nan))).all()


def test_center_error_is_a_distance():
    assert center_error(SQUARE, SQUARE + [3, 4, 3, 4]) == pytest.approx(5)


def test_a_sequence_is_scored_without_its_first_frame_and_without_unknown_frames():
    truth = np.repeat(SQUARE, 5, axis=0)
    truth[3] = np.nan
    found = truth.copy()
    found[0] = [100, 100, 110, 110]  # given, does not count
    found[1] = [5, 0, 15, 10]  # 1 / 3, 5 pixels off
    found[3] = [0, 0, 1, 1]
    found[4] = [40, 0, 50, 10]  # 0, 40 pixels off
    scores = evaluate_sequence(found, truth)
    assert scores['ao'] == pytest.approx((1 / 3 + 1 + 0) / 3)
    assert scores['sr50'] == scores['sr75'] == pytest.approx(1 / 3)
    assert scores['precision'] == pytest.approx(2 / 3)
    # overlap above 0 ... .3 (7 thresholds): two frames; up to .95 (13 more): one; above 1: none
    assert scores['auc'] == pytest.approx((7 * 2 / 3 + 13 * 1 / 3) / 21)


def test_the_mean_counts_each_sequence_once():
    assert average([dict(ao=0.2, success=np.array([1., 0])), dict(ao=0.6, success=np.array([0., 0]))])['ao'] == pytest.approx(0.4)


@pytest.mark.parametrize(('found', 'truth', 'message'), [
    (np.zeros((2, 4)), np.zeros((3, 4)), '3 frames need as many boxes, got 2'),
    (np.full((2, 4), np.nan), np.repeat(SQUARE, 2, axis=0), 'box of frame 0 is not finite'),
    (np.zeros((2, 4)), np.full((2, 4), np.nan), 'no frame after the first')])
def test_wrong_input_is_named(found, truth, message):
    with pytest.raises(ValueError, match=message):
        evaluate_sequence(found, truth)
