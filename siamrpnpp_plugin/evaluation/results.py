"""Result files in the formats of the benchmarks: what a tracker said, one folder per tracker. T frames.

    ope     TRACKER/NAME.txt                          x,y,w,h of each frame; also of many other trackers, in other spellings
    got10k  TRACKER/NAME/NAME_001.txt, NAME_time.txt
    vot     TRACKER/baseline/NAME/NAME_001.txt        1, 2, 0 or a box
    votlt   TRACKER/longterm/NAME/NAME_001.txt, NAME_001_confidence.value

PySOT's toolkit, the got10k toolkit and pytracking read these files, and the servers of GOT-10k and TrackingNet take their zip.
"""

import contextlib
import io
import os
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import numpy as np

FORMATS = ('ope', 'got10k', 'vot', 'votlt')


def result_format(benchmark: str) -> str:
    """The format of a benchmark's results."""
    if benchmark.startswith('vot'):
        return 'votlt' if benchmark.endswith('lt') else 'vot'
    return 'got10k' if benchmark == 'got10k' else 'ope'


def result_path(folder: Path, form: str, name: str) -> Path:
    """Where the boxes of a sequence lie in the folder of a tracker."""
    inner = {'ope': f'{name}.txt', 'got10k': f'{name}/{name}_001.txt', 'vot': f'baseline/{name}/{name}_001.txt',
             'votlt': f'longterm/{name}/{name}_001.txt'}
    return Path(folder) / inner[form]


def write_result(folder: Path, form: str, name: str, boxes_xyxy: np.ndarray, kind: np.ndarray, confidence: np.ndarray,
                 seconds: np.ndarray) -> None:
    """Write the results of a sequence; the boxes' file comes last and whole, so that it says that the sequence is done.

    Args:
        folder: Of the tracker.
        form: See the head of this file.
        name: Of the sequence.
        boxes_xyxy: (T, 4) in the benchmark's coordinates.
        kind: (T,) -1 for a box, else the number that stands for it in the VOT protocol.
        confidence: (T,).
        seconds: (T,) time for each frame.
    """
    path = result_path(folder, form, name)
    lines = [','.join(f'{value:.4f}' for value in box) for box in to_xywh(boxes_xyxy)]
    if form == 'vot':
        lines = [line if number < 0 else str(number) for line, number in zip(lines, kind.tolist())]
    elif form == 'votlt':
        lines[0] = '1'
    values = [f'{value:.8f}' for value in confidence.tolist()]
    times = [f'{value:.8f}' for value in seconds.tolist()]
    if form == 'ope':
        write_whole(path.parent / 'times' / f'{name}_time.txt', times)
        write_whole(path.parent / 'confidence' / f'{name}_confidence.txt', values)
    else:
        write_whole(path.with_name(f'{name}_time.txt'), times)
        write_whole(path.with_name(f'{name}_001_confidence.value'), ['', *values[1:]] if form == 'votlt' else values)
    write_whole(path, lines)


def to_xywh(boxes_xyxy: np.ndarray) -> np.ndarray:
    """(T, 4) corners as left, top, width, height."""
    return np.concatenate((boxes_xyxy[:, :2], boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]), axis=1)


def write_whole(path: Path, lines: Sequence[str]) -> None:
    """Write a text file that is there whole or not at all, whoever else writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.{path.name}.{os.uname().nodename}.{os.getpid()}.part')
    part.write_text('\n'.join(lines) + '\n')
    part.replace(path)


def find_result(folder: Path, form: str, name: str, aliases: Sequence[str] = (), others: Sequence[str] = ()) -> Optional[Path]:
    """The file with the boxes of a sequence, None if there is none; for `ope` other spellings of the name are known too.

    `Jogging-1` is found as `Jogging-1.txt`, `jogging_1.txt` or `Jogging.1.txt`, and `GOT-10k_Val_000001` in its folder or beside.

    Args:
        folder: Of the tracker.
        form: See the head of this file.
        name: Of the sequence.
        aliases: Other names of it.
        others: Names of other sequences: their files are not taken for another spelling (UAV123 has car1_1 and car11).

    Raises:
        ValueError: If there are files of two spellings.
    """
    folder = Path(folder)
    for candidate in (name, *aliases):
        path = result_path(folder, form, candidate)
        if path.is_file():
            return path
        if form == 'got10k' and (folder / f'{candidate}.txt').is_file():
            return folder / f'{candidate}.txt'
    if form == 'ope' and folder.is_dir():
        wanted = {_plain(candidate) for candidate in (name, *aliases)}
        found = [path for path in sorted(folder.glob('*.txt')) if _plain(path.stem) in wanted and path.stem not in others]
        if len(found) > 1:
            raise ValueError(f'{folder} has several results of {name}: {", ".join(path.name for path in found)}')
        return found[0] if found else None
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _plain(name: str) -> str:
    return re.sub(r'[^a-z0-9]', '', name.lower())


def read_boxes(path: Path) -> np.ndarray:
    """(T, 4) boxes xyxy of a text file with x y w h per line, separated by commas, tabs or spaces; or four corners per line.

    Raises:
        ValueError: If a line has not four or eight numbers, with file and line.
    """
    text = Path(path).read_text().strip()
    if not text:
        raise ValueError(f'{path} is empty')
    rows = None
    if not re.search(r'[,;]\s*[,;]|\n\s*\n', text):  # NumPy would read over both
        with contextlib.suppress(ValueError):
            rows = np.loadtxt(io.StringIO(re.sub(r'[,;\t]', ' ', text)), ndmin=2, comments=None)
    if rows is None or rows.shape[1] not in (4, 8):
        for number, line in enumerate(text.splitlines(), 1):
            parts = re.split(r'\s*[,;]\s*|\s+', line.strip())
            if len(parts) not in (4, 8) or not all(map(_is_number, parts)):
                raise ValueError(f'{path}, line {number}: expected x y w h, got {line[:80]!r}')
        raise ValueError(f'{path} has lines of different lengths')
    if rows.shape[1] == 8:
        corners = rows.reshape(-1, 4, 2)
        return np.concatenate((corners.min(axis=1), corners.max(axis=1)), axis=1)
    rows[:, 2:] += rows[:, :2]
    return rows


def write_submission(folder: Path, form: str, names: Sequence[str]) -> Path:
    """Zip the results as the servers of GOT-10k and TrackingNet want them; the zip's path, beside the folder.

    Raises:
        ValueError: If the results of a sequence are missing.
    """
    folder = Path(folder)
    path = folder.with_name(f'{folder.name}.zip')
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            boxes = result_path(folder, form, name)
            if not boxes.is_file():
                raise ValueError(f'{boxes} is missing: the results are not complete')
            archive.write(boxes, boxes.relative_to(folder))
            times = boxes.with_name(f'{name}_time.txt')
            if form == 'got10k' and times.is_file():
                archive.write(times, times.relative_to(folder))
    return path
