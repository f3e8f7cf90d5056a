"""The square that is cut around a target, and the one crop of the project: packing, training and tracking share it.

Coordinates are continuous: pixel i covers [i, i + 1), so an image of side S spans [0, S) and its middle is S / 2.
"""

import math
from collections.abc import Sequence
from typing import Optional, TypeVar

import cv2
import numpy as np
from torch import Tensor

Array = TypeVar('Array', np.ndarray, Tensor)


def context_side(box_xyxy: Array, context: float = 0.5) -> Array:
    """Side of the square that SiamFC crops around a target.

    Each side of the box grows by `context` * (width + height); the square has the area of the grown box
    (Bertinetto et al. 2016).

    Args:
        box_xyxy: (..., 4) boxes in pixels, an array or a tensor.
        context: Share of width + height added to each side, >= 0.

    Returns:
        (...) side lengths in pixels.

    Raises:
        ValueError: If a box has no area.
    """
    width, height = box_xyxy[..., 2] - box_xyxy[..., 0], box_xyxy[..., 3] - box_xyxy[..., 1]
    if not ((width > 0) & (height > 0)).all():
        bad = box_xyxy[~((width > 0) & (height > 0))].reshape(-1, 4)[0]
        raise ValueError(f'box_xyxy must have an area, got {bad.tolist()}')
    margin = context * (width + height)
    return ((width + margin) * (height + margin)) ** 0.5


def square_window(center: Sequence[float], side: float) -> np.ndarray:
    """(4,) corners of the square of a side around a centre (x, y), all in pixels."""
    (x, y), half = center, side / 2
    return np.array([x - half, y - half, x + half, y + half])


def box_in_window(box_xyxy: np.ndarray, window_xyxy: Sequence[float], size: int) -> np.ndarray:
    """(..., 4) boxes of an image, in the pixels of the crop that `crop_and_resize` makes of the window."""
    x1, y1, x2, y2 = window_xyxy
    scale_x, scale_y = size / (x2 - x1), size / (y2 - y1)
    return (box_xyxy - np.array([x1, y1, x1, y1])) * np.array([scale_x, scale_y, scale_x, scale_y])


def pixel_window(center: Sequence[float], side: float) -> np.ndarray:
    """(4,) corners of the square that PySOT's tracker cuts: its side and its first pixel are whole numbers.

    Args:
        center: x and y counted from the middle of the first pixel, as PySOT does.
        side: Pixels; rounded to even at one half, as Python does.
    """
    side = round(side)
    left, top = (math.floor(value - (side + 1) / 2 + 0.5) for value in center)
    return np.array([left, top, left + side, top + side], np.float64)


def crop_and_resize(image: np.ndarray, window_xyxy: np.ndarray, size: int, padding: Sequence[float] = (0, 0, 0),
                    origin: Sequence[int] = (0, 0), align: Optional[str] = None) -> np.ndarray:
    """Cut a window out of an image and bring it to a square, in one bilinear warp.

    A window that lies in the image and starts on whole pixels takes OpenCV's `resize`, in half the time. The results differ by
    rounding, and in their outermost pixels when enlarging: there `resize` repeats the border, as PySOT's tracker does.

    Args:
        image: (H, W, 3) uint8.
        window_xyxy: (4,) corners of the window in pixels; it may leave the image and need not be square.
        size: Side of the result in pixels.
        padding: Colour outside the image.
        origin: x and y of the image's first pixel, where the image is a part of the one that the window is measured in.
        align: 'pixel' cuts whole pixels first and resizes only them, as PySOT's tracker does; the window is `pixel_window`'s.

    Returns:
        (size, size, 3) uint8.
    """
    if align == 'pixel':
        return _crop_pixels(image, window_xyxy, size, padding)
    x1, y1, x2, y2 = (float(value) for value in window_xyxy)
    step_x, step_y = (x2 - x1) / size, (y2 - y1) / size
    if x1.is_integer() and y1.is_integer():
        left, top = int(x1) - origin[0], int(y1) - origin[1]
        right, bottom = math.ceil(x2) - origin[0], math.ceil(y2) - origin[1]
        if left >= 0 and top >= 0 and right <= image.shape[1] and bottom <= image.shape[0]:  # one more where the image has it
            return cv2.resize(image[top:bottom + 1, left:right + 1], None, fx=1 / step_x, fy=1 / step_y)[:size, :size]
    left, top = (max(int(corner - first) - 2, 0) for corner, first in zip((x1, y1), origin))  # bilinear looks 1 further
    right, bottom = (max(int(corner - first) + 3, 1) for corner, first in zip((x2, y2), origin))
    part = image[top:bottom, left:right]
    if not part.size:
        return np.full((size, size, 3), np.clip(np.rint(padding), 0, 255), dtype=np.uint8)
    # OpenCV counts from the middle of the first pixel, we from its corner
    x0, y0 = x1 - origin[0] - left + step_x / 2 - 0.5, y1 - origin[1] - top + step_y / 2 - 0.5
    part = cv2.cvtColor(part, cv2.COLOR_BGR2BGRA)  # OpenCV warps four channels in half the time of three
    crop = cv2.warpAffine(part, np.array([[step_x, 0, x0], [0, step_y, y0]]), (size, size),
                          flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_CONSTANT,
                          borderValue=tuple(float(value) for value in padding))
    return cv2.cvtColor(crop, cv2.COLOR_BGRA2BGR)


def _crop_pixels(image: np.ndarray, window_xyxy: np.ndarray, size: int, padding: Sequence[float]) -> np.ndarray:
    """Whole pixels of a window, the padding's fraction cut off, brought to a size by OpenCV's bilinear `resize`."""
    left, top, right, bottom = (int(value) for value in window_xyxy)
    height, width = image.shape[:2]
    part = image[max(top, 0):max(bottom, 0), max(left, 0):max(right, 0)]
    if part.shape[:2] != (bottom - top, right - left):
        if not part.size:
            return np.full((size, size, 3), np.asarray(padding).astype(np.uint8), np.uint8)
        border = max(-top, 0), max(bottom - max(height, top), 0), max(-left, 0), max(right - max(width, left), 0)
        part = cv2.copyMakeBorder(part, *border, cv2.BORDER_CONSTANT, value=tuple(int(value) for value in padding))
    return part if part.shape[:2] == (size, size) else cv2.resize(part, (size, size))
