"""Augmentations of a pair, with the distributions of PySOT (`pysot/datasets/augmentation.py`) and uint8 to the end.

A transform takes the two views of a pair by name and a generator, and returns the views. One transform draws once: the views it
names get the same change. For independent changes name it twice.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Union

import cv2
import numpy as np

from ..ops.crop import box_in_window, crop_and_resize
from ..registry import TRANSFORMS
from .jpeg import EncodedImage

# Directions of colour noise times their strength, rows R, G, B
_COLOR_NOISE = np.array([[-.55919361, .98062831, -.41940627], [1.72091413, .19879334, -1.82968581],
                         [4.64467907, 4.73710203, 4.88324118]])


@dataclass(frozen=True)
class View:
    """One image of a pair on its way from the store to the network."""

    image: Union[EncodedImage, np.ndarray]  # (H, W, 3) uint8 BGR once it is decoded
    box_xyxy: np.ndarray  # (4,) float64 pixels of the image

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        if isinstance(self.image, EncodedImage):
            return self.image.width, self.image.height
        return self.image.shape[1], self.image.shape[0]


class PairTransform:
    """Base of the transforms: applies one draw to some views.

    Args:
        keys: Views that are changed: `template`, `search`.
        prob: Probability of the change.

    Raises:
        ValueError: If there is no key, or the probability is not in [0, 1].
    """

    def __init__(self, keys: Sequence[str] = ('template', 'search'), prob: float = 1.0) -> None:
        self.keys = (keys, ) if isinstance(keys, str) else tuple(keys)
        self.prob = prob
        if not self.keys or not set(self.keys) <= {'template', 'search'}:
            raise ValueError(f"keys of {type(self).__name__} must be of 'template' and 'search', got {keys}")
        if not 0 <= prob <= 1:
            raise ValueError(f'prob of {type(self).__name__} must be in [0, 1], got {prob}')

    def __call__(self, views: dict[str, View], rng: np.random.Generator) -> dict[str, View]:
        """The views, those named in `keys` changed."""
        if rng.random() >= self.prob:
            return views
        params = self.draw(rng)
        return {key: self.apply(self._decoded(view), params) if key in self.keys else view for key, view in views.items()}

    def _decoded(self, view: View) -> View:
        """The view with pixels."""
        return View(view.image.pixels(), view.box_xyxy) if isinstance(view.image, EncodedImage) else view

    def draw(self, rng: np.random.Generator) -> Any:
        """The random part of the change."""
        return None

    def apply(self, view: View, params: Any) -> View:
        """The change."""
        raise NotImplementedError


@TRANSFORMS.register_module()
class ShiftScaleCrop(PairTransform):
    """Cut the network's input out of a stored crop: from JPEG to the final image with one warp of the pixels it needs.

    The window has the side `size` times 1 + U(-1, 1) * scale, independently in x and y, and its middle is that of the crop moved
    by U(-1, 1) * shift; it never leaves the crop. Of the shifts only those count that start the window on a whole pixel: the
    scale, which is continuous, spreads them evenly, and the warp takes half the time.

    Args:
        keys: Views that are cut.
        size: Side of the result in pixels: 127 for the template, 255 for the search image.
        shift: Largest shift in pixels of the stored crop.
        scale: Largest relative change of scale, in [0, 1).

    Raises:
        ValueError: If a number is out of range.
    """

    def __init__(self, keys: Sequence[str], size: int, shift: float = 0, scale: float = 0) -> None:
        super().__init__(keys)
        if size < 1 or shift < 0 or not 0 <= scale < 1:
            raise ValueError(f'ShiftScaleCrop needs size >= 1, shift >= 0 and scale in [0, 1), got {size}, {shift}, {scale}')
        self.size, self.shift, self.scale = size, shift, scale

    def _decoded(self, view: View) -> View:
        return view  # `apply` decodes only the part that it needs

    def draw(self, rng: np.random.Generator) -> list:
        return rng.random(4).tolist()

    def apply(self, view: View, params: list) -> View:
        starts, ends = [], []
        for full, scale, shift in zip(view.size, params[:2], params[2:]):
            side = min(self.size * (1 + (2 * scale - 1) * self.scale), full)
            middle = (full - side) / 2  # where the window starts without shift
            first, last = math.ceil(max(middle - self.shift, 0)), math.floor(min(middle + self.shift, full - side))
            start = first + int(shift * (last - first + 1)) if last >= first else middle
            starts.append(start)
            ends.append(start + side)
        window = (*starts, *ends)
        image, origin = view.image.region(window) if isinstance(view.image, EncodedImage) else (view.image, (0, 0))
        return View(crop_and_resize(image, window, self.size, origin=origin), box_in_window(view.box_xyxy, window, self.size))


@TRANSFORMS.register_module()
class RandomGray(PairTransform):
    """Take the colour away (PySOT: with probability 0, for OTB 0.2; the seed: 0.25; both views alike)."""

    def apply(self, view: View, params: None) -> View:
        gray = cv2.cvtColor(view.image, cv2.COLOR_BGR2GRAY)
        return View(cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR), view.box_xyxy)


@TRANSFORMS.register_module()
class ColorPCA(PairTransform):
    """Shift the colour of the whole image along the principal directions of natural colours (Krizhevsky et al. 2012)."""

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        return _COLOR_NOISE @ rng.standard_normal(3)

    def apply(self, view: View, params: np.ndarray) -> View:
        # BGR; of uint8 pixels, rounding before or after the subtraction is the same
        offsets = [round(offset) for offset in params[::-1].tolist()]
        image = view.image
        if max(offsets) > 0:  # a scalar of one sign stays on OpenCV's fast path for uint8
            image = cv2.subtract(image, (*(max(offset, 0) for offset in offsets), 0))
        if min(offsets) < 0:
            image = cv2.add(image, (*(max(-offset, 0) for offset in offsets), 0))
        return View(image, view.box_xyxy)


@TRANSFORMS.register_module()
class MotionBlur(PairTransform):
    """Blur with a cross: a column and a row of one odd length, with random shares.

    Args:
        keys: Views that are blurred.
        prob: Probability.
        sizes: Shortest and longest length in pixels, both odd.

    Raises:
        ValueError: If the sizes are not odd, or out of order.
    """

    def __init__(self, keys: Sequence[str] = ('search', ), prob: float = 0.2, sizes: tuple[int, int] = (5, 45)) -> None:
        super().__init__(keys, prob)
        shortest, longest = sizes
        if not 1 <= shortest <= longest or shortest % 2 == 0 or longest % 2 == 0:
            raise ValueError(f'sizes of MotionBlur must be two odd numbers in order, got {sizes}')
        self.sizes = np.arange(shortest, longest + 1, 2)

    def draw(self, rng: np.random.Generator) -> tuple[int, float]:
        return int(rng.choice(self.sizes)), rng.random()

    def apply(self, view: View, params: tuple[int, float]) -> View:
        size, share = params
        column, row = cv2.blur(view.image, (1, size)), cv2.blur(view.image, (size, 1))
        return View(cv2.addWeighted(column, share, row, 1 - share, 0), view.box_xyxy)


@TRANSFORMS.register_module()
class RandomFlip(PairTransform):
    """Mirror left and right; the box follows."""

    def apply(self, view: View, params: None) -> View:
        xmin, ymin, xmax, ymax = view.box_xyxy
        width = view.size[0]
        return View(cv2.flip(view.image, 1), np.array([width - xmax, ymin, width - xmin, ymax]))


def stored_view(data: bytes, target_size: np.ndarray) -> View:
    """The view of a stored crop: not decoded yet, its target in the middle.

    Args:
        data: JPEG.
        target_size: (2,) width and height of the target in pixels of the crop.

    Raises:
        JPEGError: If it is no JPEG.
    """
    image = EncodedImage(data)
    (width, height), middle_x, middle_y = (target_size / 2).tolist(), image.width / 2, image.height / 2
    return View(image, np.array([middle_x - width, middle_y - height, middle_x + width, middle_y + height]))
