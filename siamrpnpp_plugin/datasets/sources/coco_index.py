"""A COCO-style json as flat arrays: its objects are decoded one at a time, so the file never becomes a tree of Python objects."""

import json
import re
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Optional

import numpy as np

from .base import Skip, frame_number

_COLUMNS = ('image_id', 'id', 'track', 'category_id', 'flags')
_SPACE, _COMMA = re.compile(r'[ \t\n\r]*'), re.compile(r'[ \t\n\r]*,?[ \t\n\r]*')


class CocoIndex:
    """Images and their annotations, M of them, in the order of the images.

    Args:
        path: A json with `images`, `annotations` and `categories`.
        track_of: Annotation -> number of its object in the video; None: stills, each annotation is its own.

    Raises:
        ValueError: If it is not such a json, or has no images; the message names the file and the key.
    """

    def __init__(self, path: Path, track_of: Optional[Callable[[dict], int]] = None) -> None:
        if not path.is_file():
            raise ValueError(f'{path} is missing')
        self.path, self.skips, self._is_video = path, [], track_of is not None
        self.images: list[tuple] = []  # (file_name, (width, height) or None, video_id, frame)
        self.videos: dict[int, str] = {}
        self._categories: dict[int, str] = {}
        numbers: dict[int, int] = {}  # image id -> number
        rows, boxes = array('q'), array('d')  # _COLUMNS and x, y, width, height of each annotation
        for key, item in json_arrays(path, ('images', 'annotations', 'categories', 'videos')):
            try:
                if key == 'images':
                    self._add_image(item, numbers)
                elif key == 'categories':
                    self._categories[int(item['id'])] = str(item['name'])
                elif key == 'videos':
                    self.videos[int(item['id'])] = str(item.get('name', item['id']))
                else:
                    box = array('d', item['bbox'])
                    if len(box) != 4:
                        raise ValueError(f'bbox has {len(box)} numbers instead of 4')
                    flags = bool(item.get('iscrowd')) + 2 * bool(item.get('occluded')) + 4 * bool(item.get('generated'))
                    number = int(item.get('id', len(boxes) // 4))
                    rows.extend(array('q', (int(item['image_id']), number, number if track_of is None else int(track_of(item)),
                                            int(item.get('category_id', -1)), flags)))
                    boxes.extend(box)
            except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
                text = f'lacks {error}' if isinstance(error, KeyError) else error
                self.skips.append(Skip('malformed annotation', f'{path.name} {key}: {str(item)[:120]}: {text}'))
        if not self.images:
            raise ValueError(f"{path} has no images: its key 'images' is missing or empty"
                             + (f', or has no good one: {self.skips[0].where}' if self.skips else ''))
        self._sort(np.array(rows, np.int64).reshape(-1, len(_COLUMNS)), np.array(boxes).reshape(-1, 4), numbers)

    def _add_image(self, item: dict, numbers: dict) -> None:
        number, name = int(item['id']), str(item['file_name'])
        if number in numbers:
            raise ValueError('its id is that of another image')
        size = (int(item['width']), int(item['height'])) if 'width' in item and 'height' in item else None
        place = (int(item['video_id']), frame_number(item['frame_id'])) if self._is_video else (-1, 0)
        numbers[number] = len(self.images)
        self.images.append((name, size, *place))

    def _sort(self, rows: np.ndarray, boxes: np.ndarray, numbers: dict) -> None:
        """Annotations by image; those of no image, and the second ones of an id, become skips."""
        image = np.array([numbers.get(identity, -1) for identity in rows[:, 0].tolist()], np.int64)
        is_first = np.zeros(len(rows), bool)
        is_first[np.unique(rows[:, 1], return_index=True)[1]] = True
        for row in np.flatnonzero((image < 0) | ~is_first).tolist():
            where = f'{self.path.name} annotations: id {rows[row, 1]}'
            self.skips.append(Skip('missing image', f'{where}: no image has the id {rows[row, 0]}') if image[row] < 0 else
                              Skip('malformed annotation', f'{where}: a second annotation of this id'))
        chosen = np.flatnonzero((image >= 0) & is_first)
        chosen = chosen[np.argsort(image[chosen], kind='stable')]
        self._start = np.searchsorted(image[chosen], np.arange(len(self.images) + 1))
        self._rows, self._boxes = rows[chosen], boxes[chosen]

    def __len__(self) -> int:
        """Number of annotations that have an image."""
        return len(self._boxes)

    def count(self, image: int) -> int:
        """Annotations of an image."""
        return int(self._start[image + 1] - self._start[image])

    def annotations(self, image: int) -> Iterator[tuple]:
        """(id, track, category, box_xyxy, is_crowd, occluded, generated) of each annotation of an image, in the file's order."""
        for row in range(int(self._start[image]), int(self._start[image + 1])):
            x, y, width, height = self._boxes[row].tolist()
            _, number, track, category, flags = self._rows[row].tolist()
            yield (number, track, self._categories.get(category, ''), (x, y, x + width, y + height), flags & 1 > 0, flags & 2 > 0,
                   flags & 4 > 0)


def json_arrays(path: Path, keys: tuple) -> Iterator[tuple]:
    """(key, item) of each item of these top-level arrays of a json object, decoded one at a time.

    Raises:
        ValueError: If the file is no json object, or one of the keys is no array.
    """
    text, decoder = path.read_text(encoding='utf-8-sig'), json.JSONDecoder()
    try:
        place = _SPACE.match(text).end()
        if text[place:place + 1] != '{':
            raise ValueError('no json object')
        place = _SPACE.match(text, place + 1).end()
        while text[place] != '}':
            key, place = decoder.raw_decode(text, place)
            place = _SPACE.match(text, _SPACE.match(text, place).end() + 1).end()  # behind the colon
            if key not in keys:
                _, place = decoder.raw_decode(text, place)
            elif text[place] != '[':
                raise ValueError(f'{key!r} is no array')
            else:
                place = _SPACE.match(text, place + 1).end()
                while text[place] != ']':
                    item, place = decoder.raw_decode(text, place)
                    yield key, item
                    place = _COMMA.match(text, place).end()
                place += 1
            place = _COMMA.match(text, place).end()
    except (ValueError, IndexError) as error:
        reason = 'it is cut short' if isinstance(error, IndexError) else error
        raise ValueError(f'{path} is not a json of annotations: {reason}') from None
