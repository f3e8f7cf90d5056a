import warnings
from pathlib import Path

import numpy as np
import pytest

from siamrpnpp_plugin.datasets.sources import (
    FolderSource,
    VIDSource,
    has_area,
    image_files,
    natural_order,
    polygon_to_xyxy,
    read_folders,
    read_vid,
)

TRAIN_VIDEO = 'ILSVRC2015_VID_train_0000/ILSVRC2015_train_00000000'
VAL_VIDEO = 'ILSVRC2015_val_00007010'


def object_xml(track: object = 0, box: tuple = (10, 20, 30, 60), name: str = 'n02691156', occluded: int = 0,
               generated: int = 0) -> str:
    """An object as the files of ILSVRC2015 VID have it: children of bndbox in the order xmax, xmin, ymax, ymin."""
    xmin, ymin, xmax, ymax = box
    return (f'\t<object>\n\t\t<trackid>{track}</trackid>\n\t\t<name>{name}</name>\n\t\t<bndbox>\n\t\t\t<xmax>{xmax}</xmax>\n'
            f'\t\t\t<xmin>{xmin}</xmin>\n\t\t\t<ymax>{ymax}</ymax>\n\t\t\t<ymin>{ymin}</ymin>\n\t\t</bndbox>\n'
            f'\t\t<occluded>{occluded}</occluded>\n\t\t<generated>{generated}</generated>\n\t</object>\n')


def frame_xml(*objects: str, video: str = TRAIN_VIDEO, stem: str = '000000') -> str:
    """A file as those of ILSVRC2015 VID."""
    return (f'<annotation>\n\t<folder>{video}</folder>\n\t<filename>{stem}</filename>\n\t<source>\n'
            '\t\t<database>ILSVRC_2015</database>\n\t</source>\n\t<size>\n\t\t<width>1280</width>\n\t\t<height>720</height>\n'
            '\t</size>\n' + ''.join(objects) + '</annotation>\n')


def touch(path: Path, text: str = '') -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def write_vid(root: Path, frames: dict, video: str = TRAIN_VIDEO, split: str = 'train') -> None:
    """Write one video from {frame: xml, or objects that make one}; sources never open images, so these are empty."""
    for frame, content in frames.items():
        text = content if isinstance(content, str) else frame_xml(*content, video=video, stem=f'{frame:06d}')
        touch(root / 'Data/VID' / split / video / f'{frame:06d}.JPEG')
        touch(root / 'Annotations/VID' / split / video / f'{frame:06d}.xml', text)


def read_one(root: Path, split: str = 'train') -> tuple:
    source = VIDSource(root, split)
    video, = source.videos()
    return source.read(video)


def reasons(skips: list) -> list:
    return [skip.reason for skip in skips]


# ---- ILSVRC2015 VID


def test_vid_box_ends_one_further_than_its_last_pixel(tmp_path):
    write_vid(tmp_path, {0: [object_xml(box=(592, 334, 659, 375))]})
    (track, ), skips = read_one(tmp_path)
    assert skips == []
    assert track.boxes_xyxy.tolist() == [[592, 334, 660, 376]]
    assert track.boxes_xyxy.dtype == np.float64


def test_vid_track_has_all_that_its_files_tell(tmp_path):
    write_vid(tmp_path, {0: [object_xml(occluded=1)], 1: [object_xml(generated=1)], 2: [object_xml(box=(11, 20, 31, 60))]})
    (track, ), _ = read_one(tmp_path)
    assert (track.video, track.name, track.category) == (TRAIN_VIDEO, '0', 'n02691156')
    assert track.frames.tolist() == [0, 1, 2]
    assert track.boxes_xyxy[:, 0].tolist() == [10, 10, 11]
    assert track.images == tuple(str(tmp_path / 'Data/VID/train' / TRAIN_VIDEO / f'00000{frame}.JPEG') for frame in range(3))
    assert track.occluded.tolist() == [True, False, False]
    assert track.generated.tolist() == [False, True, False]
    assert track.image_sizes == ((1280, 720), ) * 3


def test_corners_are_read_by_name_in_any_order(tmp_path):
    other_order = object_xml().replace('\t\t\t<xmax>30</xmax>\n', '').replace('<ymin>20</ymin>', '<ymin>20</ymin><xmax>30</xmax>')
    write_vid(tmp_path, {0: [object_xml()], 1: [other_order]})
    (track, ), skips = read_one(tmp_path)
    assert skips == []
    assert track.boxes_xyxy.tolist() == [[10, 20, 31, 61]] * 2


