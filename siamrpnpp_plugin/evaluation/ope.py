"""One-pass evaluation: pure functions of boxes. Coordinates are continuous pixels; T frames.

Frames without a ground truth (NaN, or no area) are left out of every mean.
"""

import numpy as np

SUCCESS_THRESHOLDS = np.linspace(0, 1, 21)
PRECISION_THRESHOLDS = np.arange(51.0)  # pixels


def overlap(first_xyxy: np.ndarray, second_xyxy: np.ndarray) -> np.ndarray:
    """(T,) intersection over union of two (T, 4); 0 where one has no area, NaN where one is NaN."""
    corner, opposite = np.maximum(first_xyxy[:, :2], second_xyxy[:, :2]), np.minimum(first_xyxy[:, 2:], second_xyxy[:, 2:])
    intersection = np.clip(opposite - corner, 0, None).prod(axis=1)
    union = area(first_xyxy) + area(second_xyxy) - intersection
    return np.divide(intersection, union, out=np.where(np.isnan(union), np.nan, 0.0), where=union > 0)


def area(box_xyxy: np.ndarray) -> np.ndarray:
    """(T,) of (T, 4)."""
    return np.clip(box_xyxy[:, 2:] - box_xyxy[:, :2], 0, None).prod(axis=1)


def center_error(first_xyxy: np.ndarray, second_xyxy: np.ndarray) -> np.ndarray:
    """(T,) distance of the centres in pixels."""
    return np.linalg.norm(first_xyxy[:, :2] + first_xyxy[:, 2:] - second_xyxy[:, :2] - second_xyxy[:, 2:], axis=1) / 2


def evaluate_sequence(predicted_xyxy: np.ndarray, truth_xyxy: np.ndarray) -> dict:
    """Scores of one sequence, the given first frame left out.

    Args:
        predicted_xyxy: (T, 4).
        truth_xyxy: (T, 4); NaN where there is no box.

    Returns:
        `ao` mean overlap, `sr50` and `sr75` shares of frames with an overlap above .5 and .75, `auc` mean of the success curve at
        the thresholds 0, .05 ... 1 (overlap above), `precision` share of frames with a centre error up to 20 pixels; `success`
        and `precisions`, the curves.

    Raises:
        ValueError: If the lengths differ, a predicted box is not finite, or no frame after the first has a ground truth.
    """
    if len(predicted_xyxy) != len(truth_xyxy):
        raise ValueError(f'{len(truth_xyxy)} frames need as many boxes, got {len(predicted_xyxy)}')
    if not np.isfinite(predicted_xyxy).all():
        raise ValueError(f'box of frame {int(np.argmin(np.isfinite(predicted_xyxy).all(axis=1)))} is not finite')
    has_truth = np.isfinite(truth_xyxy).all(axis=1) & (area(np.nan_to_num(truth_xyxy)) > 0)
    has_truth[0] = False
    if not has_truth.any():
        raise ValueError('no frame after the first has a ground truth')
    overlaps = overlap(predicted_xyxy[has_truth], truth_xyxy[has_truth])
    errors = center_error(predicted_xyxy[has_truth], truth_xyxy[has_truth])
    success = (overlaps[:, None] > SUCCESS_THRESHOLDS).mean(axis=0)
    precisions = (errors[:, None] <= PRECISION_THRESHOLDS).mean(axis=0)
    return dict(ao=overlaps.mean(), sr50=(overlaps > 0.5).mean(), sr75=(overlaps > 0.75).mean(), auc=success.mean(),
                precision=precisions[20], success=success, precisions=precisions)


def average(scores: list) -> dict:
    """The mean over sequences, each counting once."""
    return {key: np.mean([score[key] for score in scores], axis=0) for key in scores[0]}
