"""The scores of benchmarks as metrics of mmengine's Evaluator: one item is one sequence and what was tracked in it."""

from collections.abc import Sequence
from typing import Any, Optional, Union

import cv2
import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from ..registry import METRICS
from .conventions import Convention, find_convention
from .longterm import evaluate_longterm_sequence, summarize_longterm
from .ope import NothingCountsError, evaluate_sequence, summarize
from .results import to_xywh
from .vot import INTERVALS, evaluate_vot_sequence, summarize_vot

NUMBERS = ('auc', 'precision', 'norm_precision', 'norm_precision_auc', 'ao', 'sr50', 'sr75')


@METRICS.register_module()
class OPEMetric(BaseMetric):
    """One-pass evaluation: `ope/auc`, `ope/precision`, `ope/norm_precision`, `ope/norm_precision_auc`, `ope/ao`, `ope/sr50`,
    `ope/sr75`. Sequences without a truth after their first frame are left out; without any left there are no numbers.

    Args:
        convention: Whose rules: a preset such as 'pysot', or a `Convention`.
        collect_device: As in mmengine's BaseMetric.
        prefix: In place of `ope`.
    """

    default_prefix = 'ope'
    numbers = NUMBERS

    def __init__(self, convention: Union[str, Convention] = 'default', collect_device: str = 'cpu',
                 prefix: Optional[str] = None) -> None:
        super().__init__(collect_device, prefix)
        self.convention = find_convention(convention)

    def process(self, data_batch: Sequence[Any], data_samples: Sequence[dict]) -> None:
        """Score sequences.

        Args:
            data_batch: `Sequence`s.
            data_samples: For each `boxes_xyxy` (T, 4) and `size`, width and height of the frames.
        """
        for sequence, sample in zip(data_batch, data_samples):
            self.results.append(score_sequence(sequence, sample['boxes_xyxy'], self.convention, sample.get('size')))

    def compute_metrics(self, results: list) -> dict:
        """The mean as the convention has it."""
        scores = [result for result in results if result is not None]
        if len(scores) < len(results):
            MMLogger.get_current_instance().warning(f'{len(results) - len(scores)} of {len(results)} sequences are not scored: '
                                                    'no frame after the first has a truth that counts')
        summary = summarize(scores, self.convention) if scores else {}
        return {key: summary[key] for key in self.numbers if key in summary}


@METRICS.register_module()
class GOT10kMetric(OPEMetric):
    """`got10k/ao`, `got10k/sr50`, `got10k/sr75` as the got10k toolkit has them: over all visible frames, boxes cut at the image.

    Args:
        collect_device: As in mmengine's BaseMetric.
    """

    default_prefix = 'got10k'
    numbers = ('ao', 'sr50', 'sr75')

    def __init__(self, collect_device: str = 'cpu') -> None:
        super().__init__('got10k', collect_device)


@METRICS.register_module()
class VOTMetric(BaseMetric):
    """The VOT challenge with re-initialisation: `vot/eao`, `vot/accuracy`, `vot/robustness`, `vot/lost`, as PySOT's toolkit.

    Args:
        benchmark: Year, which gives the lengths of the EAO, see `INTERVALS`.
        collect_device: As in mmengine's BaseMetric.

    Raises:
        ValueError: If there is no such year.
    """

    default_prefix = 'vot'

    def __init__(self, benchmark: str = 'vot2018', collect_device: str = 'cpu') -> None:
        super().__init__(collect_device)
        if benchmark not in INTERVALS:
            raise ValueError(f'benchmark of VOTMetric must be one of {", ".join(INTERVALS)}, got {benchmark!r}')
        self.interval = INTERVALS[benchmark]

    def process(self, data_batch: Sequence[Any], data_samples: Sequence[dict]) -> None:
        """Score sequences.

        Args:
            data_batch: `Sequence`s.
            data_samples: For each `boxes_xyxy` (T, 4), `kind` (T,) with the number that stands for a box, or -1, and `size`.
        """
        for sequence, sample in zip(data_batch, data_samples):
            self.results.append(evaluate_vot_sequence([vot_entries(sample['boxes_xyxy'], sample['kind'])], regions(sequence),
                                                      sample.get('size') or image_size(sequence), sequence.tags))

    def compute_metrics(self, results: list) -> dict:
        """Over all sequences of all ranks."""
        summary = summarize_vot(results, self.interval)
        return {key: summary[key] for key in ('eao', 'accuracy', 'robustness', 'lost')}


