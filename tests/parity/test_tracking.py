"""Our tracker with PySOT's weights goes PySOT's way, frame by frame; `pysot_tracks.py` made the numbers with PySOT itself."""

import json
from pathlib import Path

import numpy as np
import pysot_tracks
import pytest
import seeded

HERE = Path(__file__).resolve().parent
SHAPES = json.loads((HERE / 'pysot_shapes.json').read_text())
NUMBERS = np.load(HERE / 'pysot_tracks.npz')

pytestmark = pytest.mark.parity


@pytest.mark.parametrize(('name', 'num_frames'), [
    pytest.param('r50', 6, id='r50'),
    pytest.param('r50', 12, id='r50-all', marks=pytest.mark.slow),
    pytest.param('r50_lt', 8, id='r50_lt', marks=pytest.mark.slow),  # searches 831x831
    pytest.param('mobilenetv2', 12, id='mobilenetv2'),
    pytest.param('alexnet', 12, id='alexnet'),
    pytest.param('alexnet_lt', 12, id='alexnet_lt'),
    pytest.param('alexnet_lost', 7, id='alexnet_lost')])
def test_every_frame_equals_pysots(name, num_frames):
    case = pysot_tracks.CASES[name]
    numbers = {key: NUMBERS[f'{name}/{key}'] for key in ('boxes_xywh', 'scores', 'is_lost', 'crops', 'crop_means', 'crop_sides')}
    gains = {branch: tuple(NUMBERS[f'{name}/gains/{branch}']) for branch in ('cls', 'loc')}
    tensors = pysot_tracks.spread(seeded.weights(SHAPES[case.network], seed=0), gains)
    frames = pysot_tracks.video(case.num_frames, case.is_long_term)[:num_frames]
    track = pysot_tracks.our_track(*pysot_tracks.our_tracker(case, tensors), frames, pysot_tracks.BOX_XYWH)

    assert len(numbers['scores']) >= num_frames
    for frame in range(num_frames):
        np.testing.assert_allclose(track.boxes_xywh[frame], numbers['boxes_xywh'][frame], atol=0.02, err_msg=f'frame {frame}')
        assert track.scores[frame] == pytest.approx(numbers['scores'][frame], abs=1e-3), frame
        assert track.is_lost[frame] == numbers['is_lost'][frame], frame
        crop = track.crops[frame]
        assert len(crop) == numbers['crop_sides'][frame], frame
        sample = pysot_tracks.crop_sample(crop).astype(int)
        assert np.abs(sample - numbers['crops'][frame]).max() <= 1, frame
        assert crop.mean() == pytest.approx(numbers['crop_means'][frame], abs=0.05), frame


@pytest.mark.parametrize('name', pysot_tracks.CASES)
def test_the_tracks_are_lively(name):
    boxes = NUMBERS[f'{name}/boxes_xywh']
    center = boxes[:, :2] + boxes[:, 2:] / 2
    assert np.linalg.norm(np.diff(center, axis=0), axis=1).mean() > 1
    assert (boxes[:, 2:] > 10).all(), 'no size is held at its limit'
    assert np.ptp(boxes[:, 2:], axis=0).min() > 1
    assert (NUMBERS[f'{name}/scores'][1:] < 0.99999).all()
    if pysot_tracks.CASES[name].is_long_term:  # PySOT's remembers what is not clipped, ours does not
        assert ((center > 0) & (center < [320, 240])).all()
    side = 2 * np.sqrt(np.prod(boxes[:, 2:] + boxes[:, 2:].mean(axis=1, keepdims=True), axis=1))  # of the search window, about
    assert ((center + side[:, None] / 2) > [320, 240]).any(), 'some window leaves the frame and is padded'


@pytest.mark.parametrize('name', ['r50_lt', 'alexnet_lt', 'alexnet_lost'])
def test_the_long_term_tracks_reach_every_state(name):
    is_lost, scores, sides = (NUMBERS[f'{name}/{key}'] for key in ('is_lost', 'scores', 'crop_sides'))
    assert (scores < 0.8).any()
    assert (sides[1:][is_lost[:-1]] == 831).all(), 'the frame after a loss is searched widely'
    assert (np.diff(is_lost.astype(int)) == -1).any() == (name != 'alexnet_lost'), 'found again'
    assert (is_lost & (scores > 0.8)).any() == (name == 'alexnet_lost'), 'still lost, but moving'
