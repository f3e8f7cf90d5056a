"""Every reader on a small tree in the published layout; readers never open images, so these are empty files."""

import json
from pathlib import Path

import numpy as np
import pytest

from siamrpnpp_plugin.datasets.benchmark_tables import LASOT_TEST, NFS, OTB13, OTB50, OTB100, OTB_FRAMES, UAV20L, UAV123
from siamrpnpp_plugin.datasets.benchmarks import BENCHMARKS, RESULT_ALIASES, polygon_boxes, read_sequences
from siamrpnpp_plugin.datasets.synthetic import write_synthetic_vid


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(''.join(f'{line}\n' for line in lines))
    return path


def frames(folder: Path, first: int, last: int, digits: int = 4) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, last + 1):
        (folder / f'{number:0{digits}d}.jpg').touch()


def boxes(count: int, first: int = 1) -> list:
    """Lines whose x is the number of the frame."""
    return [f'{number},20,30,40' for number in range(first, first + count)]


def one(benchmark: str, root: Path, name: str, **options):
    sequence, = read_sequences(benchmark, root, names=[name], **options)
    assert sequence.name == name
    assert len(sequence.images) == len(sequence.boxes_xyxy)
    assert all(Path(image).is_file() for image in (sequence.images[0], sequence.images[-1]))
    return sequence


def ends(sequence) -> tuple:
    return Path(sequence.images[0]).stem, Path(sequence.images[-1]).stem


# OTB

@pytest.mark.parametrize('lines', [('51,47,25,62', '1,2,3,4'), ('51\t47\t25\t62', '1\t2\t3\t4'), ('  51  47 25 62', ' 1 2 3 4 '),
                                   ('51, 47, 25, 62', '1.0, 2, 3e0, 4')], ids=['comma', 'tab', 'spaces', 'comma and space'])
def test_otb_boxes_in_every_spelling_of_the_files(tmp_path, lines):
    write(tmp_path / 'Couple/groundtruth_rect.txt', *lines)
    frames(tmp_path / 'Couple/img', 1, 2)
    sequence = one('otb100', tmp_path, 'Couple')
    np.testing.assert_array_equal(sequence.boxes_xyxy, [[51, 47, 76, 109], [1, 2, 4, 6]])
    assert sequence.attributes == ('SV', 'DEF', 'FM', 'OPR', 'BC')
    assert sequence.is_absent is None
    assert sequence.polygons is None


def test_first_pixel_is_subtracted_from_corners(tmp_path):
    write(tmp_path / 'Couple/groundtruth_rect.txt', '51,47,25,62')
    frames(tmp_path / 'Couple/img', 1, 1)
    np.testing.assert_array_equal(one('otb100', tmp_path, 'Couple', first_pixel=1).boxes_xyxy, [[50, 46, 75, 108]])


def test_otb_two_targets_share_frames(tmp_path):
    for number in (1, 2):
        write(tmp_path / f'Jogging/groundtruth_rect.{number}.txt', *boxes(3, first=10 * number))
    frames(tmp_path / 'Jogging/img', 1, 3)
    sequences = read_sequences('otb13', tmp_path, allow_missing=True)
    assert [sequence.name for sequence in sequences] == ['Jogging-1', 'Jogging-2']
    assert [sequence.boxes_xyxy[0, 0] for sequence in sequences] == [10, 20]
    assert sequences[0].images == sequences[1].images


def test_human4_is_its_second_target_because_the_first_file_is_empty(tmp_path):
    write(tmp_path / 'Human4/groundtruth_rect.1.txt')
    write(tmp_path / 'Human4/groundtruth_rect.2.txt', *boxes(2))
    frames(tmp_path / 'Human4/img', 1, 2)
    assert [sequence.name for sequence in read_sequences('otb100', tmp_path, allow_missing=True)] == ['Human4-2']
    assert RESULT_ALIASES['Human4-2'] == ('Human4',)


@pytest.mark.parametrize('name', OTB_FRAMES)
def test_otb_uses_a_range_of_frames(tmp_path, name):
    first, last = OTB_FRAMES[name]
    write(tmp_path / name / 'groundtruth_rect.txt', *boxes(last - first + 1))
    frames(tmp_path / name / 'img', 1, last + 4)
    assert ends(one('otb100', tmp_path, name)) == (f'{first:04d}', f'{last:04d}')


