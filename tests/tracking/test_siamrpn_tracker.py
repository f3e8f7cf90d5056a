"""The tracking policy: values in, values out, any batch; PySOT's arithmetic when asked for."""

import cv2
import numpy as np
import pytest
import torch
from conftest import small_model_config

from siamrpnpp_plugin.ops.crop import crop_and_resize, pixel_window
from siamrpnpp_plugin.registry import MODELS
from siamrpnpp_plugin.tracking import SiamRPNTracker, TrackState, join_states

BOXES = np.array([[40., 30, 80, 70], [100, 60, 130, 110], [-5, -5, 30, 40]])


def frames(count: int, seed: int = 0, sizes=((160, 120), (200, 150), (160, 120))) -> list:
    """`count` frames of three videos: smooth noise."""
    rng = np.random.default_rng(seed)
    return [[cv2.resize(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8), size, interpolation=cv2.INTER_CUBIC) for size in sizes]
            for _ in range(count)]


@pytest.fixture
def model():
    """A narrow network with random weights and small offsets: boxes move, but do not explode."""
    config = small_model_config(backbone=dict(type='siamrpnpp_plugin.ResNet', depth=18, width=0.125),
                                neck=dict(type='siamrpnpp_plugin.AdjustNeck', in_channels=(16, 32, 64), out_channels=16))
    model = MODELS.build(config).eval()
    for head in model.head.rpn_heads:
        head.box_head.weight.data *= 0.3
    return model


def run(model, tracker, videos: list, boxes: np.ndarray) -> np.ndarray:
    """(T, B, 4)."""
    state = tracker.init(model, videos[0], boxes)
    found = [state.box_xyxy]
    for row in videos[1:]:
        state = tracker.update(model, state, row)
        found.append(state.box_xyxy)
    return np.array(found)


@pytest.mark.parametrize('align', [None, 'pixel'])
def test_a_batch_gives_what_single_targets_give(model, align):
    tracker, videos = SiamRPNTracker(align=align), frames(5)
    together = run(model, tracker, videos, BOXES)
    for target in range(3):
        alone = run(model, tracker, [[row[target]] for row in videos], BOXES[target:target + 1])
        np.testing.assert_allclose(together[:, target], alone[:, 0], atol=1e-3)
    assert np.abs(np.diff(together, axis=0)).max() > 0.5  # they do move


def test_states_are_values_that_join_and_part(model):
    tracker, videos = SiamRPNTracker(), frames(3)
    singles = [tracker.init(model, [videos[0][target]], BOXES[target:target + 1]) for target in range(3)]
    joined = join_states([singles[2], singles[0]])
    swapped = joined.select([1, 0])
    new = tracker.update(model, swapped, [videos[1][0], videos[1][2]])
    for index, target in enumerate((0, 2)):
        alone = tracker.update(model, singles[target], [videos[1][target]])
        np.testing.assert_allclose(new.box_xyxy[index], alone.box_xyxy[0], atol=1e-3)
    np.testing.assert_array_equal(joined.box_xyxy[1], BOXES[0])  # untouched


def test_the_first_state_is_the_given_box(model):
    state = SiamRPNTracker().init(model, frames(1)[0], BOXES)
    np.testing.assert_allclose(state.box_xyxy, BOXES)
    assert state.confidence.tolist() == [1, 1, 1]


def test_the_template_is_computed_once(model):
    tracker, videos, calls = SiamRPNTracker(), frames(3), []
    model.head.rpn_heads[0].adj_1.register_forward_hook(lambda *_: calls.append(1))
    run(model, tracker, videos, BOXES)
    assert len(calls) == 1


def test_the_score_map_is_there_when_asked_for(model):
    tracker, videos = SiamRPNTracker(), frames(2)
    state = tracker.init(model, videos[0], BOXES)
    assert tracker.update(model, state, videos[1]).score is None
    state = tracker.update(model, state, videos[1], with_score=True)
    assert state.score.shape == (3, 5, 25, 25)
    assert ((state.score >= 0) & (state.score <= 1)).all()


def test_a_network_that_gives_nan_leaves_the_box_where_it_was(model):
    tracker, videos = SiamRPNTracker(), frames(2)
    state = tracker.init(model, videos[0][:2], BOXES[:2])
    state = state._replace(kernels=[tuple(part * float('nan') for part in kernel) for kernel in state.kernels])
    new = tracker.update(model, state, videos[1][:2])
    np.testing.assert_array_equal(new.box_xyxy, BOXES[:2])
    assert new.confidence.tolist() == [0, 0]


def test_boxes_stay_finite_and_in_the_image_whatever_the_network_says(model):
    for head in model.head.rpn_heads:
        head.box_head.weight.data *= 1e4
    found = run(model, SiamRPNTracker(), frames(4), BOXES)
    assert np.isfinite(found).all()
    sizes = found[1:, :, 2:] - found[1:, :, :2]
    assert (sizes >= 10 - 1e-9).all()
    assert (sizes <= [200, 150]).all()


def test_a_frame_may_change_its_size(model):
    tracker, videos = SiamRPNTracker(), frames(2)
    state = tracker.init(model, videos[0], BOXES)
    state = tracker.update(model, state, [cv2.resize(frame, (90, 60)) for frame in videos[1]])
    center = (state.box_xyxy[:, :2] + state.box_xyxy[:, 2:]) / 2
    assert (center <= [90, 60]).all()


