"""Sample k is a pure function of (seed, k), drawn as PySOT draws."""

import multiprocessing
import pickle
import shutil
import zlib
from collections import Counter

import layouts
import lmdb
import numpy as np
import pytest
import torch
from mmengine.runner import Runner

from siamrpnpp_plugin.datasets import CropStore, LMDBPairDataset, StoreError
from siamrpnpp_plugin.datasets.cropping import PackSettings
from siamrpnpp_plugin.datasets.packing import pack
from siamrpnpp_plugin.datasets.sources import CocoSource, CsvSource, VIDSource
from siamrpnpp_plugin.datasets.synthetic import write_synthetic_vid
from siamrpnpp_plugin.datasets.transforms import PairTransform, View
from siamrpnpp_plugin.engine import PairSampler
from siamrpnpp_plugin.ops.random import hash_of

PIPELINE = [dict(type='siamrpnpp_plugin.ShiftScaleCrop', keys='template', size=127, shift=4, scale=0.05),
            dict(type='siamrpnpp_plugin.ShiftScaleCrop', keys='search', size=255, shift=64, scale=0.18),
            dict(type='siamrpnpp_plugin.ColorPCA', keys='template'), dict(type='siamrpnpp_plugin.ColorPCA', keys='search'),
            dict(type='siamrpnpp_plugin.MotionBlur', keys='search', prob=0.2),
            dict(type='siamrpnpp_plugin.RandomFlip', prob=0.5)]


@pytest.fixture(scope='module')
def other_store(tmp_path_factory):
    """Two more videos."""
    root = tmp_path_factory.mktemp('other')
    list(write_synthetic_vid(root / 'vid', videos=2, frames=6, size=(160, 120), seed=9))
    pack(VIDSource(root / 'vid'), root / 'other.lmdb', workers=0)
    return str(root / 'other.lmdb')


def dataset(store, **changes) -> LMDBPairDataset:
    return LMDBPairDataset(**dict(dict(store=store, pipeline=PIPELINE, pairs_per_epoch=64, seed=5), **changes))


def loaded(store, num_workers: int, rank: int = 0, world_size: int = 1, batch_size: int = 8, pairs_per_epoch: int = 64) -> dict:
    """{k: bytes of all its tensors}, out of mmengine's loader."""
    loader = Runner.build_dataloader(dict(
        batch_size=batch_size, num_workers=num_workers, collate_fn=dict(type='siamrpnpp_plugin.collate_pairs'),
        sampler=dict(type='siamrpnpp_plugin.PairSampler', rank=rank, world_size=world_size),
        dataset=dict(type='siamrpnpp_plugin.LMDBPairDataset', store=store, pipeline=PIPELINE, pairs_per_epoch=pairs_per_epoch)),
        seed=5)
    loader.sampler.set_epoch(1)
    found = {}
    for batch in loader:
        for index, k in enumerate(batch['sample'].tolist()):
            found[k] = hash(b''.join(batch[key][index].numpy().tobytes() for key in sorted(batch)))
    return found


