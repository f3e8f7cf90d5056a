"""Evaluation videos: one target each, every frame in order."""

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import numpy as np

from .sources import image_files


@dataclass(frozen=True, eq=False)
class Sequence:
    """One target in one evaluation video, T frames of it."""

    name: str  # unique in its benchmark, usable as a file name
    images: tuple  # (T,) image files
    boxes_xyxy: np.ndarray  # (T, 4) float64 pixels; NaN where there is no box; the first one is the tracker's start
    is_absent: Optional[np.ndarray] = None  # (T,) bool: flagged as out of view or fully occluded
    cover: Optional[np.ndarray] = None  # (T,) visible share of the target in levels, 0 nothing ... 8 all (GOT-10k)
    polygons: Optional[np.ndarray] = None  # (T, 8) float64 corners x1 y1 ... x4 y4 of the target (VOT)
    tags: Mapping = field(default_factory=dict)  # name -> (T,) bool: attributes of single frames (VOT)
    attributes: tuple = ()  # names of the attributes of the whole sequence
    size: Optional[tuple] = None  # width and height of the frames, where the annotation tells

    def __len__(self) -> int:
        return len(self.images)


def track_sequences(source: Any) -> Iterator[Sequence]:
    """Every track of a source of training videos as a sequence, from its first to its last box; frames between have none.

    Raises:
        ValueError: If something of the source would be left out, with what and why.
    """
    without, videos = [], source.videos()
    leaves = Counter(video.rpartition('/')[2] for video in videos)
    for video in videos:
        tracks, skips = source.read(video)
        if not tracks:
            without.append(video)
        unusable = [skip for skip in skips if skip.reason not in ('no box', 'video without objects')]
        if unusable:
            raise ValueError(f'{unusable[0].reason}: {unusable[0].where}')
        for track in tracks:
            images = [str(path) for path in image_files(Path(track.images[0]).parent)]
            places = {image: index for index, image in enumerate(images)}
            index = np.array([places[image] for image in track.images])
            first, last = index.min(), index.max()
            boxes = np.full((last - first + 1, 4), np.nan)
            boxes[index - first] = track.boxes_xyxy
            leaf = video.rpartition('/')[2]
            name = track.video if video == '.' else leaf if leaves[leaf] == 1 else video.replace('/', '_')
            yield Sequence(f'{name}_{track.name}' if len(tracks) > 1 else name, tuple(images[first:last + 1]), boxes)
    if without:
        warnings.warn(f'{len(without)} videos without a box are left out: {", ".join(without[:5])}', stacklevel=2)
