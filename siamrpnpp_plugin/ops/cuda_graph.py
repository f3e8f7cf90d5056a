"""A function of tensors as a CUDA graph: recorded once per shape, then played back without the time of its launches."""

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils import _pytree as pytree


class _Recording(NamedTuple):
    graph: Any
    places: list  # tensors that it reads
    pinned: list  # memory of the host through which arrays get there; None for tensors of the device
    outputs: Any
    is_copied: Any  # event: the host's memory may be written again


def padded_batch(batch: int) -> int:
    """The batch that a graph is recorded for: the next of 1, 2, 3, 4, 6, 8, 12, 16, 24, ..."""
    power = 1 << (batch - 1).bit_length()
    return power * 3 // 4 if power > 2 and batch <= power * 3 // 4 else power


class CudaGraphs:
    """Recordings of functions of tensors, B first, whose rows do not depend on each other, on one GPU.

    A recording reads the memory that the function's weights had then: with other weights another `CudaGraphs` is needed.

    Args:
        device: The GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._recordings: dict = {}
        self._last: tuple = (None, [])  # the recording that was played last, and what was copied to it

    def play(self, function: Callable, key: Hashable, *inputs: Any) -> Any:
        """What a function gives, valid until the next call.

        The first call with a shape takes a second or less: it runs the function for real a few times. The function must not wait
        for the device, nor do anything on the CPU that is to happen again.

        Args:
            function: Called to record, with tensors on the GPU; not kept.
            key: Names the function, and all that it depends on besides its inputs and the values of its weights.
            inputs: Nested lists and tuples of tensors or NumPy arrays.
        """
        with torch.cuda.device(self._device):
            return self._play(function, key, inputs)

    def _play(self, function: Callable, key: Hashable, inputs: tuple) -> Any:
        values, structure = pytree.tree_flatten(inputs)
        batch = len(values[0])
        key = key, repr(structure), padded_batch(batch), tuple((value.shape[1:], value.dtype) for value in values)
        if key not in self._recordings:
            self._recordings[key] = self._record(function, values, structure, padded_batch(batch))
        recording = self._recordings[key]
        known = self._last[1] if self._last[0] is recording else [None] * len(values)
        recording.is_copied.synchronize()
        for value, place, pinned, before in zip(values, recording.places, recording.pinned, known):
            if pinned is not None:
                pinned[:batch].copy_(torch.as_tensor(value))
                place[:batch].copy_(pinned[:batch], non_blocking=True)
            elif value is not before:  # what a target's template gave stays the same from frame to frame
                place[:batch].copy_(value)
        recording.is_copied.record()
        self._last = recording, [value if pinned is None else None for value, pinned in zip(values, recording.pinned)]
        recording.graph.replay()
        return pytree.tree_map(lambda output: output[:batch], recording.outputs)

    def _record(self, function: Callable, values: list, structure: Any, batch: int) -> _Recording:
        places, pinned = [], []
        for value in values:
            is_here = isinstance(value, Tensor) and value.is_cuda
            tensor = torch.as_tensor(value)
            # rows that are not filled repeat the first: zeros could be numbers that a function is slow with, or fails on
            rows = tensor[:1].expand(batch, *tensor.shape[1:]).contiguous()
            places.append(rows.to(self._device, copy=True))
            pinned.append(None if is_here else rows.pin_memory())
        inputs = pytree.tree_unflatten(places, structure)
        before = torch.cuda.current_stream()
        stream = torch.cuda.Stream()
        stream.wait_stream(before)
        with torch.cuda.stream(stream):
            for _ in range(3):  # libraries choose their algorithms and take their memory
                function(*inputs)
        before.wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = function(*inputs)
        return _Recording(graph, places, pinned, outputs, torch.cuda.Event())
