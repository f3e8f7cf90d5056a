"""Memory that a worker lends to the process it works for, gets back and uses again.

A fresh piece of shared memory is cleared page by page by the kernel: on a virtual machine that costs as much as decoding a third
of the images that are put into it. Here a piece goes to and fro. Its last byte says whose it is: the worker writes LENT before it
sends the piece, and the receiver FREE as soon as no tensor lies in it any more. Whoever keeps a batch keeps it: it is not written
to, and the worker takes other memory. A piece that is never received, or whose receiver dies, is not used again.

Needs Linux (memfd_create), and torch to share memory by file descriptors, its default there; elsewhere `borrow` gives none.
"""

import mmap
import os
import weakref
from multiprocessing import reduction
from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor
from torch.multiprocessing import get_sharing_strategy

FREE, LENT, KEPT = 0, 1, 2
LIMIT = 4  # pieces of a process: two batches on the way, one in use and one in the making


class Piece:
    """A piece of memory of this process; a tensor lies in it while `tensor` is in use, here or where it was sent.

    Args:
        size: Bytes of a tensor that fits.

    Raises:
        OSError: If the system gives none.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._fd = os.memfd_create('batch')
        weakref.finalize(self, os.close, self._fd).atexit = False
        os.ftruncate(self._fd, size + 1)
        self._memory = mmap.mmap(self._fd, size + 1)
        self._array = None  # weak: what the tensors of this process lie in

    @property
    def state(self) -> int:
        """FREE, LENT, or KEPT by the receiver for good."""
        if self._array is not None and self._array() is not None:
            return LENT
        return self._memory[self.size]

    def tensor(self, size: int) -> Tensor:
        """(size,) uint8 that lies in the piece."""
        array = np.frombuffer(self._memory, np.uint8, size)
        self._array = weakref.ref(array)
        return torch.from_numpy(array)

    def send(self) -> tuple:
        """What another process gets it with, once: the arguments of `receive`."""
        self._memory[self.size] = LENT
        return reduction.DupFd(self._fd), self.size


_PIECES: list[Piece] = []
_OWNER = [os.getpid()]


def borrow(size: int) -> Optional[Piece]:
    """A piece in which nothing lies; None where there is none."""
    if not hasattr(os, 'memfd_create') or get_sharing_strategy() != 'file_descriptor':
        return None
    if _OWNER[0] != os.getpid():  # forked: the pieces are the parent's
        _OWNER[0] = os.getpid()
        _PIECES.clear()
    _PIECES[:] = [piece for piece in _PIECES if piece.state == LENT or (piece.state == FREE and piece.size >= size)]
    for piece in _PIECES:
        if piece.state == FREE:
            return piece
    if len(_PIECES) == LIMIT:
        return None
    try:
        _PIECES.append(Piece(size))
    except OSError:  # a sandbox may forbid it
        return None
    return _PIECES[-1]


_RECEIVED: dict[int, weakref.finalize] = {}  # by id of what they wait for


def receive(descriptor: Any, capacity: int, size: int) -> Tensor:
    """The tensor that another process has put into its piece: (size,) uint8. It is lent until the last use of its memory ends."""
    fd = descriptor.detach()
    try:
        memory = mmap.mmap(fd, capacity + 1)
    finally:
        os.close(fd)
    array = np.frombuffer(memory, np.uint8, size)  # torch holds it as long as a tensor lies in it
    end = _RECEIVED[id(array)] = weakref.finalize(array, _give_back, id(array), memory)
    end.atexit = False
    return torch.from_numpy(array)


def _give_back(number: int, memory: mmap.mmap) -> None:
    _RECEIVED.pop(number, None)
    memory[len(memory) - 1] = FREE


def _keep_received() -> None:
    """Before a fork: the child will have the tensors too, and nobody knows for how long."""
    for number in list(_RECEIVED):
        end = _RECEIVED.pop(number, None)
        found = end and end.detach()
        if found:
            _, _, (_, memory), _ = found
            memory[len(memory) - 1] = KEPT


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(before=_keep_received)
