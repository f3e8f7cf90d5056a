"""Every reader packs its official layout, odd cases included, and names what it leaves out."""

import json
import shutil
import tracemalloc
from collections import Counter
from pathlib import Path

import layouts
import numpy as np
import pytest
from conftest import load_tool
from layouts import HEIGHT, WIDTH, shade

from siamrpnpp_plugin.datasets.crop_store import GENERATED, OCCLUDED, CropStore
from siamrpnpp_plugin.datasets.filters import FILTER_REASONS, Filters
from siamrpnpp_plugin.datasets.frames import FrameReader
from siamrpnpp_plugin.datasets.jpeg import EncodedImage
from siamrpnpp_plugin.datasets.packing import default_settings, pack
from siamrpnpp_plugin.datasets.sources import SOURCES, ClipFrame, Skip, Source
from siamrpnpp_plugin.datasets.sources.coco_index import json_arrays
from siamrpnpp_plugin.datasets.sources.row_index import RowIndex
from siamrpnpp_plugin.datasets.store_writer import PackError

BOX = [40, 30, 80, 60]  # continuous, in pixels: the box of most generated rows


def read_all(source: Source) -> tuple[dict, list]:
    """{(video, track): Track} and all skips."""
    tracks, skips = {}, []
    for video in source.videos():
        found, left_out = source.read(video)
        tracks.update({(video, track.name): track for track in found})
        skips += left_out
    return tracks, skips


def counts(skips: list) -> Counter:
    return Counter(skip.reason for skip in skips)


def packed(source: Source, path: Path, **changes) -> CropStore:
    settings = default_settings(source)
    pack(source, str(path), settings, workers=0, **changes)
    return CropStore(str(path))


def test_the_help_of_packing_lists_every_reader(capsys):
    with pytest.raises(SystemExit) as error:
        load_tool('pack_dataset.py').parse_args(['--help'])
    assert error.value.code == 0
    text = capsys.readouterr().out
    assert 'GOT-10k_Train_000001/%08d.jpg' in text
    for name in SOURCES:
        assert f'\n    {name} ' in text


@pytest.mark.parametrize('name', SOURCES)
def test_every_reader_offers_its_arguments_to_the_command_line(name, capsys):
    with pytest.raises(SystemExit) as error:
        load_tool('pack_dataset.py').parse_args([name, '--help'])
    assert error.value.code == 0
    text = capsys.readouterr().out
    for argument in SOURCES[name].arguments:
        assert f'--{argument.replace("_", "-")}' in text


# ---- GOT-10k


@pytest.fixture
def got10k(tmp_path):
    layouts.write_got10k(tmp_path / 'got')
    return tmp_path / 'got'


def test_got10k_counts_pixels_from_one_and_frames_from_its_images(got10k):
    tracks, skips = read_all(SOURCES['got10k'](got10k))
    assert [video[-1] for video, _ in tracks] == ['1', '2', '5']
    track = tracks['GOT-10k_Train_000001', '0']
    assert track.boxes_xyxy.tolist() == [BOX, [42, 32, 82, 62], BOX, BOX]
    assert track.frames.tolist() == [1, 2, 3, 4]
    assert (track.category, track.image_sizes) == ('ctenophore', ((WIDTH, HEIGHT), ) * 4)
    assert not track.occluded.any()
    assert counts(skips) == {'absent': 1, 'not visible': 1, 'zero-size box': 1, 'malformed annotation': 1, 'missing video': 1}
    assert {skip.where.split(':')[0] for skip in skips if skip.reason == 'malformed annotation'} == {
        'train/GOT-10k_Train_000003/cover.label has 2 numbers instead of 3'}


def test_a_partly_covered_frame_of_got10k_is_occluded(got10k):
    track = read_all(SOURCES['got10k'](got10k))[0]['GOT-10k_Train_000002', '0']
    assert track.frames.tolist() == [1, 5]
    assert track.occluded.tolist() == [False, True]  # levels 8 and 7: all, and 90 to 100 %


def test_shrunk_frames_of_got10k_are_not_packed_with_boxes_of_the_large_ones(got10k, tmp_path):
    store = packed(SOURCES['got10k'](got10k), tmp_path / 'store')
    assert store.manifest['counts']['skipped']['image size differs'] == 2
    assert store.names()[0] == ['GOT-10k_Train_000001', 'GOT-10k_Train_000002']


