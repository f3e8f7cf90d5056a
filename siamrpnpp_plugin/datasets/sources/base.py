"""What readers of annotations share: `Track`, `Skip` and how names and boxes are judged."""

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np

from ..filters import Filters

IMAGE_SUFFIXES = ('.jpeg', '.jpg', '.png', '.bmp')

# Left out because the annotation says so, or as asked: no faults of the data, so `--strict` lets them pass.
EXPECTED_REASONS = {'no box', 'absent', 'uncertain', 'full occlusion', 'out of view', 'not visible', 'crowd',
                    'image without objects'}


class Skip(NamedTuple):
    """Something that is left out."""

    reason: str  # one of few phrases, so that skips can be counted
    where: str  # file relative to the root of the data set, and what in it


class ClipFrame(NamedTuple):
    """A frame that lies in a video file: the first one that is shown at this time or later."""

    clip: str
    milliseconds: int


@dataclass(frozen=True)
class Track:
    """One object in one training video, T frames of it. Frames may be missing in between: gaps do not end a track."""

    video: str  # unique in its source
    name: str  # unique in its video
    frames: np.ndarray  # (T,) int64 frame numbers, increasing
    boxes_xyxy: np.ndarray  # (T, 4) float64 pixels
    images: tuple  # (T,) image files or `ClipFrame`s; frames that several tracks share have the same one
    occluded: np.ndarray  # (T,) bool: partly hidden
    generated: np.ndarray  # (T,) bool: the box was interpolated, not drawn by a person
    category: str = ''
    image_sizes: Optional[tuple] = None  # (T,) (width, height) that the boxes were drawn on, where the annotation tells
    is_relative: bool = False  # boxes_xyxy are shares of the image's width and height instead of pixels


@dataclass
class TrackRows:
    """The rows of a track while its frames are read."""

    category: str = ''
    rows: list = field(default_factory=list)  # (frame, box_xyxy, image, occluded, generated, image_size)

    def track(self, video: str, name: str, is_relative: bool = False) -> Track:
        frames, boxes, images, occluded, generated, sizes = zip(*sorted(self.rows, key=lambda row: row[0]))
        return Track(video, name, np.array(frames, np.int64), np.array(boxes, np.float64), images, np.array(occluded, bool),
                     np.array(generated, bool), self.category, None if None in sizes else sizes, is_relative)


def has_area(box_xyxy: Sequence[float]) -> bool:
    """Whether a box is finite and wider and higher than nothing."""
    return all(map(math.isfinite, box_xyxy)) and box_xyxy[2] > box_xyxy[0] and box_xyxy[3] > box_xyxy[1]


def natural_order(name: str) -> list:
    """Sort key in which frame 9 comes before frame 10."""
    return [(0, int(part), '') if part.isdecimal() else (1, 0, part) for part in re.split(r'(\d+)', name) if part]


def frame_number(text: Any) -> int:
    """A frame number as annotations give it.

    Raises:
        ValueError: If it is no whole number, or beyond the 31 bits that a store has for it.
    """
    number = int(text)
    if abs(number) >= 2**31:
        raise ValueError(f'frame number {number} is beyond 31 bits')
    return number


def image_files(folder: Path) -> list:
    """The images directly in a folder, in natural order of their names."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES),
                  key=lambda path: natural_order(path.name))


class Source:
    """A data set in its published layout.

    A reader adds `videos()`, the names of all videos in the order in which they are packed, `fingerprint(video)`, a number that
    tells one version of its annotations from another, and `read(video)`, its tracks and what had to be left out; `videos` and
    `fingerprint` must be cheap, `read` may be called in many processes at once.
    """

    name: str  # on the command line
    arguments: dict = {}  # arguments of the class that the command line offers: name -> keywords of argparse
    min_track_length = 2  # defaults for packing: shorter tracks are left out, and boxes that the filters refuse
    filters = Filters()

    def __init__(self, root: str, **options: Any) -> None:
        self.root, self.options = Path(root), options

    def where(self, path: Path) -> str:
        """A path for messages: relative to the root."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)

    def tell(self, error: Exception) -> str:
        """An error's message, its file relative to the root."""
        return str(error).replace(f'{self.root}{os.sep}', '')


def check_choice(data_set: str, argument: str, value: str, known: Sequence[str]) -> None:
    """Refuse a value that is not one of those known.

    Raises:
        ValueError: With the argument, the values known and the one given.
    """
    if value not in known:
        raise ValueError(f'{argument} of {data_set} must be {" or ".join(map(repr, known))}, got {value!r}')