def test_two_objects_are_two_tracks_in_the_order_of_their_numbers(tmp_path):
    write_vid(tmp_path, {0: [object_xml(10, name='n1'), object_xml(9, (1, 2, 3, 4), 'n2')], 1: [object_xml(9, name='n2')]})
    tracks, skips = read_one(tmp_path)
    assert skips == []
    assert [(track.name, track.category, track.frames.tolist()) for track in tracks] == [('9', 'n2', [0, 1]), ('10', 'n1', [0])]
    assert tracks[0].images[0] == tracks[1].images[0]


def test_gap_does_not_end_a_track(tmp_path):
    write_vid(tmp_path, {frame: [object_xml()] if frame in (0, 1, 2, 6, 7, 9) else [] for frame in range(10)})
    (track, ), skips = read_one(tmp_path)
    assert skips == []
    assert track.frames.tolist() == [0, 1, 2, 6, 7, 9]
    assert [Path(image).stem for image in track.images] == [f'{frame:06d}' for frame in track.frames]


def test_frames_without_objects_are_no_fault_but_a_video_without_any_is_told(tmp_path):
    write_vid(tmp_path, {0: [], 1: []})
    tracks, skips = read_one(tmp_path)
    assert tracks == []
    assert skips == [('video without objects', f'Annotations/VID/train/{TRAIN_VIDEO}')]


@pytest.mark.parametrize(('content', 'message'), [
    ('', 'no element found'),                                                                   # empty file
    (frame_xml(object_xml())[:200], ''),                                                        # broken off
    (frame_xml(object_xml()).replace('annotation>', 'html>'), '<html> instead of <annotation>'),
    (frame_xml(object_xml().replace('<trackid>0</trackid>', '')), 'lacks <trackid> or <bndbox>'),
    (frame_xml('\t<object>\n\t\t<trackid>0</trackid>\n\t</object>\n'), 'lacks <trackid> or <bndbox>'),
    (frame_xml(object_xml(box=('left', 20, 30, 60))), "<xmin> of <bndbox> is 'left' instead of a number"),
    (frame_xml(object_xml(box=('', 20, 30, 60))), "<xmin> of <bndbox> is '' instead of a number"),
    (frame_xml(object_xml().replace('<ymax>60</ymax>', '')), '<ymax> of <bndbox> is None instead of a number'),
    (frame_xml(object_xml()).replace('<width>1280</width>', '<width>wide</width>'), "<width> of <size> is 'wide'"),
])
def test_malformed_file_is_skipped_by_name_and_its_neighbours_are_kept(tmp_path, content, message):
    write_vid(tmp_path, {0: [object_xml()], 1: content, 2: [object_xml()]})
    (track, ), (skip, ) = read_one(tmp_path)
    assert track.frames.tolist() == [0, 2]
    assert skip.reason == 'malformed annotation'
    assert skip.where.startswith(f'Annotations/VID/train/{TRAIN_VIDEO}/000001.xml: ')
    assert message in skip.where


def test_file_whose_name_is_no_number_is_skipped(tmp_path):
    write_vid(tmp_path, {0: [object_xml()]})
    touch(tmp_path / 'Data/VID/train' / TRAIN_VIDEO / 'cover.JPEG')
    touch(tmp_path / 'Annotations/VID/train' / TRAIN_VIDEO / 'cover.xml', frame_xml(object_xml()))
    (track, ), skips = read_one(tmp_path)
    assert track.frames.tolist() == [0]
    assert reasons(skips) == ['malformed annotation']


def test_annotation_without_image_and_image_without_annotation_are_skipped(tmp_path):
    write_vid(tmp_path, {frame: [object_xml()] for frame in range(4)})
    (tmp_path / 'Data/VID/train' / TRAIN_VIDEO / '000001.JPEG').unlink()
    (tmp_path / 'Annotations/VID/train' / TRAIN_VIDEO / '000002.xml').unlink()
    (track, ), skips = read_one(tmp_path)
    assert track.frames.tolist() == [0, 3]
    assert sorted(reasons(skips)) == ['missing annotation', 'missing image']
    assert {skip.reason: Path(skip.where.split(':')[0]).name for skip in skips} == {
        'missing annotation': '000002.JPEG', 'missing image': '000001.xml'}


