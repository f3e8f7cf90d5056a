import pytest
import torch
from torch import nn

from siamrpnpp_plugin.models import AlexNet, MobileNetV2, ResNet

BACKBONES = [
    (ResNet, dict(depth=18), (128, 256, 512), 4),
    (ResNet, dict(depth=34, first_block='half'), (128, 256, 512), 4),
    (ResNet, dict(depth=50), (512, 1024, 2048), 4),
    (MobileNetV2, {}, (44, 134, 448), 7),
    (MobileNetV2, dict(width=1.0), (32, 96, 320), 7),
]


@pytest.mark.parametrize(('cls', 'arguments', 'channels', 'last'), BACKBONES)
def test_maps_of_three_levels_have_stride_8(cls, arguments, channels, last):
    backbone = cls(**arguments).eval()
    with torch.no_grad():
        for size, side in ((127, 15), (255, 31)):
            maps = backbone(torch.rand(1, 3, size, size))
            assert [tuple(m.shape) for m in maps] == [(1, channel, side, side) for channel in channels]


def test_alexnet_has_one_level():
    with torch.no_grad():
        assert [AlexNet()(torch.rand(1, 3, size, size))[0].shape[-1] for size in (127, 255, 287)] == [6, 22, 26]


def test_resnet50_has_the_seeds_dilations():
    """The seed's table: every 3x3 of conv4 is stride 1, padding 2, dilation 2; of conv5 stride 1, padding 4, dilation 4."""
    backbone = ResNet(depth=50)
    for stage, dilation in ((backbone.layer3, 2), (backbone.layer4, 4)):
        for block in stage:
            conv = block.conv2
            assert (conv.stride, conv.padding, conv.dilation) == ((1, 1), (dilation, ) * 2, (dilation, ) * 2)
    assert (backbone.conv1.stride, backbone.conv1.padding) == ((2, 2), (0, 0))
    assert (backbone.layer2[0].conv2.stride, backbone.layer2[0].conv2.padding) == ((2, 2), (0, 0))
    assert backbone.layer2[0].downsample[0].kernel_size == (3, 3)


def test_half_dilation_is_pysots():
    backbone = ResNet(depth=50, first_block='half')
    dilations = [[block.conv2.dilation[0] for block in stage] for stage in (backbone.layer3, backbone.layer4)]
    assert dilations == [[1, 2, 2, 2, 2, 2], [2, 4, 4]]
    assert [stage[0].downsample[0].kernel_size for stage in (backbone.layer3, backbone.layer4)] == [(3, 3), (3, 3)]


@pytest.mark.parametrize('depth', [18, 50])
def test_stages_above_the_highest_level_are_not_built(depth):
    backbone = ResNet(depth=depth, out_levels=(1, 2))
    assert not hasattr(backbone, 'layer3')
    backbone(torch.rand(1, 3, 127, 127))[-1].sum().backward()
    assert all(p.grad is not None for p in backbone.parameters())


@pytest.mark.parametrize(('cls', 'arguments', 'last'), [(ResNet, dict(depth=18), 4), (MobileNetV2, {}, 7), (AlexNet, {}, 5)])
def test_frozen_stages_stay_frozen_and_in_eval_after_train(cls, arguments, last):
    for frozen in range(-1, last + 1):
        backbone = cls(frozen_stages=frozen, **arguments).train()
        for number, names in backbone.stages.items():
            for name in names:
                module = getattr(backbone, name)
                assert module.training == (number > frozen)
                assert all(p.requires_grad == (number > frozen) for p in module.parameters())


def test_frozen_statistics_do_not_move_and_others_do():
    backbone = ResNet(depth=18, frozen_stages=1).train()
    before = {name: value.clone() for name, value in backbone.named_buffers() if name.endswith('running_mean')}
    backbone(torch.rand(2, 3, 127, 127))
    for name, value in backbone.named_buffers():
        if name in before:
            assert torch.equal(value, before[name]) == name.startswith(('bn1', 'layer1'))


def test_stages_thaw_later():
    backbone = ResNet(depth=18, frozen_stages=4).train()
    assert not any(p.requires_grad for p in backbone.parameters())
    backbone.freeze_stages(1)
    assert {name.split('.')[0] for name, p in backbone.named_parameters() if p.requires_grad} == {'layer2', 'layer3', 'layer4'}
    assert backbone.layer2[0].bn1.training
    assert not backbone.bn1.training
    backbone.freeze_stages(-1)
    assert all(p.requires_grad for p in backbone.parameters())


