"""Each config of a mixture trains for real steps on stores that its own readers packed; the log counts what was drawn."""

import json
import os
import re
from pathlib import Path

import layouts
import pytest
import torch
from conftest import ROOT, load_tool
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from training import DUMP_IMPORT, train, write_config

from siamrpnpp_plugin.datasets import CropStore
from siamrpnpp_plugin.datasets.packing import pack
from siamrpnpp_plugin.datasets.sources import SOURCES
from siamrpnpp_plugin.engine.draw_count_hook import store_names
from siamrpnpp_plugin.registry import DATASETS

STORES = {  # store of the configs -> (source, what writes its layout)
    'vid_train': ('vid', None),
    'ytbb_train': ('ytbb', layouts.write_ytbb),
    'coco_train2017': ('coco', layouts.write_coco),
    'det_train': ('det', layouts.write_det),
    'got10k_train': ('got10k', layouts.write_got10k),
    'lasot_train': ('lasot', layouts.write_lasot),
    'trackingnet_train': ('trackingnet', layouts.write_trackingnet),
}
CONFIGS = ('siamrpnpp_r50_vid', 'siamrpnpp_r50_vid_ytbb_coco_det', 'siamrpnpp_r50_got10k',
           'siamrpnpp_r50_lasot_got10k_coco_trackingnet')


@pytest.fixture(scope='module')
def data(vid_root, tmp_path_factory) -> Path:
    """A folder `data` with the store of every reader, from a tree of its layout."""
    folder = tmp_path_factory.mktemp('data_sets')
    for name, (source, write) in STORES.items():
        root = folder / source
        if write is None:
            root = vid_root
        else:
            write(root)
        pack(SOURCES[source](root), str(folder / 'data' / f'{name}.lmdb'), workers=0)
    return folder


def store_entries(config: Config) -> list:
    store = config.train_dataloader.dataset.store
    return [dict(path=store)] if isinstance(store, str) else [dict(entry) for entry in store]


@pytest.mark.parametrize('name', CONFIGS)
def test_a_config_trains_for_real_steps_on_stores_of_its_own_readers(data, tmp_path, monkeypatch, name):
    """All of the config but its size: a narrow ResNet-18, 24 pairs, two epochs of 3 steps, a ten-thousandth of VID's pairs."""
    monkeypatch.chdir(data)
    config = Config.fromfile(ROOT / 'configs' / f'{name}.py')
    config.merge_from_dict(dict(
        work_dir=str(tmp_path / 'work'), experiment_name=f'{name}_{os.getpid()}', log_level='WARNING',
        model=dict(backbone=dict(depth=18, width=0.125), neck=dict(in_channels=(16, 32, 64), out_channels=8),
                   head=dict(rpn_head=dict(in_channels=8, hidden_channels=8))),
        train_dataloader=dict(batch_size=8, num_workers=0, dataset=dict(pairs_per_epoch=24)),
        train_cfg=dict(max_epochs=2, global_batch_size=8), default_hooks=dict(logger=dict(interval=1))))
    entries = store_entries(config)
    for entry in entries:
        assert Path(entry['path']).stem in STORES, 'a store that no reader of this test packs'
        if 'pairs' in entry:
            entry['pairs'] //= 10000
    config.train_dataloader.dataset.store = entries if len(entries) > 1 else entries[0]['path']
    config.val_dataloader = config.val_evaluator = config.val_cfg = None
    config.default_hooks.checkpoint.pop('save_best')
    runner = Runner.from_cfg(config)
    before = {key: value.clone() for key, value in runner.model.state_dict().items()}
    runner.train()
    assert runner.iter == 6
    after = runner.model.state_dict()
    assert all(torch.isfinite(value).all() for value in after.values())
    assert any(not torch.equal(before[key], after[key]) for key in before if key.startswith('head'))
    file, = (tmp_path / 'work').glob('*/vis_data/scalars.json')
    scalars = [json.loads(line) for line in file.read_text().splitlines()]
    drawn = [row for row in scalars if any(key.startswith('drawn/') for key in row)]
    assert len(drawn) == 2
    for row in drawn:
        counts = {key[6:]: value for key, value in row.items() if key.startswith('drawn/')}
        assert sum(counts.values()) == 24
        assert set(counts) == {Path(entry['path']).stem for entry in entries}


