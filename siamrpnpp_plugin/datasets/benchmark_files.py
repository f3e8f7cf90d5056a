"""What the readers of benchmarks share: lists of frames, text files with a line per frame, and their errors. T frames."""

import difflib
import math
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Optional

import numpy as np

from .sequences import Sequence
from .sources import IMAGE_SUFFIXES
from .text_files import read_text


def choose(benchmark: str, root: Path, known: Iterable, is_there: Callable, names: Optional[list], allow_missing: bool,
           layout: str) -> list:
    """The sequences to read: those of `names`, or all.

    Args:
        known: Names of all sequences of the benchmark.
        is_there: Whether the folder of a name exists.
        layout: Where that folder should be, for the error.

    Raises:
        ValueError: If a name is not known.
        FileNotFoundError: If one is not there, and with `allow_missing` if none is.
    """
    known = list(known)
    unknown = set(names or ()).difference(known)
    for name in names or ():
        if name in unknown:
            raise ValueError(f'{benchmark} has no sequence {name!r}{close_names(name, known)}')
    chosen = known if names is None else list(dict.fromkeys(names))
    missing = [name for name in chosen if not is_there(name)]
    if chosen and len(missing) == len(chosen):
        raise FileNotFoundError(f'{root} has none of {len(chosen)} sequences of {benchmark}: expected {layout}, first that of '
                                f'{chosen[0]}')
    if missing and not allow_missing:
        raise FileNotFoundError(f'{root} lacks {len(missing)} of {len(chosen)} sequences of {benchmark}: {", ".join(missing[:8])}'
                                f'{" ..." if len(missing) > 8 else ""}; names=[...] reads those that it names, '
                                'allow_missing=True those that are there')
    missing = set(missing)
    return [name for name in chosen if name not in missing]


def close_names(name: str, known: Iterable) -> str:
    """Names like one that is not known, as the end of a sentence."""
    lower = {other.lower(): other for other in known}
    close = difflib.get_close_matches(name.lower(), lower, 3)
    return f'; close are {", ".join(lower[other] for other in close)}' if close else ''


def check_split(benchmark: str, split: str, known: tuple) -> None:
    if split not in known:
        raise ValueError(f'split of {benchmark} must be one of {", ".join(known)}; got {split!r}')


def read_rows(path: Path, widths: tuple = (4,), select: slice = slice(None)) -> np.ndarray:
    """Numbers of a file with one line per frame, separated by commas, tabs or spaces; all of a line are NaN, or none.

    Args:
        widths: Allowed numbers per line; all lines of a file have as many as the first.
        select: Which words of a line.

    Returns:
        (T, width) float64.

    Raises:
        FileNotFoundError: If there is no file.
        ValueError: If it is empty or a line is malformed.
    """
    lines = [re.split(r'[ \t]*[, \t][ \t]*', line.strip())[select]
             for line in read_text(path, f'{" or ".join(map(str, widths))} numbers per line').splitlines()]
    width = len(lines[0]) if len(lines[0]) in widths else widths[0]
    rows = []
    for number, words in enumerate(lines, 1):
        try:
            rows.append([float(word) for word in words])
        except ValueError:
            rows.append([])
        if len(rows[-1]) != width or not (all(map(math.isfinite, rows[-1])) or all(map(math.isnan, rows[-1]))):
            raise ValueError(f'{path}, line {number}: expected {width} numbers separated by commas, tabs or spaces, got '
                             f'{" ".join(words)[:80]!r}')
    return np.array(rows)


def frame_files(folder: Path) -> dict:
    """Number -> image of a folder, in the order of numbers; files that start with a dot are none."""
    if not folder.is_dir():
        raise FileNotFoundError(f'{folder}, a folder of frames, is missing')
    images = [name for name in os.listdir(folder) if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith('.')]
    if not images:
        raise FileNotFoundError(f'{folder} has no images ({", ".join(IMAGE_SUFFIXES)})')
    numbers = {}
    for name in images:
        stem = name.rpartition('.')[0]
        if not stem.isdecimal():
            raise ValueError(f'{folder / name} is not named by the number of its frame')
        other = numbers.setdefault(int(stem), name)
        if other != name:
            raise ValueError(f'{folder} has frame {int(stem)} twice: {min(name, other)} and {max(name, other)}')
    return {number: os.path.join(folder, numbers[number]) for number in sorted(numbers)}


def frame_range(images: dict, folder: Path, first: int, last: int) -> dict:
    """Frames `first` to `last` of a folder."""
    for number in range(first, last + 1):
        if number not in images:
            raise FileNotFoundError(f'{folder} lacks frame {number} of {first} to {last}')
    return {number: images[number] for number in range(first, last + 1)}


def _gap(images: dict) -> str:
    """Which frames between others, or before them, are not there, as the end of a sentence."""
    gap = sorted(set(range(min(1, *images), max(images))) - images.keys())
    return f'; there is no frame {", ".join(map(str, gap[:5]))}{" ..." if len(gap) > 5 else ""}' if gap else ''


def check_number(images: dict, rows: np.ndarray, folder: Path, path: Path) -> None:
    """Refuse another number of boxes than of frames."""
    if len(images) != len(rows):
        raise ValueError(f'{path} has {len(rows)} boxes for {len(images)} frames of {folder}{_gap(images)}')


def first_only(xyxy: np.ndarray, images: dict, folder: Path, path: Path) -> np.ndarray:
    """(T, 4) the published first box and NaN for the other frames, which must be without gap."""
    if len(xyxy) != 1:
        raise ValueError(f'{path} has {len(xyxy)} boxes; of the test split only the first one is published')
    if gap := _gap(images):
        raise FileNotFoundError(f'{folder} is not complete{gap}')
    return np.concatenate((xyxy, np.full((len(images) - 1, 4), np.nan)))


def to_xyxy(rows: np.ndarray, first_pixel: float = 0) -> np.ndarray:
    return np.concatenate((rows[:, :2], rows[:, :2] + rows[:, 2:]), axis=1) - first_pixel


def make_sequence(name: str, images: Iterable, xyxy: np.ndarray, path: Path, **fields: Any) -> Sequence:
    """A sequence whose first box a tracker can start with."""
    if not (xyxy[0, 2:] > xyxy[0, :2]).all():  # false for NaN
        raise ValueError(f'{path}: the first box, where a tracker starts, has no area: {xyxy[0].tolist()} (xyxy)')
    return Sequence(name, tuple(images), xyxy, **fields)
