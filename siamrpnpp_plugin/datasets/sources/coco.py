"""COCO: stills, and videos in its format."""

from pathlib import Path
from typing import Optional

from ..filters import STILLS
from .base import Skip, Source, Track, TrackRows, has_area, natural_order
from .coco_index import CocoIndex


class CocoSource(Source):
    """COCO instances as stills: `SPLIT/%012d.jpg` and `annotations/instances_SPLIT.json`.

    Each image is a video of one frame, each annotation a track of it. Crowds are left out.

    Args:
        root: The folder with the images' folder and `annotations`.
        split: Name of the images' folder, such as `train2017`.
        annotations: Another json, relative to the root.
        images: Another folder of images, relative to the root.

    Raises:
        ValueError: If the json or the folder of images is missing, or the json has no images.
    """

    name = 'coco'
    arguments = dict(split=dict(help='name of the folder of images'),
                     annotations=dict(metavar='JSON', help='relative to ROOT; default: annotations/instances_SPLIT.json'),
                     images=dict(metavar='FOLDER', help='relative to ROOT; default: SPLIT'))
    min_track_length, filters = 1, STILLS

    def __init__(self, root: str, split: str = 'train2017', annotations: Optional[str] = None,
                 images: Optional[str] = None) -> None:
        super().__init__(root, split=split)
        self.folder = self.root / (images or split)
        if not self.folder.is_dir():
            raise ValueError(f'{root} is not a COCO root with the images {split}: {self.folder} is missing')
        self.index = CocoIndex(self.root / (annotations or f'annotations/instances_{split}.json'))
        self._numbers: dict[str, int] = {}
        for number, (name, *_) in enumerate(self.index.images):
            if self._numbers.setdefault(name, number) != number:
                self.index.skips.append(Skip('malformed annotation', f'{self.index.path.name} images: a second image {name}'))
        self._videos = sorted(self._numbers)

    def videos(self) -> list:
        """Names of all images, sorted."""
        return self._videos

    def fingerprint(self, video: str) -> int:
        """Number of annotations."""
        return self.index.count(self._numbers[video])

    def read(self, video: str) -> tuple[list[Track], list[Skip]]:
        """The objects of one image and what had to be left out; with the first image what belongs to none."""
        number, tracks = self._numbers[video], []
        _, size, *_ = self.index.images[number]
        skips = list(self.index.skips) if video == self._videos[0] else []
        for track, _, category, box, is_crowd, occluded, generated in self.index.annotations(number):
            where = f'{video}: annotation {track}'
            if is_crowd:
                skips.append(Skip('crowd', where))
            elif not has_area(box):
                skips.append(Skip('zero-size box', f'{where}, {box}'))
            else:
                rows = TrackRows(category, [(0, box, str(self.folder / video), occluded, generated, size)])
                tracks.append(rows.track(video, str(track)))
        if not tracks and not skips:
            skips.append(Skip('image without objects', video))
        return tracks, skips


class CocoVideoSource(Source):
    """Own videos in COCO-VID format, as mmtracking's: one json with `videos`, `images`, `annotations` and `categories`.

    `images` have `video_id`, `frame_id` and `file_name`; `annotations` have `image_id`, `instance_id` and `bbox` (x, y, width,
    height), and may have `iscrowd`, `occluded` and `generated`.

    Args:
        root: Folder that the file names are relative to.
        annotations: The json, relative to the root.

    Raises:
        ValueError: If the json is missing, or has no images or videos.
    """

    name = 'coco_vid'
    arguments = dict(annotations=dict(metavar='JSON', help='relative to ROOT'))

    def __init__(self, root: str, annotations: str = 'annotations.json') -> None:
        super().__init__(root)
        self.index = CocoIndex(self.root / annotations, track_of=lambda item: item['instance_id'])
        if not self.index.videos:
            raise ValueError(f"{self.index.path} has no videos: its key 'videos' is missing or empty")
        self._images: dict[str, list] = {f'{name}': [] for name in self.index.videos.values()}
        if len(self._images) != len(self.index.videos):
            raise ValueError(f'{self.index.path}: two videos have one name')
        for number, (name, _, video, frame) in enumerate(self.index.images):
            if video in self.index.videos:
                self._images[self.index.videos[video]].append((frame, number))
            else:
                self.index.skips.append(Skip('missing video', f'{self.index.path.name} images: {name} is of no video ({video})'))
        self._videos = sorted(self._images, key=natural_order)

    def videos(self) -> list:
        """Names of all videos, in natural order."""
        return self._videos

    def fingerprint(self, video: str) -> int:
        """Number of annotations."""
        return sum(self.index.count(number) for _, number in self._images[video])

    def read(self, video: str) -> tuple[list[Track], list[Skip]]:
        """Tracks of one video and what had to be left out; with the first video what belongs to none."""
        tracks: dict[int, TrackRows] = {}
        skips = list(self.index.skips) if video == self._videos[0] else []
        seen = set()
        for frame, number in sorted(self._images[video]):
            name, size, *_ = self.index.images[number]
            for identity, track, category, box, is_crowd, occluded, generated in self.index.annotations(number):
                where = f'{name}: annotation {identity}'
                if is_crowd:
                    skips.append(Skip('crowd', where))
                elif (track, frame) in seen:
                    skips.append(Skip('malformed annotation', f'{where}: instance {track} occurs twice in frame {frame}'))
                elif not has_area(box):
                    skips.append(Skip('zero-size box', f'{where}, {box}'))
                else:
                    seen.add((track, frame))
                    row = (frame, box, str(Path(self.root, name)), occluded, generated, size)
                    tracks.setdefault(track, TrackRows(category)).rows.append(row)
        if not tracks and not skips:
            skips.append(Skip('video without objects', video))
        return [tracks[track].track(video, str(track)) for track in sorted(tracks)], skips
