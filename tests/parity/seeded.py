"""Inputs that PySOT's side and ours draw alike: weights, images, labels and boxes from NumPy's frozen legacy generator."""

import zlib

import numpy as np
import torch

# name -> (PySOT's experiment, our config, search size)
NETWORKS = {
    'r50': ('siamrpn_r50_l234_dwxcorr', 'siamrpnpp_r50_pysot.py', 255),
    'r50_otb': ('siamrpn_r50_l234_dwxcorr_otb', 'siamrpnpp_r50_pysot_otb.py', 255),
    'r50_lt': ('siamrpn_r50_l234_dwxcorr_lt', 'siamrpnpp_r50_pysot_lt.py', 255),
    'mobilenetv2': ('siamrpn_mobilev2_l234_dwxcorr', 'siamrpnpp_mobilenetv2_pysot.py', 255),
    'alexnet': ('siamrpn_alex_dwxcorr', 'siamrpn_alexnet_pysot.py', 287),
    'alexnet_upchannel': ('siamrpn_alex_dwxcorr', 'siamrpn_alexnet_upchannel.py', 255),
}

TRAINED = ('mobilenetv2', 'alexnet')  # compared in training mode too

# ResNets by name -> (PySOT's constructor, arguments of ours)
BACKBONES = {
    'resnet18': ('resnet18', dict(type='ResNet', depth=18, first_block='half')),
    'resnet34': ('resnet34', dict(type='ResNet', depth=34, first_block='half')),
}

# xyxy in a 255 search image: plain, small, large, of aspect 6 both ways, at the border, across it, far outside, on a half pixel
BOXES = np.array([
    [95, 95, 159, 159], [80.3, 110.7, 170.9, 150.2], [120, 120, 126, 125], [10, 5, 250, 249], [107, 37, 137, 217],
    [37, 112, 217, 142], [0, 0, 60, 70], [200, 190, 290, 280], [-40, -60, 50, 30], [300, 300, 380, 390],
    [126.5, 126.5, 191, 221.5], [63.25, 40.5, 103.75, 122.25]])

# how the labels of the loss cases are drawn
LOSS_CASES = ('usual', 'no_positive', 'no_negative', 'all_ignored', 'one_positive', 'one_negative')


def generator(seed: int, name: str) -> np.random.RandomState:
    return np.random.RandomState((zlib.crc32(name.encode()) ^ seed) & 0xffffffff)


def weights(shapes: dict, seed: int) -> dict:
    """A state dict with PySOT's names; residual branches are small, so that values stay moderate through 50 layers."""
    tensors = {}
    for key, shape in shapes.items():
        rng = generator(seed, key)
        if key.endswith('num_batches_tracked'):
            tensors[key] = torch.tensor(seed, dtype=torch.int64)
            continue
        if len(shape) == 4:
            value = rng.randn(*shape) * np.sqrt(2 / np.prod(shape[1:]))
            if shape[1] == 3:
                value /= 100
        elif key.endswith('running_var'):
            value = rng.uniform(0.5, 1.5, shape)
        elif key.endswith(('cls_weight', 'loc_weight')):
            value = rng.randn(*shape)
        elif key.endswith('weight'):
            value = rng.uniform(0.5, 1.5, shape) * (0.2 if key.endswith(('bn3.weight', 'conv.7.weight')) else 1)
        else:
            value = rng.randn(*shape) * 0.1
        tensors[key] = torch.from_numpy(np.asarray(value, dtype=np.float32))
    return tensors


def images(size: int, seed: int, batch: int = 2) -> torch.Tensor:
    """Smooth random BGR images 0-255: (batch, 3, size, size) float32 with whole numbers."""
    coarse = generator(seed, f'image{size}').randint(0, 256, (batch, 3, 9, 9)).astype(np.float32)
    smooth = torch.nn.functional.interpolate(torch.from_numpy(coarse), (size, size), mode='bilinear', align_corners=False)
    return smooth.round()


def sample(tensor: torch.Tensor, name: str, count: int = 256) -> np.ndarray:
    """Values of `tensor` at fixed random places."""
    flat = tensor.detach().reshape(-1).numpy()
    return flat[generator(0, name).randint(0, flat.size, count)].astype(np.float32)


def loss_inputs(case: str, seed: int) -> dict:
    """Network outputs, labels, deltas and weights of a batch of 4 on a 25x25 map with 5 anchors."""
    rng = generator(seed, f'loss{case}')
    batch, num_anchors, size = 4, 5, 25
    labels = -np.ones((batch, num_anchors, size, size), dtype=np.int64)
    flat = labels.reshape(batch, -1)
    for index in range(batch):
        order = rng.permutation(flat.shape[1])
        if case in ('usual', 'no_negative'):
            flat[index, order[:(16, 3, 0, 1)[index]]] = 1
        if case in ('usual', 'no_positive', 'one_positive'):
            flat[index, order[100:100 + (48, 48, 16, 48)[index]]] = 0
    if case == 'one_positive':
        flat[2, np.flatnonzero(flat[2] < 0)[7]] = 1
    if case == 'one_negative':
        flat[1, 5:20] = 1
        flat[3, 11] = 0
    positive = (labels == 1).astype(np.float32)
    count = positive.reshape(batch, -1).sum(axis=1).reshape(batch, 1, 1, 1)
    return dict(
        cls=torch.from_numpy(rng.randn(batch, 2 * num_anchors, size, size).astype(np.float32) * 3),
        loc=torch.from_numpy(rng.randn(batch, 4 * num_anchors, size, size).astype(np.float32)),
        labels=torch.from_numpy(labels),
        deltas=torch.from_numpy(rng.randn(batch, 4, num_anchors, size, size).astype(np.float32)),
        weights=torch.from_numpy((positive / (count + 1e-6)).astype(np.float32)))
