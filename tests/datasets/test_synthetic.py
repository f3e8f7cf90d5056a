import functools
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from siamrpnpp_plugin.datasets.sources import VIDSource
from siamrpnpp_plugin.datasets.synthetic import outline, smooth_path, synthetic_video, video_name, write_synthetic_vid
from siamrpnpp_plugin.ops.boxes import box_iou

SIZE, FRAMES = (160, 120), 60
SMALL = dict(frames=4, size=(96, 64))


@functools.lru_cache(maxsize=1)
def annotated_tracks() -> list:
    """[{frame: (box_xyxy, occluded)}] of every track of eight videos, continuous boxes."""
    tracks = []
    for index in range(8):
        split = ('train', 'val')[index % 2]
        video, found = synthetic_video(index, FRAMES, SIZE, 0, split), {}
        for t in range(FRAMES):
            for target in video.frame(t)[1]:
                box = torch.tensor(target.box) + torch.tensor([0., 0., 1., 1.])
                found.setdefault(target.track, {})[t] = box, target.occluded
        tracks += found.values()
    return tracks


def files_below(root: Path) -> dict:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob('*')) if path.is_file()}


def write(root: Path, videos: int, **options) -> dict:
    """Files of a split that was just written."""
    names = list(write_synthetic_vid(root, videos, **{**SMALL, **options}))
    assert names == [video_name(options.get('split', 'train'), index) for index in range(videos)]
    return files_below(root)


def test_same_seed_gives_the_same_files_for_any_number_of_workers(tmp_path):
    first = write(tmp_path / 'first', 3)
    assert len(first) == 3 * 4 * 2, 'an image and an annotation for each frame'
    assert write(tmp_path / 'again', 3) == first
    assert write(tmp_path / 'workers', 3, workers=2) == first


def test_another_seed_gives_other_files(tmp_path):
    first, second = write(tmp_path / 'first', 1), write(tmp_path / 'second', 1, seed=1)
    assert first.keys() == second.keys()
    assert all(first[name] != second[name] for name in first if name.endswith('.JPEG'))


def test_a_video_does_not_depend_on_how_many_there_are(tmp_path):
    one, three = write(tmp_path / 'one', 1), write(tmp_path / 'three', 3)
    assert one.items() < three.items()
    assert len({content for name, content in three.items() if name.endswith('000000.JPEG')}) == 3, 'and each differs'


def test_train_and_val_differ_in_place_and_pictures(tmp_path):
    train, val = write(tmp_path / 'root', 1), write(tmp_path / 'other', 1, split='val')
    assert 'Data/VID/train/ILSVRC2015_VID_train_0000/ILSVRC2015_train_00000000/000000.JPEG' in train
    assert 'Annotations/VID/val/ILSVRC2015_val_00000000/000003.xml' in val
    assert not set(train.values()) & set(val.values())
    boxes = [synthetic_video(0, 2, SIZE, 0, split).frame(0)[1] for split in ('train', 'val')]
    assert boxes[0] != boxes[1], 'nor do the targets move alike'


def test_both_splits_may_share_a_root(tmp_path):
    train = write(tmp_path, 1)
    both = write(tmp_path, 1, split='val')
    assert train.items() < both.items()


def test_video_names_are_those_of_vid():
    assert video_name('train', 2345) == 'ILSVRC2015_VID_train_0002/ILSVRC2015_train_00002345'
    assert video_name('val', 7010) == 'ILSVRC2015_val_00007010'


@pytest.mark.parametrize('split', ['train', 'val'])
def test_the_reader_of_vid_finds_every_frame_and_skips_nothing(tmp_path, split):
    write(tmp_path, 3, frames=6, split=split)
    source = VIDSource(tmp_path, split)
    assert source.videos() == [video_name(split, index) for index in range(3)]
    for index, name in enumerate(source.videos()):
        tracks, skips = source.read(name)
        assert skips == []
        assert len(tracks) >= 1
        video = synthetic_video(index, 6, SMALL['size'], 0, split)
        targets = {(t, str(target.track)): target for t in range(6) for target in video.frame(t)[1]}
        assert len(targets) == sum(len(track.frames) for track in tracks)
        for track in tracks:
            assert track.image_sizes == (SMALL['size'], ) * len(track.frames)
            assert cv2.imread(track.images[0]).shape == (64, 96, 3)
            for frame, box, occluded in zip(track.frames, track.boxes_xyxy, track.occluded):
                target = targets[int(frame), track.name]
                assert box.tolist() == [target.box[0], target.box[1], target.box[2] + 1, target.box[3] + 1]
                assert occluded == target.occluded


def test_written_images_show_the_frames(tmp_path):
    write(tmp_path, 1)
    video = synthetic_video(0, 4, SMALL['size'], 0, 'train')
    for t in range(4):
        written = cv2.imread(str(tmp_path / 'Data/VID/train' / video_name('train', 0) / f'{t:06d}.JPEG'), cv2.IMREAD_GRAYSCALE)
        frame = cv2.cvtColor(video.frame(t)[0], cv2.COLOR_BGR2GRAY)
        assert np.abs(written.astype(int) - frame).mean() < 3, 'as far as JPEG keeps them'


