"""The sheet of pairs shows what the loader yields."""

import cv2
import numpy as np
import pytest
from conftest import ROOT, load_tool, small_model_config
from mmengine.config import Config

browse_pairs = load_tool('analysis/browse_pairs.py')


@pytest.fixture
def config(store, tmp_path):
    """The main config's loader with a small network."""
    config = Config.fromfile(ROOT / 'configs' / 'siamrpnpp_r50_vid.py')
    config.model = small_model_config()
    config.train_dataloader.dataset.store = store
    config.dump(tmp_path / 'small.py')
    return tmp_path / 'small.py'


def test_pairs_are_drawn_and_their_positives_printed(config, tmp_path, capsys):
    browse_pairs.main([str(config), '--pairs', '5', '--out', str(tmp_path / 'sheet.png'),
                       '--cfg-options', 'train_dataloader.dataset.negative_share=0.5'])
    text = capsys.readouterr().out
    assert 'sample 0, ' in text
    assert 'sample 4, ' in text
    assert 'sample 5, ' not in text
    assert '104x32' in text
    assert 'positive pairs' in text
    sheet = cv2.imread(str(tmp_path / 'sheet.png'))
    assert sheet.shape == (3 * 257 + 2, 2 * (127 + 255 + 2) + 2, 3)


def test_the_outline_lies_on_the_box():
    """A batch counts from the middle of the first pixel: the box 9.5 ... 19.5 covers pixels 10 ... 19."""
    pair = browse_pairs.draw_pair(np.zeros((20, 20, 3), np.uint8), np.zeros((40, 40, 3), np.uint8),
                                  np.array([9.5, 9.5, 19.5, 19.5]), True, '')
    rows, columns = np.nonzero(pair[:, 20:, 1] > 60)
    assert rows.min() in (9, 10)
    assert columns.min() in (9, 10)
    assert rows.max() in (19, 20)
    assert columns.max() in (19, 20)


def test_positives_of_a_negative_pair_are_none(config):
    cfg = Config.fromfile(config)
    cfg.train_dataloader.dataset.negative_share = 0.5
    pairs, _ = browse_pairs.load_pairs(cfg, 8, epoch=0, seed=0)
    candidates, kept = browse_pairs.positives_per_anchor(browse_pairs.build_model(cfg), pairs)
    assert candidates.shape == (8, 5)
    assert (kept <= candidates).all()
    assert not candidates[~pairs['is_positive']].any()
    assert candidates[pairs['is_positive']].sum(dim=1).float().mean() > 3


def test_a_missing_store_is_named(tmp_path):
    with pytest.raises(SystemExit, match='nowhere.lmdb'):
        browse_pairs.main([str(ROOT / 'configs' / 'siamrpnpp_r50_vid.py'), '--cfg-options',
                           f'train_dataloader.dataset.store={tmp_path / "nowhere.lmdb"}'])
