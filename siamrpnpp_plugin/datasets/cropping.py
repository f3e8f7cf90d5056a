"""One video at a time from annotations and frames to crops: every frame decoded once, every target cropped and encoded once."""

import json
import struct
import zlib
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple, Optional

import cv2
import numpy as np

from ..ops.crop import context_side, crop_and_resize, square_window
from .crop_store import GENERATED, OCCLUDED
from .filters import Filters
from .frames import FrameReader, describe_image
from .jpeg import encode_jpeg
from .sources import Skip, Track, has_area

SHORT_TRACK = 'track too short'
ROW = np.dtype([('track', '<i4'), ('frame', '<i4'), ('box_xyxy', '<f4', 4), ('flags', 'u1'), ('crc32', '<u4'), ('offset', '<i8'),
                ('length', '<i4')])


@dataclass(frozen=True)
class PackSettings:
    """How crops are made.

    Args:
        crop_size: Side of a crop in pixels.
        template_size: Side that the template square (box and context) has within the crop, in pixels.
        context: Share of width + height added to each side of the box, see `context_side`.
        quality: JPEG quality, 1-100.
        min_track_length: Tracks with fewer frames are left out.
        every: Only frames whose number is a multiple of it are packed; the others are not counted as left out.
        filters: Which boxes to pack.

    Raises:
        ValueError: If a number is out of range.
    """

    crop_size: int = 511
    template_size: int = 127
    context: float = 0.5
    quality: int = 95
    min_track_length: int = 2
    every: int = 1
    filters: Filters = Filters()

    def __post_init__(self) -> None:
        if not 0 < self.template_size <= self.crop_size <= 4096:
            raise ValueError(f'crop size and template size need 0 < {self.template_size} <= {self.crop_size} <= 4096')
        if self.context < 0 or not 1 <= self.quality <= 100 or self.min_track_length < 1:
            raise ValueError(f'context >= 0, quality 1 ... 100 and min_track_length >= 1 are needed, got {self}')
        if self.every < 1:
            raise ValueError(f'every must be positive, got {self.every}')

    def identity(self) -> dict:
        """All settings in one flat dict, those of later versions only where they change something: it tells stores apart."""
        settings = asdict(self)
        filters = settings.pop('filters')
        if self.every == 1:
            del settings['every']
        return dict(settings, **{name: value for name, value in filters.items() if value})


class Video(NamedTuple):
    """What one video adds to a store."""

    name: str
    tracks: list  # (name, category) of those with crops, in order
    skips: list  # (reason, where)
    rows: np.ndarray  # (n,) ROW in the order (track, frame); `track` counts within the video
    crops: Any  # bytes-like: the JPEG of a row is crops[offset:offset + length]

    def header(self) -> bytes:
        """All but the pixels, as bytes."""
        text = json.dumps(dict(name=self.name, tracks=self.tracks, skips=self.skips)).encode()
        return struct.pack('>Q', len(text)) + text + self.rows.tobytes()

    @classmethod
    def from_header(cls, header: bytes, crops: Any = b'') -> 'Video':
        """The inverse of `header`."""
        length, = struct.unpack_from('>Q', header)
        fields = json.loads(header[8:8 + length])
        rows = np.frombuffer(header, ROW, offset=8 + length)
        tracks, skips = [tuple(track) for track in fields['tracks']], [Skip(*skip) for skip in fields['skips']]
        return cls(fields['name'], tracks, skips, rows, crops)