def test_excluded_videos_of_got10k_are_not_read_and_another_list_is_another_store(got10k, tmp_path):
    layouts.write_text(tmp_path / 'vot.txt', 'GOT-10k_Train_000002\nGOT-10k_Train_000003\nGOT-10k_Train_009999\n')
    source = SOURCES['got10k'](got10k, exclude=str(tmp_path / 'vot.txt'))
    assert [name[-1] for name in source.videos()] == ['1', '4', '5']
    packed(source, tmp_path / 'store')
    layouts.write_text(tmp_path / 'other.txt', 'GOT-10k_Train_000003\nGOT-10k_Train_000005\n')  # as many
    for exclude in (None, str(tmp_path / 'other.txt')):
        with pytest.raises(PackError, match='finished store of other data'):
            pack(SOURCES['got10k'](got10k, exclude=exclude), tmp_path / 'store', workers=0)


def test_got10k_refuses_a_wrong_split_root_and_list(got10k, tmp_path):
    with pytest.raises(ValueError, match="split of GOT-10k must be 'train' or 'val', got 'test'"):
        SOURCES['got10k'](got10k, 'test')
    with pytest.raises(ValueError, match='not a GOT-10k root with a val split'):
        SOURCES['got10k'](got10k, 'val')
    layouts.write_text(tmp_path / 'none.txt', 'GOT-10k_Train_777777\n')
    with pytest.raises(ValueError, match='exclude: .*none.txt names 1 videos, none of them in'):
        SOURCES['got10k'](got10k, exclude=tmp_path / 'none.txt')
    with pytest.raises(SystemExit, match='FileNotFoundError: .*lost.txt is missing'):
        load_tool('pack_dataset.py').main(['got10k', str(got10k), str(tmp_path / 'x'), '--exclude', str(tmp_path / 'lost.txt')])


# ---- LaSOT


@pytest.fixture
def lasot(tmp_path):
    layouts.write_lasot(tmp_path / 'lasot')
    return tmp_path / 'lasot'


def test_lasot_train_is_all_but_the_test_split_in_both_depths(lasot):
    source = SOURCES['lasot'](lasot)
    assert source.videos() == ['airplane-2', 'bus-4', 'unicorn-1', 'zebra-1']
    tracks, skips = read_all(source)
    track = tracks['airplane-2', '0']
    assert track.frames.tolist() == [1, 4, 5]
    assert track.boxes_xyxy.tolist() == [BOX, BOX, [44, 30, 84, 60]]  # counted from 1 in the file
    assert track.category == 'airplane'
    assert counts(skips) == {'full occlusion': 1, 'out of view': 1, 'missing annotation': 1, 'unknown video': 1}
    assert SOURCES['lasot'](lasot, 'test').videos() == ['airplane-1', 'unicorn-1']


def test_a_video_of_lasot_without_its_flags_is_left_out_by_name(lasot):
    (lasot / 'zebra-1/out_of_view.txt').unlink()
    layouts.write_text(lasot / 'bus/bus-4/full_occlusion.txt', '0,0,2')
    tracks, skips = read_all(SOURCES['lasot'](lasot))
    assert list(tracks) == [('airplane-2', '0')]
    assert [skip.where[:60] for skip in skips if skip.reason in ('missing annotation', 'malformed annotation')] == [
        'bus/bus-4/full_occlusion.txt: expected numbers from 0 to 1, ',
        'zebra-1/out_of_view.txt is missing: expected numbers from 0 ']


def test_lasot_packs(lasot, tmp_path):
    store = packed(SOURCES['lasot'](lasot), tmp_path / 'store')
    assert [len(store.crops(track)) for track in range(3)] == [3, 3, 3]
    assert store.names()[2] == ['airplane', 'bus', 'zebra']


def test_lasot_refuses_a_root_of_another_layout(tmp_path):
    with pytest.raises(ValueError, match='is not a LaSOT root'):
        SOURCES['lasot'](tmp_path)
    with pytest.raises(ValueError, match='is not a folder'):
        SOURCES['lasot'](tmp_path / 'none')


# ---- TrackingNet


@pytest.fixture
def trackingnet(tmp_path):
    layouts.write_trackingnet(tmp_path / 'net')
    return tmp_path / 'net'


