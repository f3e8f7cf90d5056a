"""From annotated videos to a CropStore, in parallel and resumable.

Worker processes turn one video each into a file in `OUT/parts`. The calling process is the only writer of the LMDB and takes the
parts in order, so keys and records do not depend on the number of workers, or on how often the work was interrupted: what a
transaction has committed is not done again, finished parts neither.
"""

import errno
import json
import os
import shutil
import struct
import threading
import time
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Optional

import cv2
import numpy as np

from .crop_store import CropStore, ForeignError, StoreError, UnfinishedError
from .cropping import ROW, SHORT_TRACK, PackSettings, Video, crop_video
from .filters import FILTER_REASONS
from .sources import EXPECTED_REASONS, Skip
from .store_writer import PackError, StoreWriter, lock_store, refuse_foreign, remove_stillborn

_LEFT_OUT = EXPECTED_REASONS | FILTER_REASONS | {SHORT_TRACK}  # what strict packing may leave out


def _finished_manifest(path: Path) -> Optional[dict]:
    """The manifest of a finished store, None if it is not finished."""
    store = CropStore(str(path))
    try:
        return store.manifest
    except (UnfinishedError, ForeignError):  # the writer looks closer
        return None
    finally:
        store.close()


def _report(path: Path, manifest: dict) -> dict:
    """Write `report.json` and `skipped.tsv` beside the data."""
    store = CropStore(str(path))
    lines = ['reason\twhere', *('\t'.join(skip) for skip in store.skipped())]
    store.close()
    (path / 'skipped.tsv').write_text('\n'.join(lines) + '\n', encoding='utf-8')
    (path / 'report.json').write_text(json.dumps(manifest['counts'], indent=2) + '\n', encoding='utf-8')
    return manifest


def default_settings(source: Any) -> PackSettings:
    """How a source is packed if nobody says otherwise."""
    return PackSettings(min_track_length=source.min_track_length, filters=source.filters)