def test_tiger1_starts_at_frame_6_or_at_1(tmp_path):
    write(tmp_path / 'Tiger1/groundtruth_rect.txt', *boxes(8))
    frames(tmp_path / 'Tiger1/img', 1, 8)
    sequence = one('otb100', tmp_path, 'Tiger1')
    assert ends(sequence) == ('0006', '0008')
    assert sequence.boxes_xyxy[0, 0] == 6
    assert ends(one('otb100', tmp_path, 'Tiger1', tiger1_from_6=False)) == ('0001', '0008')


@pytest.mark.parametrize(('name', 'first', 'digits'), [('BlurCar1', 247, 4), ('BlurCar4', 18, 4), ('Board', 1, 5)])
def test_otb_frames_start_at_other_numbers(tmp_path, name, first, digits):
    write(tmp_path / name / 'groundtruth_rect.txt', *boxes(3))
    frames(tmp_path / name / 'img', first, first + 2, digits)
    assert ends(one('otb100', tmp_path, name)) == (f'{first:0{digits}d}', f'{first + 2:0{digits}d}')


def test_otb_attributes_beside_the_boxes_come_first(tmp_path):
    write(tmp_path / 'Couple/groundtruth_rect.txt', *boxes(1))
    frames(tmp_path / 'Couple/img', 1, 1)
    path = write(tmp_path / 'Couple/cfg.json', json.dumps(dict(attributes=['SV', 'BC'])))
    assert one('otb100', tmp_path, 'Couple').attributes == ('SV', 'BC')
    write(tmp_path / 'Couple/attrs.txt', 'OV, IPR')
    assert one('otb100', tmp_path, 'Couple').attributes == ('OV', 'IPR')
    (tmp_path / 'Couple/attrs.txt').unlink()
    write(path, '{}')
    with pytest.raises(ValueError, match=r'cfg\.json has no list of attributes'):
        one('otb100', tmp_path, 'Couple')


# UAV

def write_uav(root: Path, kind: str, folder: str, name: str, first: int, last: int, count: int) -> None:
    frames(root / 'data_seq' / ('UAV123' if kind == 'UAV20L' else kind) / folder, first, last, 6)
    write(root / 'anno' / kind / f'{name}.txt', *boxes(count))


def test_uav123_sequences_share_a_folder(tmp_path):
    write_uav(tmp_path, 'UAV123', 'bird1', 'bird1_2', 700, 1500, 1477 - 775 + 1)
    write(tmp_path / 'anno/UAV123/att/bird1_2.txt', '1,0,0,1,0,0,0,0,0,0,0,1')
    sequence = one('uav123', tmp_path, 'bird1_2')
    assert ends(sequence) == ('000775', '001477')
    assert sequence.attributes == ('SV', 'FM', 'SOB')
    with pytest.raises(FileNotFoundError, match=r'anno.UAV123.bird1_1\.txt is missing'):
        one('uav123', tmp_path, 'bird1_1')
    write(tmp_path / 'anno/UAV123/bird1_1.txt', *boxes(253))
    with pytest.raises(FileNotFoundError, match='lacks frame 1 of 1 to 253'):
        one('uav123', tmp_path, 'bird1_1')


def test_uav20l_has_its_own_boxes_of_the_same_frames(tmp_path):
    write_uav(tmp_path, 'UAV20L', 'person20', 'person20', 1, 1783, 1783)
    assert ends(one('uav20l', tmp_path, 'person20')) == ('000001', '001783')


def test_uav123_at_10_fps_has_as_many_frames_as_boxes(tmp_path):
    write_uav(tmp_path, 'UAV123_10fps', 'car1', 'car1_2', 1, 800, 293)
    assert ends(one('uav123_10fps', tmp_path, 'car1_2')) == ('000251', '000543')  # (751 - 1) // 3 + 1


def test_uav123_10fps_beside_its_boxes(tmp_path):
    frames(tmp_path / 'wakeboard7', 1, 3, 6)
    write(tmp_path / 'wakeboard7.txt', '623,299,11,38', 'NaN,NaN,NaN,NaN', '624,296,11,38')
    sequence = one('uav123_10fps', tmp_path, 'wakeboard7')
    assert len(sequence) == 3
    np.testing.assert_array_equal(np.isnan(sequence.boxes_xyxy).all(axis=1), [False, True, False])
    with pytest.raises(FileNotFoundError, match='expected data_seq/UAV123/FOLDER, first that of wakeboard7'):
        one('uav123', tmp_path, 'wakeboard7')


