"""Anchors: the boxes that every cell of the score map offers."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..registry import TASK_UTILS


@TASK_UTILS.register_module()
class AnchorGenerator(nn.Module):
    """Anchors of a Siamese RPN: A shapes in every cell, the grid centred on the search image.

    The sizes are rounded as in PySOT (and so in all its published weights): with base size s = stride, w = int(sqrt(s * s / r))
    and h = int(w * r), times the scale. mmtracking rounds h differently, see `state_dicts.from_mmtracking`.

    The middle of the grid is `search_size // 2`, 127 for 255: the index of the middle pixel. A target that sits in the middle of
    the search image has this centre in the boxes that go with these anchors.

    Args:
        stride: Pixels between cells, and base size.
        ratios: Height over width of each shape.
        scales: Factors on the base size; shapes are ordered by ratio, then by scale.

    Raises:
        ValueError: If a number is not positive.
    """

    def __init__(self, stride: int = 8, ratios: Sequence[float] = (0.33, 0.5, 1, 2, 3), scales: Sequence[float] = (8, )) -> None:
        super().__init__()
        for name, values in (('stride', (stride, )), ('ratios', ratios), ('scales', scales)):
            if not values or not all(value > 0 for value in values):
                raise ValueError(f'{name} of AnchorGenerator must be positive, got {values}')
        self.stride, self.ratios, self.scales = stride, tuple(ratios), tuple(scales)
        sizes = []
        for ratio in ratios:
            width = int(math.sqrt(stride * stride / ratio))
            height = int(width * ratio)
            if not width or not height:
                raise ValueError(f'ratio {ratio} of AnchorGenerator gives an anchor without area at stride {stride}')
            sizes += [(width * scale, height * scale) for scale in scales]
        self.register_buffer('sizes', torch.tensor(sizes, dtype=torch.float32), persistent=False)

    @property
    def num_anchors(self) -> int:
        """Anchors per cell."""
        return len(self.sizes)

    def grid(self, map_size: tuple[int, int], center: float = 0) -> Tensor:
        """All anchors of a score map.

        Args:
            map_size: Height H and width W of the score map in cells.
            center: x and y in pixels of cell (H // 2, W // 2); 0 gives offsets from the middle of the search image.

        Returns:
            (A, H, W, 4) centre and size in pixels, on the device of this module.
        """
        (height, width), sizes = map_size, self.sizes.float()  # also in a bfloat16 model
        ys = (torch.arange(height, device=sizes.device, dtype=sizes.dtype) - height // 2) * self.stride + center
        xs = (torch.arange(width, device=sizes.device, dtype=sizes.dtype) - width // 2) * self.stride + center
        shape = (len(sizes), height, width)
        return torch.stack((xs.expand(shape), ys[:, None].expand(shape), sizes[:, 0, None, None].expand(shape),
                            sizes[:, 1, None, None].expand(shape)), dim=-1)
