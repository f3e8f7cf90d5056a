"""The benchmarks run and compare like with like; how fast is not tested."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import load_tool, small_model_config
from mmengine import Config

from siamrpnpp_plugin.datasets import CropStore
from siamrpnpp_plugin.datasets.crop_store import ARRAYS

benchmark = load_tool('analysis/benchmark.py')
timing = benchmark.timing
loader, index = (benchmark.importlib.import_module(f'speed.{name}') for name in ('loader', 'store'))


@pytest.fixture(autouse=True)
def _quick_machine(monkeypatch):
    """The rates of the machine are measured in a moment."""
    monkeypatch.setattr(timing.matmul_gflops, '__defaults__', (0.001, 'cpu', 64, torch.float32))
    monkeypatch.setattr(timing.copy_bandwidth, '__defaults__', (0.001, 1 << 16))


def rows_of(arguments: list, tmp_path) -> list:
    benchmark.main([*arguments, '--json', str(tmp_path / 'out.json')])
    return json.loads((tmp_path / 'out.json').read_text())['rows']


def test_loader_prints_ratios_to_pysots_way_and_the_workers_that_feed_a_gpu(store, tmp_path, capsys):
    rows = rows_of(['loader', '--store', store, '--pairs', '56', '--rounds', '2', '--workers', '1', '--gpu-pairs-per-second',
                    '1e9'], tmp_path)
    assert [(row['name'], row['role']) for row in rows] == [
        ("PySOT's way", 'baseline'), ('ours', 'ours'), ('decoding alone', 'floor')]
    assert rows[0]['ratio'] == 1
    assert rows[2]['floor_share'] == 1
    assert all(len(row['ratio_all']) == 2 and row['per_second'] > 0 for row in rows)
    printed = capsys.readouterr().out
    assert "PySOT's way" in printed
    assert 'the GPU waits 100%, because 4 workers' in printed


@pytest.mark.skipif(not Path('/proc/self/smaps_rollup').exists(), reason='the memory of a process alone is told by Linux')
def test_store_prints_start_up_and_memory_of_a_worker(tmp_path, capsys):
    rows = rows_of(['store', '--crops', '390', '--choices', '20', '--rounds', '1'], tmp_path)
    assert [(row['table'], row['name']) for row in rows] == [
        ('store of 400 crops, start-ups/s, unique memory of a worker', name) for name in ("PySOT's way", 'ours')]
    assert all(row['per_second'] > 0 and row['memory_mb'] > 0 for row in rows)
    assert 'from 400 to 400 crops' in capsys.readouterr().out


def test_pairs_are_chosen_from_a_simulated_index_as_from_a_real_one(tmp_path):
    store = CropStore(index.write_index(tmp_path / 'index.lmdb', 600))
    assert (store.num_videos, store.num_tracks, len(store)) == (3, 6, 600)
    assert store.describe(305).endswith('(video train/ILSVRC2015_train_00000001, track 01, frame 5)')
    assert all(problem is None for problem in itertools.islice(store.verify(), len(ARRAYS)))
    choose = index.ours(store.path)
    pairs = [choose(k) for k in range(60)]
    assert {pair.template[1] // 200 for pair in pairs} == {0, 1, 2}
    assert all(pair.template[1] // 100 == pair.search[1] // 100 for pair in pairs if pair.is_positive)


def test_pysots_way_chooses_from_an_index_of_the_same_shape(tmp_path):
    path = index.write_json(tmp_path / 'index.json', 600)
    labels = json.loads(Path(path).read_text())
    assert sum(len(boxes) for tracks in labels.values() for boxes in tracks.values()) == 600
    choose = index.pysots_way(path)
    assert {choose(k)[0][0].rsplit('/', 1)[0] for k in range(60)} == set(labels)


def test_pack_prints_ratios_to_the_seeds_way(vid_root, tmp_path):
    rows = rows_of(['pack', '--root', str(vid_root), '--videos', '2', '--rounds', '1', '--workers', '1'], tmp_path)
    assert [row['name'] for row in rows] == ["the seed's way", 'ours', 'decoding and encoding alone']
    assert rows[1]['ratio'] > 0


def test_pysots_way_of_tracking_gives_the_boxes_of_the_tracker_with_its_rounding():
    from siamrpnpp_plugin.apis import SOTracker, init_model
    pysot_ways = benchmark.importlib.import_module('speed.pysot_ways')
    model = init_model(Config(dict(model=small_model_config(), default_scope='siamrpnpp_plugin')))
    with torch.no_grad():  # random outputs are brought to a spread where boxes stay finite
        maps = model(torch.rand(1, 3, 127, 127) * 255, torch.rand(1, 3, 255, 255) * 255)
        for head in model.head.rpn_heads:
            for layer, output, spread in ((head.cls_head, maps[0], 2), (head.box_head, maps[1], 0.2)):
                layer.weight *= spread / output.std()
                layer.bias *= spread / output.std()
    ours = SOTracker(model, dict(type='siamrpnpp_plugin.SiamRPNTracker', align='pixel'))
    theirs = pysot_ways.PySOTTracker(model, ours.tracker)
    frames = np.random.default_rng(0).integers(0, 256, (4, 240, 320, 3), np.uint8)
    for tracker in (ours, theirs):
        tracker.init(frames[0], (140, 90, 50, 40))
    boxes = np.array([(ours.update(frame), theirs.track(frame)) for frame in frames[1:]])
    assert np.abs(boxes[:, 0] - boxes[:, 1]).max() < 0.02
    assert np.ptp(boxes[:, 0, :2]) > 1


@pytest.mark.slow
def test_tracking_is_measured_in_torch_and_onnx_runtime(tmp_path):
    rows = rows_of(['track', '--networks', 'alexnet', '--track-threads', '1', '--rounds', '1'], tmp_path)
    assert [row['role'] for row in rows] == ['baseline', *['ours'] * 5, 'floor']
    assert all(row['memory_mb'] > 100 for row in rows[:-1])


def test_all_says_what_it_leaves_out_and_why(monkeypatch, tmp_path, capsys):
    for name in ('loader', 'store', 'pack', 'track'):
        monkeypatch.setattr(benchmark.importlib.import_module(f'speed.{name}'), 'missing', lambda args: 'a day off')
    assert rows_of(['all'], tmp_path) == []
    printed = capsys.readouterr().out
    assert 'pack is left out: it needs a day off' in printed
    assert 'step is left out: it needs --pysot' in printed
    assert 'metrics is left out: it needs --got10k' in printed


def test_a_subject_without_what_it_compares_with_is_refused(capsys):
    with pytest.raises(SystemExit):
        benchmark.parse_args(['step'])
    assert 'step needs --pysot' in capsys.readouterr().err


def test_ways_take_turns():
    turns = []

    def way(name: str) -> tuple:
        turns.append(name)
        return 6, 2

    rows = timing.compare('t', {name: lambda name=name: way(name) for name in 'AB'}, 'A', rounds=3)
    assert ''.join(turns) == 'ABABAB'
    assert [row['per_second_all'] for row in rows] == [[3, 3, 3]] * 2


def test_ratios_and_shares_are_taken_within_a_round():
    rows = timing.table('title', {'a': [1.0, 10.0, 4.0], 'b': [2.0, 30.0, 4.0], 'c': [4.0, 60.0, 4.0]}, 'a', 'c')
    assert rows[1]['ratio'] == 2
    assert np.allclose(rows[1]['ratio_all'], [2, 3, 1])
    assert rows[1]['floor_share'] == 0.5


def test_a_line_below_the_old_range_is_marked_as_slower(capsys):
    old = dict(rows=timing.table('t', {'a': [1.0, 1.0, 1.0], 'b': [4.0, 5.0, 6.0]}, 'a'))
    same, slower = (timing.table('t', {'a': [1.0], 'b': [rate]}, 'a') for rate in (4.1, 3.9))
    capsys.readouterr()
    assert timing.against(same, old) == []
    assert 'slower' not in capsys.readouterr().out
    assert timing.against(slower, old) == [('t', 'b')]
    assert 't: b' in capsys.readouterr().out


def test_readme_table_has_a_line_per_way_of_ours():
    rates = {'theirs': [10.0], 'ours': [55.0], 'floor': [110.0]}
    rows = timing.table('pairs/s', rates, 'theirs', 'floor', dict(theirs=20, ours=5))
    assert timing.markdown(rows).splitlines()[2:] == [
        '| pairs/s | theirs 10, 20 MB | 55, 5 MB | 5.5 (5.5 - 5.5) | 50% of floor |']


def test_gpu_waits_for_what_its_workers_do_not_give():
    report = loader.feeding(pairs_per_worker=100, pairs_per_gpu=250, workers=2)
    assert 'the GPU waits 20%, because 2 workers' in report
    assert '1: 3, 2: 5, 4: 10, 8: 20' in report
    assert 'the GPU waits 0%' in loader.feeding(pairs_per_worker=100, pairs_per_gpu=200, workers=2)


def hold(megabytes: int):
    """In a process of its own."""
    held = np.ones(megabytes * 1_000_000, np.uint8)
    return lambda: (len(held), 1)


def test_ways_run_apart_and_tell_their_peak_memory():
    here = np.ones(300_000_000, np.uint8)  # a child does not inherit it
    with timing.apart({'small': (hold, 1), 'large': (hold, 201)}) as ways:
        assert ways['large']() == (201_000_000, 1)
        small, large = (way.peak_memory() for way in ways.values())
    assert 150 < large - small < 250
    assert len(here) > small * 1e5


def test_an_error_of_a_way_that_runs_apart_is_told():
    with pytest.raises(RuntimeError, match='broken: ValueError'), timing.apart({'broken': (hold, -1)}):
        pass
