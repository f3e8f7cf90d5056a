"""Reading a store: what was written comes back, in any process; what cannot be read is an error that names it."""

import json
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
import zlib
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import lmdb
import numpy as np
import pytest

from siamrpnpp_plugin.datasets.crop_store import ARRAYS, FORMAT, FORMAT_VERSION, CropStore, StoreError, crop_key
from siamrpnpp_plugin.datasets.cropping import PackSettings
from siamrpnpp_plugin.datasets.packing import pack
from siamrpnpp_plugin.datasets.sources import VIDSource
from siamrpnpp_plugin.datasets.synthetic import Target, annotation_xml, video_name, write_synthetic_vid

SMALL = PackSettings(crop_size=127, template_size=31)


@pytest.fixture(scope='module')
def vid(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp('vid')
    list(write_synthetic_vid(root, videos=4, frames=6, size=(160, 120), seed=0))
    for t in range(4, 6):  # the target of the third video is lost
        name = video_name('train', 2)
        (root / 'Annotations/VID/train' / name / f'{t:06d}.xml').unlink()
    (root / 'Annotations/VID/train' / video_name('train', 0) / '000001.xml').write_text(
        annotation_xml('', '', (160, 120), [Target(0, (50, 40, 89, 59), True)]))
    return root


@pytest.fixture(scope='module')
def packed(vid, tmp_path_factory) -> Path:
    """A small store. Tests only read it."""
    path = tmp_path_factory.mktemp('packed') / 'store'
    pack(VIDSource(vid), path, SMALL, workers=0)
    return path


@pytest.fixture
def copy(packed, tmp_path) -> Path:
    """A store of the test's own."""
    return Path(shutil.copytree(packed, tmp_path / 'copy'))


def write_index(path: Path, **values: bytes) -> None:
    """Put values into the index of a store."""
    CropStore(str(path)).close()  # lmdb opens a file once per process
    with lmdb.open(str(path), lock=False, max_dbs=3) as env, env.begin(write=True) as txn:
        index = env.open_db(b'index', txn, create=False)
        for name, value in values.items():
            txn.put(name.encode(), value, db=index)


def flip_a_byte(path: Path, known: bytes) -> None:
    """Change one byte of the file, in the middle of something that is in it once."""
    data = bytearray((path / 'data.mdb').read_bytes())
    assert data.count(known) == 1
    data[data.find(known) + len(known) // 2] ^= 0x10
    (path / 'data.mdb').write_bytes(data)


# What is in a store


def test_the_index_is_what_the_annotations_say(vid, packed):
    source, store = VIDSource(vid), CropStore(packed)
    videos = source.videos()
    tracks = [track for video in videos for track in source.read(video)[0]]
    assert (store.num_videos, store.num_tracks, len(store)) == (4, len(tracks), sum(len(track.frames) for track in tracks))
    np.testing.assert_array_equal(store.array('box_xyxy'), np.concatenate([track.boxes_xyxy for track in tracks]))
    np.testing.assert_array_equal(store.array('frame'), np.concatenate([track.frames for track in tracks]))
    np.testing.assert_array_equal(store.array('flags'), np.concatenate([track.occluded for track in tracks]))
    assert store.array('flags').any()
    assert store.names() == (videos, [track.name for track in tracks], ['n02084071'] * len(tracks))
    assert store.skipped() == [('missing annotation', f'Data/VID/train/{videos[2]}/{frame:06d}.JPEG') for frame in (4, 5)]
    assert store.settings == dict(crop_size=127, template_size=31, context=0.5, quality=95, min_track_length=2)
    assert store.manifest['counts']['crops'] == len(store)


def test_tracks_and_crops_are_ranges_that_cover_everything_in_order(packed):
    store = CropStore(packed)
    assert [track for video in range(store.num_videos) for track in store.tracks(video)] == list(range(store.num_tracks))
    assert [crop for track in range(store.num_tracks) for crop in store.crops(track)] == list(range(len(store)))
    for track in range(store.num_tracks):
        assert (np.diff(store.array('frame')[store.crops(track).start:store.crops(track).stop]) > 0).all()


def test_crops_are_jpegs_with_the_checksums_of_the_index(packed):
    store = CropStore(packed)
    for number in range(len(store)):
        data = store.read(number)
        assert (data[:2], data[-2:]) == (b'\xff\xd8', b'\xff\xd9')
        assert zlib.crc32(data) == store.array('crc32')[number]


def test_the_target_has_its_size_in_the_crop(packed):
    # 40 x 20 pixels; context of half (40 + 20) each way: 70 x 50, a square of side 5 sqrt(140) that becomes 31 pixels
    store = CropStore(packed)
    number = int(np.flatnonzero((store.array('box_xyxy') == [50, 40, 90, 60]).all(axis=1))[0])
    np.testing.assert_allclose(store.target_size(number), np.array([40, 20]) * 31 / (5 * 140 ** 0.5))


def test_a_crop_is_described_by_video_track_and_frame(packed):
    store = CropStore(packed)
    first = store.crops(store.tracks(2)[0])[0]
    assert store.describe(0) == f'crop 0 of {packed} (video {video_name("train", 0)}, track 0, frame 0)'
    assert store.describe(first) == f'crop {first} of {packed} (video {video_name("train", 2)}, track 0, frame 0)'
    last = len(store) - 1
    frame = store.array('frame')[last]
    assert store.describe(last).endswith(f'(video {video_name("train", 3)}, track {store.names()[1][-1]}, frame {frame})')


@pytest.mark.parametrize('number', [-1, 10**6, 2**63])
def test_a_crop_that_is_not_there_is_named_with_the_store(packed, number):
    with pytest.raises(StoreError, match=rf'{packed} has no crop {number}, it has {len(CropStore(packed))} \(0 \.\.\. '):
        CropStore(packed).read(number)


def test_a_crop_that_was_lost_is_named_with_the_store(copy):
    with lmdb.open(str(copy), lock=False, max_dbs=3) as env, env.begin(write=True) as txn:
        txn.delete(crop_key(3), db=env.open_db(b'crops', txn, create=False))
    store = CropStore(copy)
    with pytest.raises(StoreError, match=f'{copy} has no crop 3'):
        store.read(3)
    assert [message for message in store.verify() if message] == [f'{copy} lacks crop 3']


# What cannot be read


def test_a_missing_folder_and_a_folder_without_a_store_are_named(tmp_path):
    for path in (tmp_path / 'missing', tmp_path):
        with pytest.raises(StoreError, match=f'{path} is not a crop store: it has no data.mdb'):
            len(CropStore(path))


@pytest.mark.parametrize('content', [b'', b'no LMDB', bytes(100_000)])
def test_a_file_that_is_no_lmdb_is_named(tmp_path, content):
    (tmp_path / 'data.mdb').write_bytes(content)
    with pytest.raises(StoreError, match=str(tmp_path)):
        len(CropStore(tmp_path))


@pytest.mark.parametrize('database', [None, b'crops'])
def test_another_lmdb_is_named(tmp_path, database):
    with lmdb.open(str(tmp_path), lock=False, max_dbs=1) as env:
        db = env.open_db(database) if database else None
        with env.begin(write=True) as txn:
            txn.put(b'key', b'value', db=db)
    with pytest.raises(StoreError, match=f'{tmp_path} is an LMDB, but not a crop store'):
        len(CropStore(tmp_path))


def test_an_unfinished_store_says_how_to_finish_it(copy):
    with lmdb.open(str(copy), lock=False, max_dbs=3) as env, env.begin(write=True) as txn:
        txn.delete(b'manifest', db=env.open_db(b'index', txn, create=False))
    with pytest.raises(StoreError, match=f'{copy} is unfinished: run the same pack_dataset.py command again'):
        len(CropStore(copy))


@pytest.mark.parametrize('changes', [dict(format_version=FORMAT_VERSION + 1), dict(format='other')])
def test_a_store_of_another_version_is_refused(copy, changes):
    write_index(copy, manifest=json.dumps(CropStore(copy).manifest | changes).encode())
    with pytest.raises(StoreError, match=f'{copy} has format .* version .*; this program reads version {FORMAT_VERSION}'):
        len(CropStore(copy))


@pytest.mark.parametrize('name', ARRAYS)
def test_an_index_array_that_is_cut_or_missing_is_named(copy, name):
    value = bytes(CropStore(copy).array(name))
    write_index(copy, **{name: value[:-8]})
    with pytest.raises(StoreError, match=f'{copy} is damaged: its index has no {name}, or not all of it'):
        len(CropStore(copy))
    with lmdb.open(str(copy), lock=False, max_dbs=3) as env, env.begin(write=True) as txn:
        txn.delete(name.encode(), db=env.open_db(b'index', txn, create=False))
    with pytest.raises(StoreError, match=f'its index has no {name}'):
        len(CropStore(copy))


READ_ALL = """
import sys
from siamrpnpp_plugin.datasets.crop_store import CropStore
store = CropStore(sys.argv[1])
print(sum(len(store.read(number)) for number in range(len(store))))
"""


def test_a_truncated_file_is_an_error_and_not_the_death_of_the_process(packed, tmp_path):
    size = (packed / 'data.mdb').stat().st_size
    shutil.copytree(packed, tmp_path / 'cut')
    os.truncate(tmp_path / 'cut/data.mdb', size // 2)
    result = subprocess.run([sys.executable, '-c', READ_ALL, tmp_path / 'cut'], capture_output=True, text=True)
    assert result.returncode == 1  # a signal would be negative
    expected = f'{tmp_path}/cut is truncated: data.mdb has {size // 2} bytes instead of {size}; was it copied whole?'
    assert result.stderr.strip().endswith(expected)


@pytest.mark.parametrize('keep', [4096, 2 * 4096, 3 * 4096, 0.5, -1])
def test_a_file_truncated_anywhere_is_an_error(copy, keep):
    size = (copy / 'data.mdb').stat().st_size
    os.truncate(copy / 'data.mdb', int(size * keep) if keep == 0.5 else keep % size)
    with pytest.raises(StoreError, match='truncated|cannot be opened as a crop store'):
        len(CropStore(copy))


def test_verify_finds_nothing_in_a_good_store(packed):
    found = list(CropStore(packed).verify())
    assert found == [None] * (len(ARRAYS) + len(CropStore(packed)))


def test_verify_finds_a_flipped_byte_of_a_crop(copy):
    flip_a_byte(copy, CropStore(copy).read(7)[-300:])
    CropStore(copy).close()
    store = CropStore(copy)
    assert [message for message in store.verify() if message] == [f'{store.describe(7)} is damaged']


def test_verify_finds_a_flipped_byte_of_the_index(copy):
    flip_a_byte(copy, bytes(CropStore(copy).array('box_xyxy')))
    CropStore(copy).close()
    messages = [message for message in CropStore(copy).verify() if message]
    assert messages == [f'the index array box_xyxy of {copy} is damaged']


def test_verify_finds_crops_that_the_index_does_not_name(copy):
    count = len(CropStore(copy))
    CropStore(copy).close()
    with lmdb.open(str(copy), lock=False, max_dbs=3) as env, env.begin(write=True) as txn:
        txn.put(crop_key(count), b'more', db=env.open_db(b'crops', txn, create=False))
    messages = [message for message in CropStore(copy).verify() if message]
    assert messages[-1] == f'{copy} has {count + 1} crops, its index names {count}'


# Processes and copies


def test_a_pickled_store_reads_the_same_and_is_small(packed):
    store = CropStore(packed)
    crops = [store.read(number) for number in range(len(store))]  # it is open when pickled
    data = pickle.dumps(store)
    assert len(data) < 1000
    again = pickle.loads(data)
    assert [again.read(number) for number in range(len(again))] == crops


def digest(store: CropStore) -> int:
    """Checksum of all crops and boxes."""
    crc = zlib.crc32(store.array('box_xyxy'))
    for number in range(len(store)):
        crc = zlib.crc32(store.read(number), crc)
    return crc


@pytest.mark.parametrize('method', ['fork', 'spawn', 'forkserver'])
def test_a_child_process_reads_the_same_while_the_parent_has_it_open(packed, method):
    store = CropStore(packed)
    crops = [store.read(number) for number in range(len(store))]
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        assert list(pool.map(store.read, range(len(store)))) == crops
        assert list(pool.map(store.target_size, range(3)))[2].tolist() == store.target_size(2).tolist()
    assert [store.read(number) for number in range(len(store))] == crops  # the child's end does not close it here


def test_a_forked_child_of_a_forked_child_reads_the_same(packed):
    store = CropStore(packed)
    expected = digest(store)

    def fork(depth: int) -> int:
        """0 if this process and all it forks read the same."""
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = 0 if digest(store) == expected and (depth == 0 or fork(depth - 1) == 0) else 2
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert fork(2) == 0
    assert digest(store) == expected


def test_many_crop_stores_of_one_path_share_one_open_file(packed, tmp_path):
    (tmp_path / 'link').symlink_to(packed)
    stores = [CropStore(packed), CropStore(str(packed)), CropStore(f'{packed}/.'), CropStore(tmp_path / 'link')]
    assert len({digest(store) for store in stores}) == 1
    assert len({id(store.array('frame')) for store in stores}) == 1


def test_a_closed_store_opens_again(packed):
    store = CropStore(packed)
    expected = digest(store)
    store.close()
    store.close()
    assert digest(store) == expected


def test_a_store_that_was_replaced_is_noticed_by_a_new_crop_store(vid, copy, tmp_path):
    before = CropStore(copy)
    assert before.settings['crop_size'] == 127
    pack(VIDSource(vid), tmp_path / 'other', PackSettings(crop_size=63, template_size=15), workers=0)
    shutil.rmtree(copy)
    os.rename(tmp_path / 'other', copy)
    after = CropStore(copy)
    assert after.settings['crop_size'] == 63
    assert [message for message in after.verify() if message] == []


def test_a_store_can_be_packed_anew_while_it_is_open(vid, copy):
    store = CropStore(copy)
    assert len(store) > 0
    pack(VIDSource(vid), copy, PackSettings(crop_size=63, template_size=15), workers=0, overwrite=True)
    assert CropStore(copy).settings['crop_size'] == 63
    assert [message for message in CropStore(copy).verify() if message] == []


# Size

CROPS, TRACKS, VIDEOS = 1_000_000, 8000, 4000

OPEN = """
import sys, time
import numpy as np
from siamrpnpp_plugin.datasets.crop_store import CropStore

def private_mb():
    with open('/proc/self/status') as file:
        return next(int(line.split()[1]) for line in file if line.startswith('RssAnon')) / 1024

before, start = private_mb(), time.perf_counter()
store = CropStore(sys.argv[1])
assert len(store) == 1_000_000
opened = time.perf_counter() - start
for number in np.random.default_rng(0).integers(0, len(store), 1000):
    store.target_size(number)
print(opened, private_mb() - before, len(store.read(0)))
"""


@pytest.fixture(scope='module')
def large(tmp_path_factory) -> Path:
    """A store with the index of a million crops, of which it has five."""
    path = tmp_path_factory.mktemp('large')
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 100, (CROPS, 2))
    names = [video_name('train', video) for video in range(VIDEOS)] + ['0', '1'] * VIDEOS + ['n02084071'] * TRACKS
    blobs = dict(
        box_xyxy=np.hstack((corner, corner + rng.uniform(10, 100, (CROPS, 2)))).astype('<f4'),
        frame=np.tile(np.arange(CROPS // TRACKS, dtype='<i4'), TRACKS), flags=np.zeros(CROPS, 'u1'), crc32=np.zeros(CROPS, '<u4'),
        track_start=np.arange(0, CROPS + 1, CROPS // TRACKS, dtype='<i8'), video_start=np.arange(0, TRACKS + 1, 2, dtype='<i8'),
        names=np.frombuffer('\n'.join(names).encode(), 'u1'))
    blobs = {name: blobs[name].tobytes() for name in ARRAYS}
    manifest = dict(format=FORMAT, format_version=FORMAT_VERSION, settings=dict(crop_size=127, template_size=31, context=0.5),
                    arrays={name: dict(bytes=len(blob), crc32=zlib.crc32(blob)) for name, blob in blobs.items()})
    with lmdb.open(str(path), lock=False, max_dbs=3, map_size=1 << 28) as env:
        crops, index = env.open_db(b'crops'), env.open_db(b'index')
        with env.begin(write=True) as txn:
            for number in range(5):
                txn.put(crop_key(number), b'a crop', db=crops)
            for name, blob in (blobs | dict(manifest=json.dumps(manifest).encode(), skipped=b'')).items():
                txn.put(name.encode(), blob, db=index)
    return path


def test_a_million_crops_open_within_a_second_and_take_little_memory(large):
    output = subprocess.run([sys.executable, '-c', OPEN, large], capture_output=True, text=True, check=True).stdout
    seconds, megabytes, length = map(float, output.split())
    assert seconds < 1
    assert megabytes < 64
    assert length == len(b'a crop')


def test_the_ranges_and_names_of_a_million_crops_are_right(large):
    store = CropStore(large)
    assert (len(store), store.num_tracks, store.num_videos) == (CROPS, TRACKS, VIDEOS)
    assert store.tracks(VIDEOS - 1) == range(TRACKS - 2, TRACKS)
    assert store.crops(TRACKS - 1) == range(CROPS - CROPS // TRACKS, CROPS)
    assert store.describe(CROPS - 1) == f'crop 999999 of {large} (video {video_name("train", 3999)}, track 1, frame 124)'
    store.close()