@pytest.mark.parametrize('name', ['siamrpnpp_r50_got10k', 'siamrpnpp_r50_lasot_got10k_coco_trackingnet'])
def test_configs_with_got10k_are_validated_on_its_val_split(tmp_path, monkeypatch, name):
    layouts.write_got10k(tmp_path / 'data/GOT-10k', 'val')
    layouts.write_text(tmp_path / 'data/GOT-10k/val/list.txt', 'GOT-10k_Val_000001\nGOT-10k_Val_000002\n')
    monkeypatch.chdir(tmp_path)
    config = Config.fromfile(ROOT / 'configs' / f'{name}.py')
    init_default_scope(config.default_scope)
    assert [item.name for item in DATASETS.build(config.val_dataloader.dataset)] == ['GOT-10k_Val_000001', 'GOT-10k_Val_000002']


def test_inspect_dataset_shows_the_store_of_every_reader(data, tmp_path, capsys):
    for name, (source, _) in STORES.items():
        path = data / 'data' / f'{name}.lmdb'
        load_tool('inspect_dataset.py').main([str(path), '--sheet', str(tmp_path / 'sheet.png'), '--crops', '4'])
        text = capsys.readouterr().out
        counts = CropStore(str(path)).manifest['counts']
        assert f'{counts["videos"]} videos, {counts["tracks"]} tracks, {counts["crops"]} crops' in text
        assert f'source {source} ' in text
        for reason, count in counts['skipped'].items():
            assert f'skipped: {count} x {reason}' in text


def drawn_lines(output: str) -> list:
    return re.findall(r'epoch \d+ drew .*', output)


@pytest.mark.slow
def test_counts_are_those_of_the_samples_on_any_number_of_ranks_and_after_a_resume(store, data, tmp_path):
    other = str(data / 'data/lasot_train.lmdb')
    hook = "custom_hooks += [dict(type='DrawCountHook')]\ndefault_hooks['checkpoint']['iter_interval'] = 1\n"
    entries = [dict(path=store, weight=3), dict(path=other, weight=1, negative_share=1)]

    def config(name: str, text: str = '') -> Path:
        (tmp_path / name).mkdir()
        return write_config(tmp_path / name, entries, hook + text)

    whole = drawn_lines(train(config('one')))
    assert len(whole) == 2
    assert all(re.search(r'drew vid 12 \(\d+\.\d% positive\), lasot_train 4 \(0\.0% positive\)', line) for line in whole)
    work_dir = tmp_path / 'one/work_dirs/small'
    resumed = train(tmp_path / 'one/small.py', '--work-dir', work_dir, '--resume', work_dir / 'epoch_1_iter_2.pth')
    assert drawn_lines(resumed) == whole[1:]
    two = config('two', "train_dataloader['batch_size'] = 2\n")
    assert drawn_lines(train(two, ranks=2)) == whole
    work_dir = tmp_path / 'two/work_dirs/small'
    assert drawn_lines(train(two, '--work-dir', work_dir, '--resume', work_dir / 'epoch_1_iter_2.pth', ranks=2)) == whole[1:]


def test_stores_of_one_name_are_told_apart_by_their_paths():
    assert store_names(['a/vid.lmdb', 'b/coco.lmdb']) == ['vid', 'coco']
    assert store_names(['a/vid.lmdb', 'b/vid.lmdb']) == ['a/vid.lmdb', 'b/vid.lmdb']
    assert store_names(['a/vid.lmdb', 'a/vid.lmdb']) == ['0: a/vid.lmdb', '1: a/vid.lmdb']  # with two ranges, say


def test_another_data_set_trains_without_counts_and_says_so(store, tmp_path):
    text = "custom_hooks += [dict(type='DrawCountHook')]\ntrain_dataloader['dataset']['type'] = 'PlainPairs'\n"
    output = train(write_config(tmp_path, store, DUMP_IMPORT + text))
    assert output.count('DrawCountHook counts the draws of LMDBPairDataset, not those of PlainPairs') == 1
    assert drawn_lines(output) == []
    assert (tmp_path / 'work_dirs/small/epoch_2.pth').is_file()
