"""CropStore: one LMDB with the crops of a data set, and its index as plain arrays.

The file has two databases (a third one while it is being packed):

- `crops`: key = number of the crop, 8 bytes big-endian, dense from 0 in the order (video, track, frame); value = JPEG.
- `index`: key = name; value = a plain array in little-endian bytes, or for `manifest` JSON, for `skipped` lines of text.

N crops, M tracks, V videos:

    box_xyxy      (N, 4) float32  box in pixels of the frame
    frame         (N,) int32      number of the frame
    flags         (N,) uint8      1 occluded, 2 generated
    crc32         (N,) uint32     checksum of the JPEG
    track_start   (M + 1,) int64  crops of track m are track_start[m] ... track_start[m + 1] - 1
    video_start   (V + 1,) int64  tracks of video v, likewise
    names         uint8           UTF-8 lines: V names of videos, M of tracks, M categories

Nothing is pickled. Readers map the file, so all processes of a machine share one copy of the index in the page cache.
"""

import json
import os
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple, Optional, Union

import lmdb
import numpy as np

from ..ops.crop import context_side

FORMAT, FORMAT_VERSION = 'siamrpnpp_plugin crops', 1
ARRAYS = dict(box_xyxy=('<f4', 4), frame=('<i4', ), flags=('u1', ), crc32=('<u4', ), track_start=('<i8', ), video_start=('<i8', ),
              names=('u1', ))
OCCLUDED, GENERATED = 1, 2


def crop_key(number: int) -> bytes:
    """The LMDB key of a crop."""
    return struct.pack('>Q', number)


class StoreError(ValueError):
    """A store that cannot be read: missing, unfinished, damaged or of another version."""


class UnfinishedError(StoreError):
    """A store that is still being packed."""


class ForeignError(StoreError):
    """No store at all."""


class _Opened(NamedTuple):
    """An LMDB opened by one process. The arrays are views of the mapped file: they live as long as `env` is open."""

    pid: int
    file: tuple  # device and inode
    env: lmdb.Environment
    txn: lmdb.Transaction
    crops: object
    arrays: dict
    manifest: dict


_OPENED: dict[str, _Opened] = {}  # by real path: lmdb allows one open environment per file and process


def _file_of(path: str) -> tuple:
    try:
        stat = os.stat(os.path.join(path, 'data.mdb'))
    except OSError:
        raise ForeignError(f'{path} is not a crop store: it has no data.mdb') from None
    return stat.st_dev, stat.st_ino


def check_length(env: lmdb.Environment, path: str) -> None:
    """Refuse a file that is shorter than its own header says: reading past its end would kill the process (SIGBUS).

    Raises:
        StoreError: If it is.
    """
    size = os.path.getsize(os.path.join(path, 'data.mdb'))
    expected = (env.info()['last_pgno'] + 1) * env.stat()['psize']
    if size < expected:
        raise StoreError(f'{path} is truncated: data.mdb has {size} bytes instead of {expected}; was it copied whole?')


def _open(path: str) -> _Opened:
    file = _file_of(path)
    try:
        env = lmdb.open(path, readonly=True, lock=False, readahead=False, meminit=False, max_dbs=3)
    except lmdb.Error as error:
        raise StoreError(f'{path} cannot be opened as a crop store: {error}') from error
    try:
        check_length(env, path)
        try:
            crops, index = env.open_db(b'crops', create=False), env.open_db(b'index', create=False)
        except lmdb.NotFoundError:
            raise ForeignError(f'{path} is an LMDB, but not a crop store') from None
        txn = env.begin(buffers=True)
        manifest = txn.get(b'manifest', db=index)
        if manifest is None:
            raise UnfinishedError(f'{path} is unfinished: run the same pack_dataset.py command again, it goes on where it '
                                  'stopped')
        manifest = json.loads(bytes(manifest))
        if (manifest.get('format'), manifest.get('format_version')) != (FORMAT, FORMAT_VERSION):
            raise StoreError(f'{path} has format {manifest.get("format")!r} version {manifest.get("format_version")}; this '
                             f'program reads version {FORMAT_VERSION}: pack it again')
        arrays = {}
        for name, (dtype, *columns) in ARRAYS.items():
            value = txn.get(name.encode(), db=index)
            if value is None or len(value) != manifest['arrays'][name]['bytes']:
                raise StoreError(f'{path} is damaged: its index has no {name}, or not all of it')
            arrays[name] = np.frombuffer(value, dtype).reshape(-1, *columns)
    except lmdb.Error as error:
        env.close()
        raise StoreError(f'{path} is damaged: {error}') from error
    except BaseException:
        env.close()
        raise
    return _Opened(os.getpid(), file, env, txn, crops, arrays, manifest)


