"""Readers of annotated videos and images: from the layout in which a data set is published to `Track`s.

A source lists its videos at once and reads the annotations of one video at a time, so that many processes share the work. What
it cannot use it returns as a `Skip`; nothing disappears without one. Boxes are continuous: pixel i covers [i, i + 1).
"""

import warnings
from collections.abc import Iterator

from .base import EXPECTED_REASONS, IMAGE_SUFFIXES, ClipFrame, Skip, Source, Track, has_area, image_files, natural_order
from .coco import CocoSource, CocoVideoSource
from .csv_rows import CsvSource
from .det import DETSource
from .folders import FolderSource, polygon_to_xyxy
from .got10k import GOT10kSource
from .lasot import LaSOTSource
from .trackingnet import TrackingNetSource
from .vid import VIDSource
from .youtube_bb import YouTubeBBSource

__all__ = ['EXPECTED_REASONS', 'IMAGE_SUFFIXES', 'SOURCES', 'ClipFrame', 'CocoSource', 'CocoVideoSource', 'CsvSource',
           'DETSource', 'FolderSource', 'GOT10kSource', 'LaSOTSource', 'Skip', 'Source', 'Track', 'TrackingNetSource',
           'VIDSource', 'YouTubeBBSource', 'has_area', 'image_files', 'natural_order', 'polygon_to_xyxy', 'read_folders',
           'read_vid']

SOURCES = {source.name: source for source in (
    VIDSource, YouTubeBBSource, GOT10kSource, LaSOTSource, TrackingNetSource, CocoSource, DETSource, FolderSource, CsvSource,
    CocoVideoSource)}


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
