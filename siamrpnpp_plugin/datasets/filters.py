"""Which annotated boxes are good enough to train with."""

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class Filters:
    """What a box must be to be packed. The defaults keep every box.

    Args:
        min_size: Least length of the shorter side, pixels.
        max_aspect: Most that the longer side may be of the shorter; 0: any. An anchor of SiamRPN++ covers aspects up to about 5.
        min_area_share: Least share of the image's area, 0 ... 1.
        max_area_share: Largest share of the image's area; 0: any. Boxes that lie partly outside may have more than 1.
        skip_occluded: Whether to leave out boxes that are flagged as partly hidden.
        skip_generated: Whether to leave out boxes that were interpolated.

    Raises:
        ValueError: If a number is out of range.
    """

    min_size: float = 0
    max_aspect: float = 0
    min_area_share: float = 0
    max_area_share: float = 0
    skip_occluded: bool = False
    skip_generated: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) >= 0:  # false for NaN
                raise ValueError(f'{field.name} must not be negative, got {getattr(self, field.name)}')
        if 0 < self.max_aspect < 1:
            raise ValueError(f'max_aspect is longer over shorter side, at least 1, or 0 for any; got {self.max_aspect}')
        if 0 < self.max_area_share <= self.min_area_share:
            raise ValueError(f'no box has an area share above {self.min_area_share} and below {self.max_area_share}: change '
                             'min_area_share or max_area_share')

    def refuse(self, box_xyxy: np.ndarray, image_size: tuple[int, int], occluded: bool, generated: bool) -> str:
        """Why a box is left out, one of `FILTER_REASONS`; '' if it is not.

        Args:
            box_xyxy: (4,) pixels, with an area.
            image_size: Width and height in pixels.
            occluded: Its flag.
            generated: Its flag.
        """
        width, height = (box_xyxy[2:] - box_xyxy[:2]).tolist()
        share = width * height / (image_size[0] * image_size[1])
        refused = dict(skip_occluded=self.skip_occluded and occluded, skip_generated=self.skip_generated and generated,
                       min_size=min(width, height) < self.min_size,
                       max_aspect=self.max_aspect and max(width, height) > self.max_aspect * min(width, height),
                       min_area_share=share < self.min_area_share,
                       max_area_share=self.max_area_share and share > self.max_area_share)
        return next((f'filter {name}' for name, is_refused in refused.items() if is_refused), '')


FILTER_REASONS = {f'filter {field.name}' for field in fields(Filters)}
STILLS = Filters(min_size=10, max_aspect=6)  # a tracker's sides are at least 10 pixels; at aspect 6 no anchor reaches IoU 0.6
