"""The demo on a video, a folder and broken frames, without a screen."""

import cv2
import numpy as np
import pytest
import torch
from conftest import load_tool, small_model_config
from mmengine.config import Config

from siamrpnpp_plugin.registry import MODELS
from siamrpnpp_plugin.visualization import VideoFile


@pytest.fixture
def demo():
    return load_tool('demo.py')


@pytest.fixture
def network(tmp_path) -> list:
    """--config and --checkpoint of a small network."""
    Config(dict(model=small_model_config(), default_scope='siamrpnpp_plugin')).dump(tmp_path / 'small.py')
    torch.save(dict(state_dict=MODELS.build(small_model_config()).state_dict()), tmp_path / 'small.pth')
    return ['--config', str(tmp_path / 'small.py'), '--checkpoint', str(tmp_path / 'small.pth'), '--device', 'cpu']


def frames(count: int) -> list:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (120, 160, 3), dtype=np.uint8) for _ in range(count)]


def write_folder(folder, count: int):
    folder.mkdir()
    for index, frame in enumerate(frames(count)):
        cv2.imwrite(str(folder / f'{index:03d}.png'), frame)
    return folder


def test_a_video_becomes_a_video_with_boxes(demo, network, tmp_path, capsys):
    with VideoFile(tmp_path / 'in.mp4') as video:
        for frame in frames(4):
            video.write(frame)
    demo.main([str(tmp_path / 'in.mp4'), '--box', '40,30,40,40', '--save', str(tmp_path / 'out' / 'boxes.mp4'), *network])
    boxes = np.loadtxt(tmp_path / 'out' / 'boxes.txt', delimiter=',')
    assert boxes.shape == (4, 5)
    assert boxes[0].tolist() == [40, 30, 40, 40, 1]
    assert np.isfinite(boxes).all()
    written = cv2.VideoCapture(str(tmp_path / 'out' / 'boxes.mp4'))
    assert int(written.get(cv2.CAP_PROP_FRAME_COUNT)) == 4
    assert '4 frames' in capsys.readouterr().out


def test_a_broken_frame_holds_the_box_and_strict_stops(demo, network, tmp_path, capsys):
    folder = write_folder(tmp_path / 'frames', 4)
    (folder / '002.png').write_bytes(b'no image')
    arguments = [str(folder), '--box', '40,30,40,40', '--save', str(tmp_path / 'out.mp4'), *network]
    demo.main(arguments)
    boxes = np.loadtxt(tmp_path / 'out.txt', delimiter=',')
    assert boxes[2, :4].tolist() == boxes[1, :4].tolist()
    assert boxes[2, 4] == 0
    assert '1 frames could not be read' in capsys.readouterr().err
    with pytest.raises(SystemExit, match='frame 2'):
        demo.main([*arguments, '--strict'])


@pytest.mark.parametrize(('arguments', 'message'), [
    (['nowhere.mp4', '--box', '1,2,30,40', '--save', 'x.mp4'], 'nowhere.mp4'),
    (['{folder}', '--box', '1,2,30,40'], '--save OUT.mp4'),
    (['{folder}', '--box', '500,2,30,40', '--save', '{empty}/x.mp4'], 'outside of the image'),
    (['{folder}', '--box', '5,2,0,40', '--save', '{empty}/x.mp4'], 'have an area'),
    (['{empty}', '--box', '5,2,10,40', '--save', '{folder}/x.mp4'], 'has no images'),
])
def test_wrong_input_is_one_clear_line(demo, network, tmp_path, arguments, message):
    folder, empty = write_folder(tmp_path / 'frames', 2), tmp_path / 'empty'
    empty.mkdir()
    with pytest.raises(SystemExit, match=message):
        demo.main([argument.format(folder=folder, empty=empty) for argument in arguments] + network)


def test_without_a_trained_model_the_message_says_how_to_get_one(demo, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, 'ROOT', tmp_path)
    arguments = [str(write_folder(tmp_path / 'frames', 2)), '--box', '1,2,30,40', '--save', str(tmp_path / 'x.mp4')]
    with pytest.raises(SystemExit, match='quickstart'):
        demo.main(arguments)
    work = tmp_path / 'work_dirs' / 'quickstart'
    work.mkdir(parents=True)
    torch.save(dict(state_dict=MODELS.build(small_model_config()).state_dict()), work / 'epoch_8.pth')
    Config(dict(model=small_model_config(), default_scope='siamrpnpp_plugin')).dump(tmp_path / 'small.py')
    demo.main([*arguments, '--config', str(tmp_path / 'small.py')])
    assert (tmp_path / 'x.mp4').exists()


def test_nothing_of_the_users_is_written_over(demo, network, tmp_path):
    with VideoFile(tmp_path / 'in.mp4') as video:
        video.write(frames(1)[0])
    before = (tmp_path / 'in.mp4').read_bytes()
    folder = write_folder(tmp_path / 'frames', 2)
    for source, save in ((tmp_path / 'in.mp4', tmp_path / 'in.mp4'), (folder, folder / 'groundtruth.mp4')):
        with pytest.raises(SystemExit, match='write over the source'):
            demo.main([str(source), '--box', '1,2,30,40', '--save', str(save), *network])
    assert (tmp_path / 'in.mp4').read_bytes() == before


def test_without_a_screen_the_message_says_what_to_do(demo, network, tmp_path, monkeypatch):
    for name in ('DISPLAY', 'WAYLAND_DISPLAY', 'QT_QPA_PLATFORM'):
        monkeypatch.delenv(name, raising=False)
    folder = write_folder(tmp_path / 'frames', 2)
    for arguments in (['--show', '--box', '1,2,30,40'], ['--save', str(tmp_path / 'x.mp4')]):
        with pytest.raises(SystemExit, match='no screen'):
            demo.main([str(folder), *arguments, *network])
