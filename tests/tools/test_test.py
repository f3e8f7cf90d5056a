"""tools/test.py, a real Runner on a real tree: results, tables, plots; interrupted, in batches, on two ranks; eval_results.py."""

import json
import os
import socket
import subprocess
import sys
import zipfile

import cv2
import numpy as np
import pytest
import torch
from conftest import ROOT, load_tool, small_model_config
from mmengine.config import Config

from siamrpnpp_plugin.datasets.synthetic import write_synthetic_vid
from siamrpnpp_plugin.registry import MODELS

MODEL = small_model_config(backbone=dict(type='siamrpnpp_plugin.ResNet', depth=18, width=0.125),
                           neck=dict(type='siamrpnpp_plugin.AdjustNeck', in_channels=(16, 32, 64), out_channels=16))
TRACKER = dict(type='SiamRPNTracker', window_influence=0.9, smoothing=0.05)


@pytest.fixture(scope='module')
def tool():
    return load_tool('test.py')


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    """Three synthetic validation videos, of one or two targets each."""
    root = tmp_path_factory.mktemp('videos')
    list(write_synthetic_vid(root, videos=3, frames=7, size=(160, 120), seed=5, split='val'))
    return root


@pytest.fixture(scope='module')
def network(tmp_path_factory) -> list:
    """Config and checkpoint of a small network."""
    folder = tmp_path_factory.mktemp('network')
    Config(dict(model=MODEL, default_scope='siamrpnpp_plugin', tracker=TRACKER)).dump(folder / 'small.py')
    torch.manual_seed(0)
    model = MODELS.build(MODEL)
    for head in model.head.rpn_heads:
        for parameter in head.box_head.parameters():
            parameter.data *= 1e-6  # untrained, it nearly stays: overlaps are not 0
    torch.save(dict(state_dict=model.state_dict()), folder / 'small.pth')
    return [str(folder / 'small.py'), str(folder / 'small.pth')]


@pytest.fixture(scope='module')
def arguments(network, videos) -> list:
    return [*network, '--benchmark', 'vid', '--data-root', str(videos), '--split', 'val', '--resamples', '50']


@pytest.fixture(scope='module')
def reference(tool, arguments, tmp_path_factory):
    out = tmp_path_factory.mktemp('out')
    tool.main([*arguments, '--out', str(out), '--static'])
    return out


def boxes(folder) -> dict:
    return {path.name: np.loadtxt(path, delimiter=',') for path in sorted(folder.glob('*.txt'))}


def test_results_table_plots_and_video_are_there(reference):
    summary = json.loads((reference / 'summary.json').read_text())
    assert set(summary['trackers']) == {'small', 'static box'}
    number = summary['num_sequences']
    assert number >= 3
    assert 0 < summary['trackers']['small']['auc'] < 1
    assert len(summary['trackers']['small']['sequences']) == number
    assert summary['frames_per_second'] > 0
    for name in ('success_plot', 'precision_plot'):
        assert cv2.imread(summary[name]).shape[2] == 3
    assert int(cv2.VideoCapture(summary['video']).get(cv2.CAP_PROP_FRAME_COUNT)) > 2
    found = boxes(reference / 'small')
    assert len(found) == len(list((reference / 'small' / 'times').iterdir())) == number
    assert sum(map(len, found.values())) == summary['num_frames']
    assert all(np.isfinite(rows).all() and rows.shape[1] == 4 for rows in found.values())


def test_scoring_the_files_gives_the_same_table(reference, videos, capsys):
    evaluate = load_tool('eval_results.py')
    evaluate.main(['vid', '--data-root', str(videos), '--split', 'val', '--results', str(reference / 'small'),
                   '--out', str(reference / 'again'), '--resamples', '50'])
    before, after = (json.loads((reference / place / 'summary.json').read_text())['trackers']['small'] for place in ('', 'again'))
    assert after == before
    assert 'rules of' in capsys.readouterr().out


def test_an_interrupted_run_goes_on_with_what_is_missing(tool, arguments, reference, tmp_path):
    tool.main([*arguments, '--out', str(tmp_path)])
    files = sorted((tmp_path / 'small').glob('*.txt'))
    files[1].unlink()
    times = {path: path.stat().st_mtime_ns for path in files if path.exists()}
    tool.main([*arguments, '--out', str(tmp_path)])
    assert {path: path.stat().st_mtime_ns for path in times} == times
    for name, found in boxes(reference / 'small').items():
        np.testing.assert_allclose(boxes(tmp_path / 'small')[name], found, atol=1e-3)


