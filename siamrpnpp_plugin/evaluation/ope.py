"""One-pass evaluation: pure functions of boxes. Coordinates are continuous pixels; T frames.

What the toolkits do differently is data, see `conventions.py`.
"""

from typing import Optional, Union

import numpy as np

from .conventions import PRESETS, Convention, find_convention

__all__ = ['PRESETS', 'Convention', 'SUCCESS_THRESHOLDS', 'PRECISION_THRESHOLDS', 'NORM_PRECISION_THRESHOLDS', 'overlap',
           'NothingCountsError', 'center_error', 'evaluate_sequence', 'summarize']

SUCCESS_THRESHOLDS = np.linspace(0, 1, 21)
PRECISION_THRESHOLDS = np.arange(51.0)  # pixels
NORM_PRECISION_THRESHOLDS = np.arange(51) / 100  # shares of the target's width and height
_GOT10K_NORM_THRESHOLDS = np.linspace(0, 0.5, 51)  # differ in the last bit
COUNTS = ('num_frames', 'num_known')


class NothingCountsError(ValueError):
    """By the rules of the convention no frame of a sequence counts."""


def _xywh(box_xyxy: np.ndarray) -> np.ndarray:
    """(4, T) left, top, width, height of (T, 4); sizes that a file had with up to 9 decimals come back exactly."""
    rows = np.array(np.asarray(box_xyxy, float).T, order='C')
    rows[2:] -= rows[:2]
    np.round(rows[2:], 9, out=rows[2:])
    return rows


def _overlap(first: np.ndarray, second: np.ndarray, kind: str = 'continuous') -> np.ndarray:
    """(T,) of two (4, T) rows x, y, w, h. The sum's order is that of the toolkits, so that exact thresholds are hit alike."""
    ends = first[:2] + first[2:], second[:2] + second[2:]
    if kind == 'inclusive':
        ends = ends[0] - 1, ends[1] - 1
    sides = np.minimum(*ends)
    sides -= np.maximum(first[:2], second[:2])
    if kind == 'inclusive':
        sides += 1
    np.maximum(sides, 0, out=sides)
    intersection = sides[0] * sides[1]
    union = first[2] * first[3]
    union += second[2] * second[3]
    union -= intersection
    if kind == 'padded':
        union += np.finfo(float).eps
    with np.errstate(invalid='ignore', divide='ignore'):
        intersection /= union
    intersection[union == 0] = 0
    return intersection if kind == 'inclusive' else np.clip(intersection, 0, 1, out=intersection)


def _centers(rows: np.ndarray) -> np.ndarray:
    """(2, T) of (4, T) rows x, y, w, h, in the coordinates of pixel indices as all toolkits have them."""
    centers = rows[2:] - 1
    centers /= 2
    centers += rows[:2]
    return centers


def _length(vectors: np.ndarray) -> np.ndarray:
    """(T,) of (2, T)."""
    squares = vectors * vectors
    return np.sqrt(squares[0] + squares[1])


def overlap(first_xyxy: np.ndarray, second_xyxy: np.ndarray) -> np.ndarray:
    """(T,) intersection over union of two (T, 4); 0 where one has no area, NaN where one is NaN."""
    return _overlap(_xywh(first_xyxy), _xywh(second_xyxy))


def center_error(first_xyxy: np.ndarray, second_xyxy: np.ndarray) -> np.ndarray:
    """(T,) distance of the centres in pixels."""
    return _length(_centers(_xywh(first_xyxy)) - _centers(_xywh(second_xyxy)))


def _checked(predicted: np.ndarray, truth: np.ndarray, convention: Convention) -> tuple[np.ndarray, np.ndarray]:
    """(4, T) rows of equal length, after what the convention does with odd predictions and the first frame."""
    num_predicted, num_truth = predicted.shape[1], truth.shape[1]
    if num_predicted != num_truth and (convention.lengths == 'equal'
                                       or convention.lengths == 'cut_longer' and num_predicted < num_truth):
        raise ValueError(f'{num_truth} frames need as many boxes, got {num_predicted}')
    if convention.prediction != 'any':
        is_bad = ~np.isfinite(predicted).all(axis=0)
        if convention.prediction == 'repeat':
            is_bad |= (predicted[2:] < 0).any(axis=0)
        if is_bad.any():
            frame = int(np.argmax(is_bad))
            raise ValueError(f'box of frame {frame} is not finite' if not np.isfinite(predicted[:, frame]).all()
                             else f'box of frame {frame} has a negative size')
    predicted = predicted[:, :num_truth]
    if convention.lengths == 'cut':
        truth = truth[:, :num_predicted]
    if convention.prediction == 'repeat':
        is_empty = (predicted[2:] == 0).any(axis=0) & ~np.isnan(truth[:, :predicted.shape[1]]).any(axis=0)
        is_empty[:1] = False
        predicted = predicted[:, np.maximum.accumulate(np.where(is_empty, 0, np.arange(len(is_empty))))]
    if predicted.shape[1] < truth.shape[1]:
        predicted = np.pad(predicted, ((0, 0), (0, truth.shape[1] - predicted.shape[1])))
    if convention.first == 'truth':
        predicted = predicted.copy()
        predicted[:, :1] = truth[:, :1]
    return predicted, truth


