"""The benchmarks run and compare like with like; how fast is not tested."""

import json
import sys

import numpy as np
import pytest
from conftest import ROOT, load_tool

sys.path.insert(0, str(ROOT / 'tools' / 'analysis'))  # as for a script: it imports its neighbour
try:
    benchmark = load_tool('analysis/benchmark.py')
finally:
    sys.path.pop(0)


@pytest.fixture(autouse=True)
def _threads():
    """The benchmark sets one thread for the whole process."""
    import cv2
    import torch
    before = torch.get_num_threads(), cv2.getNumThreads()
    yield
    torch.set_num_threads(before[0])
    cv2.setNumThreads(before[1])


def test_loader_prints_ratios_to_pysots_way(store, tmp_path, capsys):
    benchmark.main(['loader', '--store', store, '--pairs', '56', '--rounds', '2', '--workers', '1', '--json',
                    str(tmp_path / 'out.json')])
    rows = json.loads((tmp_path / 'out.json').read_text())['rows']
    assert {row['name']: row['ratio'] for row in rows}["PySOT's way"] == 1
    assert len(rows) == 3
    assert all(len(row['ratio_all']) == 2 and row['per_second'] > 0 for row in rows)
    assert "PySOT's way" in capsys.readouterr().out


def test_pack_prints_ratios_to_the_seeds_way(vid_root, tmp_path):
    benchmark.main(['pack', '--root', str(vid_root), '--videos', '2', '--rounds', '1', '--workers', '1', '--json',
                    str(tmp_path / 'out.json')])
    rows = json.loads((tmp_path / 'out.json').read_text())['rows']
    assert [row['name'] for row in rows] == ["the seed's way", 'ours']
    assert rows[1]['ratio'] > 0


def test_ratios_are_taken_within_a_round(capsys):
    rows = benchmark.table('title', {'a': [1.0, 10.0, 4.0], 'b': [2.0, 30.0, 4.0]}, 'a')
    assert rows[1]['ratio'] == 2
    assert np.allclose(rows[1]['ratio_all'], [2, 3, 1])