def test_video_with_images_only_or_with_annotations_only_is_told(tmp_path):
    write_vid(tmp_path, {0: [object_xml()]})
    touch(tmp_path / 'Data/VID/train/ILSVRC2015_VID_train_0000/ILSVRC2015_train_00000001/000000.JPEG')
    touch(tmp_path / 'Annotations/VID/train/ILSVRC2015_VID_train_0000/ILSVRC2015_train_00000002/000000.xml',
          frame_xml(object_xml()))
    source = VIDSource(tmp_path)
    assert [Path(video).name[-1] for video in source.videos()] == ['0', '1', '2']
    found = [source.read(video) for video in source.videos()]
    assert [len(tracks) for tracks, _ in found] == [1, 0, 0]
    assert [reasons(skips) for _, skips in found] == [[], ['missing annotation'], ['missing image']]


def test_object_that_occurs_twice_in_a_frame_counts_once_and_is_told(tmp_path):
    write_vid(tmp_path, {0: [object_xml(box=(1, 1, 5, 5)), object_xml(box=(50, 50, 90, 90))], 1: [object_xml()]})
    (track, ), (skip, ) = read_one(tmp_path)
    assert track.frames.tolist() == [0, 1]
    assert track.boxes_xyxy[0].tolist() == [1, 1, 6, 6]
    assert skip.reason == 'malformed annotation'
    assert 'track 0 occurs twice' in skip.where


@pytest.mark.parametrize('box', [
    (30, 20, 30, 60),       # one column only: a mark, not a box
    (10, 60, 30, 60),
    (40, 20, 30, 60),       # turned round
    ('nan', 20, 30, 60),
    (10, 20, 'inf', 60),
])
def test_box_without_area_is_skipped_and_the_frame_is_left_out(tmp_path, box):
    write_vid(tmp_path, {0: [object_xml()], 1: [object_xml(box=box), object_xml(1)], 2: [object_xml()]})
    tracks, (skip, ) = read_one(tmp_path)
    assert [track.frames.tolist() for track in tracks] == [[0, 2], [1]]
    assert skip.reason == 'zero-size box'
    assert '000001.xml: track 0' in skip.where


def test_image_size_is_unknown_where_a_file_lacks_it(tmp_path):
    xml = frame_xml(object_xml())
    start, end = xml.index('\t<size>'), xml.index('</size>\n') + len('</size>\n')
    write_vid(tmp_path, {0: [object_xml()], 1: xml[:start] + xml[end:]})
    (track, ), skips = read_one(tmp_path)
    assert skips == []
    assert track.frames.tolist() == [0, 1]
    assert track.image_sizes is None


def test_train_has_two_levels_and_val_one(tmp_path):
    second = 'ILSVRC2015_VID_train_0002/ILSVRC2015_train_00555002'
    write_vid(tmp_path, {0: [object_xml()]}, second)
    write_vid(tmp_path, {0: [object_xml()]})
    write_vid(tmp_path, {3: [object_xml(box=(1, 2, 3, 4))]}, VAL_VIDEO, 'val')
    assert VIDSource(tmp_path).videos() == [TRAIN_VIDEO, second]
    source = VIDSource(str(tmp_path), 'val')
    assert source.videos() == [VAL_VIDEO]
    (track, ), skips = source.read(VAL_VIDEO)
    assert skips == []
    assert track.frames.tolist() == [3]
    assert track.boxes_xyxy.tolist() == [[1, 2, 4, 5]]


def test_vid_refuses_a_wrong_split_and_a_folder_of_another_layout(tmp_path):
    write_vid(tmp_path, {0: [object_xml()]})
    with pytest.raises(ValueError, match="split of VID must be 'train' or 'val', got 'test'"):
        VIDSource(tmp_path, 'test')
    with pytest.raises(ValueError, match=r'not an ILSVRC2015 VID root with a val split: .*val is missing'):
        VIDSource(tmp_path, 'val')
    with pytest.raises(ValueError, match='is missing'):
        VIDSource(tmp_path / 'Data')
    (tmp_path / 'only' / 'Data/VID/train').mkdir(parents=True)
    with pytest.raises(ValueError, match='Annotations/VID/train is missing'):
        VIDSource(tmp_path / 'only')


def test_read_vid_gives_all_tracks_and_warns_of_skips(tmp_path):
    write_vid(tmp_path, {0: [object_xml(), object_xml(1)], 1: ''})
    write_vid(tmp_path, {0: [object_xml()]}, 'ILSVRC2015_VID_train_0001/ILSVRC2015_train_00001000')
    with pytest.warns(UserWarning, match='malformed annotation: Annotations/.*/000001.xml') as caught:
        tracks = list(read_vid(tmp_path))
    assert len(caught) == 1
    assert [(track.video[-4:], track.name) for track in tracks] == [('0000', '0'), ('0000', '1'), ('1000', '0')]


