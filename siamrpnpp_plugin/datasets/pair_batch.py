"""Batches of pairs that are put together once, and reach the main process as one piece of memory."""

import math
from collections.abc import Sequence
from multiprocessing.reduction import ForkingPickler

import torch
from torch import Tensor
from torch.utils.data import default_collate, get_worker_info

from ..registry import FUNCTIONS
from .lent_memory import borrow, receive


class PairBatch(dict):
    """Tensors by name, one after the other in one flat tensor.

    A worker makes it in memory that it lends, or else in shared memory, as torch's `default_collate` does; to the main process
    goes the flat tensor, where a plain dict arrives.

    Args:
        count: Samples in the batch.
        template_size: Height and width in pixels.
        search_size: Height and width in pixels.
    """

    def __init__(self, count: int, template_size: tuple[int, int], search_size: tuple[int, int]) -> None:
        super().__init__()
        self.layout = [('box_xyxy', torch.float32, (count, 4)), ('sample_seed', torch.int64, (count, )),
                       ('sample', torch.int64, (count, )), ('template', torch.uint8, (count, 3, *template_size)),
                       ('search', torch.uint8, (count, 3, *search_size)), ('is_positive', torch.bool, (count, ))]
        size = sum(math.prod(shape) * dtype.itemsize for _, dtype, shape in self.layout)
        in_worker = get_worker_info() is not None
        self._piece = borrow(size) if in_worker else None
        if self._piece is not None:
            self.flat = self._piece.tensor(size)
        else:
            self.flat = torch.empty(size, dtype=torch.uint8)
            if in_worker:
                empty = self.flat[:0]
                self.flat = empty.new(empty._typed_storage()._new_shared(size, device=empty.device)).resize_(size)
        self.update(_views(self.flat, self.layout))

    def __reduce__(self) -> tuple:
        return _views, (self.flat, self.layout)


def _send(batch: PairBatch) -> tuple:
    """What the main process makes the batch of: the memory that it lies in, or the second time a copy."""
    piece, batch._piece = batch._piece, None
    return batch.__reduce__() if piece is None else (_received, (piece.send(), len(batch.flat), batch.layout))


def _received(sent: tuple, size: int, layout: list) -> dict:
    return _views(receive(*sent, size), layout)


ForkingPickler.register(PairBatch, _send)


def _views(flat: Tensor, layout: list) -> dict:
    """The tensors within a flat one."""
    batch, start = {}, 0
    for key, dtype, shape in layout:
        end = start + math.prod(shape) * dtype.itemsize
        batch[key] = flat[start:end].view(dtype).view(shape)
        start = end
    return batch


class PairSamples(Sequence):
    """The samples of a batch, views of its tensors."""

    def __init__(self, batch: PairBatch) -> None:
        self.batch = batch

    def __len__(self) -> int:
        return len(self.batch['sample'])

    def __getitem__(self, index: int) -> dict:
        return {key: value[index] for key, value in self.batch.items()}


@FUNCTIONS.register_module()
def collate_pairs(samples: Sequence[dict]) -> dict:
    """The batch of `LMDBPairDataset`'s samples, without copying; of other samples what `default_collate` makes of them."""
    return samples.batch if isinstance(samples, PairSamples) else default_collate(samples)
