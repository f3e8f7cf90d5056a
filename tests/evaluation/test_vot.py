"""The VOT protocols: hand-computed cases; tests/parity/test_metrics.py shows that the numbers are those of PySOT's toolkit."""

import numpy as np
import pytest

from siamrpnpp_plugin.evaluation.longterm import (
    confidence_thresholds,
    evaluate_longterm_sequence,
    read_confidences,
    summarize_longterm,
)
from siamrpnpp_plugin.evaluation.vot import (
    INTERVALS,
    evaluate_vot_sequence,
    read_vot_results,
    region_overlaps,
    summarize_vot,
)
from siamrpnpp_plugin.ops.polygons import exact_overlap

SIZE = (100, 100)
START, FAILED, SKIPPED = (1.,), (2.,), (0.,)
PERFECT, HALF = (20., 20., 10., 10.), (20., 20., 10., 5.)  # x y w h
EXACT = dict(overlap=exact_overlap)


def truth(frames: int) -> np.ndarray:
    """(T, 4) boxes xyxy."""
    return np.array([[20., 20, 30, 30]]).repeat(frames, axis=0)


def failing_run(frames: int = 60, failure: int = 20, region: tuple = HALF) -> list:
    """Initialised, half right, a failure, four skipped frames, initialised anew, half right to the end."""
    rest = [START] + [region] * (frames - failure - 6)
    return [START] + [region] * (failure - 1) + [FAILED] + [SKIPPED] * 4 + rest


def test_boxes_and_polygons_mix_and_what_is_no_region_has_no_overlap():
    polygon = (20., 20, 30, 20, 30, 30, 20, 30)
    triangle = (20., 20, 30, 20, 20, 30)
    boxes = truth(7)
    boxes[6] = np.nan
    overlaps = region_overlaps([START, PERFECT, polygon, triangle, HALF, FAILED, PERFECT], boxes, **EXACT)
    assert np.allclose(overlaps, [np.nan, 1, 1, 0.5, 0.5, np.nan, np.nan], equal_nan=True)
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]]
    assert np.array_equal(region_overlaps([HALF] * 7, corners), region_overlaps([HALF] * 7, boxes), equal_nan=True)


def test_accuracy_does_not_count_ten_frames_from_each_start():
    run = [START] + [HALF] * 9 + [PERFECT] * 5 + [FAILED] + [SKIPPED] * 4 + [START] + [HALF] * 9 + [PERFECT] * 2
    scores = evaluate_vot_sequence([run], truth(len(run)), SIZE, **EXACT)
    assert scores['accuracy'] == 1
    assert scores['lost'] == 1
    assert np.count_nonzero(~np.isnan(scores['overlaps'])) == 7


def test_repetitions_are_averaged():
    runs = [[START] + [PERFECT] * 29, [START] + [HALF] * 29, failing_run(30)]
    scores = evaluate_vot_sequence(runs, truth(30), SIZE, **EXACT)
    assert scores['lost'] == pytest.approx(1 / 3)
    # frames 10-19: 1, .5, .5; frames 20-29: the third run has none
    assert scores['accuracy'] == pytest.approx((10 * 2 / 3 + 10 * 0.75) / 20)


@pytest.mark.parametrize('pooling', ['pysot', 'vot'])
def test_expected_overlap_falls_after_a_failure(pooling):
    run = failing_run()
    summary = summarize_vot([evaluate_vot_sequence([run], truth(60), SIZE, **EXACT)], (10, 30), pooling)
    curve = summary['expected_overlaps']
    assert curve[10] == pytest.approx(0.5)
    # the first fragment: half in 19 frames, 0 from the failure on; the second: half to its end
    assert curve[30] == pytest.approx((0.5 * 19 / 30 + 0.5) / 2)
    assert summary['lost'] == 1
    assert summary['robustness'] == pytest.approx({'pysot': 100 / 60, 'vot': 1}[pooling])
    assert summary['eao'] < 0.5


def test_a_tracker_that_never_fails_has_its_accuracy_as_eao():
    scores = [evaluate_vot_sequence([[START] + [HALF] * 119], truth(120), SIZE, **EXACT)]
    for pooling in ('pysot', 'vot'):
        summary = summarize_vot(scores, (50, 100), pooling)
        assert summary['eao'] == pytest.approx(summary['accuracy']) == pytest.approx(0.5)
        assert summary['lost'] == summary['robustness'] == 0


def test_pooling_weights_frames_or_sequences():
    scores = [evaluate_vot_sequence([[START] + [region] * (frames - 1)], truth(frames), SIZE, **EXACT)
              for region, frames in ((PERFECT, 20), (HALF, 60))]
    assert summarize_vot(scores, (5, 15), 'pysot')['accuracy'] == pytest.approx((10 * 1 + 50 * 0.5) / 60)
    assert summarize_vot(scores, (5, 15), 'vot')['accuracy'] == pytest.approx((20 * 1 + 60 * 0.5) / 80)


