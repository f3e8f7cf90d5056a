"""From a checkpoint to a folder that stands in for it, at the command line."""

import json
import shutil

import pytest
import torch
from conftest import ROOT, load_tool

from siamrpnpp_plugin.apis import init_model

export = load_tool('export_onnx.py')
evaluate = load_tool('test.py')
SMALL = """_base_ = '{root}/configs/siamrpn_alexnet_pysot.py'
model = dict(backbone=dict(width=0.25), head=dict(rpn_head=dict(in_channels=64, hidden_channels=32)))
"""


@pytest.fixture(scope='module')
def network(tmp_path_factory):
    folder = tmp_path_factory.mktemp('export')
    (folder / 'small.py').write_text(SMALL.format(root=ROOT))
    torch.manual_seed(0)
    torch.save(dict(state_dict=init_model(folder / 'small.py').state_dict()), folder / 'small.pth')
    return folder


@pytest.fixture(scope='module')
def videos(vid_root, tmp_path_factory):
    """Two videos of 8 frames in the layout of users' own."""
    from siamrpnpp_plugin.datasets.benchmarks import read_sequences
    folder = tmp_path_factory.mktemp('videos')
    for sequence in read_sequences('vid', vid_root)[:2]:
        target = folder / sequence.name
        target.mkdir()
        for index, image in enumerate(sequence.images[:8]):
            shutil.copy(image, target / f'{index:04d}.jpg')
        lines = [','.join(f'{value:.2f}' for value in (*box[:2], *(box[2:] - box[:2]))) for box in sequence.boxes_xyxy[:8]]
        (target / 'groundtruth.txt').write_text('\n'.join(lines) + '\n')
    return folder


def test_an_exported_folder_takes_the_place_of_the_checkpoint(network, videos, tmp_path):
    export.main([str(network / 'small.py'), str(network / 'small.pth'), str(tmp_path / 'onnx')])
    assert sorted(path.name for path in (tmp_path / 'onnx').iterdir()) == [
        'search_287.onnx', 'search_287.weights', 'template.onnx', 'template.weights', 'tracker.json']
    scores = []
    for checkpoint in (network / 'small.pth', tmp_path / 'onnx'):
        out = tmp_path / f'results_{checkpoint.name}'
        evaluate.main([str(network / 'small.py'), str(checkpoint), '--benchmark', 'folders', '--data-root', str(videos),
                       '--out', str(out), '--no-video', '--tracker-name', 'ours', '--resamples', '0'])
        scores.append(json.loads((out / 'summary.json').read_text())['trackers']['ours'])
    assert scores[0]['ao'] == pytest.approx(scores[1]['ao'], abs=1e-3)


def test_eight_bits_are_calibrated_on_videos(network, videos, tmp_path, capsys):
    export.main([str(network / 'small.py'), str(network / 'small.pth'), str(tmp_path), '--int8', '--calibration', str(videos),
                 '--samples', '6'])
    assert 'calibrated on 2 videos' in capsys.readouterr().out
    assert (tmp_path / 'search_287.weights').stat().st_size < 500_000


@pytest.mark.parametrize(('arguments', 'message'), [
    (['{network}/small.py', '{network}/none.pth', 'out'], 'there is no checkpoint'),
    (['{network}/small.py', '{network}/small.pth', 'out', '--int8'], 'needs --calibration'),
    (['{network}/small.py', '{network}/small.pth', 'out', '--int8', '--calibration', '{network}'], 'has no sequences'),
])
def test_what_is_wrong_is_said(network, arguments, message, capsys):
    with pytest.raises(SystemExit) as error:
        export.main([argument.format(network=network) for argument in arguments])
    assert message in f'{error.value.code} {capsys.readouterr().err}'
