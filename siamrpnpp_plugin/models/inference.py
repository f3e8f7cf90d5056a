"""A trained network made ready to track as fast as the machine allows: same outputs, less arithmetic."""

from typing import Optional

import torch
from mmcv.cnn import fuse_conv_bn
from torch import Tensor, nn

from ..ops.winograd import POINTS, tile_matrices, transform_kernels, winograd_conv2d
from .gpu_layers import fuse_layers

TRANSFORM_COST = 110  # products that take as long as transforming one number, there or back (measured, AVX512)
GPU_TOLERANCE = {torch.float32: 4e-3, torch.float16: 0.03, torch.bfloat16: 0.12}  # of the maps' largest value; float32 is TF32
MIN_SAVING = 1.25  # estimated time of the direct convolution over that of the tiles, below which it stays


class WinogradConv2d(nn.Module):
    """A convolution of stride 1 by minimal filtering, see `ops.winograd`; for inference only.

    Args:
        conv: The convolution: square kernel, zero padding, one group.
        tile: Side m of the output tiles; m + k - 1 must be one of `ops.winograd.POINTS`.
    """

    def __init__(self, conv: nn.Conv2d, tile: int) -> None:
        super().__init__()
        self.kernel_size, self.padding, self.dilation, self.tile = conv.kernel_size, conv.padding, conv.dilation, tile
        self.in_channels, self.out_channels = conv.in_channels, conv.out_channels
        self.register_buffer('kernels', transform_kernels(conv.weight.detach(), tile))
        self.register_buffer('bias', None if conv.bias is None else conv.bias.detach().view(-1, 1, 1))
        self._matrices: dict = {}

    def matrices(self, axis: int, size: int) -> tuple[Tensor, Tensor]:
        """`split` and `join` of a side of the map, axis 0 its height; remembered, since a tracker has few sizes."""
        key = axis, size, self.kernels.device, self.kernels.dtype
        if key not in self._matrices:
            side = tile_matrices(size, self.kernel_size[axis], self.padding[axis], self.dilation[axis], self.tile)
            self._matrices[key] = tuple(torch.from_numpy(matrix).to(self.kernels) for matrix in side[:2])
        return self._matrices[key]

    def forward(self, x: Tensor) -> Tensor:
        out = winograd_conv2d(x, self.kernels, self.matrices(0, x.shape[2]), self.matrices(1, x.shape[3]))
        return out if self.bias is None else out + self.bias


def best_tile(conv: nn.Conv2d, size: tuple[int, int], weight_growth: float) -> Optional[int]:
    """Side of the tiles with which a convolution of a (height, width) map takes the least time.

    Args:
        conv: A convolution.
        size: Height and width of its input.
        weight_growth: How many times the memory of its kernels it may take, (m + k - 1)^2 / k^2.

    Returns:
        None if the direct convolution is about as fast, or it is none that `WinogradConv2d` computes.
    """
    if (type(conv) is not nn.Conv2d or conv.kernel_size not in ((3, 3), (5, 5)) or conv.stride != (1, 1) or conv.groups > 1
            or conv.padding_mode != 'zeros' or isinstance(conv.padding, str)):
        return None
    kernel = conv.kernel_size[0]
    channels = conv.in_channels * conv.out_channels, conv.in_channels + conv.out_channels
    costs = {}
    for length in POINTS:
        tile, tiled, direct = length + 1 - kernel, 1, channels[0]
        if tile > 1 and length ** 2 <= weight_growth * kernel ** 2:
            for side, padding, dilation in zip(size, conv.padding, conv.dilation):
                matrices = tile_matrices(side, kernel, padding, dilation, tile)
                tiled, direct = tiled * len(matrices.split), direct * len(matrices.join) * kernel
            costs[tile] = tiled * (channels[0] + TRANSFORM_COST * channels[1]) / direct
    tile = min(costs, key=costs.get, default=None)
    return tile if tile is not None and costs[tile] * MIN_SAVING < 1 else None


