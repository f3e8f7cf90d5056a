"""Tracking policy of SiamRPN: where to look next, which box to believe. B targets at once; one is not a special case.

N = A * H * W candidate boxes.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple, Optional
from weakref import WeakKeyDictionary

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops.boxes import xyxy_to_cxcywh
from ..ops.crop import context_side, crop_and_resize, pixel_window
from ..ops.cuda_graph import CudaGraphs
from ..ops.penalty import Candidate, best_candidate
from ..registry import TASK_UTILS


class TrackState(NamedTuple):
    """What is known of B targets after a frame: a value, never changed."""

    kernels: list  # of the model's `template_kernels`, B first
    center: np.ndarray  # (B, 2) float64 x and y in pixels of the frame
    size: np.ndarray  # (B, 2) float64 width and height in pixels
    padding: np.ndarray  # (B, 3) mean colour of the first frame
    confidence: np.ndarray  # (B,) float64 probability of the chosen box in [0, 1]; 1 after `init`
    score: Optional[Tensor] = None  # (B, A, H, W) probabilities, if they were asked for; NaN around where others searched wider
    is_lost: Optional[np.ndarray] = None  # (B,) bool, of a long-term tracker; None: no target is lost

    @property
    def box_xyxy(self) -> np.ndarray:
        """(B, 4) float64 corners in pixels of the frame."""
        return np.concatenate((self.center - self.size / 2, self.center + self.size / 2), axis=1)

    def select(self, index: Sequence[int]) -> 'TrackState':
        """The state of some of the targets, in the order given."""
        index = list(index)
        rows = slice(index[0], index[0] + 1) if len(index) == 1 else index  # of one target: views
        return TrackState([_map_tensors(kernel, lambda tensor: tensor[rows]) for kernel in self.kernels],
                          *(array[index] for array in self[1:5]),
                          *(None if array is None else array[index] for array in self[5:]))


def join_states(states: Sequence[TrackState]) -> TrackState:
    """One state of all targets of several states; score maps are left out."""
    kernels = [_zip_tensors(level) for level in zip(*(state.kernels for state in states))]
    return TrackState(kernels, *(np.concatenate(arrays) for arrays in zip(*(state[1:5] for state in states))),
                      is_lost=np.concatenate([_lost(state) for state in states]))


def _lost(state: TrackState) -> np.ndarray:
    """(B,) bool."""
    return np.zeros(len(state.center), bool) if state.is_lost is None else state.is_lost


def _map_tensors(kernel: object, function) -> object:
    return function(kernel) if torch.is_tensor(kernel) else tuple(_map_tensors(part, function) for part in kernel)


def _zip_tensors(kernels: Sequence) -> object:
    return torch.cat(kernels) if torch.is_tensor(kernels[0]) else tuple(_zip_tensors(parts) for parts in zip(*kernels))


@TASK_UTILS.register_module()
class SiamRPNTracker:
    """Crop around the last box, take the best candidate after penalties, smooth its size (SiamRPN; PySOT's `SiamRPNTracker`).

    The defaults are PySOT's for ResNet-50 on VOT; for other networks and benchmarks see the configs.

    With `lost_search_size` it tracks for long (PySOT's `SiamRPNLTTracker`): a target whose confidence falls below `lost_below` is
    lost, its box stays, and it is looked for in a wider search image with hardly any window, at the same scale. From `lost_below`
    on its box moves again; above `found_above` it is no longer lost. Two differences from PySOT: the clipped box is the one
    remembered, where PySOT reports that and goes on from the unclipped one, so boxes can differ once one was cut at a border, at
    10 pixels or at the size of the image; and every `init` starts with a target that is not lost, where PySOT's takes over what
    the video before has left.

    Args:
        penalty_k: How much a change of scale or aspect is held against a candidate.
        window_influence: Share of the cosine window in the ranking, in [0, 1].
        smoothing: Share of the new size at full confidence, in [0, 1].
        template_size: Side of the template in pixels.
        search_size: Side of the search image in pixels.
        context: Share of width + height around the target, see `context_side`.
        align: None has continuous coordinates and maps boxes back exactly. 'pixel' rounds sides and corners as PySOT does, and
            counts from the middle of the first pixel: converted weights then give PySOT's boxes, whose corners lie half a pixel
            to the upper left of the given ones.
        min_size: Smallest width and height in pixels.
        lost_search_size: Side of the search image of a lost target in pixels, PySOT's 831; None: no target is ever lost.
        lost_window_influence: `window_influence` for a lost target.
        lost_below: Confidence below which a target is lost and its box stays, in [0, 1].
        found_above: Confidence above which it is found again, at least `lost_below`.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(self, penalty_k: float = 0.05, window_influence: float = 0.42, smoothing: float = 0.38, template_size: int = 127,
                 search_size: int = 255, context: float = 0.5, align: Optional[str] = None, min_size: float = 10,
                 lost_search_size: Optional[int] = None, lost_window_influence: float = 0.001, lost_below: float = 0.8,
                 found_above: float = 0.998) -> None:
        if not 0 <= window_influence <= 1 or not 0 <= smoothing <= 1 or penalty_k < 0:
            raise ValueError(f'SiamRPNTracker needs penalty_k >= 0, window_influence and smoothing in [0, 1]; got {penalty_k}, '
                             f'{window_influence}, {smoothing}')
        if not 0 < template_size <= search_size or context < 0 or min_size <= 0:
            raise ValueError(f'SiamRPNTracker needs 0 < template_size <= search_size, context >= 0 and min_size > 0; got '
                             f'{template_size}, {search_size}, {context}, {min_size}')
        if align not in (None, 'pixel'):
            raise ValueError(f"align of SiamRPNTracker must be None or 'pixel', got {align!r}")
        if lost_search_size is not None and lost_search_size < search_size:
            raise ValueError(f'lost_search_size of SiamRPNTracker must be at least search_size, got {lost_search_size} and '
                             f'{search_size}')
        if not 0 <= lost_window_influence <= 1 or not 0 <= lost_below <= found_above <= 1:
            raise ValueError(f'SiamRPNTracker needs lost_window_influence in [0, 1] and 0 <= lost_below <= found_above <= 1; got '
                             f'{lost_window_influence}, {lost_below}, {found_above}')
        self.penalty_k, self.window_influence, self.smoothing = penalty_k, window_influence, smoothing
        self.template_size, self.search_size, self.context = template_size, search_size, context
        self.align, self.min_size = align, min_size
        self.lost_search_size, self.lost_window_influence = lost_search_size, lost_window_influence
        self.lost_below, self.found_above = lost_below, found_above
        self._graphs: WeakKeyDictionary = WeakKeyDictionary()  # model -> (where its weights lie, recordings that read them)

    def __getstate__(self) -> dict:
        return {name: value for name, value in vars(self).items() if name != '_graphs'}

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state, _graphs=WeakKeyDictionary())

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
        state = TrackState([], center, size, padding, np.ones(len(frames)), is_lost=np.zeros(len(frames), bool))
        crops = self.crop(state, frames, self.template_size)
        return state._replace(kernels=model.template_kernels(model.prepare_images(crops)))

    @torch.inference_mode()
    def update(self, model: nn.Module, state: TrackState, frames: Sequence[np.ndarray], with_score: bool = False,
               clock: Callable[[str], None] = lambda stage: None, map_crops: Callable = map) -> TrackState:
        """Find the targets in the next frames.

        Args:
            model: In evaluation mode.
            state: From `init` or the last `update`.
            frames: B images (H, W, 3) uint8 BGR; they may have another size than those before.
            with_score: Whether the new state has the map of scores.
            clock: Called with 'crop', 'network' and 'post' at the end of each, for those who measure; once more for lost targets.
            map_crops: Calls a function for each frame, as `map` does; that of a pool cuts the crops in its threads.

        Returns:
            The new state; its boxes are always finite. Where the network gives nothing finite, the box stays, with confidence 0.

        Raises:
            ValueError: If an image is no BGR image, or the number of frames is another one.
        """
        if len(frames) != len(state.center):
            raise ValueError(f'{len(state.center)} targets need as many frames, got {len(frames)}')
        for frame in frames:
            _check_frame(frame)
        is_lost = _lost(state)
        groups = [np.flatnonzero(is_lost == lost) for lost in (False, True)]  # their search images differ in size
        groups = [group for group in groups if len(group)]
        if len(groups) == 1:
            return self._look(model, state, frames, with_score, clock, map_crops)
        parts = [self._look(model, state.select(group), [frames[index] for index in group], with_score, clock, map_crops)
                 for group in groups]
        new = join_states([part._replace(kernels=[]) for part in parts])
        if with_score:
            small, large = (part.score.shape[-1] for part in parts)
            before = large // 2 - small // 2  # the middle of a map is cell (H // 2, W // 2)
            inner = F.pad(parts[0].score, (before, large - small - before) * 2, value=float('nan'))
            new = new._replace(score=torch.cat((inner, parts[1].score)))
        return new.select(np.argsort(np.concatenate(groups)))._replace(kernels=state.kernels)

    def _look(self, model: nn.Module, state: TrackState, frames: Sequence[np.ndarray], with_score: bool,
              clock: Callable[[str], None], map_crops: Callable) -> TrackState:
        """`update` of targets that are all lost or all not."""
        is_lost = bool(_lost(state).any())
        search_size = self.lost_search_size if is_lost else self.search_size
        windows = self._windows(state, search_size)
        scale, middle, origin = self._scale(state, windows, search_size)
        crops = self.crop(state, frames, search_size, map_crops, windows)
        clock('crop')
        settings = self.penalty_k, self.lost_window_influence if is_lost else self.window_influence, self.context
        find = functools.partial(self._find, model, *settings)
        if getattr(model, 'use_cuda_graphs', False):
            find = functools.partial(self._graphs_of(model).play, find, settings)
        candidate, score = find(state.kernels, crops, state.size * scale[:, None])
        score = score.double().cpu() if with_score else None
        candidate = Candidate.unpack(candidate.cpu())
        clock('network')
        state = self._move(state, candidate, scale, middle, origin, frames)._replace(score=score)
        clock('post')
        return state

    def _graphs_of(self, model: nn.Module) -> CudaGraphs:
        """The recordings of a model on a GPU; new ones if its weights have moved."""
        weight = next(model.parameters())
        place = weight.device, weight.dtype, weight.data_ptr()
        if self._graphs.get(model, (None, ))[0] != place:
            self._graphs[model] = place, CudaGraphs(weight.device)
        return self._graphs[model][1]

    @staticmethod
    def _find(model: nn.Module, penalty_k: float, window_influence: float, context: float, kernels: list, crops: np.ndarray,
              previous: np.ndarray) -> tuple[Tensor, Tensor]:
        """(B, 7) packed best candidates and (B, A, H, W) scores, on the model's device.

        Args:
            model: In evaluation mode.
            penalty_k, window_influence, context: As of `best_candidate`.
            kernels: Of the targets.
            crops: (B, S, S, 3) uint8.
            previous: (B, 2) float64 width and height of the last boxes, in pixels of the crops.
        """
        cls_score, bbox_pred = model.correlate(kernels, model.prepare_images(crops))
        boxes, score = model.head.decode(cls_score, bbox_pred, crops.shape[1])
        previous = torch.as_tensor(previous).to(score.device)
        return best_candidate(xyxy_to_cxcywh(boxes), score, previous, penalty_k, window_influence, context).pack(), score

    @property
    def search_sizes(self) -> list[int]:
        """Sides of its search images, the smallest first: one, or two of a tracker that looks wider for a lost target."""
        return sorted({self.search_size, self.lost_search_size or self.search_size})

    def crop(self, state: TrackState, frames: Sequence[np.ndarray], side: int, map_crops: Callable = map,
             windows: Optional[np.ndarray] = None) -> np.ndarray:
        """(B, side, side, 3) uint8: the images around the targets, at the template's scale.

        Args:
            state: Of B targets.
            frames: B images.
            side: In pixels.
            map_crops: As in `update`.
            windows: What is shown, where it is known already: it follows from the state.
        """
        windows = self._windows(state, side) if windows is None else windows
        cut = functools.partial(crop_and_resize, align=self.align)
        return np.stack(list(map_crops(cut, frames, windows, [side] * len(frames), state.padding)))

    def _windows(self, state: TrackState, side: int) -> np.ndarray:
        """(B, 4) what of the frames is shown in an image of a side. Whole pixels: what the last bit of a float decides elsewhere
        does not change them, and cutting them takes half the time; boxes are mapped back exactly."""
        sides = self._sides(state) * (side / self.template_size)
        if self.align == 'pixel':
            return np.stack([pixel_window(center, length) for center, length in zip(state.center, sides)])
        sides = np.maximum(np.rint(sides), 1)[:, None]
        corner = np.rint(state.center - sides / 2)
        return np.concatenate((corner, corner + sides), axis=1)

    def _sides(self, state: TrackState) -> np.ndarray:
        """(B,) sides of the squares around the targets that the template shows."""
        return context_side(np.concatenate((np.zeros_like(state.size), state.size), axis=1), self.context)

    def _scale(self, state: TrackState, windows: np.ndarray, search_size: int) -> tuple[np.ndarray, float, np.ndarray]:
        """How boxes in the search images, which show the windows, become boxes in the frames: (position - middle) / scale +
        origin; (B,), one number for all, and (B, 2)."""
        if self.align == 'pixel':
            return self.template_size / self._sides(state), search_size // 2, state.center
        # boxes in the search image count from the middle of its first pixel
        return search_size / (windows[:, 2] - windows[:, 0]), -0.5, windows[:, :2]

    def _move(self, state: TrackState, candidate: Candidate, scale: np.ndarray, middle: float, origin: np.ndarray,
              frames: Sequence[np.ndarray]) -> TrackState:
        """The state with the candidates, on the CPU, believed as far as they deserve it; all targets are lost or none."""
        candidate = Candidate(*(values.numpy() for values in candidate))
        is_lost, is_believed = _lost(state), candidate.is_usable
        confidence = np.where(is_believed, candidate.confidence, 0)
        if self.lost_search_size is not None:
            is_lost = (confidence < self.lost_below) | is_lost & (confidence <= self.found_above)
            is_believed = is_believed & (confidence >= self.lost_below)
        share = np.where(is_believed, candidate.penalty * confidence * self.smoothing, 0)[:, None]
        found = np.where(is_believed[:, None], candidate.box_cxcywh, 0)
        limits = np.array([[frame.shape[1], frame.shape[0]] for frame in frames], np.float64)
        center = np.where(is_believed[:, None], origin + (found[:, :2] - middle) / scale[:, None], state.center)
        center = np.clip(center, 0, limits)
        size = state.size * (1 - share) + found[:, 2:] / scale[:, None] * share
        size = np.maximum(np.minimum(size, limits), self.min_size)
        return state._replace(center=center, size=size, confidence=confidence, is_lost=is_lost)


def _check_frame(frame: np.ndarray) -> None:
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
        what = f'{frame.dtype} {frame.shape}' if isinstance(frame, np.ndarray) else type(frame).__name__
        raise ValueError(f'a frame must be a (H, W, 3) uint8 BGR image, got {what}; cv2.cvtColor converts grey or BGRA images')
