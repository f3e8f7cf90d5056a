"""Tracking policy of SiamRPN: where to look next, which box to believe. B targets at once; one is not a special case.

N = A * H * W candidate boxes.
"""

from collections.abc import Sequence
from typing import NamedTuple, Optional

import numpy as np
import torch
from torch import Tensor, nn

from ..ops.boxes import xyxy_to_cxcywh
from ..ops.crop import context_side, crop_and_resize, pixel_window, square_window
from ..ops.penalty import cosine_window, shape_penalty
from ..registry import TASK_UTILS


class TrackState(NamedTuple):
    """What is known of B targets after a frame: a value, never changed."""

    kernels: list  # of the model's `template_kernels`, B first
    center: np.ndarray  # (B, 2) float64 x and y in pixels of the frame
    size: np.ndarray  # (B, 2) float64 width and height in pixels
    padding: np.ndarray  # (B, 3) mean colour of the first frame
    confidence: np.ndarray  # (B,) float64 probability of the chosen box in [0, 1]; 1 after `init`
    score: Optional[Tensor] = None  # (B, A, H, W) probabilities, if they were asked for

    @property
    def box_xyxy(self) -> np.ndarray:
        """(B, 4) float64 corners in pixels of the frame."""
        return np.concatenate((self.center - self.size / 2, self.center + self.size / 2), axis=1)

    def select(self, index: Sequence[int]) -> 'TrackState':
        """The state of some of the targets, in the order given."""
        index = list(index)
        return TrackState([_map_tensors(kernel, lambda tensor: tensor[index]) for kernel in self.kernels],
                          *(array[index] for array in (self.center, self.size, self.padding, self.confidence)),
                          None if self.score is None else self.score[index])


def join_states(states: Sequence[TrackState]) -> TrackState:
    """One state of all targets of several states; score maps are left out."""
    kernels = [_zip_tensors(level) for level in zip(*(state.kernels for state in states))]
    return TrackState(kernels, *(np.concatenate(arrays) for arrays in zip(*(state[1:5] for state in states))))


def _map_tensors(kernel: object, function) -> object:
    return function(kernel) if torch.is_tensor(kernel) else tuple(_map_tensors(part, function) for part in kernel)


def _zip_tensors(kernels: Sequence) -> object:
    return torch.cat(kernels) if torch.is_tensor(kernels[0]) else tuple(_zip_tensors(parts) for parts in zip(*kernels))