def test_a_tag_weights_the_fragments_in_which_it_occurs():
    scores = [evaluate_vot_sequence([[START] + [region] * 59], truth(60), SIZE, dict(occlusion=flags, size_change=[]), **EXACT)
              for region, flags in ((PERFECT, np.arange(60) < 15), (HALF, np.arange(60) < 45))]
    by_tag = summarize_vot(scores, (10, 50))['eao_by_tag']
    assert list(by_tag) == ['all', 'occlusion', 'empty']
    assert by_tag['all'] == pytest.approx(0.75)
    assert by_tag['occlusion'] == pytest.approx(0.25 * 1 + 0.75 * 0.5)
    official = summarize_vot(scores, (10, 50), 'vot')['eao_by_tag']
    assert official['empty'] == pytest.approx(0.75 * 1 + 0.25 * 0.5)


def test_a_failure_at_the_end_starts_nothing_anew():
    run = [START] + [HALF] * 37 + [FAILED, SKIPPED]
    for pooling in ('pysot', 'vot'):
        assert 0 < summarize_vot([evaluate_vot_sequence([run], truth(40), SIZE, **EXACT)], (10, 39), pooling)['eao'] <= 0.5


def test_intervals_are_those_of_the_challenges():
    assert [INTERVALS[f'vot{year}'] for year in (2016, 2017, 2018, 2019)] == [(108, 371), (100, 356), (100, 356), (46, 291)]


def test_results_are_read_with_commas_or_blanks_and_unknown_regions(tmp_path):
    path = tmp_path / 'a_001.txt'
    path.write_text('1\n1.5,2,3,4\r\n5 6 7 8\n2\n0\n0,0,1,0,1,1,0,1\nnan,nan,nan,nan\n\n')
    assert read_vot_results(path) == [(1,), (1.5, 2, 3, 4), (5, 6, 7, 8), (2,), (0,), (0, 0, 1, 0, 1, 1, 0, 1), (0,)]


@pytest.mark.parametrize(('text', 'message'), [
    ('', 'is empty'), ('1\n1,2,3\n', "line 2: expected 0, 1, 2, a box or a polygon, got '1,2,3'"),
    ('1\n\n2\n', "line 2: .* got ''"),
    ('7\n', 'line 1'), ('1\n1,2,x,4\n', 'line 2')])
def test_a_bad_result_file_is_named_with_its_line(tmp_path, text, message):
    path = tmp_path / 'bad_001.txt'
    path.write_text(text)
    with pytest.raises(ValueError, match=f'bad_001.txt.* ?{message}'):
        read_vot_results(path)


@pytest.mark.parametrize(('call', 'message'), [
    (lambda: evaluate_vot_sequence([], truth(3), SIZE), 'no repetition'),
    (lambda: evaluate_vot_sequence([[START]], truth(3), SIZE), '3 frames need as many entries, got 1'),
    (lambda: evaluate_vot_sequence([[START]], truth(1), SIZE, dict(occlusion=[0, 1])), '1 frames need as many flags of'),
    (lambda: summarize_vot([], pooling='mean'), "got 'mean' over 0"),
    (lambda: evaluate_longterm_sequence([START], [0, 1], truth(1), SIZE), '1 entries need as many confidences, got 2'),
    (lambda: evaluate_longterm_sequence([START], [0], truth(1) * np.nan, SIZE), 'the target is in no frame')])
def test_wrong_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_longterm_precision_and_recall_at_the_best_threshold():
    frames = 400
    boxes = truth(frames)
    boxes[300:] = np.nan  # the target is gone
    confidences = np.concatenate(([np.nan], np.linspace(1, 0.6, 299), np.linspace(0.4, 0.2, 100)))
    scores = evaluate_longterm_sequence([START] + [PERFECT] * 399, confidences, boxes, SIZE, **EXACT)
    summary = summarize_longterm([scores])
    assert summary['precision'] == 1
    assert summary['recall'] == pytest.approx(299 / 300, abs=0.02)
    assert 0.4 < summary['threshold'] <= 0.64
    everything = summary['thresholds'] == -np.inf
    assert summary['precisions'][everything] == pytest.approx(299 / 399)
    assert summary['recalls'][summary['thresholds'] == np.inf] == 0
    assert summary['f1'] == max(summary['f1s'])


def test_thresholds_are_even_ranks_from_infinity_down():
    thresholds = confidence_thresholds(np.append(np.arange(980.), np.nan))
    assert len(thresholds) == 100
    assert thresholds[0] == np.inf
    assert thresholds[-1] == -np.inf
    assert thresholds[1] == 970
    assert thresholds[-2] == 9
    assert np.isfinite(confidence_thresholds(np.arange(5.))[1:-1]).all()


def test_confidences_are_read_without_their_first_line(tmp_path):
    path = tmp_path / 'a_001_confidence.value'
    path.write_text('\n0.5\n0.25\n')
    assert np.array_equal(read_confidences(path), [np.nan, 0.5, 0.25], equal_nan=True)
    path.write_text('\n0.5\nx\n')
    with pytest.raises(ValueError, match="confidence.value, line 3: expected a number, got 'x'"):
        read_confidences(path)