# ---- folders


def write_video(folder: Path, lines: list, images: int = 3, name: str = 'groundtruth.txt', below: str = '') -> None:
    for number in range(1, images + 1):
        touch(folder / below / f'{number:04d}.jpg')
    touch(folder / name, '\n'.join(lines) + '\n')


def read_folder(root: Path, **options) -> tuple:
    source = FolderSource(root, **options)
    video, = source.videos()
    return source.read(video)


@pytest.mark.parametrize('separator', [',', '\t', ' ', ';', ', ', '  \t'])
def test_folder_boxes_are_read_with_any_separator(tmp_path, separator):
    write_video(tmp_path / 'car', [separator.join(('10', '20.5', '30', '40'))] * 3)
    (track, ), skips = read_folder(tmp_path)
    assert skips == []
    assert (track.video, track.name, track.category, track.image_sizes) == ('car', '0', '', None)
    assert track.frames.tolist() == [0, 1, 2]
    assert track.boxes_xyxy.tolist() == [[10, 20.5, 40, 60.5]] * 3
    assert track.images == tuple(str(tmp_path / 'car' / f'000{number}.jpg') for number in (1, 2, 3))
    assert not track.occluded.any()
    assert not track.generated.any()


def test_files_of_windows_are_read(tmp_path):
    write_video(tmp_path / 'car', ['1,2,3,4\r', '5,6,7,8\r', '9,9,9,9\r'])
    (track, ), skips = read_folder(tmp_path)
    assert skips == []
    assert track.boxes_xyxy[1].tolist() == [5, 6, 12, 14]


def test_first_pixel_moves_the_box_and_not_its_size(tmp_path):
    write_video(tmp_path / 'otb', ['1,1,30,40'] * 3)
    (track, ), _ = read_folder(tmp_path, first_pixel=1)
    assert track.boxes_xyxy[0].tolist() == [0, 0, 30, 40]


def test_upright_polygon_gives_itself_from_any_corner_in_both_directions(tmp_path):
    corners = [(10, 20), (40, 20), (40, 90), (10, 90)]
    lines = [','.join(str(value) for corner in corners[start:] + corners[:start] for value in corner) for start in range(4)]
    lines += [','.join(str(value) for corner in corners[::-1] for value in corner)]
    write_video(tmp_path / 'bag', lines, images=5)
    (track, ), skips = read_folder(tmp_path)
    assert skips == []
    np.testing.assert_allclose(track.boxes_xyxy, [[10, 20, 40, 90]] * 5)


@pytest.mark.parametrize('degrees', [10, 30, 45, 60, 135])
def test_turned_polygon_keeps_its_area_its_centre_and_the_aspect_of_its_hull(degrees):
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = np.array([[-30, -10], [30, -10], [30, 10], [-30, 10]]) @ turn.T + [100, 70]
    xmin, ymin, xmax, ymax = polygon_to_xyxy(corners.ravel().tolist())
    assert (xmax - xmin) * (ymax - ymin) == pytest.approx(60 * 20)
    assert ((xmin + xmax) / 2, (ymin + ymax) / 2) == pytest.approx((100, 70))
    hull = np.ptp(corners, axis=0)
    assert (xmax - xmin) / (ymax - ymin) == pytest.approx(hull[0] / hull[1])


def test_polygon_of_a_hand_computed_diamond():
    """Side sqrt(50), area 50, hull 10 x 10: a square of that area around (5, 5)."""
    half = 50**0.5 / 2
    assert polygon_to_xyxy((5, 0, 10, 5, 5, 10, 0, 5)) == pytest.approx((5 - half, 5 - half, 5 + half, 5 + half))


def test_polygon_without_area_is_a_zero_size_box(tmp_path):
    write_video(tmp_path / 'bag', ['1,1,1,1,1,1,1,1', '0,5,9,5,9,5,0,5', '0,0,4,0,4,4,0,4'])
    (track, ), skips = read_folder(tmp_path)
    assert reasons(skips) == ['zero-size box'] * 2
    assert track.frames.tolist() == [2]


