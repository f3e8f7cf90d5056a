"""Packing: the same records however it is done and however it is interrupted; nothing is left out without a word."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest
from conftest import ROOT, load_tool

from siamrpnpp_plugin.datasets.crop_store import CropStore, StoreError
from siamrpnpp_plugin.datasets.cropping import PackSettings
from siamrpnpp_plugin.datasets.packing import _write_part, merge, pack
from siamrpnpp_plugin.datasets.sources import FolderSource, VIDSource
from siamrpnpp_plugin.datasets.store_writer import PackError, StoreWriter, lock_store
from siamrpnpp_plugin.datasets.synthetic import Target, annotation_xml, video_name, write_synthetic_vid
from siamrpnpp_plugin.ops.crop import context_side, crop_and_resize, square_window

SMALL = PackSettings(crop_size=127, template_size=31)
WIDTH, HEIGHT = 160, 120
MIDDLE = (50, 40, 89, 69)  # first and last pixel of a box, as VID writes them


def records(path: Path) -> list:
    """All (database, key, value) of an LMDB."""
    CropStore(str(path)).close()  # lmdb opens a file once per process
    with lmdb.open(str(path), readonly=True, lock=False, max_dbs=3) as env, env.begin() as txn:
        names = [name for name, _ in txn.cursor()]
        return [(name, *record) for name in names for record in txn.cursor(db=env.open_db(name, txn, create=False))]


def manifest_of(path: Path) -> dict:
    store = CropStore(str(path))
    manifest = store.manifest
    store.close()
    return manifest


@pytest.fixture(scope='module')
def vid(tmp_path_factory) -> Path:
    """Six short videos; the last frame of the second one is cut short, so that something is skipped."""
    root = tmp_path_factory.mktemp('vid')
    list(write_synthetic_vid(root, videos=6, frames=8, size=(WIDTH, HEIGHT), seed=0))
    image = root / 'Data/VID/train' / video_name('train', 1) / '000007.JPEG'
    image.write_bytes(image.read_bytes()[:-100])
    return root


@pytest.fixture(scope='module')
def whole(vid, tmp_path_factory) -> Path:
    """The store of `vid`, packed in one process at one go. Tests only read it."""
    path = tmp_path_factory.mktemp('whole') / 'store'
    pack(VIDSource(vid), path, SMALL, workers=0)
    return path


def copy_of(root: Path, folder: Path) -> Path:
    """A tree of links to the files of another; a file may be removed or replaced in it, not written to."""
    return Path(shutil.copytree(root, folder, copy_function=os.link))


def write_video(root: Path, index: int, boxes: list) -> tuple[Path, Path]:
    """A VID video with boxes[t][track] in frame t; its folders of images and of annotations."""
    name, rng = video_name('train', index), np.random.default_rng(index)
    images, annotations = (root / kind / 'VID/train' / name for kind in ('Data', 'Annotations'))
    for folder in (images, annotations):
        folder.mkdir(parents=True)
    for t, of_frame in enumerate(boxes):
        picture = cv2.resize(rng.integers(0, 256, (8, 10, 3), dtype=np.uint8), (WIDTH, HEIGHT))
        cv2.imwrite(str(images / f'{t:06d}.JPEG'), picture)
        targets = [Target(track, box, False) for track, box in enumerate(of_frame) if box is not None]
        (annotations / f'{t:06d}.xml').write_text(annotation_xml(name, f'{t:06d}', (WIDTH, HEIGHT), targets))
    return images, annotations


# Records


@pytest.mark.parametrize('workers', [1, 2])
def test_records_do_not_depend_on_the_number_of_workers(vid, whole, tmp_path, workers):
    pack(VIDSource(vid), tmp_path / 'store', SMALL, workers=workers)
    assert records(tmp_path / 'store') == records(whole)
    assert sorted(os.listdir(tmp_path / 'store')) == ['data.mdb', 'report.json', 'skipped.tsv']


def test_keys_count_from_zero_in_the_order_of_video_track_and_frame(vid, whole):
    keys = [key for name, key, _ in records(whole) if name == b'crops']
    assert keys == [number.to_bytes(8, 'big') for number in range(len(keys))]
    source, store, expected = VIDSource(vid), CropStore(whole), []
    for video in source.videos():
        for track in source.read(video)[0]:
            expected += [f'(video {video}, track {track.name}, frame {frame})' for frame in track.frames]
    found = [store.describe(number).split(' ', 4)[4] for number in range(len(store))]
    cut = [line for line in expected if line not in found]
    assert found == [line for line in expected if line not in cut]
    assert cut
    assert all(video_name('train', 1) in line and line.endswith('frame 7)') for line in cut)


def test_a_crop_is_the_square_around_the_target_of_the_decoded_frame(vid, whole):
    source, store, number, padded = VIDSource(vid), CropStore(whole), 0, 0
    for video in source.videos():
        for track in source.read(video)[0]:
            for frame, box, image_path in zip(track.frames, track.boxes_xyxy, track.images):
                if video == video_name('train', 1) and frame == 7:
                    continue
                np.testing.assert_array_equal(store.array('box_xyxy')[number], box)
                image = cv2.imread(image_path)
                mean = image.reshape(-1, 3).mean(axis=0)
                window = square_window((box[:2] + box[2:]) / 2, context_side(box) * 127 / 31)
                expected = crop_and_resize(image, window, 127, mean)
                crop = cv2.imdecode(np.frombuffer(store.read(number), np.uint8), cv2.IMREAD_COLOR)
                assert crop.shape == (127, 127, 3)
                assert np.abs(crop.astype(float) - expected).mean() < 4
                if window[0] < -0.2 * (window[2] - window[0]):  # a fifth of the crop lies left of the image
                    assert np.abs(crop[:, :16].mean(axis=(0, 1)) - mean).max() < 2
                    padded += 1
                number += 1
    assert number == len(store)
    assert padded > 5


# Interruptions

LONG = 600  # videos, several times as many as one transaction takes


@pytest.fixture(scope='module')
def long_vid(vid, tmp_path_factory) -> Path:
    """Enough videos for some seconds of packing: links to those of `vid`."""
    root = tmp_path_factory.mktemp('long') / 'vid'
    for kind in ('Data', 'Annotations'):
        for index in range(LONG):
            copy_of(vid / kind / 'VID/train' / video_name('train', index % 6),
                    root / kind / 'VID/train' / video_name('train', index))
    return root


def start_tool(*arguments) -> subprocess.Popen:
    """`tools/pack_dataset.py` in a process of its own."""
    return subprocess.Popen([sys.executable, str(ROOT / 'tools/pack_dataset.py'), *map(str, arguments)], cwd=ROOT,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_until(condition, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, 'waited in vain'
        time.sleep(0.02)


def children(pid: int) -> list:
    """Processes that a process has started."""
    return [int(child) for task in Path(f'/proc/{pid}/task').iterdir() for child in (task / 'children').read_text().split()]


def is_running(pid: int) -> bool:
    try:
        return Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] not in 'ZX'
    except FileNotFoundError:
        return False


def num_committed(path: Path) -> int:
    """Videos in an unfinished store."""
    with lmdb.open(str(path), readonly=True, lock=False, max_dbs=3) as env, env.begin() as txn:
        try:
            found = env.open_db(b'progress', txn, create=False)
        except lmdb.NotFoundError:  # killed before its first record
            return 0
        return sum(key != b'identity' for key, _ in txn.cursor(db=found))


def test_a_killed_packing_goes_on_and_gives_the_same_records(long_vid, tmp_path):
    out, parts = tmp_path / 'store', tmp_path / 'store/parts'
    moments = [  # the store is there, some parts are, something is committed
        lambda: (out / 'data.mdb').exists() and parts.exists(),
        lambda: sum(part.suffix == '.part' for part in parts.iterdir()) >= 2,
        lambda: num_committed(out) > 0]
    root = copy_of(long_vid, tmp_path / 'vid')
    for moment in moments:
        process = start_tool('vid', root, out, '--workers', 2)
        wait_until(lambda: moment() or process.poll() is not None)  # noqa: B023
        workers = children(process.pid)
        process.kill()
        assert process.wait() == -signal.SIGKILL, process.stdout.read()
        wait_until(lambda: not any(map(is_running, workers)), 5)  # noqa: B023
        with pytest.raises(StoreError, match='unfinished|not a crop store'):
            len(CropStore(out))
    committed = num_committed(out)
    assert 0 < committed < LONG
    for video in VIDSource(root).videos()[:committed]:  # what is committed is not looked at again
        shutil.rmtree(root / 'Data/VID/train' / video)
    process = start_tool('vid', root, out, '--workers', 2)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert sorted(os.listdir(out)) == ['data.mdb', 'report.json', 'skipped.tsv']
    pack(VIDSource(long_vid), tmp_path / 'at_one_go', workers=2)
    assert records(out) == records(tmp_path / 'at_one_go')


class Deadly(VIDSource):
    """Kills the process that reads video 3, once."""

    def read(self, video: str) -> tuple:
        marker = self.root / 'has_killed'
        if video == video_name('train', 3) and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(video)


def test_after_the_death_of_a_worker_the_next_call_finishes(vid, whole, tmp_path):
    source = Deadly(copy_of(vid, tmp_path / 'vid'))
    with pytest.raises(PackError, match='worker process was killed.* run the same command again, with fewer workers'):
        pack(source, tmp_path / 'store', SMALL, workers=2)
    with pytest.raises(StoreError, match='is unfinished: run the same pack_dataset.py command again'):
        len(CropStore(tmp_path / 'store'))
    pack(source, tmp_path / 'store', SMALL, workers=1)
    assert records(tmp_path / 'store') == records(whole)


def test_a_part_that_a_power_failure_damaged_is_made_anew(vid, whole, tmp_path):
    with pytest.raises(PackError):  # leaves parts
        pack(Deadly(copy_of(vid, tmp_path / 'vid')), tmp_path / 'store', SMALL, workers=1)
    parts = sorted((tmp_path / 'store/parts').glob('*.part'))
    assert len(parts) >= 3
    with open(parts[0], 'r+b') as file:
        file.seek(1000)
        file.write(b'\0' * 64)
    os.truncate(parts[1], 5000)
    os.truncate(parts[2], 0)
    pack(VIDSource(vid), tmp_path / 'store', SMALL, workers=1)
    assert records(tmp_path / 'store') == records(whole)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB."""
    disk = tmp_path / 'disk'
    disk.mkdir()
    if shutil.which('mount') is None or subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk],
                                                       capture_output=True).returncode:
        pytest.skip('mounting a small disk is not permitted here')
    yield disk
    subprocess.run(['umount', '-l', disk], check=True)


