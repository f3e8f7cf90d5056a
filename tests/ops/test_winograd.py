"""Minimal filtering gives what a direct convolution gives."""

import numpy as np
import pytest
import torch

from siamrpnpp_plugin.ops.winograd import minimal_filter, tile_matrices, transform_kernels, winograd_conv2d


@pytest.mark.parametrize(('tile', 'kernel'), [(2, 3), (4, 3), (6, 3), (2, 5), (4, 5)])
def test_minimal_filter_is_a_correlation(tile, kernel):
    rng = np.random.default_rng(0)
    data, weight = rng.standard_normal(tile + kernel - 1), rng.standard_normal(kernel)
    output, weights, inputs = minimal_filter(tile, kernel)
    assert np.allclose(output @ ((weights @ weight) * (inputs @ data)), np.correlate(data, weight), atol=1e-12)


def test_the_published_matrices_of_f_2_3_up_to_the_scale_of_rows():
    _, weights, inputs = minimal_filter(2, 3)  # Lavin and Gray 2016, equation 8, points in the order 0, 1, -1, infinity
    published = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]], float)
    ratios = [row[np.flatnonzero(other)[0]] / other[np.flatnonzero(other)[0]] for row, other in zip(inputs, published)]
    assert np.allclose(inputs, published * np.array(ratios)[:, None])
    assert np.allclose(weights[1] / weights[1, 0], [1, 1, 1])


@pytest.mark.parametrize(('tile', 'kernel', 'padding', 'dilation', 'size'), [
    (4, 3, 1, 1, (31, 31)),  # a map that the tiles do not divide
    (4, 3, 2, 2, (31, 31)),  # conv4: four interleaved maps, of 16 and 15 rows
    (4, 3, 4, 4, (31, 31)),  # conv5: sixteen
    (6, 3, 0, 1, (31, 29)),  # the head's, not square
    (2, 3, 0, 4, (9, 10)),  # fewer outputs in one direction than interleaved maps
    (4, 5, 0, 1, (32, 32)),  # AlexNet's second layer
    (2, 5, 3, 1, (8, 8)),
])
def test_equals_a_direct_convolution_in_float64(tile, kernel, padding, dilation, size):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, *size, generator=generator, dtype=torch.float64)
    weight = torch.randn(5, 3, kernel, kernel, generator=generator, dtype=torch.float64)
    rows, columns = ([torch.from_numpy(matrix) for matrix in tile_matrices(side, kernel, padding, dilation, tile)[:2]]
                     for side in size)
    expected = torch.nn.functional.conv2d(x, weight, padding=padding, dilation=dilation)
    torch.testing.assert_close(winograd_conv2d(x, transform_kernels(weight, tile), rows, columns), expected, atol=1e-10, rtol=0)


@pytest.mark.parametrize(('tile', 'bound'), [(2, 1e-6), (4, 5e-6), (6, 3e-5)])
def test_rounding_in_float32_is_small(tile, bound):
    generator = torch.Generator().manual_seed(0)
    x, weight = torch.randn(1, 256, 31, 31, generator=generator).relu(), torch.randn(64, 256, 3, 3, generator=generator)
    matrices = [torch.from_numpy(matrix).float() for matrix in tile_matrices(31, 3, 1, 1, tile)[:2]]
    exact = torch.nn.functional.conv2d(x.double(), weight.double(), padding=1)
    error = (winograd_conv2d(x, transform_kernels(weight, tile), matrices, matrices) - exact).abs().max() / exact.abs().max()
    assert error < bound


def test_unknown_tiles_and_small_maps_are_refused():
    with pytest.raises(ValueError, match='need 9 points'):
        minimal_filter(7, 3)
    with pytest.raises(ValueError, match='smaller than a kernel'):
        tile_matrices(4, 3, 0, 2, 4)
