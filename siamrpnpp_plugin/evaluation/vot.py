"""The VOT challenges: short-term with re-initialisation (2015-2019) and long-term. T frames, R repetitions.

A result is a list with one entry per frame, a tuple of numbers: `(1,)` initialised, `(2,)` failure, `(0,)` skipped or unknown, a
box `(x, y, width, height)`, or a polygon `(x1, y1, x2, y2, x3, y3 ...)`. Numbers equal those of PySOT's toolkit
(toolkit/evaluation/ar_benchmark.py, eao_benchmark.py, f1_benchmark.py); pooling='vot' is the official one's way
(vot/analysis/supervised.py of votchallenge/toolkit) to pool them; the overlaps stay PySOT's, whose boxes end a pixel later.
"""

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Optional, Union

import numpy as np

from ..ops.polygons import box_corners, raster_overlap

SKIPPED, INITIALISED, FAILURE = 0, 1, 2
INTERVALS = dict(vot2016=(108, 371), vot2017=(100, 356), vot2018=(100, 356), vot2019=(46, 291))  # lengths of the EAO's mean
TAGS = ('all', 'camera_motion', 'illum_change', 'motion_change', 'size_change', 'occlusion', 'empty')


def read_vot_results(path: Union[str, Path]) -> list:
    """Entries of a result file; numbers are separated by commas or blanks, a region with NaN is unknown.

    Raises:
        ValueError: If the file is empty or a line is no entry, with file and line.
    """
    lines = Path(path).read_text().rstrip().splitlines()
    if not lines:
        raise ValueError(f'{path} is empty')
    entries = []
    for number, line in enumerate(lines, 1):
        try:
            entry = tuple(float(part) for part in re.split(r'[,;\s]+', line.strip()))
        except ValueError:
            entry = ()
        if len(entry) != 4 and (len(entry) < 6 or len(entry) % 2) and entry not in ((SKIPPED,), (INITIALISED,), (FAILURE,)):
            raise ValueError(f'{path}, line {number}: expected 0, 1, 2, a box or a polygon, got {line[:80]!r}')
        entries.append((float(SKIPPED),) if np.isnan(entry).any() else entry)
    return entries


def region_overlaps(entries: Sequence, truth: np.ndarray, bound: Optional[tuple] = None,
                    overlap: Callable = raster_overlap) -> np.ndarray:
    """(T,) overlaps of a result with the truth, NaN where either has no region.

    Args:
        entries: T of them.
        truth: (T, 8) corners, or (T, 4) boxes xyxy; NaN where there is none.
        bound: Largest x and y that count.
        overlap: `raster_overlap` or `exact_overlap`.

    Raises:
        ValueError: If the lengths differ.
    """
    truth = np.asarray(truth, float)
    if len(entries) != len(truth):
        raise ValueError(f'{len(truth)} frames need as many entries, got {len(entries)}')
    corners = truth.reshape(-1, 4, 2) if truth.shape[1] == 8 else box_corners(truth)
    overlaps = np.full(len(truth), np.nan)
    lengths = np.where(np.isnan(truth).any(axis=1), 0, [len(entry) for entry in entries])
    for length in np.unique(lengths[lengths > 1]):
        index = np.flatnonzero(lengths == length)
        regions = np.array([entries[frame] for frame in index])
        if length == 4:
            regions[:, 2:] += regions[:, :2]
        regions = box_corners(regions) if length == 4 else regions.reshape(len(index), -1, 2)
        overlaps[index] = overlap(regions, corners[index], bound)
    return overlaps


def _frames_with(entries: Sequence, code: int) -> np.ndarray:
    return np.flatnonzero([len(entry) == 1 and entry[0] == code for entry in entries])