def test_uav_boxes_must_be_those_of_the_range(tmp_path):
    write_uav(tmp_path, 'UAV123', 'uav6', 'uav6', 1, 109, 108)
    with pytest.raises(ValueError, match=r'uav6\.txt has 108 boxes for 109 frames'):
        one('uav123', tmp_path, 'uav6')


# LaSOT

def write_lasot(folder: Path, count: int = 4, images: int = 4) -> None:
    frames(folder / 'img', 1, images, 8)
    write(folder / 'groundtruth.txt', *boxes(count - 1), '0,0,0,0')
    write(folder / 'full_occlusion.txt', ','.join(['0'] * (count - 1) + ['1']))
    write(folder / 'out_of_view.txt', ','.join(['0', '1'] + ['0'] * (count - 2)))


@pytest.mark.parametrize('folder', ['airplane/airplane-9', 'airplane-9'])
def test_lasot_nested_and_flat(tmp_path, folder):
    write_lasot(tmp_path / folder)
    sequence = one('lasot', tmp_path, 'airplane-9')
    assert sequence.is_absent.tolist() == [False, True, False, True]
    assert sequence.boxes_xyxy[-1].tolist() == [0, 0, 0, 0]
    assert ends(sequence) == ('00000001', '00000004')


def test_lasot_splits_have_no_video_in_common(tmp_path):
    for number in (8, 9):
        write_lasot(tmp_path / f'airplane/airplane-{number}')
    names = [[sequence.name for sequence in read_sequences('lasot', tmp_path, split=split, allow_missing=True)]
             for split in ('train', 'test')]
    assert names == [['airplane-8'], ['airplane-9']]


def test_lasot_images_beyond_the_boxes_are_cut_only_where_that_is_known(tmp_path):
    write_lasot(tmp_path / 'airplane/airplane-15', images=5)
    write_lasot(tmp_path / 'airplane/airplane-9', images=5)
    assert len(one('lasot', tmp_path, 'airplane-15')) == 4
    with pytest.raises(ValueError, match=r'groundtruth\.txt has 4 boxes for 5 frames of .*airplane-9.img'):
        one('lasot', tmp_path, 'airplane-9')


def test_lasot_flags_are_needed_and_fit(tmp_path):
    write_lasot(tmp_path / 'bear/bear-2')
    path = write(tmp_path / 'bear/bear-2/out_of_view.txt', '0,1,0')
    with pytest.raises(ValueError, match=r'out_of_view\.txt has 3 numbers instead of 4'):
        one('lasot', tmp_path, 'bear-2')
    write(path, '0,1,0,x')
    with pytest.raises(ValueError, match=r"out_of_view\.txt: expected numbers from 0 to 1, got 'x'"):
        one('lasot', tmp_path, 'bear-2')
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r'out_of_view\.txt is missing'):
        one('lasot', tmp_path, 'bear-2')


# GOT-10k

def write_got10k(root: Path, split: str, name: str, count: int = 3) -> Path:
    folder = root / split / name
    frames(folder, 1, count, 8)
    write(folder / 'groundtruth.txt', *(['1.5000,2.0000,3.0000,4.0000'] * (1 if split == 'test' else count)))
    if split != 'test':
        write(folder / 'cover.label', *(['8'] * (count - 1)), '0')
        write(folder / 'absence.label', *(['0'] * (count - 1)), '1')
        write(folder / 'meta_info.ini', '[METAINFO]', 'anno_fps: 10Hz', 'resolution: (1920, 1080)')
    return folder


def test_got10k_has_cover_absence_and_size(tmp_path):
    write(tmp_path / 'val/list.txt', 'GOT-10k_Val_000001')
    write_got10k(tmp_path, 'val', 'GOT-10k_Val_000001')
    sequence, = read_sequences('got10k', tmp_path)
    assert sequence.cover.tolist() == [8, 8, 0]
    assert sequence.is_absent.tolist() == [False, False, True]
    assert sequence.size == (1920, 1080)
    assert sequence.boxes_xyxy[0].tolist() == [1.5, 2, 4.5, 6]


