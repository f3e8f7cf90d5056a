"""Checkpoint files that are there whole or not at all, and the newest whole one of a folder."""

import logging
import os
import re
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Optional, Union

from mmengine.fileio import LocalBackend, register_backend
from mmengine.logging import print_log


class AtomicBackend(LocalBackend):
    """mmengine's local files, but a file keeps its old content until the new one is on the disk as a whole."""

    def put(self, obj: bytes, filepath: Union[str, Path]) -> None:
        """Write bytes to a temporary file beside `filepath`, then move it there.

        Raises:
            OSError: If they cannot be written; what was there before is untouched.
        """
        path = Path(filepath)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f'.{path.name}.{os.getpid()}')
        try:
            with open(temporary, 'wb') as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the move too
        finally:
            os.close(folder)


ATOMIC = 'siamrpnpp_plugin.AtomicBackend'
register_backend(ATOMIC, AtomicBackend, force=True)


def checkpoint_name(epochs: int, iterations: int = 0) -> str:
    """Name of the state after so many whole epochs and iterations of the next one."""
    return f'epoch_{epochs}_iter_{iterations}.pth' if iterations else f'epoch_{epochs}.pth'


def checkpoint_order(path: Path) -> Optional[tuple[int, int]]:
    """(whole epochs, iterations of the next one) of a checkpoint's name; None for other files."""
    match = re.fullmatch(r'epoch_(\d+)(?:_iter_(\d+))?\.pth', path.name)
    return (int(match[1]), int(match[2] or 0)) if match else None


def is_whole(path: Path) -> bool:
    """Whether every byte of a checkpoint has the checksum that torch wrote with it."""
    try:
        with zipfile.ZipFile(path) as file:
            return file.testzip() is None
    except (zipfile.BadZipFile, OSError, EOFError):
        return False


def newest_checkpoint(folder: Path) -> Optional[Path]:
    """The furthest checkpoint of a run that is whole; a damaged one before it is warned of. None if there is none."""
    found = sorted((path for path in Path(folder).glob('epoch_*.pth') if checkpoint_order(path)), key=checkpoint_order)
    for path in reversed(found):
        if is_whole(path):
            return path
        print_log(f'{path} is damaged, perhaps cut off while it was copied: going back to the checkpoint before it', 'current',
                  logging.WARNING)
    return None
