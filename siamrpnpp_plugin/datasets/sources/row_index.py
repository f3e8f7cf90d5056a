"""Where the rows of each video are in a large csv file, without keeping the rows."""

import csv
from array import array
from pathlib import Path
from typing import Optional

import numpy as np


class RowIndex:
    """Index of a csv file whose first column names the video: three numbers for each run of rows of one video.

    The rows of YouTube-BB (5.6 million) stay in the file; a process reads those of one video at a time. Runs are flat arrays, so
    forked processes share them.

    Args:
        path: A csv file in UTF-8.
        header: Whether the first line names the columns; None: it does if it starts with `first_column`.
        first_column: Name of the first column.

    Raises:
        FileNotFoundError: If there is no file.
        ValueError: If it has no rows, is packed with gzip, or names of videos are not in UTF-8.
    """

    def __init__(self, path: Path, first_column: str, header: Optional[bool] = None) -> None:
        if not path.is_file():
            raise FileNotFoundError(f'{path} is missing' + (': unpack it with gunzip' if _with_gz(path).is_file() else ''))
        self.path, self.header = path, None
        numbers: dict[bytes, int] = {}
        run_video, run_start = array('i'), array('q')
        place, last = 0, None
        with open(path, 'rb') as file:
            if file.read(2) == b'\x1f\x8b':
                raise ValueError(f'{path} is packed with gzip: unpack it with gunzip')
            file.seek(0)
            for line in file:
                start, place = place, place + len(line)
                if start == 0:
                    line = line[3:] if line.startswith(b'\xef\xbb\xbf') else line
                    if header or header is None and line.startswith(first_column.encode()):
                        self.header = next(csv.reader([line.decode(errors='replace')]))
                        continue
                key = line.partition(b',')[0].strip()
                if key.startswith(b'"'):
                    key = next(csv.reader([line.decode(errors='replace')]))[0].encode()
                if key != last:
                    if not key and not line.strip():
                        continue  # an empty line
                    run_video.append(numbers.setdefault(key, len(numbers)))
                    run_start.append(start)
                    last = key
        if not numbers:
            raise ValueError(f'{path} has no rows')
        names = [key.decode(errors='replace') for key in numbers]
        videos, starts = np.frombuffer(run_video, np.int32), np.frombuffer(run_start, np.int64)
        lengths = np.diff(starts, append=place)
        order = np.argsort(videos, kind='stable')
        self._starts, self._lengths = starts[order], lengths[order]
        self._first = np.searchsorted(videos[order], np.arange(len(names) + 1))
        self._number = {name: number for number, name in enumerate(names)}
        if len(self._number) < len(names):
            raise ValueError(f'{path} is not in UTF-8: names of different videos cannot be told apart')
        self.names = sorted(names)

    def size(self, name: str) -> int:
        """Bytes of the rows of a video."""
        first, last = self._runs(name)
        return int(self._lengths[first:last].sum())

    def rows(self, name: str) -> list:
        """(where it is, for messages; list of words) of each row of a video, in the order of the file."""
        found = []
        with open(self.path, 'rb') as file:
            for run in range(*self._runs(name)):
                place = int(self._starts[run])
                file.seek(place)
                for line in file.read(int(self._lengths[run])).splitlines(keepends=True):
                    if line.strip():
                        words = next(csv.reader([line.decode(errors='replace').lstrip('\ufeff')]))
                        found.append((f'{self.path.name} byte {place}: {",".join(words)[:120]}', words))
                    place += len(line)
        return found

    def _runs(self, name: str) -> tuple:
        number = self._number[name]
        return int(self._first[number]), int(self._first[number + 1])


def _with_gz(path: Path) -> Path:
    return path.with_name(f'{path.name}.gz')