def crop_video(source: Any, video: str, settings: PackSettings, file: Any) -> Video:
    """Read, decode and crop one video.

    Args:
        source: One of `sources.SOURCES`.
        video: Its name in the source.
        settings: How to crop.
        file: A binary file; the JPEGs are written to it one after the other.

    Returns:
        The video, without `crops`.
    """
    tracks, skips = source.read(video)
    tracks, skips = [_thinned(track, settings.every) for track in tracks], list(skips)
    wanted: dict[Any, list] = {}  # by image, in the order of the frames
    kept = []
    for index, track in enumerate(tracks):
        if len(track.frames) < settings.min_track_length:
            skips.append(_short(track.name, video, len(track.frames), settings))
        else:
            kept += [(int(frame), index, row) for row, frame in enumerate(track.frames)]
    for _, index, row in sorted(kept):
        wanted.setdefault(tracks[index].images[row], []).append((index, row))
    rows, offset, reader = [], 0, FrameReader()
    for image_name, targets in wanted.items():
        where = describe_image(image_name, source.root)
        image, reason = reader.read(image_name)
        if image is None:
            skips.append(Skip(reason, where))
            continue
        height, width = image.shape[:2]
        padding = cv2.mean(image)[:3]
        for index, row in targets:
            track, box = tracks[index], tracks[index].boxes_xyxy[row]
            if track.is_relative:
                box = box * (width, height, width, height)
            skip = _fault(track, row, box, (width, height), settings)
            if skip is not None:
                skips.append(Skip(skip[0], f'{where}: {skip[1]}'))
                continue
            side = context_side(box, settings.context) * settings.crop_size / settings.template_size
            window = square_window((box[:2] + box[2:]) / 2, side)
            data = encode_jpeg(crop_and_resize(image, window, settings.crop_size, padding), settings.quality)
            file.write(data)
            flags = OCCLUDED * bool(track.occluded[row]) + GENERATED * bool(track.generated[row])
            rows.append((index, track.frames[row], tuple(box), flags, zlib.crc32(data), offset, len(data)))
            offset += len(data)
    reader.close()
    rows = np.array(rows, ROW)
    lengths = np.bincount(rows['track'], minlength=len(tracks))
    for index, track in enumerate(tracks):
        if settings.min_track_length <= len(track.frames) and 0 < lengths[index] < settings.min_track_length:
            skips.append(_short(track.name, video, lengths[index], settings))  # of 0 frames each has its own reason
    long_enough = lengths >= max(settings.min_track_length, 1)
    rows = rows[long_enough[rows['track']]] if len(rows) else rows
    rows = rows[np.lexsort((rows['frame'], rows['track']))]
    rows['track'] = (np.cumsum(long_enough) - 1)[rows['track']] if len(rows) else rows['track']
    names = [(track.name, track.category) for track, keep in zip(tracks, long_enough) if keep]
    return Video(video if video != '.' else source.root.resolve().name, names, skips, rows, b'')


def _thinned(track: Track, every: int) -> Track:
    """The frames of a track whose number is a multiple of `every`."""
    chosen = np.flatnonzero(track.frames % every == 0)
    if len(chosen) == len(track.frames):
        return track
    sizes = track.image_sizes
    return replace(track, images=tuple(track.images[row] for row in chosen),
                   image_sizes=None if sizes is None else tuple(sizes[row] for row in chosen),
                   **{name: getattr(track, name)[chosen] for name in ('frames', 'boxes_xyxy', 'occluded', 'generated')})


def _fault(track: Track, row: int, box: np.ndarray, size: tuple[int, int], settings: PackSettings) -> Optional[Skip]:
    """Why a box is not packed, None if it is; `where` without the image.

    Args:
        row: Which of the track's boxes.
        box: (4,) the box in pixels.
        size: Width and height of the image.
    """
    shown = f'track {track.name}, {box.tolist()}'
    if track.image_sizes is not None and track.image_sizes[row] != size:
        return Skip('image size differs', f'{size[0]}x{size[1]}, annotated as {track.image_sizes[row]}')
    if not has_area(np.float32(box)) or (box[2:] - box[:2]).max() > 1e6:  # as the index will have it
        return Skip('zero-size box' if (box[2:] - box[:2]).max() < 1e6 else 'malformed annotation', shown)
    if box[0] >= size[0] or box[1] >= size[1] or box[2] <= 0 or box[3] <= 0:
        return Skip('box outside the image', f'{shown} in {size[0]}x{size[1]}')
    reason = settings.filters.refuse(box, size, bool(track.occluded[row]), bool(track.generated[row]))
    return Skip(reason, shown) if reason else None


def _short(track: str, video: str, length: int, settings: PackSettings) -> Skip:
    return Skip(SHORT_TRACK, f'{video}: track {track} has {length} usable frames of the {settings.min_track_length} it needs')