@pytest.mark.parametrize('workers', [0, 2])
def test_on_a_full_disk_packing_stops_and_goes_on_when_there_is_room(vid, tmp_path, small_disk, workers):
    for _ in range(2):  # again with the disk still full
        with pytest.raises(PackError, match='the disk of .* is full: make room and run the same command again'):
            pack(VIDSource(vid), small_disk / 'store', workers=workers)
    subprocess.run(['mount', '-o', 'remount,size=64m', small_disk], check=True)
    pack(VIDSource(vid), small_disk / 'store', workers=workers)
    pack(VIDSource(vid), tmp_path / 'elsewhere', workers=0)
    assert records(small_disk / 'store') == records(tmp_path / 'elsewhere')
    CropStore(small_disk / 'store').close()


@pytest.mark.parametrize('kilobytes', [4, 8, 16, 28, 32, 200, 300, 400])
def test_wherever_the_disk_fills_up_the_error_says_so(vid, whole, small_disk, kilobytes):
    subprocess.run(['mount', '-o', f'remount,size={kilobytes}k', small_disk], check=True)
    with pytest.raises(PackError, match='the disk of .* is full: make room and run the same command again'):
        pack(VIDSource(vid), small_disk / 'store', SMALL, workers=0)
    subprocess.run(['mount', '-o', 'remount,size=64m', small_disk], check=True)
    pack(VIDSource(vid), small_disk / 'store', SMALL, workers=0)
    assert records(small_disk / 'store') == records(whole)
    CropStore(small_disk / 'store').close()