@TASK_UTILS.register_module()
class SiamRPNTracker:
    """Crop around the last box, take the best candidate after penalties, smooth its size (SiamRPN; PySOT's `SiamRPNTracker`).

    The defaults are PySOT's for ResNet-50 on VOT; for other networks and benchmarks see the configs.

    Args:
        penalty_k: How much a change of scale or aspect is held against a candidate.
        window_influence: Share of the cosine window in the ranking, in [0, 1].
        smoothing: Share of the new size at full confidence, in [0, 1].
        template_size: Side of the template in pixels.
        search_size: Side of the search image in pixels.
        context: Share of width + height around the target, see `context_side`.
        align: None crops at fractions of a pixel, in continuous coordinates. 'pixel' rounds sides and corners as PySOT does, and
            counts from the middle of the first pixel: converted weights then give PySOT's boxes, whose corners lie half a pixel
            to the upper left of the given ones.
        min_size: Smallest width and height in pixels.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(self, penalty_k: float = 0.05, window_influence: float = 0.42, smoothing: float = 0.38, template_size: int = 127,
                 search_size: int = 255, context: float = 0.5, align: Optional[str] = None, min_size: float = 10) -> None:
        if not 0 <= window_influence <= 1 or not 0 <= smoothing <= 1 or penalty_k < 0:
            raise ValueError(f'SiamRPNTracker needs penalty_k >= 0, window_influence and smoothing in [0, 1]; got {penalty_k}, '
                             f'{window_influence}, {smoothing}')
        if not 0 < template_size <= search_size or context < 0 or min_size <= 0:
            raise ValueError(f'SiamRPNTracker needs 0 < template_size <= search_size, context >= 0 and min_size > 0; got '
                             f'{template_size}, {search_size}, {context}, {min_size}')
        if align not in (None, 'pixel'):
            raise ValueError(f"align of SiamRPNTracker must be None or 'pixel', got {align!r}")
        self.penalty_k, self.window_influence, self.smoothing = penalty_k, window_influence, smoothing
        self.template_size, self.search_size, self.context = template_size, search_size, context
        self.align, self.min_size = align, min_size

    @torch.inference_mode()
    def init(self, model: nn.Module, frames: Sequence[np.ndarray], boxes_xyxy: np.ndarray) -> TrackState:
        """Look at the targets once.

        Args:
            model: In evaluation mode.
            frames: B images (H, W, 3) uint8 BGR, of any sizes.
            boxes_xyxy: (B, 4) the targets in pixels.

        Raises:
            ValueError: If an image is no BGR image, or a box is not finite, has no area, or lies outside of its image.
        """
        boxes = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
        if len(boxes) != len(frames):
            raise ValueError(f'{len(frames)} frames need as many boxes, got {len(boxes)}')
        for frame, box in zip(frames, boxes):
            _check_frame(frame)
            height, width = frame.shape[:2]
            if not np.isfinite(box).all() or not (box[2:] > box[:2]).all():
                raise ValueError(f'the box must be finite and have an area, got {box.tolist()}')
            if box[0] >= width or box[1] >= height or box[2] <= 0 or box[3] <= 0:
                raise ValueError(f'the box {box.tolist()} lies outside of the image of {width}x{height} pixels')
        size = boxes[:, 2:] - boxes[:, :2]
        center = boxes[:, :2] + (size - (self.align == 'pixel')) / 2
        padding = np.array([frame.mean(axis=(0, 1)) for frame in frames])
        state = TrackState([], center, size, padding, np.ones(len(frames)))
        crops = self.crop(state, frames, self.template_size)
        return state._replace(kernels=model.template_kernels(_to_model(model, crops)))

    @torch.inference_mode()
    def update(self, model: nn.Module, state: TrackState, frames: Sequence[np.ndarray], with_score: bool = False) -> TrackState:
        """Find the targets in the next frames.

        Args:
            model: In evaluation mode.
            state: From `init` or the last `update`.
            frames: B images (H, W, 3) uint8 BGR; they may have another size than those before.
            with_score: Whether the new state has the map of scores.

        Returns:
            The new state; its boxes are always finite. Where the network gives nothing finite, the box stays, with confidence 0.

        Raises:
            ValueError: If an image is no BGR image, or the number of frames is another one.
        """
        if len(frames) != len(state.center):
            raise ValueError(f'{len(state.center)} targets need as many frames, got {len(frames)}')
        for frame in frames:
            _check_frame(frame)
        crops = self.crop(state, frames, self.search_size)
        cls_score, bbox_pred = model.correlate(state.kernels, _to_model(model, crops))
        boxes, score = model.head.decode(cls_score, bbox_pred, self.search_size)
        return self._choose(state, xyxy_to_cxcywh(boxes).double().cpu(), score.double().cpu(), frames, with_score)

    def crop(self, state: TrackState, frames: Sequence[np.ndarray], side: int) -> np.ndarray:
        """(B, side, side, 3) uint8: the images around the targets, at the template's scale."""
        sides = context_side(np.concatenate((np.zeros_like(state.size), state.size), axis=1), self.context)
        sides = sides * (side / self.template_size)
        window = pixel_window if self.align == 'pixel' else square_window
        return np.stack([crop_and_resize(frame, window(center, length), side, padding, align=self.align)
                         for frame, center, length, padding in zip(frames, state.center, sides, state.padding)])

    def _choose(self, state: TrackState, boxes: Tensor, score: Tensor, frames: Sequence[np.ndarray],
                with_score: bool) -> TrackState:
        """The best candidate of each target: boxes (B, A, H, W, 4) centre and size in the search image, score (B, A, H, W)."""
        batch, shape = len(boxes), score.shape[1:]
        scale = self.template_size / context_side(np.concatenate((np.zeros_like(state.size), state.size), axis=1), self.context)
        flat, scores = boxes.flatten(1, 3), score.flatten(1)
        previous = torch.from_numpy(state.size * scale[:, None])
        penalty = shape_penalty(flat[..., 2:], previous, self.penalty_k, self.context)
        window = cosine_window(*shape[1:]).expand(shape).flatten()
        ranking = penalty * scores * (1 - self.window_influence) + window * self.window_influence
        usable = torch.isfinite(ranking) & torch.isfinite(flat).all(dim=2)
        best = torch.where(usable, ranking, -torch.inf).argmax(dim=1)
        rows = torch.arange(batch)
        is_found = usable[rows, best].numpy()
        found, confidence = flat[rows, best].numpy(), scores[rows, best].numpy()
        share = np.where(is_found, penalty[rows, best].numpy() * confidence * self.smoothing, 0)[:, None]
        found = np.where(is_found[:, None], found, 0)
        limits = np.array([[frame.shape[1], frame.shape[0]] for frame in frames], np.float64)
        shift = np.where(is_found[:, None], (found[:, :2] - self.search_size // 2) / scale[:, None], 0)
        center = np.clip(state.center + shift, 0, limits)
        size = state.size * (1 - share) + found[:, 2:] / scale[:, None] * share
        size = np.maximum(np.minimum(size, limits), self.min_size)
        return state._replace(center=center, size=size, confidence=np.where(is_found, confidence, 0),
                              score=score if with_score else None)


def _check_frame(frame: np.ndarray) -> None:
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
        what = f'{frame.dtype} {frame.shape}' if isinstance(frame, np.ndarray) else type(frame).__name__
        raise ValueError(f'a frame must be a (H, W, 3) uint8 BGR image, got {what}; cv2.cvtColor converts grey or BGRA images')


def _to_model(model: nn.Module, crops: np.ndarray) -> Tensor:
    """(B, S, S, 3) uint8 -> the model's input on its device."""
    device = next(model.parameters()).device
    return model.data_preprocessor.normalize(torch.from_numpy(crops).permute(0, 3, 1, 2).contiguous().to(device))