@torch.inference_mode()
def optimize_for_inference(model: nn.Module, search_size: int, template_size: int = 127, weight_growth: float = 8,
                           gpu_dtype: Optional[torch.dtype] = None) -> nn.Module:
    """Fold batch norms into the convolutions before them, and compute large convolutions by minimal filtering.

    On a CPU this is faster than a direct convolution can be: that takes the machine's full rate of arithmetic. On a GPU the
    batch norms are folded, the maps get their channels last, and the tracker plays its frames back as a CUDA graph.

    Args:
        model: A `SiamRPN`. It is changed: its weights cannot be trained or saved any more.
        search_size: Side of the search images in pixels.
        template_size: Side of the templates in pixels.
        weight_growth: How many times the memory of a kernel its transform may take: 7.2 is the most that is of use, 4 and 1.8
            are slower and leaner, 1 keeps all convolutions direct.
        gpu_dtype: Numbers that a GPU computes the maps with; None: float16, or bfloat16 for weights whose maps leave its range.
            Boxes are decoded and chosen in float32 and float64 as ever.

    Returns:
        The model, in evaluation mode.

    Raises:
        ValueError: If its outputs are other ones now: a network in which a batch norm does not follow the convolution that was
            registered before it, or `gpu_dtype` does not do. The model is of no use then.
    """
    device = next(model.eval().parameters()).device
    generator = torch.Generator().manual_seed(0)
    template, search = (torch.randint(0, 256, (1, side, side, 3), generator=generator, dtype=torch.uint8)
                        for side in (template_size, search_size))

    def run() -> tuple[Tensor, Tensor]:
        kernels = model.template_kernels(model.prepare_images(template))
        sizes.clear()  # of what runs on every frame
        return model.correlate(kernels, model.prepare_images(search))

    sizes: dict = {}
    handles = [module.register_forward_pre_hook(lambda conv, inputs: sizes.update({conv: tuple(inputs[0].shape[2:])}))
               for module in model.modules() if isinstance(module, nn.Conv2d)]
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # to tell rounding from another function
        before = run()
        for handle in handles:
            handle.remove()
        fuse_conv_bn(model)
        if device.type == 'cpu':
            _filter_convolutions(model, sizes, weight_growth)
        elif device.type == 'cuda':
            fuse_layers(model)
        if not _agree(run(), before, 1e-3):
            raise ValueError('batch norms of this network cannot be folded: its outputs change, and it is of no use any more. '
                             'Load it again, and use it as it is, without fast')
    if device.type == 'cuda':
        dtypes = (torch.float16, torch.bfloat16) if gpu_dtype is None else (gpu_dtype, )
        # anchors, a part of the head without parameters, stay float32
        parts = (model.backbone, model.neck, *model.head.children())
        weights = [(part, part.state_dict()) for part in parts if part is not None and next(part.parameters(), None) is not None]
        for dtype in dtypes:
            for part, values in weights:
                part.to(dtype, memory_format=torch.channels_last).load_state_dict(values)
            if _agree(run(), before, GPU_TOLERANCE.get(dtype, 1e-3)):
                break
        else:
            raise ValueError(f'the outputs of this network change too much in {dtype}, and it is of no use any more. Load it '
                             'again, and use it as it is, without fast')
        model.use_cuda_graphs = True
    return model.requires_grad_(False)


def _filter_convolutions(model: nn.Module, sizes: dict, weight_growth: float) -> None:
    """Put a `WinogradConv2d` wherever one is faster; `sizes` has (height, width) of the input by convolution."""
    for parent in list(model.modules()):
        for name, conv in list(parent.named_children()):
            tile = best_tile(conv, sizes[conv], weight_growth) if conv in sizes else None
            if tile is not None:
                setattr(parent, name, WinogradConv2d(conv, tile))


def _agree(maps: tuple, expected: tuple, tolerance: float) -> bool:
    """Whether maps differ by no more than a share of the largest value."""
    return all((ours - theirs).abs().max() <= tolerance * theirs.abs().max() for ours, theirs in zip(maps, expected))