class CropStore:
    """Read access to a store. It opens the file when first used, once per process, and may be copied, pickled and forked.

    Args:
        path: The folder that `tools/pack_dataset.py` wrote.

    Raises:
        StoreError: At the first use, if the store is missing, unfinished, truncated, damaged or of another version.
    """

    def __init__(self, path: str) -> None:
        self.path = str(path)
        self.real_path = os.path.realpath(self.path)
        opened = _OPENED.get(self.real_path)
        if opened is not None and os.path.isdir(self.real_path) and opened.file != _file_of(self.real_path):
            self.close()  # another store has been put in its place

    def _opened(self) -> _Opened:
        opened = _OPENED.get(self.real_path)
        if opened is None or opened.pid != os.getpid():
            if opened is not None:  # inherited through fork: close our copy, or lmdb refuses to open the file
                del _OPENED[self.real_path]
                opened.env.close()
            opened = _OPENED[self.real_path] = _open(self.real_path)
        return opened

    def close(self) -> None:
        """Close the file in this process, for all CropStores of this path."""
        opened = _OPENED.pop(self.real_path, None)
        if opened is not None:
            opened.env.close()

    def __repr__(self) -> str:
        return f'CropStore({self.path!r})'

    def __len__(self) -> int:
        """Number of crops."""
        return len(self._opened().arrays['frame'])

    @property
    def manifest(self) -> dict:
        """Source, settings, counts, format version and checksums, as in the file."""
        return self._opened().manifest

    @property
    def num_videos(self) -> int:
        return len(self._opened().arrays['video_start']) - 1

    @property
    def num_tracks(self) -> int:
        return len(self._opened().arrays['track_start']) - 1

    def array(self, name: str) -> np.ndarray:
        """An array of the index, see the head of this file.

        It is a view of the mapped file: use it at once, in this process; after `close` or in a forked process take it anew.
        """
        return self._opened().arrays[name]

    def tracks(self, video: int) -> range:
        """Numbers of the tracks of a video."""
        start = self._opened().arrays['video_start']
        return range(int(start[video]), int(start[video + 1]))

    def crops(self, track: int) -> range:
        """Numbers of the crops of a track."""
        start = self._opened().arrays['track_start']
        return range(int(start[track]), int(start[track + 1]))

    def read(self, number: int) -> bytes:
        """The JPEG of a crop.

        Raises:
            StoreError: If there is no such crop, named with the store and the key.
        """
        opened = self._opened()
        try:
            value = opened.txn.get(crop_key(number), db=opened.crops) if 0 <= number < len(opened.arrays['frame']) else None
        except lmdb.Error as error:
            raise StoreError(f'{self.describe(number)} cannot be read: {error}') from error
        if value is None:
            raise StoreError(f'{self.path} has no crop {number}, it has {len(self)} (0 ... {len(self) - 1})')
        return bytes(value)

    def target_size(self, number: Union[int, slice]) -> np.ndarray:
        """(..., 2) float64 width and height of the target in pixels of its crop; its centre is the middle of the crop."""
        opened = self._opened()
        box = opened.arrays['box_xyxy'][number].astype(np.float64)
        settings = opened.manifest['settings']
        scale = settings['template_size'] / context_side(box, settings['context'])
        return (box[..., 2:] - box[..., :2]) * scale[..., None]

    @property
    def settings(self) -> dict:
        """How the crops were made: `crop_size`, `template_size`, `context`, `quality`, `min_track_length`."""
        return self._opened().manifest['settings']

    def names(self) -> tuple[list[str], list[str], list[str]]:
        """Names of the videos, names of the tracks, categories of the tracks."""
        lines = self._opened().arrays['names'].tobytes().decode().split('\n')
        videos, tracks = self.num_videos, self.num_tracks
        return lines[:videos], lines[videos:videos + tracks], lines[videos + tracks:videos + 2 * tracks]

    def describe(self, number: int) -> str:
        """Where a crop comes from, for messages."""
        arrays = self._opened().arrays
        track = int(np.searchsorted(arrays['track_start'], number, side='right')) - 1
        video = int(np.searchsorted(arrays['video_start'], track, side='right')) - 1
        videos, tracks, _ = self.names()
        return f'crop {number} of {self.path} (video {videos[video]}, track {tracks[track]}, frame {arrays["frame"][number]})'

    def skipped(self) -> list[tuple[str, str]]:
        """(reason, where) of everything that was left out when packing."""
        opened = self._opened()
        text = bytes(opened.txn.get(b'skipped', db=opened.env.open_db(b'index', opened.txn, create=False))).decode()
        return [tuple(line.split('\t', 1)) for line in text.splitlines()]

    def verify(self) -> Iterator[Optional[str]]:
        """Compare every checksum: yields None for each good part of the index and each good crop, else what is wrong."""
        opened = self._opened()
        for name, entry in opened.manifest['arrays'].items():
            good = zlib.crc32(opened.arrays[name]) == entry['crc32']
            yield None if good else f'the index array {name} of {self.path} is damaged'
        found = 0
        try:
            for number, (key, value) in enumerate(opened.txn.cursor(db=opened.crops)):
                if bytes(key) != crop_key(number):
                    yield f'{self.path} lacks crop {number}'
                    return
                good = number < len(self) and zlib.crc32(value) == opened.arrays['crc32'][number]
                yield None if good else f'{self.describe(min(number, len(self) - 1))} is damaged'
                found += 1
        except lmdb.Error as error:
            yield f'{self.path} cannot be read from crop {found} on: {error}'
            return
        if found != len(self):
            yield f'{self.path} has {found} crops, its index names {len(self)}'
