"""The long-term VOT challenge: a tracker also says how sure it is. T frames."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Union

import numpy as np

from ..ops.polygons import raster_overlap
from .vot import region_overlaps


def read_confidences(path: Union[str, Path]) -> np.ndarray:
    """(T,) of a `_confidence.value` file, NaN in the first line, which is empty or has no meaning.

    Raises:
        ValueError: If a line is no number, with file and line.
    """
    lines = Path(path).read_text().rstrip().split('\n')
    values = np.full(len(lines), np.nan)
    for number, line in enumerate(lines[1:], 1):
        try:
            values[number] = float(line)
        except ValueError:
            raise ValueError(f'{path}, line {number + 1}: expected a number, got {line[:80]!r}') from None
    return values


def evaluate_longterm_sequence(entries: Sequence, confidences: np.ndarray, truth: np.ndarray, size: tuple,
                               overlap: Callable = raster_overlap) -> dict:
    """Overlaps and confidences of one sequence.

    Args:
        entries: T entries of a result, see `vot.py`.
        confidences: (T,), NaN where there is none.
        truth: (T, 8) corners, or (T, 4) boxes xyxy; NaN where the target is absent.
        size: Width and height of the frames.
        overlap: `raster_overlap` or `exact_overlap`.

    Returns:
        `overlaps` and `confidences` (T,), and `num_truth`, in how many frames the target is there.

    Raises:
        ValueError: If the lengths differ, or the target is never there.
    """
    if len(confidences) != len(entries):
        raise ValueError(f'{len(entries)} entries need as many confidences, got {len(confidences)}')
    num_truth = int((~np.isnan(truth).any(axis=1)).sum())
    if not num_truth:
        raise ValueError('the target is in no frame')
    return dict(overlaps=np.nan_to_num(region_overlaps(entries, truth, size, overlap)),
                confidences=np.asarray(confidences, float), num_truth=num_truth)


def confidence_thresholds(confidences: np.ndarray, number: int = 100) -> np.ndarray:
    """(number,) thresholds at even ranks of the confidences, from infinity down to minus infinity (PySOT's statistics.py:125)."""
    ranked = np.sort(confidences[~np.isnan(confidences)])
    step = len(ranked) // (number - 2)
    ranks = np.floor(np.linspace(step - 1, len(ranked) - step, number - 2) + 0.5).astype(int)
    return np.concatenate(([np.inf], ranked[ranks.clip(0, len(ranked) - 1)][::-1], [-np.inf]))


def summarize_longterm(scores: Sequence) -> dict:
    """Precision, recall and F of a benchmark: means over its sequences, at the threshold where F is largest.

    Args:
        scores: What `evaluate_longterm_sequence` gave for each sequence.

    Returns:
        `f1`, `precision`, `recall` and `threshold` of the best; the curves `precisions`, `recalls`, `f1s` over `thresholds`.

    Raises:
        ValueError: If there is no confidence at all.
    """
    confidences = np.concatenate([score['confidences'] for score in scores])
    if np.isnan(confidences).all():
        raise ValueError(f'{len(scores)} sequences have no confidence')
    thresholds = confidence_thresholds(confidences)
    curves = [_precision_recall(score, thresholds) for score in scores]
    precisions, recalls = np.mean(curves, axis=0)
    total = precisions + recalls
    f1s = np.divide(2 * precisions * recalls, total, out=np.zeros_like(total), where=total > 0)
    best = int(np.argmax(f1s))
    return dict(f1=float(f1s[best]), precision=float(precisions[best]), recall=float(recalls[best]),
                threshold=float(thresholds[best]), precisions=precisions, recalls=recalls, f1s=f1s, thresholds=thresholds)


def _precision_recall(score: dict, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of one sequence at each threshold; precision is 1 where nothing is said. An unknown confidence counts as 0."""
    confidences = np.nan_to_num(score['confidences'], nan=0.0)
    order = np.argsort(-confidences, kind='stable')
    sums = np.concatenate(([0.0], np.cumsum(score['overlaps'][order])))
    number = len(order) - np.searchsorted(confidences[order][::-1], thresholds, 'left')
    number[np.isneginf(thresholds)] = np.count_nonzero(confidences > 0)  # as PySOT: the last threshold is above 0
    precision = np.divide(sums[number], number, out=np.ones(len(thresholds)), where=number > 0)
    return precision, sums[number] / score['num_truth']
