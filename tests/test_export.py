"""Exported networks are the network: same maps, same tracks, any batch."""

import copy
import json
import pickle

import numpy as np
import pytest
import torch
from conftest import ROOT, small_model_config
from mmengine.config import Config

from siamrpnpp_plugin.apis import SOTracker, init_model
from siamrpnpp_plugin.export import export_onnx, quantize_onnx
from siamrpnpp_plugin.models.onnx_siamrpn import OnnxSiamRPN

THREE_LEVELS = dict(model=small_model_config(), default_scope='siamrpnpp_plugin', tracker=dict(type='SiamRPNTracker'))
ONE_LEVEL = dict(THREE_LEVELS, model=small_model_config(
    backbone=dict(type='siamrpnpp_plugin.AlexNet', width=0.25), neck=None,
    head=dict(type='siamrpnpp_plugin.FusionHead', num_levels=1, fusion=None,
              rpn_head=dict(type='siamrpnpp_plugin.RPNHead', in_channels=64, hidden_channels=16))))
CONFIGS = dict(fast=THREE_LEVELS, direct=ONE_LEVEL)


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    """A folder of checkpoints whose batch norms are not the identity."""
    folder = tmp_path_factory.mktemp('weights')
    for name, config in CONFIGS.items():
        torch.manual_seed(0)
        model = init_model(Config(config))
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.normal_(module.running_mean, 0, 0.1)
                torch.nn.init.uniform_(module.running_var, 0.5, 2)
        torch.save(dict(state_dict=model.state_dict()), folder / f'{name}.pth')
    return folder


@pytest.fixture(scope='module')
def exported(weights, tmp_path_factory):
    """A network with filtered convolutions, and another with direct ones."""
    folder = tmp_path_factory.mktemp('onnx')
    for name, growth in (('fast', 8), ('direct', 1)):
        export_onnx(init_model(Config(CONFIGS[name]), weights / f'{name}.pth'), folder / name, weight_growth=growth)
    return folder


def images(batch: int, side: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (batch, side, side, 3), np.uint8)


def both(model, batch: int) -> tuple:
    with torch.inference_mode():
        return model.correlate(model.template_kernels(model.prepare_images(images(batch, 127))),
                               model.prepare_images(images(batch, 255, 1)))


@pytest.mark.parametrize('name', ['fast', 'direct'])
@pytest.mark.parametrize('batch', [1, 3])
def test_the_maps_are_the_models(exported, weights, name, batch):
    model = init_model(Config(CONFIGS[name]), weights / f'{name}.pth')
    for ours, theirs in zip(both(OnnxSiamRPN(exported / name), batch), both(model, batch)):
        assert ours.shape == theirs.shape
        assert (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()


@pytest.mark.parametrize('name', ['fast', 'direct'])
def test_boxes_of_a_track_are_the_models_to_a_hundredth_of_a_pixel(exported, weights, name):
    frames = np.random.default_rng(2).integers(0, 256, (6, 200, 240, 3), np.uint8)
    config, checkpoint = Config(CONFIGS[name]), weights / f'{name}.pth'

    def track(model) -> np.ndarray:
        tracker = SOTracker(model)
        tracker.init(frames[0], (100, 80, 40, 30))
        return np.array([[*tracker.update(frame), tracker.confidence] for frame in frames[1:]])

    expected = track(init_model(config, checkpoint))
    assert np.ptp(expected[:, :2]) > 1  # it moves
    for model in (OnnxSiamRPN(exported / name), init_model(config, exported / name), init_model(config, checkpoint, fast=True)):
        assert np.abs(track(model) - expected).max() < 0.01


def test_a_policy_may_change_without_a_new_export(exported):
    config = Config(dict(ONE_LEVEL, tracker=dict(type='SiamRPNTracker', smoothing=0.1)))
    assert SOTracker(init_model(config, exported / 'direct')).tracker.smoothing == 0.1
    assert SOTracker(OnnxSiamRPN(exported / 'direct')).tracker.smoothing == 0.38


def test_the_other_heads_and_a_wider_search_export(tmp_path):
    up_channel = Config.fromfile(ROOT / 'configs' / 'siamrpn_alexnet_upchannel.py')
    up_channel.model.backbone.width = 0.25
    up_channel.model.head.rpn_head.in_channels = 64
    up_channel.tracker.lost_search_size = 319
    torch.manual_seed(0)
    exported = export_onnx(init_model(up_channel), tmp_path)
    assert exported.cfg['search_sizes'] == [287, 319]
    cls_score, bbox_pred = exported.correlate(exported.template_kernels(images(2, 127)), images(2, 319))
    assert (cls_score.shape, bbox_pred.shape) == ((2, 10, 25, 25), (2, 20, 25, 25))


def test_eight_bits_give_nearly_the_same_maps(exported, weights, tmp_path):
    samples = [(images(1, 127, seed)[0], images(1, 255, seed + 1)[0]) for seed in range(3)]
    small = quantize_onnx(exported / 'direct', tmp_path, samples)
    assert (tmp_path / 'search_255.weights').stat().st_size < 0.4 * (exported / 'direct' / 'search_255.weights').stat().st_size
    for ours, theirs in zip(both(small, 1), both(init_model(Config(ONE_LEVEL), weights / 'direct.pth'), 1)):
        error = (ours - theirs).abs().max() / theirs.abs().max()
        assert 1e-5 < error < 0.1


def test_what_cannot_be_quantised_is_said(exported, tmp_path):
    with pytest.raises(ValueError, match='weight-growth 1'):
        quantize_onnx(exported / 'fast', tmp_path, [(images(1, 127)[0], images(1, 255)[0])])
    with pytest.raises(ValueError, match='needs images'):
        quantize_onnx(exported / 'direct', tmp_path, [])
    with pytest.raises(ValueError, match='no sample has a search image of 255x255'):
        quantize_onnx(exported / 'direct', tmp_path, [(images(1, 127)[0], images(1, 127)[0])])


def test_a_copy_and_another_process_make_their_own_sessions(exported):
    model = OnnxSiamRPN(exported / 'fast')
    expected = model.template_kernels(images(1, 127))
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        for ours, theirs in zip(other.template_kernels(images(1, 127)), expected):
            assert all(torch.equal(*pair) for pair in zip(ours, theirs))


def test_missing_files_and_other_sizes_are_named(exported, tmp_path):
    with pytest.raises(FileNotFoundError, match='tracker.json is missing'):
        OnnxSiamRPN(tmp_path)
    description = json.loads((exported / 'direct' / 'tracker.json').read_text())
    (tmp_path / 'tracker.json').write_text(json.dumps(description))
    with pytest.raises(FileNotFoundError, match='template.onnx is missing'):
        OnnxSiamRPN(tmp_path)
    model = OnnxSiamRPN(exported / 'direct')
    with pytest.raises(ValueError, match='exported for 127x127'):
        model.template_kernels(images(1, 255))
    with pytest.raises(ValueError, match=r'search images of \[255\]'):
        model.correlate(model.template_kernels(images(1, 127)), images(1, 191))
    with pytest.raises(ValueError, match='runs on the CPU'):
        init_model(Config(ONE_LEVEL), exported / 'direct', device='cuda')