@METRICS.register_module()
class VOTLTMetric(BaseMetric):
    """The long-term VOT challenge: `votlt/f1`, `votlt/precision`, `votlt/recall`, as PySOT's toolkit.

    Args:
        collect_device: As in mmengine's BaseMetric.
    """

    default_prefix = 'votlt'

    def __init__(self, collect_device: str = 'cpu') -> None:
        super().__init__(collect_device)

    def process(self, data_batch: Sequence[Any], data_samples: Sequence[dict]) -> None:
        """Score sequences.

        Args:
            data_batch: `Sequence`s.
            data_samples: For each `boxes_xyxy` (T, 4), `kind` (T,), `confidence` (T,) and `size`.
        """
        for sequence, sample in zip(data_batch, data_samples):
            confidence = np.array(sample['confidence'], float)
            confidence[0] = np.nan  # the given box
            self.results.append(evaluate_longterm_sequence(vot_entries(sample['boxes_xyxy'], sample['kind']), confidence,
                                                           regions(sequence), sample.get('size') or image_size(sequence)))

    def compute_metrics(self, results: list) -> dict:
        """Over all sequences of all ranks."""
        summary = summarize_longterm(results)
        return {key: summary[key] for key in ('f1', 'precision', 'recall')}


def has_truth(sequence: Any) -> bool:
    """Whether there is a box after the first frame: the servers of GOT-10k and TrackingNet keep those of their test sets."""
    return bool(np.isfinite(sequence.boxes_xyxy[1:]).all(axis=1).any())


def score_sequence(sequence: Any, boxes_xyxy: np.ndarray, convention: Union[str, Convention],
                   size: Optional[tuple] = None) -> Optional[dict]:
    """Scores of a sequence, None if nothing in it can be scored.

    Args:
        sequence: With its truth.
        boxes_xyxy: (T, 4) what a tracker said.
        convention: Whose rules.
        size: Width and height of the frames, where they are known.

    Raises:
        ValueError: If the boxes do not fit, with the name of the sequence.
    """
    if not has_truth(sequence):
        return None
    if find_convention(convention).clip:
        size = size or image_size(sequence)
    try:
        return evaluate_sequence(boxes_xyxy, sequence.boxes_xyxy, convention, sequence.is_absent, sequence.cover, size)
    except NothingCountsError:
        return None
    except ValueError as error:
        raise ValueError(f'{sequence.name}: {error}') from error


def image_size(sequence: Any) -> tuple:
    """Width and height of the frames of a sequence, of its first one if the annotation does not tell.

    Raises:
        ValueError: If that cannot be read.
    """
    if sequence.size is not None:
        return sequence.size
    image = cv2.imread(sequence.images[0], cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f'{sequence.images[0]} is missing or no image')
    return image.shape[1], image.shape[0]


def regions(sequence: Any) -> np.ndarray:
    """(T, 8) corners or (T, 4) boxes xyxy of the truth."""
    return sequence.boxes_xyxy if sequence.polygons is None else sequence.polygons


def vot_entries(boxes_xyxy: np.ndarray, kind: np.ndarray) -> list:
    """Entries of a VOT result: the number that stands for a box, or x, y, width, height."""
    return [tuple(box) if number < 0 else (float(number),)
            for box, number in zip(to_xywh(boxes_xyxy).tolist(), np.asarray(kind).tolist())]