def test_videos_in_batches_give_the_same_boxes(tool, arguments, reference, tmp_path):
    tool.main([*arguments, '--out', str(tmp_path), '--batch-videos', '2', '--no-video'])
    for name, found in boxes(reference / 'small').items():
        np.testing.assert_allclose(boxes(tmp_path / 'small')[name], found, atol=1e-3)
    assert not (tmp_path / 'tracks.mp4').exists()


def test_a_fast_network_gives_the_same_boxes_and_its_folder_is_its_own(tool, arguments, reference, tmp_path):
    tool.main([*arguments, '--out', str(tmp_path), '--fast', '--no-video'])
    for name, found in boxes(reference / 'small').items():
        np.testing.assert_allclose(boxes(tmp_path / 'small')[name], found, atol=0.01 if not torch.cuda.is_available() else 1)
    with pytest.raises(SystemExit, match='another fast'):
        tool.main([*arguments, '--out', str(tmp_path)])


def test_two_ranks_share_the_videos_and_give_the_same_table(arguments, reference, tmp_path):
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    variables = dict(os.environ, PORT=str(port), PYTHON=sys.executable, OMP_NUM_THREADS='1')
    done = subprocess.run(['bash', str(ROOT / 'tools' / 'dist_test.sh'), *arguments[:2], '2', *arguments[2:], '--out',
                           str(tmp_path), '--static'], env=variables, capture_output=True, text=True,
                          timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    ours, theirs = (json.loads((folder / 'summary.json').read_text())['trackers'] for folder in (tmp_path, reference))
    for name, values in theirs.items():
        assert ours[name]['sequences'].keys() == values['sequences'].keys()
        assert 0 < values['auc'] < 1
        assert ours[name]['auc'] == pytest.approx(values['auc'], abs=1e-3)
    for name, found in boxes(reference / 'small').items():
        np.testing.assert_allclose(boxes(tmp_path / 'small')[name], found, atol=1e-3)


def write_videos(root, names: list, frames: int = 5) -> None:
    for name in names:
        write_frames(root / name, frames)
        (root / name / 'groundtruth.txt').write_text('40,30,50,40\n' * frames)


def test_videos_whose_names_differ_by_a_sign_do_not_share_results(tool, network, tmp_path):
    write_videos(tmp_path / 'root', ['dog1', 'dog_1', 'x/v', 'y/v'])
    arguments = [*network, '--benchmark', 'folders', '--data-root', str(tmp_path / 'root'), '--out', str(tmp_path / 'out'),
                 '--no-video']
    tool.main([*arguments, '--names', 'dog1'])
    tool.main(arguments)
    assert sorted(boxes(tmp_path / 'out' / 'small')) == ['dog1.txt', 'dog_1.txt', 'x_v.txt', 'y_v.txt']


def test_a_broken_frame_and_a_short_video_are_told_and_do_not_stop_the_run(tool, network, tmp_path, capsys):
    write_videos(tmp_path / 'root', ['a', 'b'])
    write_videos(tmp_path / 'root', ['one'], frames=1)
    (tmp_path / 'root' / 'a' / '00000003.jpg').write_bytes(b'no image')
    tool.main([*network, '--benchmark', 'folders', '--data-root', str(tmp_path / 'root'), '--out', str(tmp_path / 'out')])
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert summary['held_frames'] == 1
    assert summary['num_sequences'] == 2
    output = capsys.readouterr().out
    assert '1 sequences are not scored' in output
    assert '1 frames could not be read' in output
    with pytest.raises(SystemExit, match='another strict'):
        tool.main([*network, '--benchmark', 'folders', '--data-root', str(tmp_path / 'root'), '--out', str(tmp_path / 'out'),
                   '--strict'])


def test_results_of_another_model_are_not_mixed_in(tool, arguments, network, reference, tmp_path):
    other = tmp_path / 'small.pth'
    torch.manual_seed(1)
    torch.save(dict(state_dict=MODELS.build(MODEL).state_dict()), other)
    with pytest.raises(SystemExit, match='another checkpoint'):
        tool.main([network[0], str(other), *arguments[2:], '--out', str(reference)])
    before = boxes(reference / 'small')
    (tmp_path / 'out' / 'small').mkdir(parents=True)
    (tmp_path / 'out' / 'small' / 'Somebody.txt').write_text('1,2,3,4\n')
    with pytest.raises(SystemExit, match='files of something else'):
        tool.main([*arguments, '--out', str(tmp_path / 'out')])
    with pytest.raises(SystemExit, match='removes only its own'):
        tool.main([*arguments, '--out', str(tmp_path / 'out'), '--overwrite'])
    assert boxes(reference / 'small').keys() == before.keys()


def test_a_result_of_another_length_is_named(tool, arguments, tmp_path):
    tool.main([*arguments, '--out', str(tmp_path), '--no-video'])
    path = next((tmp_path / 'small').glob('*.txt'))
    path.write_text('1,2,3,4\n')
    with pytest.raises(SystemExit, match=r'has 1 frames, .* has \d'):
        tool.main([*arguments, '--out', str(tmp_path), '--no-video'])


def write_frames(folder, count: int) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(count):
        image = cv2.resize(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8), (160, 120), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f'{index + 1:08d}.jpg'), image)