def test_got10k_test_has_one_box(tmp_path):
    write(tmp_path / 'test/list.txt', 'GOT-10k_Test_000001')
    folder = write_got10k(tmp_path, 'test', 'GOT-10k_Test_000001')
    sequence, = read_sequences('got10k', tmp_path, split='test')
    assert np.isfinite(sequence.boxes_xyxy).all(axis=1).tolist() == [True, False, False]
    assert sequence.cover is None
    (folder / '00000002.jpg').unlink()
    with pytest.raises(FileNotFoundError, match='is not complete; there is no frame 2'):
        read_sequences('got10k', tmp_path, split='test')
    write(folder / 'groundtruth.txt', '1,2,3,4', '1,2,3,4')
    with pytest.raises(ValueError, match='has 2 boxes; of the test split only the first one is published'):
        read_sequences('got10k', tmp_path, split='test')


def test_got10k_train_is_read_by_its_list(tmp_path):
    write(tmp_path / 'train/list.txt', 'A', 'B')
    write_got10k(tmp_path, 'train', 'B')
    with pytest.raises(FileNotFoundError, match='lacks 1 of 2 sequences of got10k: A; names='):
        read_sequences('got10k', tmp_path, split='train')
    assert [sequence.name for sequence in read_sequences('got10k', tmp_path, split='train', allow_missing=True)] == ['B']


def test_got10k_errors_name_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'val.list\.txt is missing: expected one name of a sequence per line'):
        read_sequences('got10k', tmp_path)
    write(tmp_path / 'val/list.txt', 'A')
    folder = write_got10k(tmp_path, 'val', 'A')
    write(folder / 'meta_info.ini', '[METAINFO]')
    with pytest.raises(ValueError, match=r'meta_info\.ini has no line "resolution'):
        read_sequences('got10k', tmp_path)
    write(folder / 'cover.label', '8', '9', '8')
    with pytest.raises(ValueError, match=r"cover\.label: expected numbers from 0 to 8, got '9'"):
        read_sequences('got10k', tmp_path)
    (folder / 'cover.label').unlink()
    with pytest.raises(FileNotFoundError, match=r'cover\.label is missing'):
        read_sequences('got10k', tmp_path)


# TrackingNet

def test_trackingnet_frames_are_in_the_order_of_numbers(tmp_path):
    frames(tmp_path / 'TEST/frames/-abc_0', 0, 11, 1)
    write(tmp_path / 'TEST/anno/-abc_0.txt', '1.00,2.00,3.00,4.00')
    sequence, = read_sequences('trackingnet', tmp_path)
    assert [Path(image).stem for image in sequence.images] == [str(number) for number in range(12)]
    assert np.isfinite(sequence.boxes_xyxy).all(axis=1).sum() == 1
    (tmp_path / 'TEST/frames/-abc_0/0.jpg').rename(tmp_path / 'TEST/frames/-abc_0/12.jpg')
    assert len(read_sequences('trackingnet', tmp_path)[0]) == 12  # from 1
    (tmp_path / 'TEST/frames/-abc_0/5.jpg').unlink()
    with pytest.raises(FileNotFoundError, match='is not complete; there is no frame 5'):
        read_sequences('trackingnet', tmp_path)


def test_trackingnet_train_has_parts(tmp_path):
    for part in (0, 3):
        frames(tmp_path / f'TRAIN_{part}/frames/V{part}', 0, 2, 1)
        write(tmp_path / f'TRAIN_{part}/anno/V{part}.txt', *boxes(3))
    with pytest.raises(FileNotFoundError, match=r'TRAIN_1.anno is missing; names=\[...\] or allow_missing=True'):
        read_sequences('trackingnet', tmp_path, split='train')
    sequences = read_sequences('trackingnet', tmp_path, split='train', allow_missing=True)
    assert [sequence.name for sequence in sequences] == ['V0', 'V3']
    assert one('trackingnet', tmp_path, 'V3', split='train').boxes_xyxy[2, 0] == 3
    frames(tmp_path / 'TRAIN_3/frames/W', 0, 2, 1)
    with pytest.raises(FileNotFoundError, match=r'anno.W\.txt is missing'):
        read_sequences('trackingnet', tmp_path, split='train', allow_missing=True)


