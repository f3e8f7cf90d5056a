"""Convolution with fewer multiplications: Winograd's minimal filtering, also of dilated kernels (Lavin and Gray 2016).

An output tile of m x m pixels takes (m + k - 1)^2 products per pair of channels instead of m^2 k^2: for m = 4 and k = 3 a quarter
of them. Transforms of rows and columns are matrices of the map's whole side, so that padding, dilation and the cut into tiles
are part of them, and everything is a matrix product.

B batch; C, K channels in and out; k kernel side, m tile side, n = m + k - 1; T tiles along a side.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

# Interpolation points by n, with infinity beside them: of many small fractions those with the least rounding. In float32,
# relative to the largest of 256 channels' outputs: n = 4 4e-7, n = 6 2e-6, n = 8 9e-6; a direct convolution 2e-7.
POINTS = {4: (0, 1, -1),
          6: (0, Fraction(3, 4), -Fraction(3, 4), Fraction(3, 2), -Fraction(3, 2)),
          8: (0, Fraction(1, 2), -Fraction(1, 2), 1, -1, Fraction(5, 3), -Fraction(5, 3))}


def minimal_filter(tile: int, kernel: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The matrices of F(m, k) by Toom and Cook: out = A^T ((G w) * (B^T x)) is the correlation of x (n,) with w (k,).

    Args:
        tile: Outputs m.
        kernel: Taps k; n = m + k - 1 must be one of `POINTS`.

    Returns:
        A^T (m, n), G (n, k) and B^T (n, n), float64.

    Raises:
        ValueError: If there are no points for n.
    """
    length = tile + kernel - 1
    if length not in POINTS:
        raise ValueError(f'a tile of {tile} and a kernel of {kernel} need {length} points; there are some for {sorted(POINTS)}')
    points = [Fraction(point) for point in POINTS[length]]

    def coefficients(roots: Sequence[Fraction]) -> list:
        """Of the polynomial with these roots, lowest power first."""
        result = [Fraction(1)]
        for root in roots:
            result = [low - root * high for low, high in zip([Fraction(0), *result], [*result, Fraction(0)])]
        return result

    others = [points[:index] + points[index + 1:] for index in range(len(points))]
    scales = [np.prod([point - other for other in rest]) for point, rest in zip(points, others)]
    output = [[point ** power for point in points] + [int(power == tile - 1)] for power in range(tile)]
    weight = [[point ** power / scale for power in range(kernel)] for point, scale in zip(points, scales)]
    weight.append([int(power == kernel - 1) for power in range(kernel)])
    data = [[*coefficients(rest), Fraction(0)] for rest in others] + [coefficients(points)]
    return tuple(np.array(matrix, np.float64) for matrix in (output, weight, data))


class TileMatrices(NamedTuple):
    """The transforms of one side of a map."""

    split: np.ndarray  # (n * T, size): from pixels to transformed tiles, row (a, t)
    join: np.ndarray  # (out, n * T): from transformed products to pixels
    tiles: int  # T


def tile_matrices(size: int, kernel: int, padding: int, dilation: int, tile: int) -> TileMatrices:
    """The transforms of one side of a map of `size` pixels, stride 1.

    A dilated kernel sees `dilation` interleaved maps one after the other; each is cut into tiles of its own.

    Raises:
        ValueError: If the padded map is smaller than the dilated kernel.
    """
    output, _, data = minimal_filter(tile, kernel)
    length, out_size = tile + kernel - 1, size + 2 * padding - dilation * (kernel - 1)
    if out_size < 1:
        raise ValueError(f'a map of {size} with padding {padding} is smaller than a kernel of {kernel} with dilation {dilation}')
    starts = [first + step * tile * dilation for first in range(min(dilation, out_size))
              for step in range(-(-len(range(first, out_size, dilation)) // tile))]
    split, join = np.zeros((length, len(starts), size)), np.zeros((out_size, length, len(starts)))
    for index, start in enumerate(starts):
        for tap in range(length):
            pixel = start + tap * dilation - padding
            if 0 <= pixel < size:
                split[:, index, pixel] = data[:, tap]
        for row in range(tile):
            if start + row * dilation < out_size:
                join[start + row * dilation, :, index] = output[row]
    return TileMatrices(split.reshape(-1, size), join.reshape(out_size, -1), len(starts))


def transform_kernels(weight: Tensor, tile: int) -> Tensor:
    """(K, C, k, k) kernels -> (n * n, K, C), computed in float64."""
    matrix = torch.from_numpy(minimal_filter(tile, weight.shape[-1])[1]).to(weight.device)
    kernels = torch.einsum('ai,bj,kcij->abkc', matrix, matrix, weight.double())
    return kernels.flatten(0, 1).to(weight.dtype).contiguous()


def winograd_conv2d(x: Tensor, kernels: Tensor, rows: tuple[Tensor, Tensor], columns: tuple[Tensor, Tensor]) -> Tensor:
    """A convolution of stride 1 without bias.

    Args:
        x: (B, C, H, W).
        kernels: (n * n, K, C), from `transform_kernels`.
        rows: `split` and `join` of `tile_matrices` for H.
        columns: The same for W.

    Returns:
        (B, K, H', W'); as a direct convolution up to rounding, see `POINTS`.
    """
    length = round(len(kernels) ** 0.5)
    tiles_y, tiles_x = len(rows[0]) // length, len(columns[0]) // length
    data = rows[0] @ x @ columns[0].T  # (B, C, n * T, n * T)
    data = data.unflatten(3, (length, tiles_x)).unflatten(2, (length, tiles_y)).permute(0, 2, 4, 1, 3, 5)
    products = kernels @ data.flatten(4).flatten(1, 2)  # (B, n * n, K, T * T)
    products = products.unflatten(3, (tiles_y, tiles_x)).unflatten(1, (length, length)).permute(0, 3, 1, 4, 2, 5)
    return rows[1] @ products.flatten(4).flatten(2, 3) @ columns[1].T
