"""The one process that writes a CropStore."""

import errno
import fcntl
import json
import mmap
import os
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import lmdb
import numpy as np

from .crop_store import ARRAYS, FORMAT, FORMAT_VERSION, check_length, crop_key
from .cropping import Video


class PackError(RuntimeError):
    """Packing cannot go on; the message says what to do."""


class StoreWriter:
    """Adds videos in order, commits them in batches, finishes the index.

    Args:
        path: The store's folder.
        identity: JSON object that says what is being packed; a store that was begun with another one is refused.

    Raises:
        PackError: If it belongs to another job.
    """

    commit_bytes, commit_seconds = 64 << 20, 2.0

    def __init__(self, path: Path, identity: dict) -> None:
        self.path = path
        refuse_foreign(path)
        try:
            self.env = lmdb.open(str(path), lock=False, max_dbs=3, map_size=1 << 28)
        except lmdb.Error as error:
            self._raise_if_full(error)
            raise PackError(f'{path} cannot be written: {error}') from error
        try:
            self._begin(identity)
        except BaseException:
            self.env.close()
            raise
        self.pending: list[tuple[int, Video]] = []
        self.pending_bytes = 0
        self.since = time.monotonic()

    def _begin(self, identity: dict) -> None:
        """Find what is there, or write down what this store will be."""
        path = self.path
        check_length(self.env, str(path))
        try:
            self.crops, self.index, self.progress = (self.env.open_db(name) for name in (b'crops', b'index', b'progress'))
        except lmdb.Error as error:
            self._raise_if_full(error)
            raise
        with self.env.begin() as txn:
            stored = txn.get(b'identity', db=self.progress)
            self.done = txn.stat(self.progress)['entries'] - (stored is not None)
            self.num_crops = txn.stat(self.crops)['entries']
        if stored is None:
            self._write(lambda txn: txn.put(b'identity', json.dumps(identity).encode(), db=self.progress))
        elif json.loads(stored) != identity:
            before = json.loads(stored)
            changed = [f'{key} {before.get(key)} -> {identity.get(key)}' for key in {**before, **identity}
                       if before.get(key) != identity.get(key)]
            raise PackError(f'{path} was begun with other settings or data ({"; ".join(changed)}): use them, or --overwrite')

    def add(self, video: Video) -> bool:
        """Take the next video; whether everything so far is committed now."""
        self.pending.append((self.done + len(self.pending), video))
        self.pending_bytes += int(video.rows['length'].sum())
        if self.pending_bytes > self.commit_bytes or time.monotonic() - self.since > self.commit_seconds:
            self.commit()
            return True
        return False

    def commit(self) -> None:
        """Write the videos taken since the last commit."""
        if self.pending:
            self._write(self._put_pending)
            self.num_crops += sum(len(video.rows) for _, video in self.pending)
            self.done += len(self.pending)
            self.pending, self.pending_bytes = [], 0
        self.since = time.monotonic()

    def _put_pending(self, txn: lmdb.Transaction) -> None:
        number = self.num_crops
        for ordinal, video in self.pending:
            for offset, length in zip(video.rows['offset'].tolist(), video.rows['length'].tolist()):
                txn.put(crop_key(number), video.crops[offset:offset + length], db=self.crops, append=True)
                number += 1
            txn.put(crop_key(ordinal), video.header(), db=self.progress)

    def _write(self, put: Callable[[lmdb.Transaction], Any]) -> None:
        """Run a transaction, again with twice the map if that is full."""
        while True:
            try:
                with self.env.begin(write=True) as txn:
                    put(txn)
                return
            except lmdb.MapFullError:
                self.env.set_mapsize(2 * self.env.info()['map_size'])
            except lmdb.Error as error:
                self._raise_if_full(error)
                raise

    def _raise_if_full(self, error: lmdb.Error) -> None:
        """OSError with ENOSPC if that is what stopped LMDB; a write that got half through it calls an input/output error."""
        disk = os.statvfs(self.path)
        if 'No space left' in str(error) or disk.f_bavail * disk.f_frsize < 1 << 20:
            raise OSError(errno.ENOSPC, str(error), str(self.path)) from error

    def videos(self) -> Iterator[Video]:
        """Headers of all committed videos."""
        with self.env.begin() as txn:
            for ordinal in range(self.done):
                yield Video.from_header(txn.get(crop_key(ordinal), db=self.progress))

    def finish(self, manifest: dict) -> dict:
        """Write the index and the manifest and drop what only resuming needs."""
        self.commit()
        parts = {name: [] for name in ARRAYS}
        video_names, track_names, categories, skips, track_lengths, video_lengths = [], [], [], [], [], []
        size = 0
        for video in self.videos():
            skips += video.skips
            if len(video.rows):
                video_names.append(video.name)
                video_lengths.append(len(video.tracks))
                track_names += [name for name, _ in video.tracks]
                categories += [category for _, category in video.tracks]
                track_lengths += np.bincount(video.rows['track'], minlength=len(video.tracks)).tolist()
                for name in ('box_xyxy', 'frame', 'flags', 'crc32'):
                    parts[name].append(video.rows[name])
                size += int(video.rows['length'].sum())
        arrays = {name: np.concatenate(parts[name]) if parts[name] else np.empty((0, *columns), dtype)
                  for name, (dtype, *columns) in ARRAYS.items()}
        arrays['track_start'] = np.concatenate(([0], np.cumsum(track_lengths))).astype('<i8')
        arrays['video_start'] = np.concatenate(([0], np.cumsum(video_lengths))).astype('<i8')
        names = [_one_line(name) for name in video_names + track_names + categories]
        arrays['names'] = np.frombuffer('\n'.join(names).encode(), 'u1')
        blobs = {name: arrays[name].astype(dtype).tobytes() for name, (dtype, *_) in ARRAYS.items()}
        manifest = dict(
            format=FORMAT, format_version=FORMAT_VERSION, **manifest,
            counts=dict(videos=len(video_names), tracks=len(track_names), crops=self.num_crops, crop_bytes=size,
                        skipped=dict(sorted(Counter(skip.reason for skip in skips).items()))),
            arrays={name: dict(bytes=len(blob), crc32=zlib.crc32(blob)) for name, blob in blobs.items()})
        text = '\n'.join(f'{_one_line(skip.reason)}\t{_one_line(skip.where)}' for skip in skips)

        def put(txn: lmdb.Transaction) -> None:
            for name, blob in blobs.items():
                txn.put(name.encode(), blob, db=self.index)
            txn.put(b'skipped', text.encode(), db=self.index)
            txn.put(b'manifest', json.dumps(manifest).encode(), db=self.index)
            txn.drop(self.progress)

        self._write(put)
        return manifest

    def close(self) -> None:
        self.env.close()