def evaluate_vot_sequence(runs: Sequence, truth: np.ndarray, size: tuple, tags: Optional[Mapping] = None,
                          burn_in: int = 10, overlap: Callable = raster_overlap) -> dict:
    """Scores of the repetitions of one sequence of the supervised short-term protocol.

    Args:
        runs: R lists of T entries.
        truth: (T, 8) corners, or (T, 4) boxes xyxy.
        size: Width and height of the frames. As in PySOT the accuracy is bound by them, the EAO by both minus 1.
        tags: Name -> (T,) bool of attributes of frames; a name without flags is left out.
        burn_in: Frames from an initialisation that the accuracy does not count.
        overlap: `raster_overlap` or `exact_overlap`.

    Returns:
        `accuracy` (mean overlap), `lost` (failures per repetition), and for `summarize_vot` `overlaps` (T,), `runs`, `tags`.

    Raises:
        ValueError: If there is no run or the lengths differ.
    """
    if not runs:
        raise ValueError('no repetition of the sequence')
    scored = []
    for entries in runs:
        overlaps = region_overlaps(entries, truth, size, overlap)
        starts, failures = (_frames_with(entries, code) for code in (INITIALISED, FAILURE))
        counted = overlaps.copy()
        counted[(starts[:, None] + np.arange(burn_in)).clip(max=len(counted) - 1)] = np.nan
        scored.append(dict(all_overlaps=overlaps, overlaps=counted, starts=starts, failures=failures,
                           eao_overlaps=region_overlaps(entries, truth, (size[0] - 1, size[1] - 1), overlap)))
    tags = {name: np.asarray(flags, bool) for name, flags in (tags or {}).items() if len(flags)}
    for name, flags in tags.items():
        if len(flags) != len(truth):
            raise ValueError(f'{len(truth)} frames need as many flags of {name}, got {len(flags)}')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', RuntimeWarning)  # frames and sequences without any overlap are NaN
        overlaps = np.nanmean([run['overlaps'] for run in scored], axis=0)
        accuracy = float(np.nanmean(overlaps))
    return dict(accuracy=accuracy, lost=float(np.mean([len(run['failures']) for run in scored])), overlaps=overlaps, runs=scored,
                tags=tags)


def summarize_vot(scores: Sequence, interval: tuple = INTERVALS['vot2018'], pooling: str = 'pysot', skip: int = 5) -> dict:
    """Accuracy, robustness and expected average overlap of a benchmark.

    Args:
        scores: What `evaluate_vot_sequence` gave for each sequence.
        interval: Lengths over which the expected overlap is averaged, see `INTERVALS`.
        pooling: 'pysot' pools the frames of all sequences and weights the EAO's fragments by their share of tagged frames;
            'vot' takes means per sequence, weighted by length, and fragments from initialisation to failure, each counting once.
        skip: Frames from a failure to the next initialisation ('pysot').

    Returns:
        `accuracy`; `lost`, failures per repetition in all sequences; `robustness`, that per 100 frames ('pysot') or the weighted
        mean of failures per sequence ('vot'); `eao`; `eao_by_tag` of `TAGS` as far as there are such; `expected_overlaps`, the
        curve over lengths. As in PySOT, 'empty' there weights by the number of tags that never occur in a sequence; with 'vot' it
        means frames without a tag.

    Raises:
        ValueError: If there are no sequences or the pooling is unknown.
    """
    if not scores or pooling not in ('pysot', 'vot'):
        raise ValueError(f"pooling must be 'pysot' or 'vot' over at least one sequence, got {pooling!r} over {len(scores)}")
    lengths = np.array([len(score['overlaps']) for score in scores])
    lost = np.array([score['lost'] for score in scores])
    summary = dict(lost=float(lost.sum()))
    if pooling == 'pysot':
        summary.update(accuracy=float(np.nanmean(np.concatenate([score['overlaps'] for score in scores]))),
                       robustness=float(lost.sum() / lengths.sum() * 100))
    else:
        accuracies = [np.mean([_mean(run['overlaps']) for run in score['runs']]) for score in scores]
        summary.update(accuracy=float(np.average(accuracies, weights=lengths)),
                       robustness=float(np.average(lost, weights=lengths)))
    fragments = [fragment for score in scores for fragment in (_pysot_fragments(score, skip) if pooling == 'pysot'
                                                               else _vot_fragments(score))]
    names = {'all', *(name for score in scores for name in score['tags'])}
    names |= {'empty'} if len(names) > 1 else set()
    means, is_valid = _running_means(fragments)
    first = interval[0] - (pooling == 'pysot')  # PySOT counts lengths from 1
    curves = {name: _expected(means, is_valid, np.array([weights.get(name, 0.0) for _, _, weights in fragments]))
              for name in names}
    summary['eao_by_tag'] = {name: _mean(curves[name][first:interval[1] + (pooling == 'vot')], np.nan)
                             for name in (*TAGS, *sorted(names - set(TAGS))) if name in names}
    summary.update(eao=summary['eao_by_tag']['all'], expected_overlaps=curves['all'])
    return summary


