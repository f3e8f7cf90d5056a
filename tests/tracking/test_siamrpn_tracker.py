"""The tracking policy: values in, values out, any batch; PySOT's arithmetic when asked for."""

import copy
import pickle

import cv2
import numpy as np
import pytest
import torch
from moving import BOXES, frames, moving_model

from siamrpnpp_plugin.ops.boxes import cxcywh_to_xyxy
from siamrpnpp_plugin.ops.crop import box_in_window, crop_and_resize, pixel_window
from siamrpnpp_plugin.tracking import SiamRPNTracker, TrackState, join_states


@pytest.fixture
def model():
    return moving_model()


def states_of(model, tracker, videos: list, boxes: np.ndarray) -> list:
    states = [tracker.init(model, videos[0], boxes)]
    for row in videos[1:]:
        states.append(tracker.update(model, states[-1], row))
    return states


def run(model, tracker, videos: list, boxes: np.ndarray) -> np.ndarray:
    """(T, B, 4)."""
    return np.array([state.box_xyxy for state in states_of(model, tracker, videos, boxes)])


def answer(model, score: float, deltas=(0, 0, 0, 0)) -> None:
    """From now on the network says the same in every cell: score, and deltas of every anchor."""
    def correlate(kernels, search):
        side = (search.shape[-1] - 127) // 8 + 9
        shape = len(search), 5, side, side
        cls_score = torch.cat((torch.zeros(shape), torch.full(shape, float(np.log(score / (1 - score))))), dim=1)
        return cls_score, torch.cat([torch.full(shape, float(delta)) for delta in deltas], dim=1)

    model.correlate = correlate


LONG_TERM = dict(lost_search_size=383, lost_below=0.9, found_above=0.97)  # the narrow network's scores lie around them


ORDERS = ([2, 1], [1, 2, 0], [0, 2, 1, 0, 2])
SETTINGS = [dict(), dict(align='pixel'), LONG_TERM, dict(LONG_TERM, align='pixel')]


def videos_that_change_size() -> list:
    videos = frames(5)
    return videos[:3] + [[cv2.resize(frame, (140, 170)) for frame in row] for row in videos[3:]]


@pytest.mark.parametrize('settings', SETTINGS)
def test_a_batch_gives_what_single_targets_give(model, settings):
    tracker, videos = SiamRPNTracker(**settings), videos_that_change_size()
    for order in ORDERS:
        states = states_of(model, tracker, [[row[target] for target in order] for row in videos], BOXES[order])
        for row, state, new in zip(videos[1:], states, states[1:]):
            for index, target in enumerate(order):
                alone = tracker.update(model, state.select([index]), [row[target]])
                np.testing.assert_allclose(new.box_xyxy[index], alone.box_xyxy[0], atol=1e-3)
                assert new.confidence[index] == pytest.approx(alone.confidence[0], abs=1e-5)
                assert new.is_lost[index] == alone.is_lost[0]
    boxes = np.array([state.box_xyxy for state in states])
    assert np.abs(np.diff(boxes, axis=0)).max(axis=(0, 2)).min() > 0.5  # they do move
    is_lost = np.array([state.is_lost for state in states])
    if 'lost_search_size' in settings:
        assert any(0 < row.sum() < len(row) for row in is_lost), 'in some frame some are lost and some are not'
        assert (is_lost[:-1] & ~is_lost[1:]).any(), 'found again'
    else:
        assert not is_lost.any()


@pytest.mark.parametrize('settings', SETTINGS)
def test_whole_tracks_of_a_batch_are_those_of_single_targets(model, settings):
    """Rounding differs with the batch by some 1e-5 px. Crops at whole pixels forget that; others pass on a few grey levels, and
    a network that has learned nothing makes more of them in every frame."""
    tracker, videos = SiamRPNTracker(**settings), videos_that_change_size()
    alone = [run(model, tracker, [[row[target]] for row in videos], BOXES[target:target + 1]) for target in range(3)]
    for order in ORDERS:
        together = run(model, tracker, [[row[target] for target in order] for row in videos], BOXES[order])
        for index, target in enumerate(order):
            np.testing.assert_allclose(together[:, index], alone[target][:, 0], atol=1e-3)


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