def test_boxes_lie_in_the_image():
    boxes = torch.stack([box for track in annotated_tracks() for box, _ in track.values()])
    assert boxes.min() >= 0
    assert boxes[:, 2].max() <= SIZE[0]
    assert boxes[:, 3].max() <= SIZE[1]
    assert (boxes[:, 2:] > boxes[:, :2]).all()


def test_a_box_that_stays_where_it_was_fails():
    overlaps = [float(torch.stack([box_iou(boxes[0], box) for box in boxes[1:]]).mean())
                for boxes in ([box for box, _ in track.values()] for track in annotated_tracks()) if len(boxes) > FRAMES // 2]
    assert len(overlaps) >= 8
    assert np.mean(overlaps) < 0.25


def test_targets_move_a_trackable_distance_from_frame_to_frame():
    steps = []
    for track in annotated_tracks():
        for t in track.keys() & {t + 1 for t in track}:
            (before, _), (now, _) = track[t - 1], track[t]
            distance = ((now[:2] + now[2:] - before[:2] - before[2:]) / 2).norm()
            steps.append(float(distance / (before[2:] - before[:2]).prod().sqrt()))
    assert len(steps) > 8 * FRAMES * 0.5
    assert max(steps) < 0.6
    assert np.median(steps) > 0.05, 'they do move'


def test_targets_keep_most_of_their_size_from_frame_to_frame():
    ratios = [float((track[t][0][2:] - track[t][0][:2]).prod() / (track[t - 1][0][2:] - track[t - 1][0][:2]).prod())
              for track in annotated_tracks() for t in track.keys() & {t + 1 for t in track}
              if not (track[t][0] <= 0).any() and not (track[t - 1][0] <= 0).any()]
    low, high = np.quantile(ratios, (0.02, 0.98))
    assert low > 0.8
    assert high < 1.25


def test_some_frames_are_occluded_and_most_are_not():
    occluded = [flag for track in annotated_tracks() for _, flag in track.values()]
    assert 0.01 < np.mean(occluded) < 0.5


def test_box_is_that_of_the_painted_pixels():
    """Of the pixels that the target covers by half or more, as if nothing hid it."""
    checked = 0
    for index in range(6):
        video = synthetic_video(index, 12, SIZE, 3, 'train')
        for t in range(12):
            _, targets, alphas = video.frame(t)
            for target in targets:
                rows, columns = np.nonzero(alphas[target.track] >= 0.5)
                painted = np.array([columns.min(), rows.min(), columns.max(), rows.max()])
                assert np.abs(painted - target.box).max() <= 2
                checked += 1
    assert checked > 60


def test_frames_may_be_asked_for_in_any_order():
    first, second = (synthetic_video(1, 8, SIZE, 0, 'val') for _ in range(2))
    forward = [first.frame(t)[0] for t in range(8)]
    backward = [second.frame(t)[0] for t in reversed(range(8))]
    assert all(np.array_equal(one, other) for one, other in zip(forward, backward[::-1]))


@pytest.mark.parametrize('seed', range(12))
def test_outline_touches_all_sides_of_its_square(seed):
    points = outline(np.random.default_rng(seed))
    np.testing.assert_allclose(points.min(axis=0), -0.5)
    np.testing.assert_allclose(points.max(axis=0), 0.5)


def test_smooth_path_wanders_around_zero_without_jumps():
    paths = np.stack([smooth_path(np.random.default_rng(seed), 200, 20, 1.0) for seed in range(50)])
    assert paths.shape == (50, 200)
    assert abs(paths.mean()) < 0.2
    assert 0.5 < paths.std() < 1.5
    assert np.abs(np.diff(paths, axis=1)).max() < 0.5


@pytest.mark.parametrize('kind', ['Data', 'Annotations'])
def test_existing_split_is_refused_and_left_alone(tmp_path, kind):
    folder = tmp_path / kind / 'VID' / 'train'
    folder.mkdir(parents=True)
    (folder / 'precious').write_text('real')
    with pytest.raises(FileExistsError, match='choose another folder'):
        write_synthetic_vid(tmp_path, 1, **SMALL)
    assert files_below(tmp_path) == {f'{kind}/VID/train/precious': b'real'}


@pytest.mark.parametrize(('options', 'message'), [
    (dict(videos=0), 'videos >= 1'),
    (dict(frames=1), 'frames >= 2'),
    (dict(size=(63, 240)), 'sides >= 64'),
    (dict(size=(320, 63)), 'sides >= 64'),
    (dict(seed=-1), 'seed >= 0'),
    (dict(split='test'), "split must be one of .* got 'test'"),
])
def test_arguments_out_of_range_are_refused_before_anything_is_written(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        write_synthetic_vid(tmp_path / 'root', **{'videos': 1, **SMALL, **options})
    assert not (tmp_path / 'root').exists()