def _mean(values: np.ndarray, nothing: float = 0.0) -> float:
    """Mean of what is not NaN."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else nothing


def _pysot_fragments(score: dict, skip: int) -> list:
    """(overlaps, whether it ends in a failure, weight by tag) of the parts of a sequence (eao_benchmark.py:112-157)."""
    fragments, tags = [], dict(score['tags'], all=np.ones(len(score['overlaps']), bool))
    num_absent_tags = sum(not flags.any() for flags in tags.values())
    for run in score['runs']:
        overlaps, failures = run['eao_overlaps'], run['failures']
        points = [0, *(failures + skip)[failures + skip <= len(overlaps)].tolist()]
        for place, begin in enumerate(points):
            is_last = place == len(points) - 1
            end = len(overlaps) if is_last else points[place + 1] + 1
            values = np.nan_to_num(overlaps[begin:end]) if len(failures) else overlaps
            length = max(end - begin, 1)
            weights = {name: flags[begin:end].sum() / length / len(score['runs']) for name, flags in tags.items()}
            weights['empty'] = num_absent_tags / length / len(score['runs'])
            fragments.append((values, not is_last, weights))
    return fragments


def _vot_fragments(score: dict) -> list:
    """As above, from each initialisation to its failure or the end (supervised.py:215-250 of votchallenge/toolkit)."""
    fragments, tags = [], dict(score['tags'], all=np.ones(len(score['overlaps']), bool))
    if len(tags) > 1:
        tags['empty'] = ~np.any([flags for name, flags in tags.items() if name != 'all'], axis=0)
    for run in score['runs']:
        ends = [*run['failures'].tolist(), len(run['overlaps'])]
        starts = run['starts'] if len(run['failures']) else [0]
        for begin, end in zip(starts, ends):
            weights = {name: float(flags[begin:end].mean()) for name, flags in tags.items()}
            fragments.append((np.nan_to_num(run['all_overlaps'][begin:end]), end < len(run['overlaps']), weights))
    return fragments


def _running_means(fragments: list) -> tuple[np.ndarray, np.ndarray]:
    """(fragments, lengths) mean overlap from frame 1 to each length, and whether the fragment tells of that length."""
    table = np.full((len(fragments), max(len(fragment[0]) for fragment in fragments)), np.nan)
    for row, (values, has_failed, _) in zip(table, fragments):
        if has_failed:
            row[:] = 0
        row[:len(values)] = values
    means = np.cumsum(table[:, 1:], axis=1) / np.arange(1, table.shape[1])
    return means, ~np.isnan(table[:, 1:])


def _expected(means: np.ndarray, is_valid: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(lengths,) weighted mean over the fragments; 1 at length 0, 0 where no fragment is so long, NaN where none has weight."""
    with np.errstate(invalid='ignore', divide='ignore'):
        curve = (weights @ np.where(is_valid, means, 0)) / (weights @ is_valid)
    return np.concatenate(([1.0], np.where(is_valid.any(axis=0), curve, 0)))
