"""YouTube-BoundingBoxes."""

import math
import os
from collections.abc import Callable
from typing import Optional

from .base import ClipFrame, Skip, Source, Track, TrackRows, check_choice, frame_number, has_area, natural_order
from .row_index import RowIndex

COLUMNS = ('youtube_id', 'timestamp_ms', 'class_id', 'class_name', 'object_id', 'object_presence', 'xmin', 'xmax', 'ymin', 'ymax')
CLIP_SUFFIXES = ('.mp4', '.webm', '.mkv', '.avi', '.mov')


class YouTubeBBSource(Source):
    """YouTube-BB (detection): `yt_bb_detection_train.csv`, and the videos or single frames that were downloaded.

    Rows are `youtube_id, timestamp_ms, class_id, class_name, object_id, object_presence, xmin, xmax, ymin, ymax`, without a
    header or with this one; boxes are shares of the frame. Rows that are not `present`, or have no box (-1), are left out. Boxes
    come once a second, so frames are numbered by seconds, and PySOT's range of 3 annotated frames is 3 here too.

    Of each video the first of these that is there is read, below the folder of the media:
    `ID.mp4` (or another clip), `ID/TIMESTAMP.jpg`, `CLASS/ID_TIMESTAMP_CLASS_OBJECT.jpg` (as youtube-bb-utility writes them).

    Args:
        root: The folder of the csv file.
        split: `train` or `validation`.
        annotations: The csv file, relative to the root; None: `yt_bb_detection_SPLIT.csv`.
        media: Folder of clips or frames, relative to the root; None: `yt_bb_detection_SPLIT` if it is there, else the root.

    Raises:
        ValueError: If the split is another one, the csv file is missing, empty or packed, or the media's folder is missing.
    """

    name = 'ytbb'
    arguments = dict(split=dict(choices=('train', 'validation')),
                     annotations=dict(metavar='CSV', help='relative to ROOT; default: yt_bb_detection_SPLIT.csv'),
                     media=dict(metavar='FOLDER', help='clips or frames, relative to ROOT; default: yt_bb_detection_SPLIT or .'))

    def __init__(self, root: str, split: str = 'train', annotations: Optional[str] = None, media: Optional[str] = None) -> None:
        check_choice('YouTube-BB', 'split', split, ('train', 'validation'))
        super().__init__(root, split=split)
        folder = self.root / f'yt_bb_detection_{split}'
        self.media = self.root / media if media is not None else folder if folder.is_dir() else self.root
        try:
            self.rows = RowIndex(self.root / (annotations or f'yt_bb_detection_{split}.csv'), COLUMNS[0])
        except FileNotFoundError as error:
            raise ValueError(f'{root} is not a YouTube-BB root: {error}') from None
        if not self.media.is_dir():
            raise ValueError(f'media of YouTube-BB: {self.media} is not a folder')

    def videos(self) -> list:
        """All ids of the csv file, sorted."""
        return self.rows.names

    def fingerprint(self, video: str) -> int:
        """Bytes of the rows."""
        return self.rows.size(video)

    def read(self, video: str) -> tuple[list[Track], list[Skip]]:
        """Tracks `CLASS_OBJECT` of one video and what had to be left out."""
        rows = self.rows.rows(video)
        image_of = self._frames(video, rows)
        if image_of is None:
            return [], [Skip('missing video', f'{video} ({len(rows)} rows): neither clip nor frames in {self.where(self.media)}')]
        tracks: dict[str, TrackRows] = {}
        skips, seen = [], set()
        for where, words in rows:
            try:
                time, category, number, presence, box = parse_row(words)
                second = frame_number(time // 1000)
            except ValueError as error:
                skips.append(Skip('malformed annotation', f'{where}: {error}'))
                continue
            name = f'{category[0]}_{number}'
            if presence != 'present':
                skips.append(Skip(presence, where))
            elif box[0] == -1:
                skips.append(Skip('no box', where))
            elif (name, second) in seen:
                skips.append(Skip('malformed annotation', f'{where}: a second box of this object in second {second}'))
            elif not has_area(box):
                skips.append(Skip('zero-size box', where))
            else:
                seen.add((name, second))
                row = (second, box, image_of(time, category[0], number), False, False, None)
                tracks.setdefault(name, TrackRows(category[1])).rows.append(row)
        return [tracks[name].track(video, name, is_relative=True) for name in sorted(tracks, key=natural_order)], skips

    def _frames(self, video: str, rows: list) -> Optional[Callable]:
        """(milliseconds, class, object) -> image or `ClipFrame`; None if the video was not downloaded."""
        clip = next((path for path in (self.media / f'{video}{suffix}' for suffix in CLIP_SUFFIXES) if path.is_file()), None)
        if clip is not None:
            return lambda time, category, number: ClipFrame(str(clip), time)
        if (self.media / video).is_dir():
            return lambda time, category, number: str(self.media / video / f'{time}.jpg')

        def utility(time: int, category: str, number: str) -> str:
            return str(self.media / category / f'{video}_{time}_{category}_{number}.jpg')

        is_there = any(os.path.isfile(utility(words[1], words[2], words[4])) for _, words in rows if len(words) == len(COLUMNS))
        return utility if is_there else None


def parse_row(words: list) -> tuple:
    """Milliseconds, (class id, class name), object id, presence and (xmin, ymin, xmax, ymax) of a row.

    Raises:
        ValueError: If a word is missing, no number or out of range.
    """
    if len(words) != len(COLUMNS):
        raise ValueError(f'{len(words)} columns instead of {len(COLUMNS)}')
    _, time, class_id, class_name, number, presence, *corners = (word.strip() for word in words)
    if presence not in ('present', 'absent', 'uncertain'):
        raise ValueError(f"object_presence is {presence!r} instead of 'present', 'absent' or 'uncertain'")
    if not (time.isdecimal() and class_id.isdecimal() and number.isdecimal()):
        raise ValueError('timestamp_ms, class_id and object_id must be numbers from 0')
    xmin, xmax, ymin, ymax = map(float, corners)
    box = (xmin, ymin, xmax, ymax)
    if box != (-1, -1, -1, -1) and not all(math.isfinite(value) and -0.001 <= value <= 1.001 for value in box):
        raise ValueError('a box has shares of the frame from 0 to 1')
    return int(time), (class_id, class_name), number, presence, box