def test_trackingnet_reads_all_chunks_and_says_what_to_unpack(trackingnet, tmp_path):
    source = SOURCES['trackingnet'](trackingnet)
    tracks, skips = read_all(source)
    assert [(video, track.frames.tolist()) for (video, _), track in tracks.items()] == [
        ('TRAIN_0/aaaaaaaaaaa_0', [0, 1, 2]), ('TRAIN_3/ccccccccccc_1', [0, 1])]
    assert tracks['TRAIN_0/aaaaaaaaaaa_0', '0'].boxes_xyxy[0].tolist() == [40.5, 30.25, 80.5, 60.75]
    assert skips == [
        ('malformed image name', 'TRAIN_0/frames/aaaaaaaaaaa_0/cover.jpg: not named by a number of its own'),
        ('missing video', 'TRAIN_0/frames/bbbbbbbbbbb_0: unpack TRAIN_0/zips/bbbbbbbbbbb_0.zip into it'),
        ('missing annotation', 'TRAIN_3/anno/ccccccccccc_1.txt: no line for TRAIN_3/frames/ccccccccccc_1/2.jpg'),
        ('missing annotation', 'TRAIN_3/ddddddddddd_0: ddddddddddd_0.txt cannot be read')]
    assert packed(source, tmp_path / 'store').num_videos == 2


def test_trackingnet_reads_some_chunks(trackingnet):
    assert len(SOURCES['trackingnet'](trackingnet, chunks=[3]).videos()) == 2
    with pytest.raises(ValueError, match='TRAIN_1, TRAIN_2 missing'):
        SOURCES['trackingnet'](trackingnet, chunks=[3, 2, 1])
    with pytest.raises(ValueError, match=r'TRAIN_0 ... TRAIN_11 missing'):
        SOURCES['trackingnet'](trackingnet / 'TRAIN_0')


def test_a_lost_image_does_not_shift_the_boxes_of_those_behind_it(got10k, lasot, trackingnet):
    lines = [f'{10 * number},20,40,30' for number in range(1, 5)]
    for name, root, video, boxes, images, frames in (
            ('got10k', got10k, 'GOT-10k_Train_000001', 'train/{}/groundtruth.txt', 'train/{}/{:08d}.jpg', (1, 2, 3, 4)),
            ('lasot', lasot, 'zebra-1', '{}/groundtruth.txt', '{}/img/{:08d}.jpg', (1, 2, 3)),
            ('trackingnet', trackingnet, 'TRAIN_0/aaaaaaaaaaa_0', 'TRAIN_0/anno/aaaaaaaaaaa_0.txt',
             'TRAIN_0/frames/aaaaaaaaaaa_0/{1}.jpg', (0, 1, 2))):
        layouts.write_text(root / boxes.format(video), '\n'.join(lines[:len(frames)]))
        before = read_all(SOURCES[name](root))[0][video, '0']
        (root / images.format(video, frames[1])).unlink()
        (track, ), skips = SOURCES[name](root).read(video)
        assert track.frames.tolist() == [frame for frame in frames if frame != frames[1]]
        assert track.boxes_xyxy.tolist() == np.delete(before.boxes_xyxy, 1, axis=0).tolist()
        assert [skip.where.partition(' ')[2] for skip in skips if skip.reason == 'missing image'] == [
            f'line 2: {Path(images.format(video, 0)).parent} has no image {frames[1]}']


# ---- YouTube-BB


@pytest.fixture(params=[False, True], ids=['without header', 'with header'])
def ytbb(tmp_path, request):
    layouts.write_ytbb(tmp_path / 'yt', request.param)
    return tmp_path / 'yt'


def test_youtube_bb_reads_clips_and_both_kinds_of_frames_and_names_every_odd_row(ytbb):
    source = SOURCES['ytbb'](ytbb)
    assert source.videos() == ['clip0000-_A', 'frames00000', 'gone0000000', 'utility0000']
    tracks, skips = read_all(source)
    found = {key: (track.frames.tolist(), track.category) for key, track in tracks.items()}
    assert found == {('clip0000-_A', '0_0'): ([0, 1, 2, 3, 99], 'person'), ('clip0000-_A', '1_0'): ([1, 2], 'bird'),
                     ('frames00000', '23_1'): ([13, 14, 15], 'car'), ('utility0000', '9_0'): ([7, 8], 'potted plant')}
    assert counts(skips) == {'absent': 1, 'uncertain': 1, 'no box': 1, 'zero-size box': 1, 'malformed annotation': 5,
                             'missing video': 1}
    told = ' '.join(skip.where for skip in skips)
    for part in ('9 columns instead of 10', 'a box has shares of the frame from 0 to 1', 'must be numbers from 0',
                 'a second box of this object in second 3', "object_presence is 'visible'", 'gone0000000 (2 rows): neither clip'):
        assert part in told
    place = int(told.split(' byte ')[1].split(':')[0])
    assert (ytbb / 'yt_bb_detection_train.csv').read_bytes()[place:].startswith(b'clip0000-_A,4000,')