# Need for Speed

def nfs_lines(count: int) -> list:
    return [f'0 {index} 20 {index + 30} 60 {index} 0 0 0 "basket ball"' for index in range(count)]


@pytest.mark.parametrize(('fps', 'images', 'lines', 'used'), [
    (240, 17, 17, 17), (240, 17, 16, 16), (30, 4, 4, 4), (30, 4, 32, 4), (30, 4, 34, 4), (30, 20, 150, 19), (30, 4, 5, 4)])
def test_nfs_at_both_speeds(tmp_path, fps, images, lines, used):
    folder = tmp_path / f'bee/{fps}'
    frames(folder / 'bee', 1, images, 5)
    write(folder / 'bee.txt', *nfs_lines(lines))
    sequence = one('nfs', tmp_path, 'bee', fps=fps)
    assert len(sequence) == used
    step = 8 if lines >= 32 else 1
    assert sequence.boxes_xyxy[2].tolist() == [2 * step, 20, 2 * step + 30, 60]


def test_nfs_errors(tmp_path):
    frames(tmp_path / 'bee/30/bee', 1, 4, 5)
    path = write(tmp_path / 'bee/30/bee.txt', *nfs_lines(6))
    with pytest.raises(ValueError, match=r'bee\.txt has 6 boxes for 4 frames'):
        one('nfs', tmp_path, 'bee')
    write(path, *nfs_lines(3), '0 1 2')
    with pytest.raises(ValueError, match=r'bee\.txt, line 4: expected 4 numbers'):
        one('nfs', tmp_path, 'bee')
    with pytest.raises(ValueError, match='fps of nfs must be 30 or 240, got 60'):
        one('nfs', tmp_path, 'bee', fps=60)


# VOT

@pytest.mark.parametrize('place', ['bag/color', 'bag'])
def test_vot_polygons_and_tags(tmp_path, place):
    write(tmp_path / 'list.txt', 'bag')
    frames(tmp_path / place, 1, 3, 8)
    write(tmp_path / 'bag/groundtruth.txt', *(['10,10,30,10,30,50,10,50'] * 3))
    write(tmp_path / 'bag/occlusion.tag', '0', '1')
    write(tmp_path / 'bag/camera_motion.label', '1', '1', '1')
    write(tmp_path / 'bag/size_change.tag')
    sequence = one('vot2018', tmp_path, 'bag')
    assert sequence.polygons.shape == (3, 8)
    assert sequence.boxes_xyxy[0].tolist() == [10, 10, 31, 51]
    assert {tag: flags.tolist() for tag, flags in sequence.tags.items()} == dict(
        camera_motion=[True] * 3, illum_change=[False] * 3, motion_change=[False] * 3, size_change=[False] * 3,
        occlusion=[False, True, False])
    write(tmp_path / 'bag/occlusion.tag', '0', '1', '0', '0')
    with pytest.raises(ValueError, match=r'occlusion\.tag has 4 flags for 3 frames'):
        one('vot2018', tmp_path, 'bag')


@pytest.mark.parametrize('benchmark', ['vot2016', 'vot2017', 'vot2019', 'vot2018lt'])
def test_vot_boxes_are_polygons_too(tmp_path, benchmark):
    write(tmp_path / 'list.txt', 'bag')
    frames(tmp_path / 'bag/color', 1, 2, 8)
    write(tmp_path / 'bag/groundtruth.txt', '1,2,3,4', 'nan,nan,nan,nan')
    sequence = one(benchmark, tmp_path, 'bag')
    assert sequence.boxes_xyxy[0].tolist() == [1, 2, 4, 6]
    assert sequence.polygons[0].tolist() == [1, 2, 4, 2, 4, 6, 1, 6]
    assert np.isnan(sequence.boxes_xyxy[1]).all()
    assert np.isnan(sequence.polygons[1]).all()
    assert bool(sequence.tags) == (benchmark != 'vot2018lt')


def test_vot_polygons_and_boxes_do_not_mix_in_a_file(tmp_path):
    write(tmp_path / 'list.txt', 'bag')
    frames(tmp_path / 'bag/color', 1, 2, 8)
    write(tmp_path / 'bag/groundtruth.txt', '1,2,3,4,5,6,7,8', '1,2,3,4')
    with pytest.raises(ValueError, match=r'groundtruth\.txt, line 2: expected 8 numbers'):
        one('vot2018', tmp_path, 'bag')