def test_states_without_lost_targets_need_not_say_so(model):
    tracker, videos = SiamRPNTracker(), frames(2)
    state = tracker.init(model, videos[0], BOXES)
    silent = TrackState(*state[:5])
    assert silent.select([1]).is_lost is None
    assert join_states([silent, state]).is_lost.tolist() == [False] * 6
    boxes = [tracker.update(model, start, videos[1]).box_xyxy for start in (silent, state)]
    np.testing.assert_array_equal(*boxes)
    lost = state._replace(is_lost=np.array([True, False, True]))
    assert lost.select([1, 2]).is_lost.tolist() == [False, True]
    assert join_states([lost.select([2]), silent]).is_lost.tolist() == [True, False, False, False]


def test_the_stages_are_told_to_a_clock(model):
    tracker, videos, stages = SiamRPNTracker(lost_search_size=383), frames(2), []
    state = tracker.init(model, videos[0], BOXES)
    tracker.update(model, state, videos[1], clock=stages.append)
    assert stages == ['crop', 'network', 'post']
    tracker.update(model, state._replace(is_lost=np.array([True, False, False])), videos[1], clock=stages.append)
    assert stages == ['crop', 'network', 'post'] * 3


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


def test_a_long_term_target_is_lost_when_the_network_gives_nan(model):
    tracker, videos = SiamRPNTracker(lost_search_size=383), frames(3)
    state = tracker.init(model, videos[0], BOXES)
    answer(model, 0.9, (float('nan'), 0, 0, 0))
    for row in videos[1:]:
        state = tracker.update(model, state, row)
        np.testing.assert_array_equal(state.box_xyxy, BOXES)
        assert state.confidence.tolist() == [0, 0, 0]
        assert state.is_lost.all()


@pytest.mark.parametrize(('was_lost', 'score', 'is_lost', 'moves'), [
    (False, 0.79, True, False), (False, 0.81, False, True), (False, 0.999, False, True),
    (True, 0.79, True, False), (True, 0.81, True, True), (True, 0.997, True, True), (True, 0.999, False, True)])
def test_a_target_is_lost_below_one_threshold_and_found_above_another(model, was_lost, score, is_lost, moves):
    tracker, videos = SiamRPNTracker(lost_search_size=831), frames(2)
    state = tracker.init(model, videos[0], BOXES)._replace(is_lost=np.full(3, was_lost))
    answer(model, score, (0.1, 0.1, 0.1, 0))
    new = tracker.update(model, state, videos[1])
    assert new.is_lost.tolist() == [is_lost] * 3
    assert (new.box_xyxy != state.box_xyxy).any() == moves
    np.testing.assert_allclose(new.confidence, score, atol=1e-5)


def test_a_lost_target_is_searched_widely_at_the_same_scale(model):
    tracker, videos, sizes = SiamRPNTracker(lost_search_size=383), frames(2), []
    state = tracker.init(model, videos[0], BOXES)._replace(is_lost=np.array([True, False, True]))
    narrow, wide = tracker.crop(state, videos[1], 255), tracker.crop(state, videos[1], 383)
    assert np.abs(wide[:, 64:-64, 64:-64].astype(int) - narrow).mean() < 2
    correlate = model.correlate
    model.correlate = lambda kernels, search: sizes.append(tuple(search.shape)) or correlate(kernels, search)
    new = tracker.update(model, state, videos[1], with_score=True)
    assert sorted(sizes) == [(1, 3, 255, 255), (2, 3, 383, 383)]
    assert new.score.shape == (3, 5, 41, 41)
    assert torch.isfinite(new.score[[0, 2]]).all()
    assert torch.isfinite(new.score[1, :, 8:33, 8:33]).all()
    assert torch.isfinite(new.score[1]).sum() == 5 * 25 * 25
    alone = tracker.update(model, state.select([1]), videos[1][1:2], with_score=True)
    torch.testing.assert_close(new.score[1, :, 8:33, 8:33], alone.score[0], atol=1e-5, rtol=0)


