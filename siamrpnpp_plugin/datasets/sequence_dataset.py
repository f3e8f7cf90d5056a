"""The videos of a benchmark as a data set of a loader: one item is one whole video."""

from dataclasses import replace
from typing import Optional

import numpy as np
from torch.utils.data import Dataset

from ..registry import DATASETS
from .benchmarks import SOURCES_OF_BENCHMARKS, read_sequences
from .sequences import Sequence


@DATASETS.register_module()
class SequenceDataset(Dataset):
    """Sequences of a benchmark, all or an even choice of them.

    Args:
        benchmark: Its name, see `read_sequences`.
        root: Its folder.
        sequences: In place of both: sequences that were read already.
        options: Of its reader, such as `split`.
        num_sequences: How many, evenly spread over the benchmark; None: all.
        max_frames: Frames of each that are used, from the first; None: all.

    Raises:
        ValueError: If a number is too small, or the reader refuses the folder.
    """

    def __init__(self, benchmark: Optional[str] = None, root: Optional[str] = None, options: Optional[dict] = None,
                 num_sequences: Optional[int] = None, max_frames: Optional[int] = None,
                 sequences: Optional[list] = None) -> None:
        if (num_sequences is not None and num_sequences < 1) or (max_frames is not None and max_frames < 2):
            raise ValueError(f'SequenceDataset needs num_sequences >= 1 and max_frames >= 2, got {num_sequences}, {max_frames}')
        if sequences is None:
            if benchmark is None or root is None:
                raise ValueError('SequenceDataset needs benchmark and root, or sequences')
            options = dict(options or {})
            if benchmark in SOURCES_OF_BENCHMARKS and num_sequences is not None:  # reading all annotations of VID takes minutes
                of_source = {key: value for key, value in options.items() if key not in ('names', 'allow_missing')}
                videos = options.get('names') or SOURCES_OF_BENCHMARKS[benchmark](root, **of_source).videos()
                options['names'] = [videos[place] for place in _even(len(videos), num_sequences)]
            sequences = read_sequences(benchmark, root, **options)
        if num_sequences is not None:
            sequences = [sequences[place] for place in _even(len(sequences), num_sequences)]
        self.sequences = [_shorten(sequence, max_frames) for sequence in sequences]

    def __len__(self) -> int:
        return len(self.sequences)

    def __getitem__(self, index: int) -> Sequence:
        return self.sequences[index]


def _even(number: int, wanted: int) -> list:
    """Places spread evenly over a list."""
    return np.linspace(0, number - 1, min(wanted, number)).round().astype(int).tolist()


def _shorten(sequence: Sequence, frames: Optional[int]) -> Sequence:
    if frames is None or frames >= len(sequence):
        return sequence
    cut = {name: getattr(sequence, name)[:frames] for name in ('images', 'boxes_xyxy', 'is_absent', 'cover', 'polygons')
           if getattr(sequence, name) is not None}
    return replace(sequence, **cut, tags={name: flags[:frames] for name, flags in sequence.tags.items()})
