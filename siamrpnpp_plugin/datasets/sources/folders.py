"""A user's own videos in folders."""

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...ops.polygons import equal_area_box
from ..text_files import parse_numbers, read_lines
from .base import Skip, Source, Track, TrackRows, has_area, image_files, natural_order


class FolderSource(Source):
    """A user's own videos: each a folder with images and `groundtruth.txt` or `groundtruth_rect.txt`, one line per image.

    Lines are `x y w h` or four corner points `x1 y1 ... x4 y4`, separated by commas, tabs or spaces; `nan` says that there is no
    box. Images lie in the folder itself or in one folder below it, such as `img`. `groundtruth_rect.1.txt`, `.2.txt` ... are
    several tracks. Folders may be nested.

    Args:
        root: A folder of videos, or one video.
        first_pixel: Coordinate of the upper left corner: 0, or 1 where the boxes were made with MATLAB, as OTB's.

    Raises:
        ValueError: If the root is not a folder.
    """

    name = 'folders'
    arguments = dict(first_pixel=dict(type=float, help='coordinate of the upper left corner; 1: MATLAB'))

    def __init__(self, root: str, first_pixel: float = 0) -> None:
        super().__init__(root, first_pixel=first_pixel)
        if not self.root.is_dir():
            raise ValueError(f'{root} is not a folder')

    def videos(self) -> list:
        """Paths of all folders with a ground truth, or with images and none in or above them, relative to the root, sorted."""
        found = []

        def walk(folder: Path) -> None:
            children = sorted(path for path in folder.iterdir() if path.is_dir())
            is_video = bool(self._ground_truths(folder))
            if is_video or image_files(folder):  # images without a ground truth are read too, and reported
                found.append(folder.relative_to(self.root).as_posix())
            if not is_video:
                for child in children:
                    walk(child)

        walk(self.root)
        return sorted(found, key=natural_order)

    def fingerprint(self, video: str) -> int:
        """Bytes of annotations; tells one version of a data set from another, soon."""
        return sum(path.stat().st_size for path in self._ground_truths(self.root / video))

    def read(self, video: str) -> tuple[list[Track], list[Skip]]:
        """Tracks of one video and what had to be left out. Frames are numbered from 0 in the order of the images."""
        folder = self.root / video
        video_name = self.root.resolve().name if video == '.' else video
        files = self._ground_truths(folder)
        if not files:
            return [], [Skip('missing annotation', f'{video_name}: images, but no groundtruth.txt')]
        folders = [path for path in (folder, *sorted(folder.iterdir())) if image_files(path)]
        if len(folders) != 1:
            found = [path.relative_to(folder).as_posix() for path in folders]
            return [], [Skip('missing image', f'{video_name}: images must lie in one folder, found them in {found}')]
        images = image_files(folders[0])
        tracks, skips = [], []
        for path in files:
            rows = TrackRows()
            where = f'{video_name}/{path.name}'
            lines = read_lines(path)
            for index, line in enumerate(lines):
                try:
                    box = self._parse(line)
                except ValueError as error:
                    skips.append(Skip('malformed annotation', f'{where} line {index + 1}: {error}'))
                    continue
                if index >= len(images):
                    skips.append(Skip('missing image', f'{where} line {index + 1}: there are only {len(images)} images'))
                elif not any(map(math.isfinite, box)):
                    skips.append(Skip('no box', f'{where} line {index + 1}'))
                elif not has_area(box):
                    skips.append(Skip('zero-size box', f'{where} line {index + 1}: {line.strip()}'))
                else:
                    rows.rows.append((index, box, str(images[index]), False, False, None))
            skips += [Skip('missing annotation', f'{where}: no line for {image.name}') for image in images[len(lines):]]
            if rows.rows:
                name = re.fullmatch(r'groundtruth(?:_rect)?\.?(\d*)\.txt', path.name)[1] or '0'
                name = path.stem if name in {track.name for track in tracks} else name
                tracks.append(rows.track(video_name, name))
        return tracks, skips

    @staticmethod
    def _ground_truths(folder: Path) -> list:
        found = sorted(path for path in folder.glob('groundtruth*.txt')
                       if re.fullmatch(r'groundtruth(?:_rect)?(?:\.\d+)?\.txt', path.name))
        return [folder / 'groundtruth.txt'] if folder / 'groundtruth.txt' in found else found

    def _parse(self, line: str) -> tuple:
        """Corners of the box of a line."""
        values = parse_numbers(line)
        if len(values) == 4:
            x, y, width, height = values
            box = (x, y, x + width, y + height)
        elif len(values) == 8:
            box = polygon_to_xyxy(values)
        else:
            raise ValueError(f'{len(values)} numbers instead of 4 or 8')
        return tuple(value - self.options['first_pixel'] for value in box)


def polygon_to_xyxy(points: Sequence[float]) -> tuple:
    """The box of one quadrilateral target, see `equal_area_box`.

    Args:
        points: x1, y1, ..., x4, y4 in pixels, in order around the target.

    Returns:
        xmin, ymin, xmax, ymax; a point where the hull has no area.
    """
    corners = np.reshape(np.asarray(points, np.float64), (4, 2))
    if not np.ptp(corners, axis=0).all():
        return tuple(corners.mean(axis=0).tolist() * 2)
    return tuple(equal_area_box(corners[None])[0].tolist())
