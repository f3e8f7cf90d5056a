"""What readers of annotations share: `Track`, `Skip` and how names and boxes are judged."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

IMAGE_SUFFIXES = ('.jpeg', '.jpg', '.png', '.bmp')


class Skip(NamedTuple):
    """Something that is left out."""

    reason: str  # one of few phrases, so that skips can be counted
    where: str  # file relative to the root of the data set, and what in it


@dataclass(frozen=True)
class Track:
    """One object in one training video, T frames of it. Frames may be missing in between: gaps do not end a track."""

    video: str  # unique in its source
    name: str  # unique in its video
    frames: np.ndarray  # (T,) int64 frame numbers, increasing
    boxes_xyxy: np.ndarray  # (T, 4) float64 pixels
    images: tuple  # (T,) image files; frames that several tracks share have the same file
    occluded: np.ndarray  # (T,) bool: partly hidden
    generated: np.ndarray  # (T,) bool: the box was interpolated, not drawn by a person
    category: str = ''
    image_sizes: Optional[tuple] = None  # (T,) (width, height) that the boxes were drawn on, where the annotation tells


@dataclass
class TrackRows:
    """The rows of a track while its frames are read."""

    category: str = ''
    rows: list = field(default_factory=list)  # (frame, box_xyxy, image, occluded, generated, image_size)

    def track(self, video: str, name: str) -> Track:
        frames, boxes, images, occluded, generated, sizes = zip(*sorted(self.rows, key=lambda row: row[0]))
        return Track(video, name, np.array(frames, np.int64), np.array(boxes, np.float64), images, np.array(occluded, bool),
                     np.array(generated, bool), self.category, None if None in sizes else sizes)


def has_area(box_xyxy: Sequence[float]) -> bool:
    """Whether a box is finite and wider and higher than nothing."""
    return all(map(math.isfinite, box_xyxy)) and box_xyxy[2] > box_xyxy[0] and box_xyxy[3] > box_xyxy[1]


def natural_order(name: str) -> list:
    """Sort key in which frame 9 comes before frame 10."""
    return [(0, int(part), '') if part.isdecimal() else (1, 0, part) for part in re.split(r'(\d+)', name) if part]


def image_files(folder: Path) -> list:
    """The images directly in a folder, in natural order of their names."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES),
                  key=lambda path: natural_order(path.name))