def _one_line(text: str) -> str:
    """Text on one line; bytes of file names that are no UTF-8 are written as escapes."""
    return ' '.join(text.split()).encode(errors='surrogateescape').decode(errors='backslashreplace')


def remove_stillborn(path: Path) -> None:
    """Forget a data.mdb that has not even LMDB's two first pages: the disk was full from the start."""
    with suppress(FileNotFoundError):
        if (path / 'data.mdb').stat().st_size < 2 * mmap.PAGESIZE:
            (path / 'data.mdb').unlink()


def refuse_foreign(path: Path) -> None:
    """Never write into, or over, an LMDB that holds something else.

    Raises:
        PackError: If it does.
    """
    if not (path / 'data.mdb').exists():
        return
    try:
        with lmdb.open(str(path), readonly=True, lock=False, max_dbs=3) as env, env.begin() as txn:
            names = [bytes(name) for name, _ in txn.cursor()]
    except lmdb.Error:
        return  # damaged: whoever opens it says so
    if names and b'crops' not in names:
        raise PackError(f'{path} is an LMDB, but not a crop store: choose another name')


@contextmanager
def lock_store(path: Path) -> Iterator[int]:
    """Hold the store's folder for one packer; the kernel lets go when the process ends, however it ends.

    Raises:
        PackError: If another process holds it.
    """
    file = os.open(path / 'pack.lock', os.O_CREAT | os.O_RDWR)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = os.fstat(file).st_ino == (path / 'pack.lock').stat().st_ino
        except (BlockingIOError, FileNotFoundError):
            held = False
        if not held:  # or the holder has just removed the file that we opened
            raise PackError(f'{path} is being written by another process; wait for it, or stop it')
        yield file
        with suppress(FileNotFoundError):
            (path / 'pack.lock').unlink()
    finally:
        os.close(file)