def _has_truth(truth: np.ndarray, centers: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(T,) masks for the overlap, the centre error and the normalised centre error."""
    if kind == 'any':
        mask = np.ones(truth.shape[1], bool)
    elif kind == 'known':
        mask = ~np.isnan(truth).any(axis=0)
    elif kind == 'positive':
        mask = (truth > 0).all(axis=0)
    else:
        mask = (truth[2:] > 0).all(axis=0)
        if kind == 'sized_or_centred':
            return mask, (centers > 0).all(axis=0), (centers / (truth[2:] + 1e-16) > 0).all(axis=0)
        mask &= np.isfinite(truth).all(axis=0)
    return mask, mask, mask


def _clip(rows: np.ndarray, size: tuple) -> np.ndarray:
    """Boxes moved into the image as the got10k toolkit does it (metrics.py:54): a corner is moved without changing the size."""
    limit = np.array(size, float)[:, None]
    corner = np.clip(rows[:2], 0, limit)
    return np.concatenate((corner, np.clip(rows[2:], 0, limit - corner)))


def _flags(values: Optional[np.ndarray], name: str, number: int, length: int) -> Optional[np.ndarray]:
    """The first `length` of the `number` flags of a sequence, or None."""
    if values is not None and len(values) != number:
        raise ValueError(f'{number} frames need as many values of {name}, got {len(values)}')
    return None if values is None else np.asarray(values)[:length]


def evaluate_sequence(predicted_xyxy: np.ndarray, truth_xyxy: np.ndarray, convention: Union[str, Convention] = 'default',
                      is_absent: Optional[np.ndarray] = None, cover: Optional[np.ndarray] = None,
                      size: Optional[tuple] = None) -> dict:
    """Scores of one sequence.

    Args:
        predicted_xyxy: (T, 4).
        truth_xyxy: (T, 4); NaN where there is no box.
        convention: One of `PRESETS` by name, or a `Convention`; the default leaves out what a tracker could not know.
        is_absent: (T,) bool, frames in which the target is out of view or fully occluded; None: in none.
        cover: (T,) visible share in any unit, 0 where nothing is visible; None: visible in all.
        size: Width and height of the frames in pixels; needed where the convention clips.

    Returns:
        Shares of the counted frames: `success` (overlap above the thresholds 0 ... 1), its mean `auc`, `sr50` and `sr75` (overlap
        above .5 and .75), `precisions` (centre error up to 0, 1 ... 50 pixels), of these `precision` at 20, `norm_precisions`
        (centre error in widths and heights of the truth up to 0, .01 ... .5), of these `norm_precision` at .2, and the mean
        `norm_precision_auc`; `ao`, mean overlap of the frames with a truth; the counts `num_frames` and `num_known` of the two.
        Where frames are pooled, the scores of a sequence without frames are NaN.

    Raises:
        NothingCountsError: If no frame counts.
        ValueError: If lengths differ, a predicted box is not finite (unless the convention permits it), or the size is missing.
    """
    convention = find_convention(convention)
    predicted, truth = _checked(_xywh(predicted_xyxy), _xywh(truth_xyxy), convention)
    length = truth.shape[1]
    is_absent = _flags(is_absent, 'is_absent', len(truth_xyxy), length)
    cover = _flags(cover, 'cover', len(truth_xyxy), length)
    if convention.clip:
        if size is None:
            raise ValueError('this convention clips boxes to the image: size is missing')
        predicted, truth = _clip(predicted, size), _clip(truth, size)
    centers, truth_centers = _centers(predicted), _centers(truth)
    masks = _has_truth(truth, truth_centers, convention.truth)
    is_counted = np.ones(length, bool)
    if convention.first == 'left_out':
        is_counted[:1] = False
    if convention.cover and cover is not None:
        is_counted &= cover > 0
    if is_absent is not None and is_absent.any():
        is_absent = is_absent.astype(bool)
        if convention.absent == 'left_out':
            is_counted &= ~is_absent
        elif convention.absent == 'unknown':
            masks = tuple(mask & ~is_absent for mask in masks)
    if convention.without_truth is None:
        is_counted &= masks[0]
    with np.errstate(invalid='ignore', divide='ignore', over='ignore'):
        shifts = centers - truth_centers
        if convention.norm == 'clamped':
            norm_shifts = shifts / np.maximum(truth[2:], 1)
        else:
            sides = truth[2:] + (1e-16 if convention.norm == 'padded' else 0)
            norm_shifts = centers / sides - truth_centers / sides
        measures = [-_overlap(predicted, truth, convention.overlap), _length(shifts), _length(norm_shifts)]
    is_known = is_counted & masks[0]
    for measure, mask, word in zip(measures, masks, convention.without_truth or ()):
        if not mask.all():
            measure[~mask] = np.inf if word == 'miss' else -np.inf
    if is_absent is not None and convention.absent == 'missed':
        is_known &= ~is_absent
        for measure in measures:
            measure[is_absent] = np.inf
    num_known = int(np.count_nonzero(is_known))
    num_frames = num_known if convention.exclude_unknown else int(np.count_nonzero(is_counted))
    if not num_frames and convention.pooling == 'sequences':
        raise NothingCountsError(f'none of {length} frames counts: no truth, absent, or the first')
    known = measures[0] if num_known == length else measures[0][is_known]
    if np.count_nonzero(is_counted) < length:
        measures = [measure[is_counted] for measure in measures]
    return _scores(measures, known, num_frames, convention)


def _scores(measures: list, known: np.ndarray, num_frames: int, convention: Convention) -> dict:
    """Curves by counting.

    Args:
        measures: (T,) each, smaller is better: minus the overlap, centre error, normalised centre error; NaN is a miss.
        known: Those minus overlaps that enter their mean.
        num_frames: What counts are divided by.
    """
    for measure in measures:
        measure.sort()  # NaN last
    negative, errors, norm_errors = measures
    num_thresholds = convention.num_thresholds
    thresholds = SUCCESS_THRESHOLDS if num_thresholds == 21 else np.linspace(0, 1, num_thresholds)
    norm_thresholds = _GOT10K_NORM_THRESHOLDS if convention.norm == 'clamped' else NORM_PRECISION_THRESHOLDS
    divisor = num_frames or np.nan
    success = np.searchsorted(negative, -thresholds, 'left') / divisor  # strictly above
    half, three_quarters = (np.searchsorted(negative, (-0.5, -0.75), 'left') / divisor).tolist()
    precisions = np.searchsorted(errors, PRECISION_THRESHOLDS, 'right') / divisor
    norm_precisions = np.searchsorted(norm_errors, norm_thresholds, 'right') / divisor
    total = known.sum()
    if np.isnan(total):
        total = np.nansum(known)
    return dict(ao=abs(float(total)) / (len(known) or np.nan), sr50=half, sr75=three_quarters, auc=float(success.mean()),
                precision=float(precisions[20]), norm_precision=float(norm_precisions[20]),
                norm_precision_auc=float(norm_precisions.mean()), success=success, precisions=precisions,
                norm_precisions=norm_precisions, num_frames=num_frames, num_known=len(known))


def summarize(scores: list, convention: Union[str, Convention] = 'default') -> dict:
    """Scores of a benchmark from those of its sequences, pooled as the convention says.

    Args:
        scores: What `evaluate_sequence` gave for each sequence with the same convention.

    Returns:
        The keys of a sequence; counts are sums.

    Raises:
        ValueError: If there is no sequence, or no frame counts.
    """
    counts = {key: np.array([score[key] for score in scores]) for key in COUNTS}
    if not counts['num_frames'].sum():
        raise ValueError(f'no frame of {len(scores)} sequences counts')
    summary = {key: int(values.sum()) for key, values in counts.items()}
    for key in (key for key in scores[0] if key not in COUNTS):
        weights = counts['num_known' if key == 'ao' else 'num_frames']
        if find_convention(convention).pooling == 'sequences':
            weights = np.ones(len(scores))
        used = [(score[key], weight) for score, weight in zip(scores, weights) if weight]
        value = np.average([value for value, _ in used], axis=0, weights=[weight for _, weight in used])
        summary[key] = value if value.ndim else float(value)
    return summary