def test_polygon_box_keeps_the_area_as_pysot_does():
    """A square of side 10 standing on its corner about (20, 30): hull 14.142, scaled by 1 / sqrt(2), one pixel longer."""
    half = np.sqrt(50)
    diamond = np.array([[20, 30 - half, 20 + half, 30, 20, 30 + half, 20 - half, 30]])
    cx, cy, w, h = 20, 30, 11, 11
    np.testing.assert_allclose(polygon_boxes(diamond), [[cx - (w - 1) / 2, cy - (h - 1) / 2, cx + (w + 1) / 2, cy + (h + 1) / 2]])
    assert np.isnan(polygon_boxes(np.full((1, 8), np.nan))).all()


# All

def test_lists_have_the_published_lengths():
    assert [len(names) for names in (OTB13, OTB50, OTB100, UAV123, UAV20L, LASOT_TEST, NFS)] == [51, 50, 100, 123, 20, 70, 100]
    assert set(OTB13) <= set(OTB100)
    assert set(OTB50) <= set(OTB100)
    assert all(len(numbers) == 4 for numbers in LASOT_TEST.values())
    for table, total in ((UAV123, 112578), (UAV20L, 58670)):  # frames, by Mueller et al. (ECCV 2016)
        assert sum(last - first + 1 for _, first, last in table.values()) == total


@pytest.fixture
def couple(tmp_path):
    write(tmp_path / 'Couple/groundtruth_rect.txt', *boxes(3))
    frames(tmp_path / 'Couple/img', 1, 3)
    return tmp_path


def test_names_choose_sequences_in_their_order(couple):
    for name in ('Deer', 'Boy'):
        write(couple / name / 'groundtruth_rect.txt', *boxes(3))
        frames(couple / name / 'img', 1, 3)
    sequences = read_sequences('otb100', couple, names=['Deer', 'Couple', 'Deer'])
    assert [sequence.name for sequence in sequences] == ['Deer', 'Couple']


@pytest.mark.parametrize(('benchmark', 'options', 'error', 'message'), [
    ('otb10', {}, ValueError, "unknown benchmark 'otb10'; close are otb100.*known are otb100, otb50"),
    ('otb100', dict(split='test'), ValueError, "otb100 has no option 'split'; it has names, allow_missing, first_pixel, tiger1"),
    ('otb100', dict(names=['couple']), ValueError, "otb100 has no sequence 'couple'; close are Couple"),
    ('otb100', dict(names=['zzzzzz']), ValueError, "otb100 has no sequence 'zzzzzz'$"),
    ('otb50', {}, FileNotFoundError, r'lacks 49 of 50 sequences of otb50: Basketball, .* \.\.\.; names=.*allow_missing=True'),
    ('otb100', dict(names=['Couple', 'Deer']), FileNotFoundError, 'lacks 1 of 2 sequences of otb100: Deer'),
    ('otb100', dict(names=['Deer'], allow_missing=True), FileNotFoundError, 'has none of 1 sequences of otb100'),
    ('nfs', dict(allow_missing=True), FileNotFoundError, 'none of 100 sequences of nfs: expected NAME/30/NAME, first that of G'),
    ('uav123', {}, FileNotFoundError, 'expected data_seq/UAV123/FOLDER'),
    ('lasot', dict(split='val'), ValueError, "split of lasot must be one of train, test; got 'val'"),
    ('trackingnet', {}, FileNotFoundError, 'TEST.anno is missing'),
    ('trackingnet', dict(allow_missing=True), ValueError, 'has no sequences of trackingnet'),
    ('vot2018', {}, FileNotFoundError, r'list\.txt is missing: expected one name'),
])
def test_what_is_not_there_is_one_error(couple, benchmark, options, error, message):
    with pytest.raises(error, match=message):
        read_sequences(benchmark, couple, **options)


@pytest.mark.parametrize('benchmark', sorted(set(BENCHMARKS) - {'vid', 'folders'}))
def test_a_missing_root_is_named(tmp_path, benchmark):
    with pytest.raises(FileNotFoundError, match=f'nowhere, the folder of {benchmark}, is missing'):
        read_sequences(benchmark, tmp_path / 'nowhere')