# Who may write what


def test_a_second_packer_is_refused_and_changes_nothing(vid, whole, tmp_path):
    store = Path(shutil.copytree(whole, tmp_path / 'store'))
    hold = 'import fcntl, sys; file = open(sys.argv[1], "w"); fcntl.flock(file, 2); print("held", flush=True); input()'
    holder = subprocess.Popen([sys.executable, '-c', hold, store / 'pack.lock'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b'held\n'
        for overwrite in (False, True):
            with pytest.raises(PackError, match='is being written by another process'):
                pack(VIDSource(vid), store, SMALL, overwrite=overwrite)
        assert records(store) == records(whole)
    finally:
        holder.kill()
        holder.communicate()
    pack(VIDSource(vid), store, SMALL)  # the lock ended with its holder


def test_the_lock_is_held_against_the_same_process_too(tmp_path):
    with lock_store(tmp_path), pytest.raises(PackError, match='is being written'), lock_store(tmp_path):
        pass
    with lock_store(tmp_path):
        pass
    assert not os.listdir(tmp_path)


def unfinished(root: Path, path: Path) -> None:
    """A store of `root` with the first video in it."""
    class Broken(VIDSource):
        def read(self, video: str) -> tuple:
            if video != video_name('train', 0):
                raise InterruptedError
            return super().read(video)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StoreWriter, 'commit_seconds', 0)
        with pytest.raises(InterruptedError):
            pack(Broken(root), path, SMALL, workers=0)
    assert num_committed(path) == 1


OTHERS = {
    'other crops': PackSettings(crop_size=95, template_size=31),
    'another quality': PackSettings(crop_size=127, template_size=31, quality=80),
    'longer tracks': PackSettings(crop_size=127, template_size=31, min_track_length=3),
}


@pytest.mark.parametrize('name', OTHERS)
def test_other_settings_are_refused_until_told_to_overwrite(vid, whole, tmp_path, name):
    finished, begun = Path(shutil.copytree(whole, tmp_path / 'finished')), tmp_path / 'begun'
    unfinished(vid, begun)
    before = records(begun)
    with pytest.raises(PackError, match='finished store of other data or settings: choose another name, or --overwrite'):
        pack(VIDSource(vid), finished, OTHERS[name], workers=0)
    with pytest.raises(PackError, match=r'was begun with other settings or data \(settings .* -> .*\): use them, or --overwrite'):
        pack(VIDSource(vid), begun, OTHERS[name], workers=0)
    assert (records(finished), records(begun)) == (records(whole), before)
    for path in (finished, begun):
        pack(VIDSource(vid), path, OTHERS[name], workers=0, overwrite=True)
    pack(VIDSource(vid), tmp_path / 'fresh', OTHERS[name], workers=0)
    assert records(finished) == records(begun) == records(tmp_path / 'fresh')


def test_another_data_set_or_shard_is_refused(vid, whole, tmp_path):
    store, other = Path(shutil.copytree(whole, tmp_path / 'store')), tmp_path / 'vid'
    list(write_synthetic_vid(other, videos=2, frames=2, size=(WIDTH, HEIGHT)))
    with pytest.raises(PackError, match='other data or settings'):
        pack(VIDSource(other), store, SMALL, workers=0)
    with pytest.raises(PackError, match='other data or settings'):
        pack(VIDSource(vid), store, SMALL, workers=0, shard=(0, 2))
    assert records(store) == records(whole)


def test_packing_a_finished_store_again_changes_nothing(vid, whole, tmp_path):
    store, calls = Path(shutil.copytree(whole, tmp_path / 'store')), []
    (store / 'report.json').unlink()
    manifest = pack(VIDSource(vid), store, SMALL, progress=lambda *numbers: calls.append(numbers))
    assert manifest == dict(manifest_of(whole), finished_before=True)
    assert calls == [(6, 6, manifest['counts']['crops'], manifest['counts']['crop_bytes'])]
    assert records(store) == records(whole)
    assert (store / 'report.json').read_text() == (whole / 'report.json').read_text()


def test_a_folder_with_other_files_and_a_file_are_refused(vid, tmp_path):
    (tmp_path / 'note.txt').write_text('mine')
    for overwrite in (False, True):
        with pytest.raises(PackError, match='is a folder with other files'):
            pack(VIDSource(vid), tmp_path, SMALL, workers=0, overwrite=overwrite)
    with pytest.raises(PackError, match='note.txt is a file; a store is a folder'):
        pack(VIDSource(vid), tmp_path / 'note.txt', SMALL, workers=0)
    assert os.listdir(tmp_path) == ['note.txt']
    assert (tmp_path / 'note.txt').read_text() == 'mine'


def test_an_lmdb_of_something_else_is_refused_and_left_alone(vid, tmp_path):
    with lmdb.open(str(tmp_path / 'lmdb'), lock=False) as env, env.begin(write=True) as txn:
        txn.put(b'key', b'value')
    before = (tmp_path / 'lmdb/data.mdb').read_bytes()
    with pytest.raises((PackError, StoreError)):
        pack(VIDSource(vid), tmp_path / 'lmdb', SMALL, workers=0)
    assert (tmp_path / 'lmdb/data.mdb').read_bytes() == before


# Shards


@pytest.fixture(scope='module')
def shards(vid, tmp_path_factory) -> list:
    folder = tmp_path_factory.mktemp('shards')
    for index in range(3):
        pack(VIDSource(vid), folder / f'{index}', SMALL, workers=0, shard=(index, 3))
    return [folder / f'{index}' for index in range(3)]


@pytest.mark.parametrize('order', [(0, 1, 2), (2, 0, 1)])
def test_merged_shards_are_the_store_that_never_was_in_shards(whole, shards, tmp_path, order):
    manifest = merge([shards[index] for index in order], tmp_path / 'store')
    assert manifest == manifest_of(whole)
    assert records(tmp_path / 'store') == records(whole)
    for name in ('report.json', 'skipped.tsv'):
        assert (tmp_path / 'store' / name).read_text() == (whole / name).read_text()
    assert sorted(os.listdir(tmp_path / 'store')) == ['data.mdb', 'report.json', 'skipped.tsv']


@pytest.mark.parametrize(('chosen', 'message'), [
    ((0, 2), r'merging needs shards 0 ... 2 of 3, once each; got \[0, 2\]'),
    ((0, 1, 1, 2), r'once each; got \[0, 1, 1, 2\]'),
    ((1, ), r'once each; got \[1\]'),
])
def test_merging_needs_each_shard_once(shards, tmp_path, chosen, message):
    with pytest.raises(PackError, match=message):
        merge([shards[index] for index in chosen], tmp_path / 'store')
    assert not (tmp_path / 'store').exists()


def test_shards_of_other_settings_or_data_do_not_merge(vid, shards, tmp_path):
    list(write_synthetic_vid(tmp_path / 'vid', videos=6, frames=2, size=(WIDTH, HEIGHT), split='val'))
    pack(VIDSource(vid), tmp_path / 'quality', OTHERS['another quality'], workers=0, shard=(2, 3))
    pack(VIDSource(tmp_path / 'vid', 'val'), tmp_path / 'val', SMALL, workers=0, shard=(2, 3))
    for other, key in (('quality', 'settings'), ('val', 'source')):
        with pytest.raises(PackError, match=f'are not shards of one data set: {key} differs'):
            merge([*shards[:2], tmp_path / other], tmp_path / 'store')


def test_a_shard_with_a_flipped_byte_does_not_merge(shards, tmp_path):
    damaged = Path(shutil.copytree(shards[1], tmp_path / 'damaged'))
    store = CropStore(damaged)
    crop = store.read(3)
    store.close()
    data = bytearray((damaged / 'data.mdb').read_bytes())
    data[data.find(crop[-200:]) + 50] ^= 1
    (damaged / 'data.mdb').write_bytes(data)
    with pytest.raises(StoreError, match='crop 3 of .* is damaged'):
        merge([shards[0], damaged, shards[2]], tmp_path / 'store')


def test_an_interrupted_merge_goes_on(whole, shards, tmp_path, monkeypatch):
    def interrupt(done: int, *_) -> None:
        if done == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(StoreWriter, 'commit_seconds', 0)
    with pytest.raises(KeyboardInterrupt):
        merge(shards, tmp_path / 'store', progress=interrupt)
    assert num_committed(tmp_path / 'store') == 3
    merge(shards, tmp_path / 'store')
    assert records(tmp_path / 'store') == records(whole)


def test_a_shard_of_which_nothing_can_be_used_merges_too(tmp_path):
    write_video(tmp_path / 'vid', 0, [[MIDDLE]] * 3)
    write_video(tmp_path / 'vid', 1, [[MIDDLE]])
    source = VIDSource(tmp_path / 'vid')
    for index in range(2):
        pack(source, tmp_path / f'{index}', SMALL, workers=0, shard=(index, 2))
    merge([tmp_path / '0', tmp_path / '1'], tmp_path / 'store')
    pack(source, tmp_path / 'whole', SMALL, workers=0)
    assert records(tmp_path / 'store') == records(tmp_path / 'whole')


# Input that cannot be used


def expected_skips(root: Path) -> list:
    """Write videos of which each has its fault(s); (reason, part of the place) of what is to be skipped, in order."""
    good = [[MIDDLE]] * 5
    write_video(root, 0, good)
    images, _ = write_video(root, 1, good)
    (images / '000001.JPEG').write_bytes((images / '000001.JPEG').read_bytes()[:1500])
    (images / '000002.JPEG').write_bytes(np.random.default_rng(0).bytes(2000))
    (images / '000003.JPEG').write_bytes(b'')
    images, annotations = write_video(root, 2, good)
    (annotations / '000001.xml').write_text('')
    (images / '000002.JPEG').unlink()
    (annotations / '000003.xml').unlink()
    write_video(root, 3, [[MIDDLE], [(WIDTH, 0, WIDTH + 9, 9)], [(30, 30, 29, 40)], [(-20, 100, 19, 139)], [(-9, 5, -1, 9)]])
    write_video(root, 4, [[MIDDLE, MIDDLE], *good])
    write_video(root, 5, [[]] * 3)
    name = '{1}/VID/train/' + video_name('train', 0)[:-1] + '{0}'
    return [
        ('truncated image', name.format(1, 'Data') + '/000001.JPEG'),
        ('corrupt image', name.format(1, 'Data') + '/000002.JPEG'),
        ('corrupt image', name.format(1, 'Data') + '/000003.JPEG'),
        ('missing annotation', name.format(2, 'Data') + '/000003.JPEG'),
        ('malformed annotation', name.format(2, 'Annotations') + '/000001.xml: no element found'),
        ('missing image', name.format(2, 'Annotations') + '/000002.xml'),
        ('zero-size box', name.format(3, 'Annotations') + '/000002.xml: track 0'),
        ('box outside the image', name.format(3, 'Data') + '/000001.JPEG: track 0'),
        ('box outside the image', name.format(3, 'Data') + '/000004.JPEG: track 0'),
        ('track too short', video_name('train', 4) + ': track 1'),
        ('video without objects', name.format(5, 'Annotations')),
    ]


def test_what_cannot_be_used_is_named_and_counted_and_the_rest_packed(tmp_path):
    expected = expected_skips(tmp_path / 'vid')
    manifest = pack(VIDSource(tmp_path / 'vid'), tmp_path / 'store', SMALL, workers=0)
    store = CropStore(tmp_path / 'store')
    heading, *lines = (tmp_path / 'store/skipped.tsv').read_text().splitlines()
    assert heading == 'reason\twhere'
    assert lines == ['\t'.join(skip) for skip in store.skipped()]
    assert [reason for reason, _ in store.skipped()] == [reason for reason, _ in expected]
    for (_, where), (_, place) in zip(store.skipped(), expected):
        assert where.startswith(place)
    report = json.loads((tmp_path / 'store/report.json').read_text())
    reasons = [reason for reason, _ in expected]
    assert report == manifest['counts']
    assert report['skipped'] == {reason: reasons.count(reason) for reason in sorted(set(reasons))}
    assert (report['videos'], report['tracks'], report['crops'], len(store)) == (5, 5, 17, 17)
    frames = [[store.array('frame')[number] for number in store.crops(track)] for track in range(5)]
    assert frames == [[0, 1, 2, 3, 4], [0, 4], [0, 4], [0, 3], [0, 1, 2, 3, 4, 5]]
    assert store.names()[0] == [video_name('train', index) for index in range(5)]


def test_a_box_partly_outside_the_image_is_kept_whole(tmp_path):
    write_video(tmp_path / 'vid', 0, [[(-20, 100, 19, 139)], [MIDDLE]])
    pack(VIDSource(tmp_path / 'vid'), tmp_path / 'store', SMALL, workers=0)
    assert CropStore(tmp_path / 'store').array('box_xyxy').tolist() == [[-20, 100, 20, 140], [50, 40, 90, 70]]


def test_an_image_whose_header_claims_an_absurd_size_is_skipped(tmp_path):
    images, _ = write_video(tmp_path / 'vid', 0, [[MIDDLE]] * 3)
    data = bytearray((images / '000001.JPEG').read_bytes())
    frame_header = data.find(b'\xff\xc0')
    data[frame_header + 5:frame_header + 9] = b'\xff\xdc' * 2  # 65500 x 65500 pixels
    (images / '000001.JPEG').write_bytes(data)
    manifest = pack(VIDSource(tmp_path / 'vid'), tmp_path / 'store', SMALL, workers=0)
    assert manifest['counts']['skipped'] == {'corrupt image': 1}


def test_strict_stops_at_the_first_thing_that_would_be_skipped(vid, whole, tmp_path):
    with pytest.raises(PackError, match='--strict: .*00000001: truncated image: Data/.*00000001/000007.JPEG'):
        pack(VIDSource(vid), tmp_path / 'store', SMALL, workers=2, strict=True)
    pack(VIDSource(vid), tmp_path / 'store', SMALL, workers=2)  # without, it goes on
    assert records(tmp_path / 'store') == records(whole)


def test_strict_sees_what_was_skipped_before_the_interruption(tmp_path):
    for index in range(2):
        images, _ = write_video(tmp_path / 'vid', index, [[MIDDLE]] * 3)
        if index == 0:
            (images / '000000.JPEG').unlink()
    unfinished(tmp_path / 'vid', tmp_path / 'store')
    with pytest.raises(PackError, match='--strict: .*00000000: missing image: .*000000.xml'):
        pack(VIDSource(tmp_path / 'vid'), tmp_path / 'store', SMALL, workers=0, strict=True)


def test_strict_sees_what_a_finished_store_lacks(vid, whole, tmp_path):
    store = Path(shutil.copytree(whole, tmp_path / 'store'))
    with pytest.raises(PackError, match='--strict'):
        pack(VIDSource(vid), store, SMALL, workers=0, strict=True)


def test_strict_packs_what_has_no_faults(tmp_path):
    write_video(tmp_path / 'vid', 0, [[MIDDLE]] * 3)
    assert pack(VIDSource(tmp_path / 'vid'), tmp_path / 'store', SMALL, workers=0, strict=True)['counts']['crops'] == 3


def test_a_data_set_of_which_nothing_can_be_used_is_an_error(tmp_path):
    write_video(tmp_path / 'vid', 0, [[MIDDLE]])
    with pytest.raises(PackError, match="nothing to pack, everything was skipped: {'track too short': 1}"):
        pack(VIDSource(tmp_path / 'vid'), tmp_path / 'store', SMALL, workers=0)


def test_a_data_set_without_videos_is_an_error(tmp_path):
    for kind in ('Data', 'Annotations'):
        (tmp_path / kind / 'VID/train').mkdir(parents=True)
    (tmp_path / 'empty').mkdir()
    for source in (VIDSource(tmp_path), FolderSource(tmp_path / 'empty')):
        with pytest.raises(PackError, match=f'has no videos for the reader {source.name!r}'):
            pack(source, tmp_path / 'store', SMALL)


def test_a_root_of_another_layout_is_refused(vid, tmp_path):
    with pytest.raises(ValueError, match='is not an ILSVRC2015 VID root with a train split: .*Data.* is missing'):
        VIDSource(tmp_path)
    with pytest.raises(ValueError, match='with a val split'):
        VIDSource(vid, 'val')


# The tool


def test_the_tool_packs_in_shards_and_merges_and_prints_what_it_did(vid, whole, tmp_path, capsys):
    tool, size = load_tool('pack_dataset.py'), ['--crop-size', '127', '--template-size', '31', '--workers', '1']
    for index in range(2):
        tool.main(['vid', str(vid), str(tmp_path / f'{index}'), *size, '--shard', f'{index}/2'])
    tool.main(['merge', str(tmp_path / '0'), str(tmp_path / '1'), str(tmp_path / 'store')])
    counts = manifest_of(whole)['counts']
    summary = capsys.readouterr().out.split(f'{tmp_path / "store"}: ')[1]
    assert summary.startswith(f'6 videos, {counts["tracks"]} tracks, {counts["crops"]} crops, {counts["crop_bytes"]} bytes')
    assert '  skipped: 1 x truncated image\n' in summary
    assert f'  all that was skipped: {tmp_path / "store" / "skipped.tsv"}\n' in summary
    assert records(tmp_path / 'store') == records(whole)


def test_the_tool_says_that_nothing_was_skipped(tmp_path, capsys):
    write_video(tmp_path / 'vid', 0, [[MIDDLE]] * 3)
    load_tool('pack_dataset.py').main(['vid', str(tmp_path / 'vid'), str(tmp_path / 'store'), '--workers', '0'])
    assert capsys.readouterr().out.endswith('  nothing was skipped\n')


@pytest.mark.parametrize(('text', 'message'), [
    ('3/3', '3/3: i counts from 0 to n - 1'),
    ('-1/3', '-1/3: i counts from 0 to n - 1'),
    ('a/3', "'a/3' is not of the form i/n, such as 0/4"),
])
def test_the_tool_refuses_a_shard_that_is_none(vid, tmp_path, capsys, text, message):
    with pytest.raises(SystemExit) as error:
        load_tool('pack_dataset.py').main(['vid', str(vid), str(tmp_path / 'store'), f'--shard={text}'])
    assert error.value.code == 2
    assert message in capsys.readouterr().err


def test_the_tool_ends_with_the_message_of_an_error(vid, tmp_path):
    with pytest.raises(SystemExit, match='PackError: --strict: .*truncated image'):
        load_tool('pack_dataset.py').main(['vid', str(vid), str(tmp_path / 'a'), '--workers', '0', '--strict'])
    with pytest.raises(SystemExit, match='ValueError: .*is not an ILSVRC2015 VID root'):
        load_tool('pack_dataset.py').main(['vid', str(tmp_path), str(tmp_path / 'b')])
    with pytest.raises(SystemExit, match='ValueError: crop size and template size need'):
        load_tool('pack_dataset.py').main(['vid', str(vid), str(tmp_path / 'c'), '--crop-size', '100'])


def test_data_that_has_changed_is_not_taken_for_done(tmp_path):
    """The same names with more frames: another data set."""
    for name, frames in (('vid', 4), ('other', 6)):
        list(write_synthetic_vid(tmp_path / name, videos=2, frames=frames, size=(WIDTH, HEIGHT)))
    pack(VIDSource(tmp_path / 'vid'), tmp_path / 'store', SMALL, workers=0)
    with pytest.raises(PackError, match='finished store of other data'):
        pack(VIDSource(tmp_path / 'other'), tmp_path / 'store', SMALL, workers=0)


def test_mended_data_passes_strict_the_next_time(tmp_path):
    list(write_synthetic_vid(tmp_path / 'vid', videos=2, frames=4, size=(WIDTH, HEIGHT)))
    image = next((tmp_path / 'vid' / 'Data').rglob('000002.JPEG'))
    whole_image = image.read_bytes()
    image.write_bytes(whole_image[:-100])
    with pytest.raises(PackError, match='truncated image'):
        pack(VIDSource(tmp_path / 'vid'), tmp_path / 'store', SMALL, workers=1, strict=True)
    image.write_bytes(whole_image)
    manifest = pack(VIDSource(tmp_path / 'vid'), tmp_path / 'store', SMALL, workers=1, strict=True)
    assert manifest['counts']['skipped'] == {}


def test_parts_of_another_job_never_get_into_a_store(vid, whole, tmp_path):
    """The data.mdb of a job of another quality is gone, its parts are left."""
    store = tmp_path / 'store'
    (store / 'parts').mkdir(parents=True)
    (store / 'pack.lock').touch()
    source = VIDSource(vid)
    _write_part(source, source.videos()[0], PackSettings(crop_size=127, template_size=31, quality=10),
                str(store / 'parts' / '00000000.part'))
    pack(source, store, SMALL, workers=0)
    assert records(store) == records(whole)


def test_overwrite_spares_what_is_no_store(vid, tmp_path):
    with lmdb.open(str(tmp_path / 'mine')) as env, env.begin(write=True) as txn:
        txn.put(b'mine', b'precious')
    with pytest.raises(PackError, match='not a crop store'):
        pack(VIDSource(vid), tmp_path / 'mine', SMALL, workers=0, overwrite=True)
    with lmdb.open(str(tmp_path / 'mine')) as env, env.begin() as txn:
        assert txn.get(b'mine') == b'precious'