@pytest.mark.parametrize(('line', 'reason'), [
    ('nan,nan,nan,nan', 'no box'),
    ('NaN NaN NaN NaN', 'no box'),
    ('nan,nan,nan,nan,nan,nan,nan,nan', 'no box'),
    ('1,2,nan,4', 'zero-size box'),
    ('1,2,0,4', 'zero-size box'),
    ('0,0,0,0', 'zero-size box'),
    ('1,2,3,-4', 'zero-size box'),
    ('1,2,3', 'malformed annotation'),
    ('1,2,3,4,5,6', 'malformed annotation'),
    ('', 'malformed annotation'),
    ('frame lost', 'malformed annotation'),
    ('1,2,3,x', 'malformed annotation'),
])
def test_line_without_a_usable_box_is_a_skip_and_the_others_are_kept(tmp_path, line, reason):
    write_video(tmp_path / 'car', ['1,2,3,4', line, '5,6,7,8'])
    (track, ), (skip, ) = read_folder(tmp_path)
    assert skip.reason == reason
    assert skip.where.startswith('car/groundtruth.txt line 2')
    assert track.frames.tolist() == [0, 2]
    assert track.boxes_xyxy[1].tolist() == [5, 6, 12, 14]


def test_images_without_a_line_are_told(tmp_path):
    write_video(tmp_path / 'football', ['1,2,3,4'] * 2, images=4)
    (track, ), skips = read_folder(tmp_path)
    assert track.frames.tolist() == [0, 1]
    assert [skip.reason for skip in skips] == ['missing annotation'] * 2
    assert [skip.where.split()[-1] for skip in skips] == ['0003.jpg', '0004.jpg']


def test_lines_without_an_image_are_told(tmp_path):
    write_video(tmp_path / 'car', ['1,2,3,4'] * 5, images=3)
    (track, ), skips = read_folder(tmp_path)
    assert track.frames.tolist() == [0, 1, 2]
    assert reasons(skips) == ['missing image'] * 2
    assert 'line 4: there are only 3 images' in skips[0].where


def test_empty_ground_truth_gives_no_track(tmp_path):
    write_video(tmp_path / 'car', [''], images=2)
    tracks, skips = read_folder(tmp_path)
    assert tracks == []
    assert reasons(skips) == ['missing annotation'] * 2


def test_numbered_ground_truths_are_tracks_of_one_video(tmp_path):
    write_video(tmp_path / 'jogging', ['1,2,3,4'] * 3, name='groundtruth_rect.1.txt', below='img')
    write_video(tmp_path / 'jogging', ['5,6,7,8'] * 3, name='groundtruth_rect.2.txt', below='img')
    tracks, skips = read_folder(tmp_path)
    assert skips == []
    assert [(track.video, track.name) for track in tracks] == [('jogging', '1'), ('jogging', '2')]
    assert [track.boxes_xyxy[0].tolist() for track in tracks] == [[1, 2, 4, 6], [5, 6, 12, 14]]
    assert tracks[0].images == tracks[1].images
    assert Path(tracks[0].images[0]).parent.name == 'img'


def test_groundtruth_txt_comes_before_all_others(tmp_path):
    write_video(tmp_path / 'car', ['9,9,9,9'] * 3, name='groundtruth.1.txt')
    write_video(tmp_path / 'car', ['1,2,3,4'] * 3)
    (track, ), _ = read_folder(tmp_path)
    assert track.boxes_xyxy[0].tolist() == [1, 2, 4, 6]


def test_stray_image_beside_the_videos_does_not_hide_them(tmp_path):
    write_video(tmp_path / 'car', ['1,2,3,4'] * 3)
    touch(tmp_path / 'overview.png')
    assert 'car' in FolderSource(tmp_path).videos()


def test_images_may_lie_in_one_folder_below(tmp_path):
    write_video(tmp_path / 'car', ['1,2,3,4'] * 3, name='groundtruth_rect.txt', below='img')
    (tmp_path / 'car' / 'notes').mkdir()
    (track, ), skips = read_folder(tmp_path)
    assert skips == []
    assert len(track.frames) == 3


def test_images_in_two_folders_are_not_guessed_at(tmp_path):
    write_video(tmp_path / 'car', ['1,2,3,4'] * 3, below='left')
    touch(tmp_path / 'car/right/0001.jpg')
    tracks, (skip, ) = read_folder(tmp_path)
    assert tracks == []
    assert skip.reason == 'missing image'
    assert "['left', 'right']" in skip.where


def test_ground_truth_without_images_is_told(tmp_path):
    touch(tmp_path / 'car/groundtruth.txt', '1,2,3,4\n')
    tracks, (skip, ) = read_folder(tmp_path)
    assert tracks == []
    assert skip.reason == 'missing image'


