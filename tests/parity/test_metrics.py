"""Our presets are the toolkits' numbers; these were frozen by `toolkit_numbers.py`."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Optional

import metric_cases as cases
import numpy as np
import pytest

from siamrpnpp_plugin.evaluation.longterm import evaluate_longterm_sequence, summarize_longterm
from siamrpnpp_plugin.evaluation.ope import PRESETS, evaluate_sequence, summarize
from siamrpnpp_plugin.evaluation.vot import INTERVALS, TAGS, evaluate_vot_sequence, summarize_vot
from siamrpnpp_plugin.ops.polygons import exact_overlap, raster_overlap

NUMBERS = np.load(Path(__file__).resolve().parent / 'toolkit_numbers.npz')
CONVENTIONS = dict(PRESETS, pytracking_excluded=replace(PRESETS['pytracking'], exclude_unknown=True))

pytestmark = pytest.mark.parity


def to_xyxy(box_xywh: np.ndarray) -> np.ndarray:
    return np.concatenate((box_xywh[:, :2], box_xywh[:, :2] + box_xywh[:, 2:]), axis=1)


def scores_of(preset: str, names: Optional[list] = None) -> list:
    scores = []
    for name in names or cases.ope_names(preset):
        sequence = cases.ope_sequence(name)
        scores.append(evaluate_sequence(to_xyxy(sequence['predicted']), to_xyxy(sequence['truth']), CONVENTIONS[preset],
                                        sequence['is_absent'], sequence['cover'], cases.SIZE))
    return scores


@pytest.mark.parametrize('preset', sorted(cases.FAILS_ON))
def test_each_sequence_and_the_mean_equal_the_toolkit(preset):
    scores = scores_of(preset)
    frozen = [key for key in ('success', 'precisions', 'norm_precisions', 'ao', 'sr50') if f'{preset}/{key}' in NUMBERS]
    assert frozen
    for key in frozen:
        theirs = NUMBERS[f'{preset}/{key}']
        for name, score, value in zip(cases.ope_names(preset), scores, theirs):
            assert np.allclose(score[key], value, atol=1e-5, rtol=0), f'{name}: {key}'
        if preset != 'got10k':
            assert np.allclose(summarize(scores, CONVENTIONS[preset])[key], theirs.mean(axis=0), atol=1e-5, rtol=0)


@pytest.mark.parametrize('preset', ['otb', 'uav', 'lasot', 'trackingnet'])
def test_totals_equal_the_got10k_toolkits(preset):
    summary = summarize(scores_of(preset), preset)
    ours = [summary['auc'], summary['precision'], summary['sr50'], summary['norm_precision_auc']]
    theirs = NUMBERS[f'{preset}/total']
    assert np.allclose(ours, np.where(np.isnan(theirs), ours, theirs), atol=1e-5, rtol=0)


def test_got10k_pools_frames():
    summary = summarize(scores_of('got10k'), 'got10k')
    assert np.allclose([summary['ao'], summary['sr50']], NUMBERS['got10k/total'], atol=1e-5, rtol=0)
    assert np.allclose(summary['success'], NUMBERS['got10k/success_total'], atol=1e-5, rtol=0)


@pytest.mark.parametrize(('first', 'second'), list(itertools.combinations(
    sorted(set(cases.FAILS_ON) - {'trackingnet', 'uav'}), 2)))
def test_the_cases_tell_the_presets_apart(first, second):
    names = [name for name in cases.ope_names(first) if name in cases.ope_names(second)]
    summaries = [summarize(scores_of(preset, names), CONVENTIONS[preset]) for preset in (first, second)]
    assert any(abs(summaries[0][key] - summaries[1][key]) > 1e-3 for key in ('auc', 'precision', 'norm_precision'))


@pytest.mark.parametrize('name', sorted(set(cases.polygon_pairs())))
@pytest.mark.parametrize('bound', sorted(cases.BOUNDS))
def test_overlap_by_pixels_equals_the_c_code_exactly(name, bound):
    ours = raster_overlap(*cases.polygon_pairs()[name], cases.BOUNDS[bound])
    assert np.array_equal(ours.astype(np.float32), NUMBERS[f'raster/{name}/{bound}'], equal_nan=True)


def test_exact_overlap_equals_shapelys():
    first, second = cases.polygon_pairs()['convex']
    assert np.allclose(exact_overlap(first, second), NUMBERS['exact/convex'], atol=1e-6, rtol=0)  # frozen as float32
    assert np.allclose(exact_overlap(first[:, :4], second, cases.BOUNDS['image']), NUMBERS['exact/bounded'], atol=1e-6, rtol=0)


def to_corners(regions: list) -> np.ndarray:
    return np.array([region if len(region) == 8 else [region[0], region[1], region[0] + region[2], region[1],
                                                      region[0] + region[2], region[1] + region[3], region[0],
                                                      region[1] + region[3]] for region in regions])


@pytest.mark.parametrize(('kind', 'repetitions'), [('plain', 1), ('plain', 3), ('odd', 1)])
def test_vot_equals_pysots_toolkit(kind, repetitions):
    scores = [evaluate_vot_sequence(sequence['runs'], to_corners(sequence['truth']), cases.SIZE, sequence['tags'])
              for sequence in cases.vot_sequences(kind, repetitions).values()]
    theirs = f'vot/{kind}{repetitions}'
    assert np.allclose([score['accuracy'] for score in scores], NUMBERS[f'{theirs}/accuracy'], atol=1e-5, rtol=0)
    for year in (2016, 2018, 2019):
        summary = summarize_vot(scores, INTERVALS[f'vot{year}'])
        eao = NUMBERS[f'{theirs}/{year}']
        assert np.allclose([summary['eao_by_tag'][tag] for tag in TAGS], eao, atol=1e-4, rtol=0, equal_nan=True), year
        assert not np.isnan(eao).all()
    ours = [summary['accuracy'], summary['robustness'], summary['lost']]
    assert np.allclose(ours, NUMBERS[f'{theirs}/printed'], atol=[6e-4, 6e-4, 0.06], rtol=0)  # printed with 3, 3, 1 decimals


def test_longterm_equals_pysots_toolkit():
    summary = summarize_longterm([
        evaluate_longterm_sequence(sequence['entries'], sequence['confidences'], to_xyxy(sequence['truth']), cases.SIZE)
        for sequence in cases.longterm_sequences().values()])
    precision, recall = NUMBERS['longterm/precision'], NUMBERS['longterm/recall']
    assert np.allclose(summary['precisions'], precision, atol=1e-5, rtol=0)
    assert np.allclose(summary['recalls'], recall, atol=1e-5, rtol=0)
    assert summary['f1'] == pytest.approx(np.nanmax(2 * precision * recall / (precision + recall)), abs=1e-5)