def test_youtube_bb_packs_the_frames_of_the_times_in_its_rows(ytbb, tmp_path):
    store = packed(SOURCES['ytbb'](ytbb), tmp_path / 'store')
    skipped = store.manifest['counts']['skipped']
    assert (skipped['clip too short'], skipped['missing image']) == (1, 1)  # second 99 of 3.6, second 15 of the frames
    videos, tracks, _ = store.names()
    assert tracks == ['0_0', '1_0', '23_1', '9_0']
    np.testing.assert_allclose(store.array('box_xyxy')[0], BOX)  # shares of 160 x 120
    for number, frame in enumerate(store.array('frame').tolist()):
        middle = EncodedImage(store.read(number)).pixels()[250:260, 250:260].mean()
        in_clip = number in store.crops(0) or number in store.crops(1)
        assert abs(middle - shade(frame * layouts.CLIP_RATE if in_clip else frame)) < 5, (number, frame)


def test_youtube_bb_takes_another_csv_and_other_media(ytbb):
    (ytbb / 'yt_bb_detection_train').rename(ytbb / 'clips')
    (ytbb / 'yt_bb_detection_train.csv').rename(ytbb / 'some.csv')
    with pytest.raises(ValueError, match='is not a YouTube-BB root: .*yt_bb_detection_train.csv is missing'):
        SOURCES['ytbb'](ytbb)
    assert len(read_all(SOURCES['ytbb'](ytbb, annotations='some.csv', media='clips'))[0]) == 4
    with pytest.raises(ValueError, match='media of YouTube-BB: .*/yt/lost is not a folder'):
        SOURCES['ytbb'](ytbb, annotations='some.csv', media='lost')


def test_a_packed_csv_is_to_be_unpacked(tmp_path):
    layouts.write_text(tmp_path / 'yt_bb_detection_train.csv.gz', 'x')
    with pytest.raises(ValueError, match='yt_bb_detection_train.csv is missing: unpack it with gunzip'):
        SOURCES['ytbb'](tmp_path)
    (tmp_path / 'yt_bb_detection_train.csv').write_bytes(b'\x1f\x8b\x08')
    with pytest.raises(ValueError, match='is packed with gzip'):
        SOURCES['ytbb'](tmp_path)
    layouts.write_text(tmp_path / 'yt_bb_detection_train.csv', 'youtube_id,timestamp_ms\n')
    with pytest.raises(ValueError, match='has no rows'):
        SOURCES['ytbb'](tmp_path)


@pytest.mark.parametrize('workers', [1, 2])
def test_a_store_of_clips_is_the_same_for_any_number_of_workers(tmp_path, workers):
    layouts.write_ytbb(tmp_path / 'yt')
    source = SOURCES['ytbb'](tmp_path / 'yt')
    alone = packed(source, tmp_path / 'alone')
    pack(source, tmp_path / 'store', workers=workers)
    other = CropStore(str(tmp_path / 'store'))
    assert other.manifest == alone.manifest
    assert [other.read(number) for number in range(len(other))] == [alone.read(number) for number in range(len(alone))]


def grey(image: np.ndarray) -> float:
    return image[40:80, 60:100].mean()


@pytest.mark.parametrize('times', [(0, 500, 2000, 9800, 9900), (9000, 100, 8000), (30, 50, 130)],
                         ids=['seeks forward', 'goes back', 'between two frames'])
