"""Small text files of data sets."""

import re
from pathlib import Path
from typing import Optional

import numpy as np


def read_text(path: Path, content: str) -> str:
    """The text of a file that may not be empty.

    Raises:
        FileNotFoundError: If there is no file.
        ValueError: If it is empty.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path} is missing: expected {content}')
    text = path.read_text(encoding='utf-8-sig', errors='replace').rstrip()
    if not text:
        raise ValueError(f'{path} is empty: expected {content}')
    return text


def read_flags(path: Path, length: Optional[int] = None, highest: int = 1) -> np.ndarray:
    """(length,) int64 numbers from 0 to `highest`, separated by commas or white space."""
    words = re.split(r'\s*,\s*|\s+', read_text(path, f'numbers from 0 to {highest}').strip())
    known = {f'{number}{end}': number for number in range(highest + 1) for end in ('', '.0')}
    for word in words:
        if word not in known:
            raise ValueError(f'{path}: expected numbers from 0 to {highest}, got {word[:80]!r}')
    if length is not None and len(words) != length:
        raise ValueError(f'{path} has {len(words)} numbers instead of {length}')
    return np.array([known[word] for word in words], np.int64)


def read_names(path: Path) -> list:
    """Names of sequences, one per line."""
    return [line.strip() for line in read_text(path, 'one name of a sequence per line').splitlines() if line.strip()]


def read_lines(path: Path) -> list:
    """Lines of a file, without empty ones at its end.

    Raises:
        OSError: If it cannot be read.
    """
    return path.read_text(encoding='utf-8-sig', errors='replace').rstrip().splitlines()


def parse_numbers(line: str) -> list:
    """Numbers that are separated by commas, semicolons or white space.

    Raises:
        ValueError: If a word is no number.
    """
    return [float(word) for word in re.split(r'[,;\s]+', line.strip()) if word]


def read_meta(path: Path) -> tuple[str, Optional[tuple]]:
    """Class of the object and (width, height) of the frames in a `meta_info.ini` of GOT-10k; '' and None if it does not say, or
    is not there."""
    if not path.is_file():
        return '', None
    text = path.read_text(encoding='utf-8', errors='replace')
    category = re.search(r'^object_class:[ \t]*(.*)$', text, re.MULTILINE)
    size = re.search(r'^resolution:\s*\((\d+),\s*(\d+)\)', text, re.MULTILINE)
    return category[1].strip() if category else '', (int(size[1]), int(size[2])) if size else None
