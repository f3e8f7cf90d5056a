"""Pictures, curves and videos are what they say, and nothing handed in is changed."""

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import VISUALIZERS as ROOT_VISUALIZERS

from siamrpnpp_plugin.registry import VISUALIZERS
from siamrpnpp_plugin.visualization import (
    GREEN,
    RED,
    VideoFile,
    draw_box,
    draw_text,
    draw_trail,
    image_grid,
    pairs_picture,
    plot_curves,
    save_image,
    write_tracks,
)


@pytest.fixture
def image():
    return np.zeros((60, 80, 3), np.uint8)


def test_a_box_is_drawn_on_its_border_and_on_a_copy(image):
    drawn = draw_box(image, [10, 20, 40, 50], GREEN)
    assert not image.any()
    rows, columns = np.nonzero(drawn.any(axis=2))
    assert abs(rows.min() - 20) <= 1
    assert abs(rows.max() - 50) <= 1
    assert abs(columns.min() - 10) <= 1
    assert abs(columns.max() - 40) <= 1
    assert not drawn[25:45, 15:35].any()  # an outline


def test_text_and_trail_are_drawn_on_copies(image):
    assert draw_text(image, 'a', GREEN, line=1).any()
    trail = draw_trail(image, [(10, 10), (40, 30), (70, 10)], RED)
    assert trail[20, 24:28].any()
    assert not image.any()


def test_a_grid_has_every_image_in_its_cell():
    sheet = image_grid([np.full((4, 6, 3), value, np.uint8) for value in (50, 100, 150)], columns=2, gap=1)
    assert sheet.shape == (11, 15, 3)
    assert (sheet[1:5, 8:14] == 100).all()
    assert (sheet[6:10, 1:7] == 150).all()
    with pytest.raises(ValueError, match='a grid needs images'):
        image_grid([], 2)


def test_an_image_needs_a_known_suffix(image, tmp_path):
    save_image(tmp_path / 'new' / 'a.png', image + 7)
    assert (cv2.imread(str(tmp_path / 'new' / 'a.png')) == 7).all()
    with pytest.raises(ValueError, match=r'\.png or \.jpg'):
        save_image(tmp_path / 'a.xyz', image)


def test_curves_become_an_image(tmp_path):
    curves = {'a': np.array([1, 0.5, 0]), 'b': np.zeros(3)}
    plot_curves(tmp_path / 'new' / 'a.png', np.arange(3), curves, ('x', 'y'), 'title', score=0)
    assert cv2.imread(str(tmp_path / 'new' / 'a.png')).std() > 5


def read_video(path) -> list:
    capture, frames = cv2.VideoCapture(str(path)), []
    while True:
        is_there, frame = capture.read()
        if not is_there:
            return frames
        frames.append(frame)


def test_several_trackers_are_drawn_on_one_video(tmp_path):
    images = []
    for index in range(3):
        images.append(str(tmp_path / f'{index}.png'))
        cv2.imwrite(images[-1], np.full((240, 320, 3), 90, np.uint8))
    boxes = np.tile([40., 60, 120, 160], (3, 1))
    hidden = boxes.copy()
    hidden[1] = np.nan
    write_tracks(tmp_path / 'out.mp4', images, {'one': boxes, 'two': hidden + [100, 0, 100, 0]})
    frames = read_video(tmp_path / 'out.mp4')
    assert len(frames) == 3
    assert frames[0].shape == (480, 640, 3)  # small videos are enlarged
    place = slice(200, 260), slice(270, 290)  # left border of the second box, doubled
    assert frames[0][place].std() > 2 * frames[1][place].std()
    with pytest.raises(ValueError, match=r'nowhere\.png is missing'):
        write_tracks(tmp_path / 'out.mp4', ['nowhere.png'], {})


def test_frames_of_another_size_are_brought_to_the_first_ones(tmp_path):
    with VideoFile(tmp_path / 'a.mp4') as video:
        for size in ((480, 640, 3), (100, 120, 3)):
            video.write(np.zeros(size, np.uint8))
    assert [frame.shape for frame in read_video(tmp_path / 'a.mp4')] == [(480, 640, 3)] * 2


def test_a_video_that_cannot_be_written_is_named(tmp_path, image):
    (tmp_path / 'taken.mp4').mkdir()
    with pytest.raises(OSError, match=r'taken\.mp4'), VideoFile(tmp_path / 'taken.mp4') as video:
        video.write(image)


def test_pairs_reach_every_backend_of_the_visualizer(tmp_path):
    rng = np.random.default_rng(0)
    pairs = dict(template=rng.integers(0, 256, (2, 3, 32, 32), dtype=np.uint8), search=np.full((2, 3, 64, 64), 90, np.uint8),
                 box_xyxy=np.tile([10., 12, 30, 40], (2, 1)), is_positive=np.array([True, False]),
                 found_xyxy=np.array([[11., 12, 31, 40], [np.nan] * 4]), score=rng.random((2, 5, 7, 7)))
    picture = pairs_picture(**pairs)
    assert picture.ndim == 3
    assert picture.shape == (2 * 64 + 6, 64 * 3 + 8, 3)
    assert (picture[2:66, 68:132].std(axis=(0, 1)) > 3).all()  # a box is drawn on the plain search image
    visualizer = ROOT_VISUALIZERS.build(Config(dict(type='siamrpnpp_plugin.TrackingVisualizer', name='test_pairs',
                                                    save_dir=str(tmp_path), vis_backends=[dict(type='LocalVisBackend')])))
    visualizer.add_pairs('pairs', step=3, **pairs)
    written, = tmp_path.rglob('*.png')
    assert '3' in written.name
    assert (cv2.imread(str(written)) == picture).all()
    assert 'TrackingVisualizer' in VISUALIZERS.module_dict
