"""Statistics, checksums, contact sheet."""

import shutil

import cv2
import lmdb
import numpy as np
import pytest
from conftest import load_tool

from siamrpnpp_plugin.datasets import CropStore
from siamrpnpp_plugin.datasets.packing import pack
from siamrpnpp_plugin.datasets.sources import VIDSource
from siamrpnpp_plugin.models import AnchorGenerator

inspect_dataset = load_tool('inspect_dataset.py')


def run(*args) -> int:
    """The exit code."""
    try:
        inspect_dataset.main([str(arg) for arg in args])
    except SystemExit as error:
        return error.code
    return 0


def test_a_whole_store_is_described_and_drawn(store, tmp_path, capsys):
    assert run(store, '--sheet', tmp_path / 'sheet.png', '--crops', 6) == 0
    text = capsys.readouterr().out
    crops = CropStore(store)
    assert f'6 videos, {crops.num_tracks} tracks, {len(crops)} crops' in text
    assert f'all {len(crops) + 7} records have the checksum' in text
    sheet = cv2.imread(str(tmp_path / 'sheet.png'))
    assert sheet.shape[1] == 3 * 513 + 2
    assert sheet.shape[0] == 2 * 513 + 2
    green = (np.abs(sheet.astype(int) - (60, 200, 60)) < 30).all(axis=2)
    assert green.sum() > 6 * 150  # six outlines


def test_a_damaged_crop_and_a_damaged_index_fail(store, tmp_path, capsys):
    damaged = tmp_path / 'damaged.lmdb'
    shutil.copytree(store, damaged)
    with lmdb.open(str(damaged), lock=False, max_dbs=2) as env, env.begin(write=True) as txn:
        crops, index = (env.open_db(name, txn, create=False) for name in (b'crops', b'index'))
        key = (7).to_bytes(8, 'big')
        value = bytearray(txn.get(key, db=crops))
        value[-200] ^= 1
        txn.put(key, bytes(value), db=crops)
        flags = bytearray(txn.get(b'flags', db=index))
        flags[0] ^= 2
        txn.put(b'flags', bytes(flags), db=index)
    assert run(damaged, '--crops', 0) == 1
    text = capsys.readouterr().out
    assert 'index array flags' in text
    assert 'crop 7 of' in text
    assert '2 of ' in text


def test_a_folder_without_a_store_is_named(tmp_path):
    assert 'no data.mdb' in run(tmp_path)


def test_boxes_that_no_anchor_covers_are_counted():
    """An anchor's own shape has an overlap of 1; aspect 6 at the area of the anchors has at most .54 (PySOT's gap)."""
    anchors = AnchorGenerator()
    own = inspect_dataset.best_overlaps(anchors.sizes.double().numpy(), anchors)
    assert own == pytest.approx(np.ones(5))
    side = 64 / 6 ** 0.5
    assert inspect_dataset.best_overlaps(np.array([[side, 6 * side]]), anchors)[0] < 0.55


@pytest.mark.parametrize('name', ['names', 'track_start', 'box_xyxy'])
def test_a_damaged_index_is_reported_whatever_it_is(store, tmp_path, name, capsys):
    damaged = tmp_path / 'damaged.lmdb'
    shutil.copytree(store, damaged)
    with lmdb.open(str(damaged), lock=False, max_dbs=2) as env, env.begin(write=True) as txn:
        index = env.open_db(b'index', txn, create=False)
        value = bytearray(txn.get(name.encode(), db=index))
        value[8:24] = b'\xff' * 16
        txn.put(name.encode(), bytes(value), db=index)
    assert run(damaged) == 1
    assert f'index array {name}' in capsys.readouterr().out


def test_an_empty_shard_is_described(vid_root, tmp_path, capsys):
    pack(VIDSource(vid_root), tmp_path / 'empty.lmdb', workers=0, shard=(0, 9))
    assert run(tmp_path / 'empty.lmdb') == 0
    assert '0 crops' in capsys.readouterr().out
