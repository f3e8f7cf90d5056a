"""One video at a time from annotations and frames to crops: every frame decoded once, every target cropped and encoded once."""

import json
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Optional

import cv2
import numpy as np

from ..ops.crop import context_side, crop_and_resize, square_window
from .crop_store import GENERATED, OCCLUDED
from .jpeg import encode_jpeg, is_complete_jpeg
from .sources import Skip, has_area

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

    Raises:
        ValueError: If a number is out of range.
    """

    crop_size: int = 511
    template_size: int = 127
    context: float = 0.5
    quality: int = 95
    min_track_length: int = 2

    def __post_init__(self) -> None:
        if not 0 < self.template_size <= self.crop_size <= 4096:
            raise ValueError(f'crop size and template size need 0 < {self.template_size} <= {self.crop_size} <= 4096')
        if self.context < 0 or not 1 <= self.quality <= 100 or self.min_track_length < 1:
            raise ValueError(f'context >= 0, quality 1 ... 100 and min_track_length >= 1 are needed, got {self}')


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
    skips = list(skips)
    wanted: dict[str, list] = {}  # by image, in the order of the frames
    kept = []
    for index, track in enumerate(tracks):
        if len(track.frames) < settings.min_track_length:
            skips.append(_short(track.name, video, len(track.frames), settings))
        else:
            kept += [(int(frame), index, row) for row, frame in enumerate(track.frames)]
    for _, index, row in sorted(kept):
        wanted.setdefault(tracks[index].images[row], []).append((index, row))
    rows, offset = [], 0
    for image_path, targets in wanted.items():
        where = os.path.relpath(image_path, source.root)
        image, reason = _read_image(image_path)
        if image is None:
            skips.append(Skip(reason, where))
            continue
        height, width = image.shape[:2]
        padding = cv2.mean(image)[:3]
        for index, row in targets:
            track, box = tracks[index], tracks[index].boxes_xyxy[row]
            if track.image_sizes is not None and track.image_sizes[row] != (width, height):
                skips.append(Skip('image size differs', f'{where}: {width}x{height}, annotated as {track.image_sizes[row]}'))
                continue
            if not has_area(np.float32(box)) or (box[2:] - box[:2]).max() > 1e6:  # as the index will have it
                skips.append(Skip('zero-size box' if (box[2:] - box[:2]).max() < 1e6 else 'malformed annotation',
                                  f'{where}: track {track.name}, {box.tolist()}'))
                continue
            if box[0] >= width or box[1] >= height or box[2] <= 0 or box[3] <= 0:
                skips.append(Skip('box outside the image', f'{where}: track {track.name}, {box.tolist()} in {width}x{height}'))
                continue
            side = context_side(box, settings.context) * settings.crop_size / settings.template_size
            window = square_window((box[:2] + box[2:]) / 2, side)
            data = encode_jpeg(crop_and_resize(image, window, settings.crop_size, padding), settings.quality)
            file.write(data)
            flags = OCCLUDED * bool(track.occluded[row]) + GENERATED * bool(track.generated[row])
            rows.append((index, track.frames[row], tuple(box), flags, zlib.crc32(data), offset, len(data)))
            offset += len(data)
    rows = np.array(rows, ROW)
    lengths = np.bincount(rows['track'], minlength=len(tracks))
    for index, track in enumerate(tracks):
        if settings.min_track_length <= len(track.frames) and lengths[index] < settings.min_track_length:
            skips.append(_short(track.name, video, lengths[index], settings))
    long_enough = lengths >= max(settings.min_track_length, 1)
    rows = rows[long_enough[rows['track']]] if len(rows) else rows
    rows = rows[np.lexsort((rows['frame'], rows['track']))]
    rows['track'] = (np.cumsum(long_enough) - 1)[rows['track']] if len(rows) else rows['track']
    names = [(track.name, track.category) for track, keep in zip(tracks, long_enough) if keep]
    return Video(video if video != '.' else source.root.resolve().name, names, skips, rows, b'')


def _short(track: str, video: str, length: int, settings: PackSettings) -> Skip:
    reason = 'track of one frame' if length == 1 else f'track shorter than {settings.min_track_length} frames'
    return Skip(reason, f'{video}: track {track} has {length} usable frames')


def _read_image(path: str) -> tuple[Optional[np.ndarray], str]:
    """(image, '') or (None, reason)."""
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        return None, 'missing image'
    except OSError:
        return None, 'unreadable image'
    if data[:2] == b'\xff\xd8' and not is_complete_jpeg(data):
        return None, 'truncated image'
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    except cv2.error:  # a header that claims an impossible size
        image = None
    return (image, '') if image is not None else (None, 'corrupt image')
