"""A user's own videos in one csv file."""

from pathlib import Path

from .base import Skip, Source, Track, TrackRows, frame_number, has_area, natural_order
from .row_index import RowIndex

REQUIRED, CORNERS, SIZES = ('video', 'frame', 'image', 'track'), ('xmin', 'ymin', 'xmax', 'ymax'), ('x', 'y', 'width', 'height')
FLAGS = ('occluded', 'generated')


class CsvSource(Source):
    """Own videos in one csv file with a row per box and a header.

    Columns, `video` first and the others in any order: `video` (its name), `frame` (number), `image` (file relative to the root),
    `track` (name of the object, the same in all frames of it), and either `x, y, width, height` or `xmin, ymin, xmax, ymax` in
    pixels, counted from 0, the end behind the last pixel. `category` (text), `occluded` and `generated` (0 or 1) may be there.

    Args:
        root: Folder that the images are relative to.
        annotations: The csv file, relative to the root.

    Raises:
        ValueError: If the file is missing or empty, or its header lacks a column or has one that is not known.
    """

    name = 'csv'
    arguments = dict(annotations=dict(metavar='CSV', help='relative to ROOT'))

    def __init__(self, root: str, annotations: str = 'annotations.csv') -> None:
        super().__init__(root)
        try:
            self.rows = RowIndex(self.root / annotations, REQUIRED[0], header=True)
        except FileNotFoundError as error:
            raise ValueError(str(error)) from None
        self.columns = [word.strip() for word in self.rows.header]
        missing = [name for name in REQUIRED if name not in self.columns]
        unknown = [name for name in self.columns if name not in (*REQUIRED, *CORNERS, *SIZES, *FLAGS, 'category')]
        self.box = next((names for names in (CORNERS, SIZES) if set(names) <= set(self.columns)), None)
        if missing or unknown or self.box is None or self.columns[0] != REQUIRED[0]:
            raise ValueError(f'{self.rows.path}: the header must start with video and have {", ".join(REQUIRED[1:])}, and '
                             f'{", ".join(SIZES)} or {", ".join(CORNERS)}; category, occluded, generated may be there; got '
                             f'{", ".join(self.columns)}')

    def videos(self) -> list:
        """All names of videos, sorted."""
        return self.rows.names

    def fingerprint(self, video: str) -> int:
        """Bytes of the rows."""
        return self.rows.size(video)

    def read(self, video: str) -> tuple[list[Track], list[Skip]]:
        """Tracks of one video and what had to be left out."""
        tracks: dict[str, TrackRows] = {}
        skips, seen = [], set()
        for where, words in self.rows.rows(video):
            try:
                name, row, category = self._parse(words)
            except ValueError as error:
                skips.append(Skip('malformed annotation', f'{where}: {error}'))
                continue
            if (name, row[0]) in seen:
                skips.append(Skip('malformed annotation', f'{where}: a second box of this track in this frame'))
            elif not has_area(row[1]):
                skips.append(Skip('zero-size box', where))
            else:
                seen.add((name, row[0]))
                tracks.setdefault(name, TrackRows(category)).rows.append(row)
        return [tracks[name].track(video, name) for name in sorted(tracks, key=natural_order)], skips

    def _parse(self, words: list) -> tuple:
        """Name of the track, the row for it, and its category."""
        if len(words) != len(self.columns):
            raise ValueError(f'{len(words)} columns instead of {len(self.columns)}')
        cells = dict(zip(self.columns, (word.strip() for word in words)))
        for column in FLAGS:
            if cells.get(column, '0') not in ('0', '1'):
                raise ValueError(f'{column} is {cells[column]!r} instead of 0 or 1')
        first, second, third, fourth = (float(cells[column]) for column in self.box)
        box = (first, second, third, fourth) if self.box == CORNERS else (first, second, first + third, second + fourth)
        occluded, generated = (cells.get(column, '0') == '1' for column in FLAGS)
        if not (cells['video'] and cells['track'] and cells['image']):
            raise ValueError('video, image and track must not be empty')
        row = (frame_number(cells['frame']), box, str(Path(self.root, cells['image'])), occluded, generated, None)
        return cells['track'], row, cells.get('category', '')
