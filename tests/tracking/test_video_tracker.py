"""Whole videos in lockstep: the batch does not matter, broken frames are counted, the VOT protocol starts again."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from conftest import small_model_config

from siamrpnpp_plugin.registry import MODELS
from siamrpnpp_plugin.tracking import VideoTracker

TRACKER = dict(type='siamrpnpp_plugin.SiamRPNTracker')


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    return MODELS.build(small_model_config(backbone=dict(type='siamrpnpp_plugin.ResNet', depth=18, width=0.125),
                                           neck=dict(type='siamrpnpp_plugin.AdjustNeck', in_channels=(16, 32, 64),
                                                     out_channels=16))).eval()


@pytest.fixture(scope='module')
def sequences(tmp_path_factory) -> list:
    """Five videos of 2 to 9 frames and different sizes."""
    rng, folder, found = np.random.default_rng(0), tmp_path_factory.mktemp('videos'), []
    for number, length in enumerate((4, 9, 2, 6, 5)):
        size = (160 + 8 * number, 120)
        images = []
        for index in range(length):
            images.append(str(folder / f'{number}_{index}.png'))
            noise = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
            cv2.imwrite(images[-1], cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC))
        boxes = np.tile([40. + number, 30, 80, 75], (length, 1)) + rng.uniform(-2, 2, (length, 4))
        found.append(SimpleNamespace(name=f'video{number}', images=tuple(images), boxes_xyxy=boxes, polygons=None))
    return found


def track(model, sequences: list, **options) -> dict:
    return {sequence.name: result for sequence, result in VideoTracker(TRACKER, **options).track(model, sequences)}


def broken(sequence, frame: int, folder):
    """The sequence with one file that is no image."""
    path = folder / 'broken.png'
    path.write_bytes(b'no image')
    images = tuple(str(path) if index == frame else image for index, image in enumerate(sequence.images))
    return SimpleNamespace(**dict(vars(sequence), images=images))


def test_a_batch_of_videos_is_the_same_as_each_alone_in_any_order(model, sequences):
    alone = track(model, sequences)
    for batch in (2, 3, 8):
        for order in (sequences, sequences[::-1]):
            together = track(model, order, batch_videos=batch)
            for name, result in alone.items():
                np.testing.assert_allclose(together[name].boxes_xyxy, result.boxes_xyxy, atol=1e-3)
                assert together[name].kind.tolist() == result.kind.tolist()


def test_a_video_is_tracked_from_its_first_box_on(model, sequences):
    result = track(model, sequences[:1])['video0']
    assert result.boxes_xyxy[0].tolist() == sequences[0].boxes_xyxy[0].tolist()
    assert result.kind.tolist() == [1, -1, -1, -1]
    assert result.size == (160, 120)
    assert result.seconds.shape == (4, 4)
    assert (result.seconds[1:, 2] > 0).all()  # the network takes time
    assert len(np.unique(result.boxes_xyxy, axis=0)) == 4


def test_a_broken_frame_holds_the_box_and_is_named(model, sequences, tmp_path):
    sequence = broken(sequences[1], 3, tmp_path)
    result = track(model, [sequences[0], sequence], batch_videos=2)['video1']
    assert result.boxes_xyxy[3].tolist() == result.boxes_xyxy[2].tolist()
    assert result.confidence[3] == 0
    assert result.held == (str(tmp_path / 'broken.png'),)
    assert result.boxes_xyxy[:3] == pytest.approx(track(model, sequences[1:2])['video1'].boxes_xyxy[:3], abs=1e-3)


def test_strict_and_a_broken_first_frame_stop_and_name_the_file(model, sequences, tmp_path):
    with pytest.raises(ValueError, match=r'video1: the frame .*broken\.png'):
        track(model, [broken(sequences[1], 3, tmp_path)], strict=True)
    with pytest.raises(ValueError, match=r'video1: the first frame .*broken\.png'):
        track(model, [broken(sequences[1], 0, tmp_path)])


def test_a_useless_first_box_names_the_sequence(model, sequences):
    outside = SimpleNamespace(**dict(vars(sequences[0]), boxes_xyxy=sequences[0].boxes_xyxy + 500))
    with pytest.raises(ValueError, match='video0, .*outside of the image'):
        track(model, [outside])


def test_supervised_tracking_starts_again_five_frames_after_a_failure(model, sequences):
    truth = track(model, [sequences[1]])['video1'].boxes_xyxy
    followed, at_two = truth[1].copy(), truth[2]
    corners = np.array([[0, 0, 3, 3], [165, 0, 168, 3], [0, 117, 3, 120], [165, 117, 168, 120.]])
    distances = np.linalg.norm(corners[:, :2] - (at_two[:2] + at_two[2:]) / 2, axis=1)
    truth[2:] = corners[distances.argmax()]  # jumps away at frame 2
    jumping = SimpleNamespace(**dict(vars(sequences[1]), boxes_xyxy=truth))
    result = track(model, [jumping], supervised=True)['video1']
    assert result.kind[:8].tolist() == [1, -1, 2, 0, 0, 0, 0, 1]
    assert np.isnan(result.boxes_xyxy[2:7]).all()
    assert result.boxes_xyxy[7].tolist() == truth[7].tolist()
    assert result.boxes_xyxy[1] == pytest.approx(followed, abs=1e-3)


@pytest.mark.parametrize('options', [dict(batch_videos=0), dict(readers=0)])
def test_wrong_numbers_are_named(options):
    with pytest.raises(ValueError, match='VideoTracker must be positive'):
        VideoTracker(TRACKER, **options)