def test_what_the_config_froze_stays_frozen():
    backbone = ResNet(depth=18, norm_cfg=dict(type='BN', requires_grad=False))
    backbone.freeze_stages(4)
    backbone.freeze_stages(-1)
    assert {name for name, p in backbone.named_parameters() if p.requires_grad} == {
        name for name, _ in backbone.named_parameters() if 'conv' in name or name.endswith('downsample.0.weight')}


def test_what_a_subclass_adds_trains_and_freezes_with_its_stage():
    class Adapted(ResNet):

        def __init__(self):
            super().__init__(depth=18, frozen_stages=1)
            self.layer2.adapter = nn.Conv2d(1, 1, 1)

    backbone = Adapted()
    backbone.freeze_stages(1)
    assert backbone.layer2.adapter.weight.requires_grad
    backbone.freeze_stages(2)
    assert not backbone.layer2.adapter.weight.requires_grad


def test_weights_are_loaded_once(tmp_path):
    torch.save(torchvision_resnet18(), tmp_path / 'resnet18.pth')
    backbone = ResNet(depth=18, init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'resnet18.pth')))
    backbone.init_weights()
    nn.init.zeros_(backbone.conv1.weight)
    backbone.init_weights()
    assert not backbone.conv1.weight.any()


def test_norm_eval_survives_train():
    backbone = ResNet(depth=18, norm_eval=True).train()
    norms = [module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training for norm in norms)
    assert backbone.layer4[0].conv1.training


def test_other_norm_layers_come_by_config():
    backbone = ResNet(depth=18, norm_cfg=dict(type='GN', num_groups=8))
    assert isinstance(backbone.bn1, nn.GroupNorm)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in backbone.modules())


@pytest.mark.parametrize(('cls', 'arguments', 'message'), [
    (ResNet, dict(depth=101), r'depth of ResNet must be one of \[18, 34, 50\], got 101'),
    (ResNet, dict(first_block='full'), "'dilated' or 'half', got 'full'"),
    (ResNet, dict(depth=18, out_levels=(2, 5)), r'out of \[0, 1, 2, 3, 4\], got \(2, 5\)'),
    (ResNet, dict(depth=18, out_levels=(4, 3)), 'ascending'),
    (ResNet, dict(depth=18, out_levels=()), 'ascending'),
    (ResNet, dict(depth=18, frozen_stages=5), r'-1 \(none\) to 4, got 5'),
    (MobileNetV2, dict(width=0), 'width of MobileNetV2 must be positive, got 0'),
    (MobileNetV2, dict(out_levels=(8, )), r'got \(8,\)'),
    (AlexNet, dict(width=-1), 'width of AlexNet must be positive, got -1'),
])
def test_bad_arguments_are_named(cls, arguments, message):
    with pytest.raises(ValueError, match=message):
        cls(**arguments)


def torchvision_resnet18() -> dict:
    """A state dict with torchvision's names and shapes (1x1 downsample, classifier), seeded."""
    generator = torch.Generator().manual_seed(3)
    shapes = {key: list(value.shape) for key, value in ResNet(depth=18, first_block='half').state_dict().items()}
    for stage in (2, 3, 4):
        shapes[f'layer{stage}.0.downsample.0.weight'][2:] = [1, 1]
    shapes.update({'fc.weight': [1000, 512], 'fc.bias': [1000]})
    return {key: torch.rand(shape, generator=generator) if shape else torch.tensor(5) for key, shape in shapes.items()}


@pytest.mark.parametrize('first_block', ['dilated', 'half'])
def test_torchvision_weights_load_with_downsample_in_the_centre(tmp_path, first_block):
    weights = torchvision_resnet18()
    torch.save(weights, tmp_path / 'resnet18.pth')
    backbone = ResNet(depth=18, first_block=first_block, frozen_stages=1,
                      init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'resnet18.pth')))
    backbone.init_weights()
    own = backbone.state_dict()
    for key, value in weights.items():
        if key.startswith('fc.'):
            continue
        if own[key].shape != value.shape:
            assert own[key].shape[2:] == (3, 3)
            assert torch.equal(own[key][:, :, 1, 1], value[:, :, 0, 0])
            assert own[key].count_nonzero() == value.count_nonzero(), 'zeros around the centre'
        else:
            assert torch.equal(own[key], value)
    assert backbone.layer2[0].downsample[0].kernel_size == (3, 3)
    assert not backbone.conv1.weight.requires_grad, 'loading does not thaw'