@pytest.mark.parametrize(('lines', 'message'), [
    (['1,2,3,4', '1;2;3;4', '1,2,3,4'], "line 2: expected 4 numbers separated by commas, tabs or spaces, got '1;2;3;4'"),
    (['1,2,3,4', '1,2,3', '1,2,3,4'], "line 2: expected 4 numbers .* got '1 2 3'"),
    (['1,2,3,4', '1,,3,4', '1,2,3,4'], 'line 2: expected 4 numbers'),
    (['1,2,3,4', '', '1,2,3,4'], "line 2: expected 4 numbers .* got ''"),
    (['1,2,3,4', '1,2,nan,4', '1,2,3,4'], 'line 2: expected 4 numbers'),
    (['1,2,3,4', '1,2,inf,4', '1,2,3,4'], 'line 2: expected 4 numbers'),
    (['1,2,3,4,5'] * 3, 'line 1: expected 4 numbers'),
    (['1,2,3,4'] * 2, 'has 2 boxes for 3 frames of'),
    (['1,2,3,4'] * 4, 'has 4 boxes for 3 frames of'),
    (['nan,nan,nan,nan', '1,2,3,4', '1,2,3,4'], 'the first box, where a tracker starts, has no area'),
    (['1,2,0,4', '1,2,3,4', '1,2,3,4'], r'the first box, .* has no area: \[1.0, 2.0, 1.0, 6.0\]'),
    ([], 'is empty: expected 4 numbers per line'),
])
def test_a_bad_file_of_boxes_is_named(couple, lines, message):
    write(couple / 'Couple/groundtruth_rect.txt', *lines)
    with pytest.raises(ValueError, match=rf'groundtruth_rect\.txt.*{message}'):
        one('otb100', couple, 'Couple')


def test_a_missing_file_of_boxes_is_named(couple):
    (couple / 'Couple/groundtruth_rect.txt').unlink()
    with pytest.raises(FileNotFoundError, match=r'groundtruth_rect\.txt is missing: expected 4 numbers per line'):
        one('otb100', couple, 'Couple')


def test_bad_frames_are_named(couple):
    folder = couple / 'Couple/img'
    (folder / '._0001.jpg').touch()  # as other systems leave them
    assert len(one('otb100', couple, 'Couple')) == 3
    (folder / '2.png').touch()
    with pytest.raises(ValueError, match=r'has frame 2 twice: 0002\.jpg and 2\.png'):
        one('otb100', couple, 'Couple')
    (folder / '2.png').rename(folder / 'title.png')
    with pytest.raises(ValueError, match=r'title\.png is not named by the number of its frame'):
        one('otb100', couple, 'Couple')
    (folder / 'title.png').unlink()
    (folder / '0002.jpg').unlink()
    with pytest.raises(ValueError, match='has 3 boxes for 2 frames of .*; there is no frame 2'):
        one('otb100', couple, 'Couple')
    for name in ('0001.jpg', '0003.jpg'):
        (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match='img has no images'):
        one('otb100', couple, 'Couple')
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    with pytest.raises(FileNotFoundError, match='img, a folder of frames, is missing'):
        one('otb100', couple, 'Couple')


def test_folders_are_read_by_name(couple):
    write(couple / 'Mine/groundtruth.txt', *boxes(2))
    frames(couple / 'Mine', 1, 2)
    assert [sequence.name for sequence in read_sequences('folders', str(couple))] == ['Couple', 'Mine']
    sequence, = read_sequences('folders', couple, names=['Mine'], first_pixel=1)
    assert sequence.boxes_xyxy[0].tolist() == [0, 19, 30, 59]
    with pytest.raises(ValueError, match="folders has no sequence 'Mime'; close are Mine"):
        read_sequences('folders', couple, names=['Mime'])


def test_vid_is_read_by_video(tmp_path):
    list(write_synthetic_vid(tmp_path, videos=2, frames=3, size=(64, 64), seed=0, split='val'))
    every = read_sequences('vid', tmp_path, split='val')
    video = Path(every[0].images[0]).parent.name
    chosen = read_sequences('vid', tmp_path, split='val', names=[video])
    assert {Path(sequence.images[0]).parent.name for sequence in chosen} == {video}
    assert len({Path(sequence.images[0]).parent.name for sequence in every}) == 2