@pytest.mark.parametrize(('box', 'message'), [
    ([10, 10, 10, 20], 'have an area'), ([10, 10, np.nan, 20], 'finite'), ([500, 10, 520, 30], 'outside of the image of 160x120'),
    ([-30, 0, -1, 20], 'outside')])
def test_a_wrong_box_is_named(model, box, message):
    with pytest.raises(ValueError, match=message):
        SiamRPNTracker().init(model, [frames(1)[0][0]], np.array([box]))


@pytest.mark.parametrize('frame', [np.zeros((120, 160), np.uint8), np.zeros((120, 160, 4), np.uint8),
                                   np.zeros((120, 160, 3), np.float32), None])
def test_a_wrong_frame_is_named(model, frame):
    with pytest.raises(ValueError, match='a frame must be a'):
        SiamRPNTracker().init(model, [frame], BOXES[:1])
    state = SiamRPNTracker().init(model, [frames(1)[0][0]], BOXES[:1])
    with pytest.raises(ValueError, match='a frame must be a'):
        SiamRPNTracker().update(model, state, [frame])


def pysot_subwindow(image: np.ndarray, center: np.ndarray, size: int, side: float, padding: np.ndarray) -> np.ndarray:
    """What `pysot/tracker/base_tracker.py:get_subwindow` does, written anew: pad with the mean, cut whole pixels, resize."""
    side = round(side)
    pad = 400
    canvas = np.empty((image.shape[0] + 2 * pad, image.shape[1] + 2 * pad, 3), np.uint8)
    canvas[:] = padding.astype(np.uint8)
    canvas[pad:-pad, pad:-pad] = image
    left, top = (int(np.floor(value - (side + 1) / 2 + 0.5)) + pad for value in center)
    patch = canvas[top:top + side, left:left + side]
    return patch if side == size else cv2.resize(patch, (size, size))


def test_the_pixel_crop_is_pysots():
    rng = np.random.default_rng(0)
    image = frames(1)[0][0]
    padding = image.mean(axis=(0, 1))
    for _ in range(200):
        center, side = rng.uniform(-20, 180, 2), rng.uniform(8, 300)
        size = int(rng.choice([127, 255, round(side)]))
        ours = crop_and_resize(image, pixel_window(center, side), size, padding, align='pixel')
        np.testing.assert_array_equal(ours, pysot_subwindow(image, center, size, side, padding))


def pysot_choice(center, size, boxes, score, shape, settings) -> tuple:
    """PySOT's `SiamRPNTracker.track` after the network, in NumPy, written anew (numbers of Li et al. 2018)."""
    context = (size[0] + size[1]) * 0.5
    scale = 127 / np.sqrt((size[0] + context) * (size[1] + context))

    def change(ratio):
        return np.maximum(ratio, 1 / ratio)

    def side(width, height):
        pad = (width + height) * 0.5
        return np.sqrt((width + pad) * (height + pad))

    scale_change = change(side(boxes[2], boxes[3]) / side(size[0] * scale, size[1] * scale))
    aspect_change = change((size[0] / size[1]) / (boxes[2] / boxes[3]))
    penalty = np.exp(-(aspect_change * scale_change - 1) * settings['penalty_k'])
    window = np.tile(np.outer(np.hanning(shape[1]), np.hanning(shape[2])).flatten(), shape[0])
    ranking = penalty * score * (1 - settings['window_influence']) + window * settings['window_influence']
    best = ranking.argmax()
    share = penalty[best] * score[best] * settings['smoothing']
    return center + (boxes[:2, best] - 127) / scale, size * (1 - share) + boxes[2:, best] / scale * share, score[best]


@pytest.mark.parametrize('settings', [dict(penalty_k=.05, window_influence=.42, smoothing=.38),
                                      dict(penalty_k=.24, window_influence=.5, smoothing=.25)])
def test_the_choice_is_pysots(settings):
    rng = np.random.default_rng(1)
    tracker = SiamRPNTracker(**settings)
    shape = (5, 25, 25)
    for _ in range(20):
        center, size = rng.uniform(60, 100, 2), rng.uniform(20, 60, 2)
        boxes = np.concatenate((rng.uniform(90, 165, (2, 3125)), rng.uniform(20, 120, (2, 3125))))
        score = rng.uniform(0, 1, 3125)
        state = TrackState([], center[None], size[None], np.zeros((1, 3)), np.ones(1))
        new = tracker._choose(state, torch.from_numpy(boxes.T.reshape(1, *shape, 4)), torch.from_numpy(score.reshape(1, *shape)),
                              [np.zeros((1000, 1000, 3), np.uint8)], False)
        expected = pysot_choice(center, size, boxes, score, shape, settings)
        np.testing.assert_allclose(new.center[0], np.clip(expected[0], 0, 1000), atol=1e-9)
        np.testing.assert_allclose(new.size[0], np.maximum(expected[1], 10), atol=1e-9)
        assert new.confidence[0] == pytest.approx(expected[2])


@pytest.mark.parametrize('arguments', [dict(penalty_k=-1), dict(window_influence=1.5), dict(smoothing=-0.1),
                                       dict(template_size=300), dict(align='corner'), dict(min_size=0)])
def test_arguments_out_of_range_are_named(arguments):
    with pytest.raises(ValueError, match='SiamRPNTracker'):
        SiamRPNTracker(**arguments)