def check_samples_are_the_same(store, pairs: int) -> None:
    reference = loaded(store, 0, pairs_per_epoch=pairs)
    assert sorted(reference) == list(range(pairs, 2 * pairs))
    for workers in (1, 2):
        assert loaded(store, workers, pairs_per_epoch=pairs) == reference
    for world_size in (2, 4):
        ranks = [loaded(store, world_size % 4, rank, world_size, batch_size=8 // world_size, pairs_per_epoch=pairs)
                 for rank in range(world_size)]
        assert {k: value for rank in ranks for k, value in rank.items()} == reference
        assert [sorted(rank)[0] for rank in ranks] == list(range(pairs, pairs + world_size))


def test_samples_do_not_depend_on_workers_and_ranks(store):
    check_samples_are_the_same(store, 64)


@pytest.mark.slow
def test_ten_thousand_samples_do_not_depend_on_workers_and_ranks(store):
    check_samples_are_the_same(store, 10_000)


def test_a_sample_does_not_depend_on_what_was_loaded_before(store):
    first, second = dataset(store), dataset(store)
    for k in (0, 3, 1, 10 ** 9):
        second[77]
        for key, value in first[k].items():
            assert torch.equal(value, second[k][key]), key


def test_another_seed_gives_other_samples(store):
    pairs, others = dataset(store), dataset(store, seed=6)
    assert sum(pairs.choose(k)[:2] == others.choose(k)[:2] for k in range(50)) < 10


def test_a_sample_has_the_contract_of_a_batch(store):
    sample = dataset(store)[3]
    assert {key: (value.dtype, tuple(value.shape)) for key, value in sample.items()} == dict(
        template=(torch.uint8, (3, 127, 127)), search=(torch.uint8, (3, 255, 255)), box_xyxy=(torch.float32, (4, )),
        is_positive=(torch.bool, ()), sample_seed=(torch.int64, ()), sample=(torch.int64, ()))
    assert sample['sample'] == 3
    assert sample['sample_seed'] == hash_of(5, 3) >> 1


def test_without_augmentation_the_target_sits_in_the_middle_of_the_anchors(store):
    pipeline = [dict(type='siamrpnpp_plugin.ShiftScaleCrop', keys='template', size=127),
                dict(type='siamrpnpp_plugin.ShiftScaleCrop', keys='search', size=255)]
    pairs = dataset(store, pipeline=pipeline)
    crops = CropStore(store)
    for k in range(10):
        box, (_, crop) = pairs[k]['box_xyxy'], pairs.choose(k).search
        assert ((box[:2] + box[2:]) / 2 - 127).abs().max() < 1e-4  # 255 // 2, where the grid of anchors is centred
        np.testing.assert_allclose(box[2:] - box[:2], crops.target_size(crop), atol=1e-4)


def test_a_pass_goes_through_every_video_once(store):
    pairs = dataset(store)
    crops = CropStore(store)
    video_of = np.repeat(np.arange(crops.num_videos), [sum(len(crops.crops(track)) for track in crops.tracks(video))
                                                       for video in range(crops.num_videos)])
    for turn in range(4):
        videos = [video_of[pairs.choose(k).template[1]] for k in range(turn * crops.num_videos, (turn + 1) * crops.num_videos)]
        assert sorted(videos) == list(range(crops.num_videos))


def track_of(crops: CropStore, crop: int) -> int:
    return int(np.searchsorted(crops.array('track_start'), crop, side='right')) - 1


def test_a_fifth_of_the_pairs_is_negative_and_never_of_the_same_track(store):
    pairs, crops = dataset(store), CropStore(store)
    chosen = [pairs.choose(k) for k in range(3000)]
    negative = [pair for pair in chosen if not pair.is_positive]
    assert 0.17 < len(negative) / len(chosen) < 0.23  # 4 standard deviations
    for pair in chosen:
        same = track_of(crops, pair.template[1]) == track_of(crops, pair.search[1])
        assert same == pair.is_positive


@pytest.mark.parametrize('frame_range', [0, 2, 5])
def test_search_frames_lie_evenly_within_the_range_of_the_template(store, frame_range):
    pairs, crops = dataset(store, frame_range=frame_range, negative_share=0), CropStore(store)
    frames = crops.array('frame').astype(int)
    found = Counter()
    for k in range(3000):
        (_, template), (_, search) = pairs.choose(k)[:2]
        if 5 <= frames[template] < 10:  # away from the ends
            found[frames[search] - frames[template]] += 1
    assert set(found) == set(range(-frame_range, frame_range + 1))
    expected = sum(found.values()) / len(found)
    assert all(abs(count - expected) < 5 * expected ** 0.5 + 30 for count in found.values())  # few tracks have gaps


def test_without_same_frame_it_is_drawn_only_where_there_is_no_other(store):
    pairs = dataset(store, frame_range=3, same_frame=False, negative_share=0)
    assert all(pair.template != pair.search for pair in map(pairs.choose, range(1000)))
    alone = dataset(store, frame_range=0, same_frame=False, negative_share=0)
    assert all(pair.template == pair.search for pair in map(alone.choose, range(50)))


def test_range_counts_frames_not_crops(tmp_path, vid_root):
    """A gap of 50 frames is not bridged by a range of 10."""
    root = tmp_path / 'vid'
    video = 'train/ILSVRC2015_VID_train_0000/ILSVRC2015_train_00000000'
    for kind, suffix in (('Data', 'JPEG'), ('Annotations', 'xml')):
        (root / kind / 'VID' / video).mkdir(parents=True)
        for frame in range(16):
            target = frame + 50 * (frame >= 8)
            source = vid_root / kind / 'VID' / video / f'{frame:06d}.{suffix}'
            (root / kind / 'VID' / video / f'{target:06d}.{suffix}').write_bytes(source.read_bytes())
    pack(VIDSource(root), tmp_path / 'gap.lmdb', workers=0)
    frames = CropStore(str(tmp_path / 'gap.lmdb')).array('frame').astype(int)
    pairs = dataset(str(tmp_path / 'gap.lmdb'), frame_range=10, negative_share=0)
    steps = [abs(frames[pair.template[1]] - frames[pair.search[1]]) for pair in map(pairs.choose, range(500))]
    assert 5 < max(steps) <= 10


def test_stores_are_mixed_by_repeats(store, other_store):
    mixed = dataset([store, dict(path=other_store, repeats=6, frame_range=1)], negative_share=0)
    found = Counter(mixed.choose(k).template[0] for k in range(18 * 20))
    assert found == {0: 6 * 20, 1: 12 * 20}  # six videos once, two videos six times
    frames = CropStore(other_store).array('frame').astype(int)
    for pair in map(mixed.choose, range(300)):
        if pair.template[0] == 1:
            assert abs(frames[pair.template[1]] - frames[pair.search[1]]) <= 1


def test_stores_are_mixed_by_weight(store, other_store):
    mixed = dataset([dict(path=store, weight=3), dict(path=other_store, weight=1)], pairs_per_epoch=400, negative_share=0)
    assert Counter(mixed.choose(k).template[0] for k in range(400)) == {0: 300, 1: 100}


def test_negative_pairs_cross_stores(store, other_store):
    mixed = dataset([store, other_store], negative_share=1)
    assert {(pair.template[0], pair.search[0]) for pair in map(mixed.choose, range(200))} == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_the_same_store_twice_still_has_no_negative_of_the_same_track(store):
    mixed, crops = dataset([store, f'{store}/.'], negative_share=1), CropStore(store)
    for pair in map(mixed.choose, range(500)):
        assert track_of(crops, pair.template[1]) != track_of(crops, pair.search[1])


def read_in_child(pairs: LMDBPairDataset, queue) -> None:
    queue.put(pairs[4]['search'].numpy().tobytes())


@pytest.mark.parametrize('method', ['fork', 'spawn', 'forkserver'])
def test_a_used_dataset_works_in_processes_of_every_kind(store, method):
    pairs = dataset(store)
    expected = pairs[4]['search'].numpy().tobytes()
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(target=read_in_child, args=(pairs, queue))
    child.start()
    assert queue.get(timeout=60) == expected
    child.join()


def test_pickling_a_dataset_does_not_copy_its_index(store):
    pairs = dataset(store)
    pairs[0]
    assert len(pickle.dumps(pairs)) < 4000


def test_describe_names_video_track_and_frame(store):
    text = dataset(store).describe(3)
    assert text.startswith('sample 3, ')
    assert store in text
    assert 'ILSVRC2015_train_0000000' in text
    assert 'frame' in text


@pytest.mark.parametrize(('changes', 'message'), [
    (dict(pairs_per_epoch=0), 'pairs_per_epoch'), (dict(negative_share=1.5), 'negative_share'),
    (dict(frame_range=-1), 'frame_range'), (dict(store=[]), 'no store')])
def test_arguments_out_of_range_are_named(store, changes, message):
    with pytest.raises(ValueError, match=message):
        dataset(**{'store': store, **changes})


def test_wrong_entries_of_a_mixture_are_named(store):
    for entries in ([dict(path=store, wieght=1)], [dict(repeats=2)], [dict(path=store, weight=1), store],
                    [dict(path=store, weight=1, repeats=2)], [dict(path=store, repeats=0)],
                    [dict(path=store, weight=float('nan'))], [dict(path=store, weight=float('inf'))]):
        with pytest.raises(ValueError, match='store'):
            dataset(entries)


def test_a_missing_store_is_named(tmp_path):
    with pytest.raises(StoreError, match='missing.lmdb'):
        dataset(str(tmp_path / 'missing.lmdb'))


def test_a_pipeline_that_does_not_cut_is_named(store):
    with pytest.raises(ValueError, match='ShiftScaleCrop'):
        dataset(store, pipeline=[])[0]


class AsFloat(PairTransform):
    """What a user may write."""

    def apply(self, view: View, params: None) -> View:
        return View(view.image / 255, view.box_xyxy)


def test_a_pipeline_that_gives_other_numbers_than_pixels_is_named(store):
    with pytest.raises(ValueError, match='uint8 images, the search image is float64'):
        dataset(store, pipeline=[*PIPELINE, dict(type=AsFloat, keys='search')])[0]


def test_a_damaged_crop_is_named_with_its_video(store, tmp_path):
    damaged = str(tmp_path / 'damaged.lmdb')
    shutil.copytree(store, damaged)
    with lmdb.open(damaged, lock=False, max_dbs=2) as env, env.begin(write=True) as txn:
        crops = env.open_db(b'crops', txn, create=False)
        for key, value in list(txn.cursor(db=crops)):
            txn.put(key, value[:len(value) // 2], db=crops)
    with pytest.raises(StoreError, match='crop .* of .*damaged.lmdb .*video .* track .* frame .*inspect_dataset'):
        dataset(damaged)[0]


def test_the_runners_seed_reaches_the_dataset(store):
    pairs = dataset(store, seed=None)
    PairSampler(pairs, seed=123, rank=0, world_size=1)
    assert pairs.seed == 123
    fixed = dataset(store, seed=7)
    PairSampler(fixed, seed=123, rank=0, world_size=1)
    assert fixed.seed == 7


def test_a_shard_without_crops_is_passed_over(store, vid_root, tmp_path):
    """Of three shards of two videos one is empty."""
    root = tmp_path / 'two'
    list(write_synthetic_vid(root, videos=2, frames=4, size=(160, 120), seed=1))
    parts = [str(tmp_path / f'{index}.lmdb') for index in range(3)]
    for index, part in enumerate(parts):
        pack(VIDSource(root), part, workers=0, shard=(index, 3))
    assert sum(len(CropStore(part)) == 0 for part in parts) == 1
    pairs = dataset([*parts, store])
    assert {pair.search[0] for pair in map(pairs.choose, range(200))} == {0, 1, 2}  # those with crops
    with pytest.raises(StoreError, match='no crops'):
        dataset([part for part in parts if not len(CropStore(part))])
    for amount in ('pairs', 'weight'):
        with pytest.raises(StoreError, match='no crops'):
            dataset([{'path': part, amount: 16} for part in (*parts, store)])


# Mixtures


def write_store(folder, videos: int) -> str:
    """A store of small crops: video v has v % 3 + 1 tracks of 4 + v frames, every third frame missing."""
    layouts.write_image(folder / 'a.jpg')
    rows = [f'v{video},{frame},a.jpg,{track},40,30,40,30' for video in range(videos) for track in range(video % 3 + 1)
            for frame in range(4 + video) if frame % 3 != 2]
    layouts.write_text(folder / 'annotations.csv', 'video,frame,image,track,x,y,width,height\n' + '\n'.join(rows) + '\n')
    pack(CsvSource(folder), folder / 'store', PackSettings(crop_size=63, template_size=15), workers=0)
    return str(folder / 'store')


@pytest.fixture(scope='module')
def simple(tmp_path_factory):
    return [write_store(tmp_path_factory.mktemp('simple'), videos) for videos in (5, 9)]


@pytest.mark.parametrize(('entries', 'changes', 'digest'), [
    (lambda a, b: a, dict(), 1997331504), (lambda a, b: b, dict(frame_range=2, same_frame=False, negative_share=0.5), 272356634),
    (lambda a, b: [a, dict(path=b, repeats=3, frame_range=1)], dict(), 3337819303),
    (lambda a, b: [dict(path=a, weight=3), dict(path=b, weight=1)], dict(negative_share=0.4), 3508763512)],
    ids=['one store', 'other settings', 'repeats', 'weights'])
def test_draws_are_those_of_the_first_release(simple, entries, changes, digest):
    """Digests of the program before stores had `pairs` and `negative_share`: a resumed run goes on with the same samples."""
    pairs = dataset(entries(*simple), **changes)
    chosen = [(*pair.template, *pair.search, pair.is_positive) for pair in map(pairs.choose, range(2000))]
    assert zlib.crc32(repr(chosen).encode()) == digest


def test_pairs_of_all_stores_are_counts_of_an_epoch(simple):
    mixed = dataset([dict(path=simple[0], pairs=4e1), dict(path=simple[1], pairs=24)])
    for epoch in range(3):
        assert Counter(mixed.choose(k).template[0] for k in range(64 * epoch, 64 * (epoch + 1))) == {0: 40, 1: 24}


def test_pairs_of_one_store_beside_all_videos_of_the_others_are_pysots_mixture(simple):
    """PySOT repeats VID up to NUM_USE and takes every video of the other sets once; then anew."""
    mixed = dataset([dict(path=simple[0], pairs=20), simple[1]])
    videos = np.repeat(np.arange(9), np.bincount(video_numbers(CropStore(simple[1]))))
    for turn in range(3):
        chosen = [mixed.choose(k).template for k in range(29 * turn, 29 * (turn + 1))]
        assert Counter(number for number, _ in chosen) == {0: 20, 1: 9}
        assert sorted(videos[crop] for number, crop in chosen if number == 1) == list(range(9))
        own = np.repeat(np.arange(5), np.bincount(video_numbers(CropStore(simple[0]))))
        assert set(Counter(own[crop] for number, crop in chosen if number == 0).values()) == {4}  # 20 pairs of 5 videos


def video_numbers(crops: CropStore) -> list:
    """The video of each crop."""
    return [video for video in range(crops.num_videos) for track in crops.tracks(video) for _ in crops.crops(track)]


def test_each_store_has_its_share_of_negatives_and_its_range(simple):
    mixed = dataset([dict(path=simple[0], weight=1, negative_share=0), dict(path=simple[1], weight=1, negative_share=0.5,
                                                                              frame_range=1)], pairs_per_epoch=2000)
    chosen = [mixed.choose(k) for k in range(2000)]
    negative = Counter(pair.template[0] for pair in chosen if not pair.is_positive)
    assert set(negative) == {1}
    assert 430 < negative[1] < 570  # of 1000; 4 standard deviations
    frames = CropStore(simple[1]).array('frame').astype(int)
    assert max(abs(frames[pair.template[1]] - frames[pair.search[1]])
               for pair in chosen if pair.is_positive and pair.template[0] == 1) == 1


def test_stills_pair_an_image_with_itself_in_two_different_cuts(tmp_path):
    layouts.write_coco(tmp_path)
    pack(CocoSource(tmp_path), tmp_path / 'coco.lmdb', workers=0)
    pairs = dataset(str(tmp_path / 'coco.lmdb'), frame_range=0, negative_share=0)
    assert all(pair.template == pair.search for pair in map(pairs.choose, range(50)))
    sample = pairs[0]
    inner = sample['search'][:, 64:191, 64:191].float()
    assert (inner - sample['template'].float()).abs().mean() > 3  # shifted, scaled, coloured
    assert not torch.equal(pairs[0]['search'], pairs[4]['search'])


@pytest.mark.parametrize(('changes', 'message'), [
    (dict(pairs=0), 'positive'), (dict(pairs=1.5), 'whole number'), (dict(pairs=3, repeats=1), 'only one of'),
    (dict(negative_share=-0.1), r'negative_share must be in \[0, 1\]'), (dict(pairs=7), 'add up to 7, pairs_per_epoch is 64')])
def test_wrong_amounts_of_a_store_are_named(simple, changes, message):
    with pytest.raises(ValueError, match=message):
        dataset([dict(path=simple[0], **changes)])
