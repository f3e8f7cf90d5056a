"""Tracking on a GPU: the same boxes as on the CPU, to what float16 leaves; played back or not, alone or together."""

import numpy as np
import pytest
import torch
from conftest import ROOT, pair_batch
from mmengine import Config
from moving import BOXES, frames, moving_model

from siamrpnpp_plugin.apis import build_model
from siamrpnpp_plugin.models.inference import optimize_for_inference
from siamrpnpp_plugin.ops.cuda_graph import CudaGraphs, padded_batch
from siamrpnpp_plugin.tracking import SiamRPNTracker


@pytest.fixture(autouse=True)
def _full_precision(monkeypatch):
    """Random networks decide by a hair: let nothing but float16, where it is asked for, round."""
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)


def needs_gpu(test):
    """`pytest -m gpu` runs these."""
    return pytest.mark.gpu(pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')(test))



def test_batches_are_padded_by_no_more_than_a_third():
    sizes = [padded_batch(batch) for batch in range(1, 200)]
    assert sizes[:12] == [1, 2, 3, 4, 6, 6, 8, 8, 12, 12, 12, 12]
    assert all(batch <= size <= max(1.5 * batch, 1) for batch, size in enumerate(sizes, 1))
    assert len(set(sizes)) == 16


def states_of(model, tracker, videos: list) -> list:
    states = [tracker.init(model, videos[0], BOXES)]
    for images in videos[1:]:
        states.append(tracker.update(model, states[-1], images))
    return states


def boxes_of(model, tracker, videos: list) -> np.ndarray:
    """(T, B, 4) boxes of targets tracked together."""
    return np.array([state.box_xyxy for state in states_of(model, tracker, videos)[1:]])


@needs_gpu
@pytest.mark.parametrize('settings', [dict(), dict(align='pixel'), dict(lost_search_size=511, lost_below=0.9, found_above=0.93)])
def test_boxes_are_those_of_the_cpu(settings):
    model, videos = moving_model(), frames(8)
    if 'lost_search_size' in settings:
        lost = [state.is_lost for state in states_of(model, SiamRPNTracker(**settings), videos)]
        assert 0 < np.mean(lost) < 1
        assert any(0 < row.mean() < 1 for row in lost), 'some of a batch are lost'
    expected = boxes_of(model, SiamRPNTracker(**settings), videos)
    model.cuda()
    np.testing.assert_allclose(boxes_of(model, SiamRPNTracker(**settings), videos), expected, atol=0.05)
    optimize_for_inference(model, 255, gpu_dtype=torch.float32)
    np.testing.assert_allclose(boxes_of(model, SiamRPNTracker(**settings), videos), expected, atol=0.05)


@needs_gpu
def test_what_is_played_back_is_what_is_computed():
    model, videos = moving_model(), frames(8)
    optimize_for_inference(model.cuda(), 255)
    played = boxes_of(model, SiamRPNTracker(), videos)
    model.use_cuda_graphs = False
    np.testing.assert_allclose(boxes_of(model, SiamRPNTracker(), videos), played, atol=0.1)


@needs_gpu
def test_a_batch_is_the_same_as_each_alone():
    model, videos = moving_model(), frames(6)
    optimize_for_inference(model.cuda(), 255, gpu_dtype=torch.float32)
    tracker = SiamRPNTracker()
    together = boxes_of(model, tracker, videos)
    for index in range(len(BOXES)):
        state = tracker.init(model, videos[0][index:index + 1], BOXES[index:index + 1])
        for images, expected in zip(videos[1:], together):
            state = tracker.update(model, state, images[index:index + 1])
            np.testing.assert_allclose(state.box_xyxy[0], expected[index], atol=0.1)


@needs_gpu
def test_played_back_functions_see_what_they_are_given():
    graphs, rng = CudaGraphs(torch.device('cuda', 0)), np.random.default_rng(0)

    def double(kernels, array):
        return kernels[0][0] * 2, array + kernels[0][1]

    for batch in (1, 5, 6, 3, 5):
        kernel = torch.randn(batch, 3, device='cuda'), torch.randn(batch, 1, device='cuda')
        for _ in range(2):
            array = rng.normal(size=(batch, 4))
            twice, total = graphs.play(double, 'double', [kernel], array)
            torch.testing.assert_close(twice, kernel[0] * 2)
            torch.testing.assert_close(total.cpu(), torch.from_numpy(array) + kernel[1].cpu())


@needs_gpu
@pytest.mark.parametrize('name', ['siamrpnpp_r50_pysot', 'siamrpnpp_mobilenetv2_pysot', 'siamrpn_alexnet_pysot'])
def test_every_network_can_be_made_fast(name):
    torch.manual_seed(0)
    model = build_model(ROOT / 'configs' / f'{name}.py').cuda()
    tracker = model.cfg.tracker
    optimize_for_inference(model, tracker.get('search_size', 255))
    assert next(model.parameters()).dtype in (torch.float16, torch.bfloat16)
    assert model.head.anchor_generator.sizes.dtype == torch.float32
    boxes = boxes_of(model, SiamRPNTracker(search_size=tracker.get('search_size', 255)), frames(3))
    assert len(np.unique(boxes, axis=0)) == 2


@needs_gpu
def test_channels_lie_last_in_training_and_the_loss_is_the_same():
    model = build_model(Config.fromfile(ROOT / 'configs' / 'siamrpn_alexnet_pysot.py')).cuda().train()
    assert model.backbone.layer2[0].weight.is_contiguous(memory_format=torch.channels_last)
    losses = []
    for channels_last in (False, None):
        model.data_preprocessor.channels_last = channels_last
        batch = model.data_preprocessor(pair_batch())
        assert batch['search'].is_contiguous(memory_format=torch.channels_last) == (channels_last is None)
        losses.append(sum(model(**batch, mode='loss').values()).item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)