def test_vot_runs_its_protocol_and_prints_eao(tool, network, tmp_path):
    root = tmp_path / 'vot'
    for name in 'ab':
        write_frames(root / name / 'color', 14)
        (root / name / 'groundtruth.txt').write_text('20,10,140,10,140,110,20,110\n' * 14)
        for tag in ('camera_motion', 'illum_change', 'motion_change', 'size_change', 'occlusion'):
            (root / name / f'{tag}.tag').write_text('1\n0\n1\n')
    (root / 'list.txt').write_text('a\nb\n')
    arguments = [*network, '--benchmark', 'vot2018', '--data-root', str(root), '--out', str(tmp_path / 'out')]
    tool.main(arguments)
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())['trackers']['small']
    lines = (tmp_path / 'out' / 'small' / 'baseline' / 'a' / 'a_001.txt').read_text().splitlines()
    assert lines[0] == '1'
    assert len(lines) == 14
    assert 0 < summary['accuracy'] < 1
    assert set(summary['eao_by_tag']) >= {'all', 'occlusion'}
    tool.main(arguments)  # from the files
    again = json.loads((tmp_path / 'out' / 'summary.json').read_text())['trackers']['small']
    assert str(again) == str(summary)  # NaN among them: so short a video says nothing of the EAO


def test_a_split_without_truth_becomes_a_zip_for_its_server(tool, network, tmp_path, capsys):
    root = tmp_path / 'got10k'
    for name in 'AB':
        write_frames(root / 'test' / name, 4)
        (root / 'test' / name / 'groundtruth.txt').write_text('40,30,50,40\n')
    (root / 'test' / 'list.txt').write_text('A\nB\n')
    tool.main([*network, '--benchmark', 'got10k', '--data-root', str(root), '--split', 'test', '--out', str(tmp_path / 'out')])
    with zipfile.ZipFile(tmp_path / 'out' / 'small.zip') as archive:
        assert sorted(archive.namelist()) == ['A/A_001.txt', 'A/A_time.txt', 'B/B_001.txt', 'B/B_time.txt']
        assert len(archive.read('A/A_001.txt').splitlines()) == 4
    assert 'server' in capsys.readouterr().out


@pytest.mark.parametrize(('change', 'message'), [
    ({'--data-root': 'nowhere'}, 'nowhere'),
    ({1: 'nowhere.pth'}, r'nowhere\.pth'),
])
def test_wrong_input_is_one_clear_line(tool, arguments, tmp_path, change, message):
    wrong = list(arguments)
    for key, value in change.items():
        wrong[key if isinstance(key, int) else wrong.index(key) + 1] = value
    with pytest.raises(SystemExit, match=message):
        tool.main([*wrong, '--out', str(tmp_path)])


def test_results_that_are_not_complete_or_too_short_are_named(videos, tmp_path, reference):
    evaluate = load_tool('eval_results.py')
    arguments = ['vid', '--data-root', str(videos), '--split', 'val', '--resamples', '0', '--results']
    for path in (reference / 'small').glob('*.txt'):
        (tmp_path / path.name).write_text(path.read_text())
    first = sorted(tmp_path.glob('*.txt'))[0]
    lines = first.read_text().splitlines()
    first.write_text('\n'.join(lines[:-2]))
    with pytest.raises(SystemExit, match=f'need as many boxes, got {len(lines) - 2}'):
        evaluate.main([*arguments, str(tmp_path)])
    first.unlink()
    with pytest.raises(SystemExit, match=r'lacks the results of 1 of \d sequences'):
        evaluate.main([*arguments, str(tmp_path)])