def test_embedded_downsample_computes_what_the_1x1_does(tmp_path):
    """At stride 1 the same function, to the bit of a zero added."""
    weights = torchvision_resnet18()
    torch.save(weights, tmp_path / 'resnet18.pth')
    backbone = ResNet(depth=18, first_block='half', init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'resnet18.pth')))
    backbone.init_weights()
    x = torch.rand(1, 128, 9, 9)
    alone = nn.functional.conv2d(x, weights['layer3.0.downsample.0.weight'])
    assert torch.allclose(backbone.layer3[0].downsample[0](x), alone, rtol=1e-5)


def test_folded_input_takes_raw_bgr(tmp_path):
    weights = torchvision_resnet18()
    torch.save(weights, tmp_path / 'resnet18.pth')
    plain, folded = (ResNet(depth=18, init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'resnet18.pth'),
                                                    fold_input_norm=fold)) for fold in (False, True))
    plain.init_weights()
    folded.init_weights()
    bgr = torch.randint(0, 256, (2, 3, 63, 63)).float()
    mean, std = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])
    rgb = (bgr.flip(1) - mean[:, None, None]) / std[:, None, None]
    with torch.no_grad():
        expected = plain.eval().bn1(plain.conv1(rgb))
        given = folded.eval().bn1(folded.conv1(bgr))
    assert (given - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_the_input_is_not_folded_twice(tmp_path):
    torch.save(dict(state_dict=ResNet(depth=18).state_dict(), meta=dict(fold_input_norm=True)), tmp_path / 'folded.pth')
    cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'folded.pth'))
    ResNet(depth=18, init_cfg=cfg).init_weights()
    with pytest.raises(ValueError, match='folded into .*folded.pth already'):
        ResNet(depth=18, init_cfg=dict(cfg, fold_input_norm=True)).init_weights()


def test_pysot_backbone_and_whole_checkpoints_load(tmp_path):
    """PySOT's files for the backbone: bare, under `state_dict` with `module.`, or inside a whole checkpoint."""
    donor = AlexNet()
    own = donor.state_dict()
    legacy = {'layer1': 0, 'layer2': 4, 'layer3': 8, 'layer4': 11, 'layer5': 14}
    flat = {}
    for key, value in own.items():
        layer, index, parameter = key.split('.')
        flat[f'features.{legacy[layer] + int(index)}.{parameter}'] = value
    files = {
        'bare.pth': own,
        'legacy.pth': flat,
        'whole.pth': dict(epoch=3, optimizer={}, state_dict={
            **{f'module.backbone.{key}': value for key, value in flat.items()}, 'module.rpn_head.cls.x': torch.zeros(1)}),
    }
    for name, content in files.items():
        torch.save(content, tmp_path / name)
        backbone = AlexNet(init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / name)))
        backbone.init_weights()
        assert all(torch.equal(value, own[key]) for key, value in backbone.state_dict().items()), name


@pytest.mark.parametrize('init_cfg', [None, dict(type='Pretrained', checkpoint=None)])
def test_without_a_file_one_warning_is_logged(warnings_logged, init_cfg):
    ResNet(depth=18, frozen_stages=1, init_cfg=init_cfg).init_weights()
    assert len(warnings_logged) == 1
    assert 'ResNet starts from random weights (stages up to 1 are frozen and stay so)' in warnings_logged[0]
    assert 'init_cfg' in warnings_logged[0]


def test_with_a_file_no_warning_is_logged(warnings_logged, tmp_path):
    torch.save(torchvision_resnet18(), tmp_path / 'resnet18.pth')
    ResNet(depth=18, init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'resnet18.pth'))).init_weights()
    assert warnings_logged == []


def test_a_missing_or_wrong_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere.pth'):
        ResNet(depth=18, init_cfg=dict(type='Pretrained', checkpoint='nowhere.pth')).init_weights()
    torch.save(ResNet(depth=34).state_dict(), tmp_path / 'resnet34.pth')
    with pytest.raises(ValueError, match=r'resnet34.pth does not fit ResNet: \d+ matched(?s:.*)unexpected: layer1.2'):
        ResNet(depth=18, init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'resnet34.pth'))).init_weights()
    (tmp_path / 'text.pth').write_text('not a checkpoint')
    with pytest.raises(ValueError, match='text.pth is no checkpoint that loads safely'):
        ResNet(depth=18, init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'text.pth'))).init_weights()
    with pytest.raises(ValueError, match=r"unknown keys \['map_location'\]"):
        ResNet(depth=18, init_cfg=dict(type='Pretrained', checkpoint='a.pth', map_location='cpu')).init_weights()
