"""Readers of annotated videos: from the layout in which a data set is published to `Track`s.

A source lists its videos at once and reads the annotations of one video at a time, so that many processes share the work. What
it cannot use it returns as a `Skip`; nothing disappears without one. Boxes are continuous: pixel i covers [i, i + 1).
"""

import math
import os
import re
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

from ..ops.polygons import equal_area_box

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
class _TrackRows:
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


class VIDSource:
    """ILSVRC2015 VID: `Data/VID/train/ILSVRC2015_VID_train_000k/*/%06d.JPEG` or `Data/VID/val/*/%06d.JPEG`, and an xml for each
    frame at the same place under `Annotations/VID`.

    Its boxes name the first and the last pixel of the object, counted from 0, so the box ends one further.

    Args:
        root: The folder with `Data` and `Annotations`, usually `ILSVRC2015`.
        split: `train` or `val`.

    Raises:
        ValueError: If the split is another one, or the root does not have the layout.
    """

    name = 'vid'

    def __init__(self, root: str, split: str = 'train') -> None:
        if split not in ('train', 'val'):
            raise ValueError(f"split of VID must be 'train' or 'val', got {split!r}")
        self.root, self.options = Path(root), dict(split=split)
        self.images, self.annotations = (self.root / kind / 'VID' / split for kind in ('Data', 'Annotations'))
        for folder in (self.images, self.annotations):
            if not folder.is_dir():
                raise ValueError(f'{root} is not an ILSVRC2015 VID root with a {split} split: {folder} is missing')

    def videos(self) -> list:
        """Names of all videos, sorted: paths below `Data/VID/<split>`, of those with images, annotations or both."""
        pattern = '*/*' if self.options['split'] == 'train' else '*'
        found = {path.relative_to(top).as_posix() for top in (self.images, self.annotations) for path in top.glob(pattern)
                 if path.is_dir()}
        return sorted(found)

    def fingerprint(self, video: str) -> int:
        """Number of annotation files; tells one version of a data set from another, soon."""
        folder = self.annotations / video
        return sum(name.endswith('.xml') for name in os.listdir(folder)) if folder.is_dir() else 0

    def read(self, video: str) -> tuple[list[Track], list[Skip]]:
        """Tracks of one video, by number, and what had to be left out."""
        images = {path.stem: path for path in image_files(self.images / video)}
        annotations = {path.stem: path for path in (self.annotations / video).glob('*.xml')}
        skips = [Skip('missing annotation', self._where(images[stem])) for stem in sorted(images.keys() - annotations.keys())]
        tracks: dict[str, _TrackRows] = {}
        for stem in sorted(annotations):
            where = self._where(annotations[stem])
            if stem not in images:
                skips.append(Skip('missing image', f'{where}: no image of that name in Data'))
                continue
            try:
                frame, size, objects = int(stem), *self._parse(annotations[stem])
            except (ElementTree.ParseError, ValueError, OverflowError, LookupError, OSError) as error:
                skips.append(Skip('malformed annotation', f'{where}: {error}'))
                continue
            seen = set()
            for name, category, corners, occluded, generated in objects:
                xmin, ymin, xmax, ymax = corners
                if name in seen:
                    skips.append(Skip('malformed annotation', f'{where}: track {name} occurs twice'))
                elif not has_area(corners):
                    skips.append(Skip('zero-size box', f'{where}: track {name}, {corners}'))
                else:
                    row = (frame, (xmin, ymin, xmax + 1, ymax + 1), str(images[stem]), occluded, generated, size)
                    tracks.setdefault(name, _TrackRows(category)).rows.append(row)
                seen.add(name)
        if not tracks and not skips:
            skips.append(Skip('video without objects', self._where(self.annotations / video)))
        return [tracks[name].track(video, name) for name in sorted(tracks, key=natural_order)], skips

    def _where(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    @staticmethod
    def _parse(path: Path) -> tuple:
        """Image size (w, h) or None, and (track, category, (xmin, ymin, xmax, ymax), occluded, generated) of each object."""
        root = ElementTree.parse(path).getroot()

        def number(node: ElementTree.Element, tag: str) -> float:
            text = node.findtext(tag)
            try:
                return float(text)
            except (TypeError, ValueError):
                raise ValueError(f'<{tag}> of <{node.tag}> is {text!r} instead of a number') from None

        if root.tag != 'annotation':
            raise ValueError(f'the root is <{root.tag}> instead of <annotation>')
        size = root.find('size')
        size = None if size is None else (int(number(size, 'width')), int(number(size, 'height')))
        objects = []
        for node in root.iter('object'):
            name, box = node.findtext('trackid'), node.find('bndbox')
            if name is None or box is None:
                raise ValueError('an <object> lacks <trackid> or <bndbox>')
            corners = tuple(number(box, tag) for tag in ('xmin', 'ymin', 'xmax', 'ymax'))  # by name: files differ in order
            objects.append((name.strip(), node.findtext('name', '').strip(), corners,
                            node.findtext('occluded', '0').strip() == '1', node.findtext('generated', '0').strip() == '1'))
        return size, objects


class FolderSource:
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

    def __init__(self, root: str, first_pixel: float = 0) -> None:
        self.root, self.options = Path(root), dict(first_pixel=first_pixel)
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
            rows = _TrackRows()
            where = f'{video_name}/{path.name}'
            lines = path.read_text(encoding='utf-8-sig', errors='replace').rstrip().splitlines()
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
        values = [float(part) for part in re.split(r'[,;\s]+', line.strip()) if part]
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


SOURCES = {source.name: source for source in (VIDSource, FolderSource)}


def read_vid(root: str, split: str = 'train') -> Iterator[Track]:
    """All tracks of ILSVRC2015 VID, video by video; arguments as in `VIDSource`. What is left out is warned of."""
    return _tracks(VIDSource(root, split))


def read_folders(root: str, first_pixel: float = 0) -> Iterator[Track]:
    """All tracks of a user's own videos; arguments as in `FolderSource`. What is left out is warned of."""
    return _tracks(FolderSource(root, first_pixel))


def _tracks(source) -> Iterator[Track]:
    for video in source.videos():
        tracks, skips = source.read(video)
        for skip in skips:
            warnings.warn(f'{skip.reason}: {skip.where}', stacklevel=2)
        yield from tracks