def test_images_without_ground_truth_are_told(tmp_path):
    touch(tmp_path / 'car/0001.jpg')
    tracks, skips = read_folder(tmp_path)
    assert tracks == []
    assert skips == [('missing annotation', 'car: images, but no groundtruth.txt')]


def test_folders_may_be_nested_and_are_sorted_naturally(tmp_path):
    for video in ('b/car10', 'b/car9', 'a/deep/er/dog', 'cat'):
        write_video(tmp_path / video, ['1,2,3,4'] * 3, below='img')
    (tmp_path / 'empty').mkdir()
    assert FolderSource(tmp_path).videos() == ['a/deep/er/dog', 'b/car9', 'b/car10', 'cat']
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert [track.video for track in read_folders(tmp_path)] == ['a/deep/er/dog', 'b/car9', 'b/car10', 'cat']


def test_root_may_be_one_video(tmp_path):
    write_video(tmp_path / 'car', ['1,2,3,4'] * 3, below='img')
    (track, ), skips = read_folder(tmp_path / 'car')
    assert skips == []
    assert track.video == 'car'
    assert len(track.images) == 3


def test_frame_9_comes_before_frame_10(tmp_path):
    for number in range(1, 12):
        touch(tmp_path / 'car' / f'img{number}.jpg')
    touch(tmp_path / 'car/groundtruth.txt', ''.join(f'{number},0,5,5\n' for number in range(1, 12)))
    (track, ), _ = read_folder(tmp_path)
    assert [Path(image).stem for image in track.images] == [f'img{number}' for number in range(1, 12)]
    assert track.boxes_xyxy[:, 0].tolist() == list(range(1, 12))


def test_natural_order_of_mixed_names():
    names = ['b2', 'a10', 'a9', 'a', 'a9b', 'a09c', 'a100b20', 'a100b3']
    assert sorted(names, key=natural_order) == ['a', 'a9', 'a9b', 'a09c', 'a10', 'a100b3', 'a100b20', 'b2']
    assert sorted(['10', '9', '008'], key=natural_order) == ['008', '9', '10']


def test_image_files_are_those_with_a_suffix_of_an_image(tmp_path):
    for name in ('2.JPG', '1.jpeg', '10.png', '3.bmp', 'notes.txt', 'Thumbs.db'):
        touch(tmp_path / name)
    assert [path.name for path in image_files(tmp_path)] == ['1.jpeg', '2.JPG', '3.bmp', '10.png']
    assert image_files(tmp_path / 'none') == []


def test_folders_refuse_a_root_that_is_no_folder(tmp_path):
    for path in (tmp_path / 'none', touch(tmp_path / 'file')):
        with pytest.raises(ValueError, match='is not a folder'):
            FolderSource(path)


def test_read_folders_warns_of_skips(tmp_path):
    write_video(tmp_path / 'car', ['1,2,3,4', 'nan,nan,nan,nan', '1,2,3,4'])
    with pytest.warns(UserWarning, match=r'no box: car/groundtruth.txt line 2') as caught:
        track, = read_folders(tmp_path)
    assert len(caught) == 1
    assert track.frames.tolist() == [0, 2]


@pytest.mark.parametrize(('box', 'expected'), [
    ((0, 0, 1, 1), True),
    ((-5, -5, -4.5, -4.9), True),
    ((0, 0, 0, 1), False),
    ((0, 0, 1, -1), False),
    ((0, 0, float('inf'), 1), False),
    ((float('nan'), 0, 1, 1), False),
])
def test_has_area(box, expected):
    assert has_area(box) is expected


def test_a_byte_order_mark_does_not_cost_the_first_box(tmp_path):
    write_video(tmp_path / 'car', ['1,2,3,4'] * 3)
    path = tmp_path / 'car' / 'groundtruth.txt'
    path.write_bytes(b'\xef\xbb\xbf' + path.read_bytes())
    (track, ), skips = read_folder(tmp_path)
    assert skips == []
    assert len(track.frames) == 3


def test_tracks_of_two_naming_schemes_have_different_names(tmp_path):
    for name in ('groundtruth.1.txt', 'groundtruth_rect.1.txt'):
        write_video(tmp_path / 'car', ['1,2,3,4'] * 3, name=name)
    tracks, _ = read_folder(tmp_path)
    assert len({track.name for track in tracks}) == 2