def test_a_clip_gives_the_first_frame_at_a_time_or_later(tmp_path, times):
    layouts.write_clip(tmp_path / 'a.mp4', 100)
    reader = FrameReader()
    for time in times:
        image, reason = reader.read(ClipFrame(str(tmp_path / 'a.mp4'), time))
        assert reason == ''
        assert abs(grey(image) - shade(-(-time // 100))) < 4
    reader.close()


def test_a_clip_that_cannot_be_read_is_told_from_one_that_ends_early(tmp_path):
    layouts.write_clip(tmp_path / 'short.mp4', 10)
    whole = (tmp_path / 'short.mp4').read_bytes()
    (tmp_path / 'cut.mp4').write_bytes(whole[:len(whole) // 2])
    (tmp_path / 'empty.mp4').write_bytes(b'')
    reader = FrameReader()
    assert [reader.read(ClipFrame(str(tmp_path / name), time))[1] for name, time in (
        ('short.mp4', 950), ('short.mp4', 900), ('short.mp4', 99000), ('cut.mp4', 0), ('empty.mp4', 0), ('lost.mp4', 0))] == [
        'clip too short', '', 'clip too short', 'corrupt clip', 'corrupt clip', 'missing clip']


def test_the_end_of_a_clip_is_found_once_and_is_not_that_of_the_next_clip(tmp_path, monkeypatch):
    layouts.write_clip(tmp_path / 'short.mp4', 10)
    layouts.write_clip(tmp_path / 'long.mp4', 40)
    reader, opened = FrameReader(), []
    monkeypatch.setattr(reader, '_open', lambda clip: opened.append(clip) or FrameReader._open(reader, clip))
    asked = [('short', 2000), ('short', 3000), ('short', 2500), ('long', 1000), ('long', 3000)]
    reasons = [reader.read(ClipFrame(str(tmp_path / f'{name}.mp4'), time))[1] for name, time in asked]
    assert reasons == ['clip too short'] * 3 + [''] * 2
    assert len(opened) == 2


def test_an_index_of_rows_finds_runs_of_a_video_wherever_they_are(tmp_path):
    rng = np.random.default_rng(0)
    rows = [f'{name},{index}' for index, name in enumerate(rng.choice(['a', 'b', '"c,d"', ' e', ''], 500))]
    layouts.write_text(tmp_path / 'rows.csv', '\r\n'.join([*rows[:250], '', *rows[250:]]))
    index = RowIndex(tmp_path / 'rows.csv', 'video')
    assert index.names == ['', 'a', 'b', 'c,d', 'e']
    for name, start in (('a', 'a,'), ('b', 'b,'), ('c,d', '"c,d",'), ('e', ' e,'), ('', ',')):
        expected = [row.rpartition(',')[2] for row in rows if row.startswith(start)]
        assert [words[-1] for _, words in index.rows(name)] == expected
        assert index.size(name) >= sum(len(row) for row in rows if row.startswith(start))


def test_an_index_of_rows_does_not_keep_the_rows(tmp_path):
    path = tmp_path / 'rows.csv'
    with open(path, 'w') as file:
        for video in range(3000):
            file.writelines(f'video{video:06d},{time}000,0,potted plant,0,present,0.251,0.75,0.333,0.844\n' for time in range(15))
    tracemalloc.start()
    index = RowIndex(path, 'video')
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(index.names) == 3000
    assert peak < path.stat().st_size / 2


def test_names_of_videos_that_are_not_utf8_are_refused(tmp_path):
    (tmp_path / 'rows.csv').write_bytes(b'caf\xe9,1\ncaf\xe8,2\n')
    with pytest.raises(ValueError, match='rows.csv is not in UTF-8'):
        RowIndex(tmp_path / 'rows.csv', 'video')


# ---- COCO and DET


@pytest.fixture
def coco(tmp_path):
    layouts.write_coco(tmp_path / 'coco')
    return tmp_path / 'coco'


def test_an_image_of_coco_is_a_video_of_one_frame(coco):
    source = SOURCES['coco'](coco)
    tracks, skips = read_all(source)
    assert {key: track.boxes_xyxy.tolist() for key, track in tracks.items()} == {
        ('000000000009.jpg', '100'): [[40.5, 30.25, 80.5, 60.25]], ('000000000009.jpg', '101'): [[10, 10, 40, 70]],
        ('000000000025.jpg', '102'): [BOX], ('000000000025.jpg', '108'): [[70, 30, 110, 60]],
        ('000000000030.jpg', '105'): [[40, 30, 44, 34]], ('000000000030.jpg', '106'): [[10, 10, 130, 22]]}
    assert all(track.frames.tolist() == [0] and track.category == 'person' for track in tracks.values())
    assert counts(skips) == {'crowd': 1, 'zero-size box': 1, 'image without objects': 1, 'missing image': 1,
                             'malformed annotation': 2}
    told = ' '.join(skip.where for skip in skips)
    for part in ('id 107: no image has the id 99', 'id 100: a second annotation of this id', "lacks 'bbox'"):
        assert part in told


def test_small_and_narrow_boxes_of_stills_are_filtered_and_counted(coco, tmp_path):
    store = packed(SOURCES['coco'](coco), tmp_path / 'store')
    skipped = store.manifest['counts']['skipped']
    assert (skipped['filter min_size'], skipped['filter max_aspect']) == (1, 1)
    assert (store.num_videos, store.num_tracks, len(store)) == (2, 4, 4)
    assert (store.settings['min_size'], store.settings['max_aspect'], store.settings['min_track_length']) == (10, 6, 1)


def test_strict_packing_of_stills_lets_filtered_boxes_pass_and_counts_each_once(coco, tmp_path):
    data = layouts.coco_json()
    data['annotations'] = [item for item in data['annotations'] if item['id'] in (101, 105, 106)]
    (coco / 'annotations/instances_train2017.json').write_text(json.dumps(data))
    store = packed(SOURCES['coco'](coco), tmp_path / 'store', strict=True)
    assert store.manifest['counts']['skipped'] == {'filter min_size': 1, 'filter max_aspect': 1, 'image without objects': 2}


def test_strict_packing_lets_a_track_pass_of_which_one_frame_is_left(got10k, tmp_path):
    for number in (3, 5):  # with faults
        shutil.rmtree(got10k / f'train/GOT-10k_Train_00000{number}')
    (got10k / 'train/list.txt').unlink()
    layouts.write_text(got10k / 'train/GOT-10k_Train_000002/absence.label', '0\n1\n1\n1\n1\n')
    store = packed(SOURCES['got10k'](got10k), tmp_path / 'store', strict=True)
    assert store.manifest['counts']['skipped'] == {'absent': 4, 'track too short': 1}


def test_what_belongs_to_no_image_is_told_once_whatever_the_shards(coco, tmp_path):
    source = SOURCES['coco'](coco)
    reports = []
    for index in range(2):
        pack(source, tmp_path / f'{index}', workers=1, shard=(index, 2))
        reports.append(CropStore(str(tmp_path / f'{index}')).manifest['counts']['skipped'])
    assert [report.get('missing image', 0) for report in reports] == [1, 0]


@pytest.mark.parametrize(('change', 'message'), [
    (lambda data: data.pop('images'), "has no images: its key 'images' is missing or empty"),
    (lambda data: data.update(images=[]), "has no images: its key 'images' is missing or empty"),
    (lambda data: data.update(images={}), "'images' is no array")])
def test_a_json_without_images_is_named(coco, change, message):
    path = coco / 'annotations/instances_train2017.json'
    data = layouts.coco_json()
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError, match=f'instances_train2017.json.*{message}'):
        SOURCES['coco'](coco)


@pytest.mark.parametrize('text', ['', '[]', '{"images": [{"id": 1}', '{"images": [{]}', '{"images"'])
def test_a_broken_json_is_named(coco, text):
    (coco / 'annotations/instances_train2017.json').write_text(text)
    with pytest.raises(ValueError, match='instances_train2017.json is not a json of annotations'):
        SOURCES['coco'](coco)


def test_images_with_a_doubled_id_or_name_are_told(coco):
    data = layouts.coco_json()
    data['images'] += [dict(data['images'][0], file_name='other.jpg'), dict(data['images'][0], id=77)]
    (coco / 'annotations/instances_train2017.json').write_text(json.dumps(data))
    skips = read_all(SOURCES['coco'](coco))[1]
    told = ' '.join(skip.where for skip in skips)
    assert 'its id is that of another image' in told
    assert 'a second image 000000000009.jpg' in told


def test_an_array_of_a_json_is_decoded_item_by_item_in_any_spacing(tmp_path):
    data = dict(info={'x': [1, {'images': [3]}]}, images=[dict(id=1), dict(id=2)], other=[], annotations=[], end=None)
    for indent in (None, 2):
        layouts.write_text(tmp_path / 'a.json', json.dumps(data, indent=indent))
        found = list(json_arrays(tmp_path / 'a.json', ('images', 'annotations')))
        assert found == [('images', dict(id=1)), ('images', dict(id=2))]


def test_det_reads_all_kinds_of_folders(tmp_path):
    layouts.write_det(tmp_path / 'det')
    source = SOURCES['det'](tmp_path / 'det')
    tracks, skips = read_all(source)
    assert {(video.rpartition('_')[2], name): track.boxes_xyxy.tolist() for (video, name), track in tracks.items()} == {
        ('10026', '0'): [BOX], ('10026', '1'): [[10, 10, 70, 50]], ('00000001', '0'): [BOX],
        ('00060000', '0'): [[0, 0, WIDTH, HEIGHT]], ('00060002', '0'): [[1, 2, 31, 41]]}
    assert counts(skips) == {'zero-size box': 1, 'image without objects': 1, 'missing annotation': 1, 'malformed annotation': 1}
    assert not any('extra' in video for video in source.videos())
    store = packed(source, tmp_path / 'store')
    assert (store.num_videos, store.num_tracks, len(store)) == (3, 4, 4)
    assert store.manifest['counts']['skipped']['missing image'] == 1


def test_stills_refuse_a_root_of_another_layout(tmp_path):
    for name, message in (('coco', 'is not a COCO root with the images train2017'),
                          ('det', 'is not an ILSVRC root with a train split of DET')):
        with pytest.raises(ValueError, match=message):
            SOURCES[name](tmp_path)
    (tmp_path / 'train2017').mkdir()
    with pytest.raises(ValueError, match='instances_train2017.json is missing'):
        SOURCES['coco'](tmp_path)


# ---- own data


def test_own_rows_in_any_order_are_tracks(tmp_path):
    layouts.write_csv(tmp_path)
    source = SOURCES['csv'](tmp_path)
    tracks, skips = read_all(source)
    assert {key: (track.frames.tolist(), track.category, track.occluded.tolist()) for key, track in tracks.items()} == {
        ('car', '7'): ([0, 1, 2, 3], 'vehicle', [False, True, False, False]),
        ('dog, big', 'a'): ([0, 1, 2], 'animal', [False] * 3)}
    assert tracks['car', '7'].boxes_xyxy.tolist() == [BOX] * 4
    assert counts(skips) == {'malformed annotation': 5}
    store = packed(source, tmp_path / 'store')
    assert store.manifest['counts']['skipped']['missing image'] == 1
    assert [len(store.crops(track)) for track in range(store.num_tracks)] == [3, 3]


def test_own_rows_may_have_corners(tmp_path):
    layouts.write_text(tmp_path / 'annotations.csv', 'video,track,xmin,ymin,xmax,ymax,image,frame\nv,0,40,30,80,60,a.jpg,0\n')
    assert read_all(SOURCES['csv'](tmp_path))[0]['v', '0'].boxes_xyxy.tolist() == [BOX]


@pytest.mark.parametrize('header', ['frame,video,image,track,x,y,width,height', 'video,frame,image,x,y,width,height',
                                    'video,frame,image,track,x,y,width,height,colour', 'video,frame,image,track,x,y,xmax,ymax'])
def test_a_header_that_does_not_say_what_is_needed_is_refused(tmp_path, header):
    layouts.write_text(tmp_path / 'annotations.csv', header + '\nv,0,a.jpg,0,1,2,3,4\n')
    with pytest.raises(ValueError, match='the header must start with video and have frame, image, track'):
        SOURCES['csv'](tmp_path)
    with pytest.raises(ValueError, match='none.csv is missing'):
        SOURCES['csv'](tmp_path, 'none.csv')


def test_videos_in_the_format_of_coco_are_tracks(tmp_path):
    layouts.write_coco_vid(tmp_path)
    source = SOURCES['coco_vid'](tmp_path)
    tracks, skips = read_all(source)
    assert {key: (track.frames.tolist(), track.occluded.tolist()) for key, track in tracks.items()} == {
        ('v1', '10'): ([0, 1, 2], [False, True, False]), ('v1', '11'): ([0, 1, 2], [False, True, False]),
        ('v2', '20'): ([0, 1], [False, True])}
    assert counts(skips) == {'missing video': 1, 'malformed annotation': 2, 'crowd': 1, 'video without objects': 1}
    assert len(packed(source, tmp_path / 'store')) == 8


@pytest.mark.parametrize('number', [2**31, 10**20])
def test_a_frame_number_that_a_store_has_no_room_for_is_told(tmp_path, number):
    layouts.write_csv(tmp_path / 'csv')
    with open(tmp_path / 'csv/annotations.csv', 'a') as file:
        file.write(f'car,{number},car/0.jpg,7,40,30,40,30,0,vehicle\n')
    layouts.write_ytbb(tmp_path / 'ytbb')
    with open(tmp_path / 'ytbb/yt_bb_detection_train.csv', 'a') as file:
        file.write(f'frames00000,{number}000,23,car,1,present,0.25,0.5,0.25,0.5\n')
    layouts.write_coco_vid(tmp_path / 'coco_vid')
    data = json.loads((tmp_path / 'coco_vid/annotations.json').read_text())
    data['images'].append(dict(data['images'][0], id=91, frame_id=number))
    (tmp_path / 'coco_vid/annotations.json').write_text(json.dumps(data))
    for name in ('csv', 'ytbb', 'coco_vid'):
        store = packed(SOURCES[name](tmp_path / name), tmp_path / f'{name}.lmdb')
        assert f'frame number {number} is beyond 31 bits' in str(store.skipped())


@pytest.mark.parametrize('key', ['frame_id', 'video_id', 'file_name'])
def test_an_image_of_a_video_without_its_place_is_told(tmp_path, key):
    layouts.write_coco_vid(tmp_path)
    data = json.loads((tmp_path / 'annotations.json').read_text())
    del data['images'][1][key]
    (tmp_path / 'annotations.json').write_text(json.dumps(data))
    tracks, skips = read_all(SOURCES['coco_vid'](tmp_path))
    assert tracks['v1', '10'].frames.tolist() == [0, 2]
    told = ' '.join(skip.where for skip in skips)
    assert f"lacks '{key}'" in told
    assert told.count('no image has the id 2') == 2  # and not those of the next image
    for image in data['images']:
        image.pop(key, None)
    (tmp_path / 'annotations.json').write_text(json.dumps(data))
    with pytest.raises(ValueError, match=f"annotations.json has no images: .* lacks '{key}'"):
        SOURCES['coco_vid'](tmp_path)


def test_a_json_of_videos_without_videos_is_named(tmp_path):
    image = dict(id=1, file_name='a', video_id=1, frame_id=0)
    layouts.write_text(tmp_path / 'annotations.json', json.dumps(dict(images=[image])))
    with pytest.raises(ValueError, match="has no videos: its key 'videos' is missing or empty"):
        SOURCES['coco_vid'](tmp_path)


# ---- filters and thinning


def test_each_filter_has_its_reason():
    box, wide = np.array([10., 10, 30, 40]), np.array([0., 0, 70, 10])
    size = (100, 100)
    keep = Filters(min_size=20, max_aspect=1.5, min_area_share=0.05, max_area_share=0.06)
    assert keep.refuse(box, size, True, True) == ''
    assert Filters().refuse(wide, size, True, True) == ''
    assert Filters(min_size=21).refuse(box, size, False, False) == 'filter min_size'
    assert Filters(max_aspect=6.9).refuse(wide, size, False, False) == 'filter max_aspect'
    assert Filters(max_aspect=7).refuse(wide, size, False, False) == ''
    assert Filters(min_area_share=0.061).refuse(box, size, False, False) == 'filter min_area_share'
    assert Filters(max_area_share=0.059).refuse(box, size, False, False) == 'filter max_area_share'
    assert Filters(skip_occluded=True).refuse(box, size, True, False) == 'filter skip_occluded'
    assert Filters(skip_generated=True).refuse(box, size, True, True) == 'filter skip_generated'
    assert len(FILTER_REASONS) == 6


@pytest.mark.parametrize(('changes', 'message'), [
    (dict(min_size=-1), 'min_size must not be negative'), (dict(max_aspect=0.5), 'max_aspect is longer over shorter'),
    (dict(min_area_share=float('nan')), 'min_area_share'), (dict(min_area_share=0.5, max_area_share=0.5), 'no box has an area')])
def test_filters_out_of_range_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        Filters(**changes)


def test_filters_are_part_of_a_stores_identity_and_no_fault_for_strict(got10k, tmp_path):
    tool, store = load_tool('pack_dataset.py'), tmp_path / 'store'
    for number in (3, 5):  # with faults
        shutil.rmtree(got10k / f'train/GOT-10k_Train_00000{number}')
    (got10k / 'train/list.txt').unlink()
    layouts.write_text(got10k / 'train/GOT-10k_Train_000002/groundtruth.txt', '41,31,40,30\n' * 5)
    arguments = ['got10k', str(got10k), str(store), '--workers', '0', '--skip-occluded', '--strict']
    tool.main(arguments)
    skipped = CropStore(str(store)).manifest['counts']['skipped']
    assert skipped['filter skip_occluded'] == 1
    tool.main(arguments)  # finished; strict lets it pass
    with pytest.raises(SystemExit, match='finished store of other data or settings'):
        tool.main(arguments[:-2])


def test_every_nth_frame_is_packed_by_number(got10k, tmp_path):
    load_tool('pack_dataset.py').main(['got10k', str(got10k), str(tmp_path / 'store'), '--workers', '0', '--every', '2'])
    store = CropStore(str(tmp_path / 'store'))
    assert store.array('frame').tolist() == [2, 4]
    assert store.settings['every'] == 2


def test_flags_of_a_source_reach_the_store(tmp_path):
    layouts.write_coco_vid(tmp_path)
    data = json.loads((tmp_path / 'annotations.json').read_text())
    data['annotations'][0]['generated'] = True
    (tmp_path / 'annotations.json').write_text(json.dumps(data))
    flags = packed(SOURCES['coco_vid'](tmp_path), tmp_path / 'store').array('flags').tolist()
    assert (flags.count(OCCLUDED), flags.count(GENERATED)) == (3, 1)


def test_a_skip_of_a_video_has_a_place_relative_to_the_root(got10k, lasot, trackingnet):
    for name, root in (('got10k', got10k), ('lasot', lasot), ('trackingnet', trackingnet)):
        for skip in read_all(SOURCES[name](root))[1]:
            assert isinstance(skip, Skip)
            assert str(root) not in skip.where