def test_the_window_hardly_holds_a_lost_target(model):
    """Two equal peaks would tie without a window: the better one far away wins only for a lost target."""
    def correlate(kernels, search):
        side = (search.shape[-1] - 127) // 8 + 9
        cls_score = torch.zeros(len(search), 10, side, side)
        cls_score[:, 5:, side // 2, side // 2] = 5
        cls_score[:, 5:, side // 2, 2] = 8
        return cls_score, torch.zeros(len(search), 20, side, side)

    tracker, image = SiamRPNTracker(lost_search_size=383, align='pixel'), np.zeros((2000, 2000, 3), np.uint8)
    state = tracker.init(model, [image] * 2, np.array([[1000., 1000, 1040, 1040]] * 2))
    model.correlate = correlate
    new = tracker.update(model, state._replace(is_lost=np.array([False, True])), [image] * 2)
    shift = new.center - state.center
    np.testing.assert_allclose(shift, [[0, 0], [-(20 - 2) * 8 * 80 / 127, 0]], atol=1e-9)


def test_a_long_term_tracker_remembers_the_box_that_it_tells(model):
    """PySOT's goes on from the box before it was clipped."""
    tracker, videos = SiamRPNTracker(lost_search_size=383, penalty_k=0), frames(6)
    answer(model, 0.9, (3, 0, 0, 0))
    for state in states_of(model, tracker, videos, BOXES)[3:]:
        assert state.center[:, 0].tolist() == [160, 200, 160]


@pytest.mark.parametrize('deltas', [(3, 2, 0, 0), (-3, -2, 0, 0), (0, 0, 100, 100), (0, 0, -100, -100), (0, 0, 100, -100),
                                    (1e30, 0, 0, 0), (1e38, 1e38, 1e38, 1e38), (0, 0, float('inf'), 0)])
@pytest.mark.parametrize('settings', [dict(), dict(align='pixel', lost_search_size=383)])
def test_a_target_that_leaves_or_explodes_has_a_finite_box(model, deltas, settings):
    videos = frames(5)
    answer(model, 0.95, deltas)
    for state in states_of(model, SiamRPNTracker(**settings), videos, BOXES)[1:]:
        assert np.isfinite(state.box_xyxy).all()
        limits = np.array([[160, 120], [200, 150], [160, 120]])
        assert ((state.center >= 0) & (state.center <= limits)).all()
        assert ((state.size >= 10) & (state.size <= limits)).all()


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
    ([10, 10, 10, 20], 'have an area'), ([30, 10, 10, 20], 'have an area'), ([10, 10, np.nan, 20], 'finite'),
    ([10, 10, np.inf, 20], 'finite'), ([500, 10, 520, 30], 'outside of the image of 160x120'),
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


def test_another_number_of_frames_is_named(model):
    with pytest.raises(ValueError, match='2 frames need as many boxes, got 3'):
        SiamRPNTracker().init(model, frames(1)[0][:2], BOXES)
    state = SiamRPNTracker().init(model, frames(1)[0], BOXES)
    with pytest.raises(ValueError, match='3 targets need as many frames, got 2'):
        SiamRPNTracker().update(model, state, frames(1)[0][:2])


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


class Answer:
    """A model that says the same of every image: boxes (B, A, H, W, 4) centre and size, score (B, A, H, W)."""

    def __init__(self, boxes: torch.Tensor, score: torch.Tensor) -> None:
        self.answer, self.head = (boxes, score), self

    def prepare_images(self, images):
        return images

    def correlate(self, kernels, search):
        return self.answer

    def decode(self, boxes, score, search_size):
        return cxcywh_to_xyxy(boxes), score


@pytest.mark.parametrize('settings', [dict(penalty_k=.05, window_influence=.42, smoothing=.38),
                                      dict(penalty_k=.24, window_influence=.5, smoothing=.25)])
def test_the_choice_is_pysots(settings):
    rng = np.random.default_rng(1)
    tracker = SiamRPNTracker(**settings, align='pixel')
    shape = (5, 25, 25)
    for _ in range(20):
        center, size = rng.uniform(60, 100, 2), rng.uniform(20, 60, 2)
        boxes = np.concatenate((rng.uniform(90, 165, (2, 3125)), rng.uniform(20, 120, (2, 3125))))
        score = rng.uniform(0, 1, 3125)
        state = TrackState([], center[None], size[None], np.zeros((1, 3)), np.ones(1))
        answer = Answer(torch.from_numpy(boxes.T.reshape(1, *shape, 4)), torch.from_numpy(score.reshape(1, *shape)))
        new = tracker.update(answer, state, [np.zeros((1000, 1000, 3), np.uint8)])
        expected = pysot_choice(center, size, boxes, score, shape, settings)
        np.testing.assert_allclose(new.center[0], np.clip(expected[0], 0, 1000), atol=1e-9)
        np.testing.assert_allclose(new.size[0], np.maximum(expected[1], 10), atol=1e-9)
        assert new.confidence[0] == pytest.approx(expected[2])


def test_a_found_box_is_mapped_back_through_the_whole_pixels_that_were_cut():
    """Where a target of the frame lies in the crop, there the answer puts it: at any fraction of a pixel, odd and even sides."""
    rng = np.random.default_rng(2)
    for search_size in (255, 256):
        tracker = SiamRPNTracker(smoothing=1, penalty_k=0, search_size=search_size)
        for _ in range(20):
            state = TrackState([], rng.uniform(200, 800, (1, 2)), rng.uniform(20, 90, (1, 2)), np.zeros((1, 3)), np.ones(1))
            window = tracker._windows(state, search_size)[0]
            assert (window == window.round()).all()
            middle = (window[:2] + window[2:]) / 2
            assert np.abs(middle - state.center[0]).max() <= 1
            target = np.concatenate((middle + rng.uniform(-9, 9, 2), rng.uniform(20, 90, 2)))  # centre and size in the frame
            corners = np.concatenate((target[:2] - target[2:] / 2, target[:2] + target[2:] / 2))
            x1, y1, x2, y2 = box_in_window(corners, window, search_size) - 0.5  # as the anchors count
            boxes = torch.tensor([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]).expand(1, 1, 1, 1, 4)
            new = tracker.update(Answer(boxes, torch.ones(1, 1, 1, 1)), state, [np.zeros((1000, 1000, 3), np.uint8)])
            np.testing.assert_allclose(new.center[0], target[:2], atol=1e-9)
            np.testing.assert_allclose(new.size[0], target[2:], atol=1e-9)


def test_a_tracker_can_be_copied_and_sent(model):
    tracker, videos = SiamRPNTracker(penalty_k=0.3), frames(3)
    expected = run(model, tracker, videos, BOXES)
    for other in (copy.deepcopy(tracker), pickle.loads(pickle.dumps(tracker))):
        np.testing.assert_array_equal(run(model, other, videos, BOXES), expected)


@pytest.mark.parametrize('arguments', [dict(penalty_k=-1), dict(window_influence=1.5), dict(smoothing=-0.1),
                                       dict(template_size=300), dict(align='corner'), dict(min_size=0),
                                       dict(lost_search_size=200), dict(lost_window_influence=2), dict(lost_below=-0.1),
                                       dict(lost_below=0.9, found_above=0.8), dict(found_above=1.1)])
def test_arguments_out_of_range_are_named(arguments):
    with pytest.raises(ValueError, match='SiamRPNTracker'):
        SiamRPNTracker(**arguments)