def pack(source: Any, path: str, settings: Optional[PackSettings] = None, workers: int = 1, shard: tuple[int, int] = (0, 1),
         strict: bool = False, overwrite: bool = False,
         progress: Callable[[int, int, int, int], None] = lambda *_: None) -> dict:
    """Pack a data set, or go on with a packing that was interrupted.

    Args:
        source: One of `sources.SOURCES`.
        path: Folder of the store; made if it is not there.
        settings: How to crop; None: `default_settings(source)`.
        workers: Processes that decode and encode; 0 does it in this one.
        shard: (i, n): the i-th of n parts of the videos, i from 0. `merge` makes one store of them.
        strict: Whether the first fault of the data that would be skipped is an error; what the annotation calls absent or hidden,
            what a filter refuses, and a track too short, is none.
        overwrite: Whether to start anew if there is a store, finished or not.
        progress: Called with videos done, videos in all, crops and bytes so far.

    Returns:
        The manifest; with `finished_before=True` if the store was finished already and nothing has been done.

    Raises:
        PackError: If another process writes the store, it was begun with other settings, nothing can be packed, the disk is full,
            a worker died, or in strict mode a fault would be skipped.
    """
    settings = settings or default_settings(source)
    index, count = shard
    if not 0 <= index < count:
        raise ValueError(f'shard i/n needs 0 <= i < n, got {index}/{count}')
    path = Path(path)
    videos = source.videos()
    if not videos:
        raise PackError(f'{source.root} has no videos for the reader {source.name!r}')
    content = [f'{video}\t{source.fingerprint(video)}' for video in videos]
    identity = dict(source=dict(name=source.name, options=source.options, videos=len(videos), crc32=_digest(content)),
                    settings=settings.identity(), shard=[index, count])
    videos = videos[len(videos) * index // count:len(videos) * (index + 1) // count]

    def parts(writer: StoreWriter, lock_file: int) -> Iterator[Video]:
        return _cropped(source, videos, settings, path / 'parts', writer.done, workers, lock_file)

    return _write_store(path, identity, parts, len(videos), strict, overwrite, progress)


def merge(paths: list, path: str, overwrite: bool = False,
          progress: Callable[[int, int, int, int], None] = lambda *_: None) -> dict:
    """Make one store of the shards of a data set; it has the records of one that was never in shards.

    Args:
        paths: All n shards, in any order.
        path: Folder of the new store.
        overwrite: Whether to start anew if there is one.
        progress: As in `pack`.

    Returns:
        The manifest.

    Raises:
        PackError: If a shard is missing, given twice, or of another data set.
        StoreError: If a shard cannot be read.
    """
    stores = sorted((CropStore(str(shard)) for shard in paths), key=lambda store: store.manifest['shard'])
    first = stores[0].manifest
    for store in stores:
        for key in ('source', 'settings'):
            if store.manifest[key] != first[key]:
                raise PackError(f'{store.path} and {stores[0].path} are not shards of one data set: {key} differs')
    numbers, count = [store.manifest['shard'][0] for store in stores], first['shard'][1]
    if numbers != list(range(count)) or any(store.manifest['shard'][1] != count for store in stores):
        raise PackError(f'merging needs shards 0 ... {count - 1} of {count}, once each; got {numbers}')
    if os.path.realpath(path) in {os.path.realpath(store.path) for store in stores}:
        raise PackError(f'{path} is one of the shards: choose another name for the merged store')
    identity = dict(source=first['source'], settings=first['settings'], shard=[0, 1])
    total = sum(max(store.num_videos, 1) for store in stores)

    def videos(writer: StoreWriter, lock_file: int) -> Iterator[Video]:
        ordinal = 0
        for store in stores:
            for video in _stored_videos(store):
                if ordinal >= writer.done:
                    yield video
                ordinal += 1
            store.close()

    return _write_store(Path(path), dict(identity, merge=True), videos, total, False, overwrite, progress)


def _stored_videos(store: CropStore) -> Iterator[Video]:
    """The videos of a finished store, what it skipped with the first one."""
    names, track_names, categories = store.names()
    skips = [Skip(*skip) for skip in store.skipped()]
    if not names:
        yield Video('', [], skips, np.empty(0, ROW), b'')
    for video, name in enumerate(names):
        tracks = store.tracks(video)
        first, last = store.crops(tracks[0])[0], store.crops(tracks[-1])[-1] + 1
        rows = np.zeros(last - first, ROW)
        for column in ('frame', 'box_xyxy', 'flags', 'crc32'):
            rows[column] = store.array(column)[first:last]
        crops = [store.read(number) for number in range(first, last)]
        for number, (data, crc) in enumerate(zip(crops, rows['crc32'])):
            if zlib.crc32(data) != crc:
                raise StoreError(f'{store.describe(first + number)} is damaged')
        rows['length'] = [len(data) for data in crops]
        rows['offset'] = np.cumsum(rows['length']) - rows['length']
        rows['track'] = np.repeat(np.arange(len(tracks)), [len(store.crops(track)) for track in tracks])
        yield Video(name, [(track_names[track], categories[track]) for track in tracks], skips, rows, b''.join(crops))
        skips = []


def _write_store(path: Path, identity: dict, videos: Callable, total: int, strict: bool, overwrite: bool,
                 progress: Callable) -> dict:
    """Take videos in order into a store, and finish it."""
    if path.exists() and not path.is_dir():
        raise PackError(f'{path} is a file; a store is a folder')
    if path.is_dir() and any(path.iterdir()) and not (path / 'data.mdb').exists() and not (path / 'pack.lock').exists():
        raise PackError(f'{path} is a folder with other files; a store needs one of its own')
    path.mkdir(parents=True, exist_ok=True)
    with lock_store(path) as lock_file:
        remove_stillborn(path)
        if overwrite:
            refuse_foreign(path)
            _remove_folder(path / 'parts')  # first: they must never meet another job's data.mdb
            for old in (path / 'data.mdb', path / 'lock.mdb', path / 'report.json', path / 'skipped.tsv'):
                old.unlink(missing_ok=True)
        if not (path / 'data.mdb').exists():
            _remove_folder(path / 'parts')
        else:
            manifest = _finished_manifest(path)
            if manifest is not None:
                if any(manifest[key] != identity[key] for key in ('source', 'settings', 'shard')):
                    raise PackError(f'{path} is a finished store of other data or settings: choose another name, or --overwrite')
                skipped = sum(count for reason, count in manifest['counts']['skipped'].items() if reason not in _LEFT_OUT)
                if strict and skipped:
                    raise PackError(f'--strict: {path} is finished and lacks what its skipped.tsv names ({skipped} entries): '
                                    'mend the data and pack anew with --overwrite')
                _remove_folder(path / 'parts')
                progress(total, total, manifest['counts']['crops'], manifest['counts']['crop_bytes'])
                return dict(_report(path, manifest), finished_before=True)
        try:
            (path / 'parts').mkdir(exist_ok=True)
            manifest = _take_videos(StoreWriter(path, identity), identity, videos, lock_file, total, strict, progress)
            shutil.rmtree(path / 'parts', ignore_errors=True)
            return _report(path, manifest)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise PackError(f'the disk of {path} is full: make room and run the same command again, it goes on where it '
                            'stopped') from error
        except BrokenProcessPool as error:
            raise PackError('a worker process was killed, perhaps for want of memory: run the same command again, with fewer '
                            'workers; it goes on where it stopped') from error


def _take_videos(writer: StoreWriter, identity: dict, videos: Callable, lock_file: int, total: int, strict: bool,
                 progress: Callable) -> dict:
    """Commit all videos and finish the index."""
    generator = videos(writer, lock_file)
    try:
        crops, size, written = writer.num_crops, 0, writer.done
        progress(writer.done, total, crops, size)
        for video in generator:
            if strict:
                _refuse_skips(video, clear=writer.path / 'parts')  # mended data is read anew
            crops, size = crops + len(video.rows), size + int(video.rows['length'].sum())
            if writer.add(video):
                _remove_parts(writer.path / 'parts', written, writer.done)
                written = writer.done
            progress(writer.done + len(writer.pending), total, crops, size)
        writer.commit()
        if strict:
            for video in writer.videos():
                _refuse_skips(video, '; it is packed already: mend the data and start anew with --overwrite')
        if not writer.num_crops and identity['shard'][1] == 1:
            reasons = Counter(skip.reason for video in writer.videos() for skip in video.skips)
            raise PackError(f'nothing to pack, everything was skipped: {dict(reasons)}')
        return writer.finish({key: value for key, value in identity.items() if key != 'merge'})
    finally:
        generator.close()
        writer.close()


def _refuse_skips(video: Video, hint: str = '', clear: Optional[Path] = None) -> None:
    """Raise PackError if a fault of the data was left out, after removing the folder `clear`."""
    faults = [skip for skip in video.skips if skip.reason not in _LEFT_OUT]
    if faults:
        if clear is not None:
            shutil.rmtree(clear, ignore_errors=True)
        raise PackError(f'--strict: {video.name}: {faults[0].reason}: {faults[0].where}'
                        + (f' (and {len(faults) - 1} more)' if len(faults) > 1 else '') + hint)


def _remove_folder(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)


def _cropped(source: Any, videos: list, settings: PackSettings, folder: Path, first: int, workers: int,
             lock_file: int) -> Iterator[Video]:
    """The videos from number `first` on, in order, cropped by the workers into parts some videos ahead of the reader."""
    def part(ordinal: int) -> str:
        return str(folder / f'{ordinal:08d}.part')

    def read(ordinal: int, ready: Optional[Future]) -> Video:
        if ready is not None:
            ready.result()
        video = _read_part(part(ordinal))
        if video is None:  # not there yet, or damaged by a power failure
            video = _read_part(_write_part(source, videos[ordinal], settings, part(ordinal)))
            if video is None:
                raise PackError(f'{part(ordinal)} reads back otherwise than it was written: is the disk healthy?')
        return video

    if workers == 0:
        yield from (read(ordinal, None) for ordinal in range(first, len(videos)))
        return
    context = get_context('fork' if os.name == 'posix' else 'spawn')
    with ProcessPoolExecutor(workers, context, _start_worker, (os.getpid(), lock_file, source, settings)) as pool:
        ahead: deque = deque()
        try:
            for ordinal in range(first, len(videos)):
                job = None
                if _read_part(part(ordinal)) is None:
                    job = pool.submit(_work, videos[ordinal], part(ordinal))
                ahead.append((ordinal, job))
                if len(ahead) > 8 * workers:
                    yield read(*ahead.popleft())
            while ahead:
                yield read(*ahead.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _remove_parts(folder: Path, first: int, last: int) -> None:
    """Forget parts that are committed."""
    for ordinal in range(first, last):
        (folder / f'{ordinal:08d}.part').unlink(missing_ok=True)


def _digest(names: list) -> int:
    return zlib.crc32('\n'.join(names).encode(errors='surrogateescape'))


def _write_part(source: Any, video: str, settings: PackSettings, path: str) -> str:
    """Crop a video into a file that appears whole or not at all."""
    temporary = f'{path}.{os.getpid()}'
    try:
        with open(temporary, 'wb') as file:
            header = crop_video(source, video, settings, file).header()
            file.write(header + struct.pack('>QI', len(header), zlib.crc32(header)))
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            os.remove(temporary)
        if error.filename is None:
            error.filename = temporary
        raise
    return path


def _read_part(path: str) -> Optional[Video]:
    """The video of a part, its crops mapped; None if the file is not there or not what was written (a power failure)."""
    try:
        data = np.memmap(path, np.uint8, 'r')
        length, crc = struct.unpack('>QI', data[-12:].tobytes())
        header = data[len(data) - 12 - length:len(data) - 12].tobytes()
    except (OSError, ValueError, struct.error):
        return None
    if zlib.crc32(header) != crc:
        return None
    video = Video.from_header(header, data)
    ends = video.rows['offset'] + video.rows['length']
    good = all(zlib.crc32(data[start:end]) == crc for start, end, crc in
               zip(video.rows['offset'].tolist(), ends.tolist(), video.rows['crc32'].tolist()))
    return video if good else None


_JOB: tuple = ()  # of a worker: (source, settings), once per process, because an index may be large


def _work(video: str, path: str) -> None:
    """In a worker: `_write_part` of what the worker was started for."""
    source, settings = _JOB
    _write_part(source, video, settings, path)


def _start_worker(parent: int, lock_file: int, source: Any, settings: PackSettings) -> None:
    """In a fresh worker: one thread, no copy of the lock, and an end when the parent is killed."""
    global _JOB
    _JOB = source, settings
    cv2.setNumThreads(0)
    os.close(lock_file)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
