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
