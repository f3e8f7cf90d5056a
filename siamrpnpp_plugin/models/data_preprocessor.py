"""From the loader's uint8 images to what the weights expect, on the device."""

from collections.abc import Sequence
from typing import Optional

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from ..registry import MODELS


@MODELS.register_module()
class PairDataPreprocessor(BaseDataPreprocessor):
    """Move a batch `{template, search, box_xyxy, is_positive}` to the device and normalise its images there.

    Images are BGR 0-255, as OpenCV reads them. The defaults leave the values as they are, which PySOT's weights expect;
    torchvision's take `bgr_to_rgb=True` with the ImageNet mean and std.

    Args:
        mean: Three numbers on the 0-255 scale subtracted per channel, in the order after `bgr_to_rgb`; None subtracts nothing.
        std: Three positive numbers to divide by; None divides by nothing.
        bgr_to_rgb: Whether to reverse the channels.
        non_blocking: Whether copies to the device may overlap with computation.
        channels_last: Whether a batch is laid out with its channels last, and so all maps that come of it; None: on a GPU, whose
            convolutions are faster then.

    Raises:
        ValueError: If only one of mean and std is given, they have not three numbers, or a std is not positive.
    """

    keys = ('template', 'search', 'box_xyxy', 'is_positive', 'sample_seed')

    def __init__(self, mean: Optional[Sequence[float]] = None, std: Optional[Sequence[float]] = None, bgr_to_rgb: bool = False,
                 non_blocking: bool = True, channels_last: Optional[bool] = None) -> None:
        super().__init__(non_blocking)
        self.channels_last = channels_last
        if (mean is None) != (std is None):
            raise ValueError(f'PairDataPreprocessor needs mean and std together, got mean={mean}, std={std}')
        self.bgr_to_rgb = bgr_to_rgb
        self.has_norm = mean is not None
        if self.has_norm:
            if len(mean) != 3 or len(std) != 3 or not all(value > 0 for value in std):
                raise ValueError(f'mean and std of PairDataPreprocessor are three numbers each, std positive, got {mean}, {std}')
            self.register_buffer('mean', torch.tensor(mean, dtype=torch.float32).view(1, 3, 1, 1), persistent=False)
            self.register_buffer('std', torch.tensor(std, dtype=torch.float32).view(1, 3, 1, 1), persistent=False)

    def normalize(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) BGR images, uint8 or float 0-255 -> float32, normalised.

        Raises:
            ValueError: If the shape is another one.
        """
        if images.dim() != 4 or images.shape[1] != 3:
            raise ValueError(f'images must have shape (B, 3, H, W), got {tuple(images.shape)}')
        if self.bgr_to_rgb:
            images = images.flip(1)
        images = images.float()
        return (images - self.mean) / self.std if self.has_norm else images

    def forward(self, data: dict, training: bool = False) -> dict:
        """Cast a batch to the device and normalise `template` and `search`.

        Args:
            data: Tensors of the batch by name, or lists of a tensor per sample (mmengine's `pseudo_collate`), which are stacked.
            training: Not used.

        Returns:
            What the model takes: `template`, `search`, and those of `box_xyxy`, `is_positive` and `sample_seed` that `data` has.
            Other keys, such as a sample's name, are for hooks and stay behind.

        Raises:
            KeyError: If the batch lacks an image.
        """
        for key in ('template', 'search'):
            if key not in data:
                raise KeyError(f'the batch has no {key!r}, only {sorted(data)}')
        batch = {key: data[key] for key in self.keys if key in data}
        for key, value in batch.items():
            if isinstance(value, (list, tuple)):
                batch[key] = torch.stack([torch.as_tensor(item) for item in value])
        batch = self.cast_data(batch)
        for key in ('template', 'search'):
            images = batch[key]
            if self.channels_last or self.channels_last is None and images.is_cuda:
                images = images.contiguous(memory_format=torch.channels_last)
            batch[key] = self.normalize(images)
        return batch
