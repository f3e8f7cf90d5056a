"""A model made ready for inference gives the same maps, with less arithmetic."""

import pytest
import torch
from conftest import ROOT, small_model_config
from mmcv.cnn import fuse_conv_bn
from mmengine import Config
from mmengine.registry import init_default_scope
from torch import nn

from siamrpnpp_plugin.models.gpu_layers import DepthwiseConv2d, FusedBlock, FusedConv2d, PointwiseConv2d, fuse_layers
from siamrpnpp_plugin.models.inference import WinogradConv2d, best_tile, optimize_for_inference
from siamrpnpp_plugin.registry import MODELS


def build(config: dict) -> nn.Module:
    """A model whose batch norms are not the identity."""
    init_default_scope('siamrpnpp_plugin')
    torch.manual_seed(0)
    model = MODELS.build(config).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.bias, 0, 0.1)
    return model


def maps(model: nn.Module, search_size: int) -> tuple:
    generator = torch.Generator().manual_seed(1)
    template, search = (torch.randint(0, 256, (2, 3, side, side), generator=generator).float() for side in (127, search_size))
    with torch.inference_mode():
        return model.correlate(model.template_kernels(template), search)


def filtered(model: nn.Module) -> list:
    return [module for module in model.modules() if isinstance(module, WinogradConv2d)]


@pytest.mark.parametrize(('name', 'search_size', 'convolutions'), [
    ('siamrpnpp_mobilenetv2_pysot', 255, 6),  # adj_2 and adj_4 of each level
    ('siamrpn_alexnet_pysot', 287, 6),  # the 5x5, three 3x3, adj_2 and adj_4
    ('siamrpn_alexnet_upchannel', 287, 6),
    pytest.param('siamrpnpp_r50_pysot', 255, 20, marks=pytest.mark.slow),
])
def test_the_maps_are_the_same(name, search_size, convolutions):
    model = build(Config.fromfile(ROOT / 'configs' / f'{name}.py').model)
    before = maps(model, search_size)
    assert optimize_for_inference(model, search_size) is model
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    assert len(filtered(model)) >= convolutions
    for after, expected in zip(maps(model, search_size), before):
        assert (after - expected).abs().max() < 2e-5 * expected.abs().max()


@pytest.mark.parametrize(('name', 'layers'), [
    ('siamrpnpp_mobilenetv2_pysot', (FusedConv2d, PointwiseConv2d, DepthwiseConv2d)),
    ('siamrpn_alexnet_pysot', (FusedConv2d, PointwiseConv2d)),
    (None, (FusedConv2d, PointwiseConv2d, FusedBlock)),  # ResNet-18
    pytest.param('siamrpnpp_r50_pysot', (FusedConv2d, PointwiseConv2d, FusedBlock), marks=pytest.mark.slow),
])
def test_layers_for_a_gpu_compute_the_same(name, layers):
    """Their arithmetic, step by step, on a CPU; on a GPU see tracking/test_on_gpu.py."""
    model = build(small_model_config() if name is None else Config.fromfile(ROOT / 'configs' / f'{name}.py').model)
    before = maps(model, 255)
    fuse_layers(fuse_conv_bn(model))
    assert {type(module) for module in model.modules()} >= set(layers)
    for after, expected in zip(maps(model, 255), before):
        torch.testing.assert_close(after, expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())


def test_layers_for_a_gpu_leave_other_norms_and_may_be_asked_for_twice():
    groups = small_model_config(backbone=dict(type='siamrpnpp_plugin.ResNet', depth=18, norm_cfg=dict(type='GN', num_groups=8)))
    for config, fused in ((groups, 0), (small_model_config(), 8)):
        model = build(config)
        before = maps(model, 255)
        for _ in range(2):
            fuse_layers(fuse_conv_bn(model))
        assert sum(isinstance(module, FusedBlock) for module in model.modules()) == fused
        for after, expected in zip(maps(model, 255), before):
            torch.testing.assert_close(after, expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())


def test_without_growth_only_batch_norms_are_folded():
    model = build(small_model_config())
    before = maps(model, 255)
    optimize_for_inference(model, 255, weight_growth=1)
    assert not filtered(model)
    for after, expected in zip(maps(model, 255), before):
        torch.testing.assert_close(after, expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())


def test_weights_grow_no_more_than_allowed():
    conv = nn.Conv2d(512, 512, 3, padding=4, dilation=4)
    assert [best_tile(conv, (31, 31), growth) for growth in (1.7, 1.8, 4, 8)] == [None, 2, 4, 4]
    assert best_tile(nn.Conv2d(256, 256, 3), (31, 31), 8) == 6  # 29 outputs are five tiles of six


@pytest.mark.parametrize('conv', [
    nn.Conv2d(256, 256, 3, stride=2), nn.Conv2d(256, 256, 3, groups=2), nn.Conv2d(256, 256, 1), nn.Conv2d(256, 256, (3, 5)),
    nn.Conv2d(256, 256, 3, padding='same'), nn.Conv2d(256, 256, 3, padding=1, padding_mode='reflect'), nn.BatchNorm2d(256),
    nn.Conv2d(16, 16, 3),  # so few channels that the transforms cost more than they save
], ids=str)
def test_other_layers_stay(conv):
    assert best_tile(conv, (31, 31), 8) is None


def test_a_network_whose_batch_norms_do_not_follow_their_convolutions_is_refused():
    class Swapped(nn.Module):
        """Registered in the order in which it does not run."""

        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
            nn.init.uniform_(self.bn.running_mean, 50, 100)

        def forward(self, x):
            return self.conv(self.bn(x))

    model = build(small_model_config())
    model.backbone = nn.Sequential(Swapped(), model.backbone)
    with pytest.raises(ValueError, match='cannot be folded'):
        optimize_for_inference(model, 255)


def test_a_convolution_follows_its_map():
    """Another size than the one it was chosen for is right too: a tracker that lost its target searches wider."""
    conv = nn.Conv2d(8, 8, 3, padding=2, dilation=2)
    tiled = WinogradConv2d(conv, 4)
    for size in ((31, 31), (97, 97), (7, 12)):
        x = torch.randn(1, 8, *size)
        torch.testing.assert_close(tiled(x), conv(x).detach(), rtol=1e-4, atol=1e-4)
