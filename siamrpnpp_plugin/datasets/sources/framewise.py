"""What the readers of tracking benchmarks share: one target per video, a box per frame, flags of frames in files beside it."""

import math
from pathlib import Path
from typing import Optional

import numpy as np

from ..text_files import parse_numbers, read_lines
from .base import Skip, Source, Track, TrackRows, has_area, image_files


class FramewiseSource(Source):
    """Videos of one target whose file of boxes has a line x, y, width, height for each image, from number `first_frame` on."""

    first_frame = 1

    def read_target(self, video: str, images: Path, boxes: Path, lines: Optional[list], hidden: dict, category: str = '',
                    size: Optional[tuple] = None, occluded: Optional[np.ndarray] = None,
                    first_pixel: float = 0) -> tuple[list[Track], list[Skip]]:
        """The track of a video, if any, and what had to be left out.

        Args:
            video: Its name.
            images: Folder of the images, `NUMBER.jpg`.
            boxes: File of the boxes.
            lines: Its `lines`.
            hidden: Reason -> (T,) bool: frames without a visible target.
            category: Of the target.
            size: Width and height that the boxes were drawn on, if known.
            occluded: (T,) bool: partly hidden.
            first_pixel: Coordinate of the upper left corner of the image in the file.
        """
        found, skips = self._numbered(images)
        if lines is None:
            return [], [Skip('missing annotation', f'{video}: {boxes.name} cannot be read')]
        rows, where = TrackRows(category), self.where(boxes)
        for index, line in enumerate(lines):
            number = self.first_frame + index  # by number: a lost image must not shift the boxes of those behind it
            image = found.pop(number, None)
            place = f'{where} line {index + 1}'
            reason = next((reason for reason, flags in hidden.items() if flags[index]), '')
            corners = parse_xywh(line, first_pixel)
            if image is None:
                skips.append(Skip('missing image', f'{place}: {self.where(images)} has no image {number}'))
            elif reason:
                skips.append(Skip(reason, place))
            elif corners is None:
                skips.append(Skip('malformed annotation', f'{place}: {line.strip()[:80]!r} is not x, y, width, height'))
            elif not any(map(math.isfinite, corners)):
                skips.append(Skip('no box', place))
            elif not has_area(corners):
                skips.append(Skip('zero-size box', f'{place}: {line.strip()[:80]}'))
            else:
                is_occluded = occluded is not None and bool(occluded[index])
                rows.rows.append((number, corners, str(image), is_occluded, False, size))
        skips += [Skip('missing annotation', f'{where}: no line for {self.where(image)}') for image in found.values()]
        return [rows.track(video, '0')] if rows.rows else [], skips

    @staticmethod
    def lines(boxes: Path) -> Optional[list]:
        """Lines of a file of boxes; None if it cannot be read."""
        try:
            return read_lines(boxes)
        except OSError:
            return None

    def file_size(self, boxes: Path) -> int:
        """Bytes of a file, 0 if there is none; as fingerprint of a video."""
        return boxes.stat().st_size if boxes.is_file() else 0

    def _numbered(self, folder: Path) -> tuple[dict, list]:
        """Number -> image, in order, and skips of images without a number of their own."""
        found, skips = {}, []
        for path in image_files(folder):
            if not path.stem.isdecimal() or int(path.stem) in found:
                skips.append(Skip('malformed image name', f'{self.where(path)}: not named by a number of its own'))
            else:
                found[int(path.stem)] = path
        return found, skips


def parse_xywh(line: str, first_pixel: float = 0) -> Optional[tuple]:
    """xmin, ymin, xmax, ymax of a line `x, y, width, height`, None if it is none."""
    try:
        x, y, width, height = parse_numbers(line)
    except ValueError:
        return None
    x, y = x - first_pixel, y - first_pixel
    return x, y, x + width, y + height
