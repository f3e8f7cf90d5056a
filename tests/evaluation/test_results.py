"""Result files: written whole, read back, found under other spellings, refused with file and line."""

import zipfile

import numpy as np
import pytest

from siamrpnpp_plugin.evaluation.results import FORMATS, find_result, read_boxes, result_path, write_result, write_submission
from siamrpnpp_plugin.evaluation.vot import read_vot_results

BOXES = np.array([[1, 2, 11, 22], [1.25, 2.5, 12, 23], [3, 4, 5.5, 6.125]])


def write(folder, form: str, name: str = 'A', kind=(1, -1, -1)) -> None:
    write_result(folder, form, name, BOXES, np.array(kind), np.array([1, 0.5, 0.25]), np.array([0.1, 0.2, 0.3]))


@pytest.mark.parametrize('form', ['ope', 'got10k'])
def test_boxes_come_back(tmp_path, form):
    write(tmp_path, form)
    path = find_result(tmp_path, form, 'A')
    assert path == result_path(tmp_path, form, 'A')
    assert read_boxes(path).tolist() == BOXES.tolist()
    assert path.read_text().splitlines()[0] == '1.0000,2.0000,10.0000,20.0000'


def test_vot_has_numbers_in_place_of_boxes(tmp_path):
    write(tmp_path, 'vot', kind=(1, -1, 2))
    path = result_path(tmp_path, 'vot', 'A')
    assert path == tmp_path / 'baseline' / 'A' / 'A_001.txt'
    assert read_vot_results(path) == [(1,), (1.25, 2.5, 10.75, 20.5), (2,)]


def test_a_longterm_result_has_its_confidences_beside_it(tmp_path):
    from siamrpnpp_plugin.evaluation.longterm import read_confidences
    write(tmp_path, 'votlt')
    path = result_path(tmp_path, 'votlt', 'A')
    assert read_vot_results(path)[0] == (1,)
    assert read_confidences(path.with_name('A_001_confidence.value'))[1:].tolist() == [0.5, 0.25]


@pytest.mark.parametrize('form', FORMATS)
def test_nothing_is_found_before_it_is_written(tmp_path, form):
    assert find_result(tmp_path, form, 'A') is None


@pytest.mark.parametrize('file', ['Jogging-1.txt', 'jogging_1.txt', 'Jogging.1.txt', 'jogging1.txt'])
def test_other_spellings_are_found(tmp_path, file):
    (tmp_path / file).write_text('1,2,3,4\n')
    assert find_result(tmp_path, 'ope', 'Jogging-1') == tmp_path / file


def test_the_file_of_another_sequence_is_no_spelling(tmp_path):
    """UAV123 has car1_1 and car11."""
    (tmp_path / 'car11.txt').write_text('1,2,3,4\n')
    assert find_result(tmp_path, 'ope', 'car1_1', others=('car11',)) is None


def test_two_spellings_at_once_are_refused(tmp_path):
    for file in ('Jogging.1.txt', 'jogging_1.txt'):
        (tmp_path / file).write_text('1,2,3,4\n')
    with pytest.raises(ValueError, match='several results of Jogging-1'):
        find_result(tmp_path, 'ope', 'Jogging-1')


@pytest.mark.parametrize('text', ['1,2,3,4\n5,6,7,8\n', '1\t2\t3\t4\n5 6 7 8', '1 2 3 4\r\n5 6 7 8\r\n', '1,2,2,2,2,3,1,3\n'
                                  '1,2,2,2,2,3,1,3\n'])
def test_every_separator_is_read(tmp_path, text):
    path = tmp_path / 'a.txt'
    path.write_text(text)
    boxes = read_boxes(path)
    assert boxes.shape == (2, 4)
    assert boxes[0].tolist() == ([1, 2, 4, 6] if '5' in text else [1, 2, 2, 3])


@pytest.mark.parametrize(('text', 'message'), [('', 'is empty'), ('1,2,3,4\n1,2,3\n', 'line 2: expected x y w h'),
                                               ('1,2,3,4\n1,2,x,4', 'line 2: expected'),
                                               ('1,2,3,4\n\n1,2,3,4', 'line 2: expected'), ('1,,2,3,4', 'line 1: expected'),
                                               ('1,2,3,4\n# 1,2,3,4', 'line 2: expected'), ('1,2,3,4,5', 'line 1')])
def test_a_line_that_is_no_box_is_named(tmp_path, text, message):
    path = tmp_path / 'bad.txt'
    path.write_text(text)
    with pytest.raises(ValueError, match=rf'bad\.txt.*{message}'):
        read_boxes(path)


def test_the_zip_for_a_server_has_every_file_and_misses_none(tmp_path):
    folder = tmp_path / 'Tracker'
    for name in 'AB':
        write(folder, 'got10k', name)
    with zipfile.ZipFile(write_submission(folder, 'got10k', 'AB')) as archive:
        assert sorted(archive.namelist()) == ['A/A_001.txt', 'A/A_time.txt', 'B/B_001.txt', 'B/B_time.txt']
    with pytest.raises(ValueError, match=r'C_001\.txt is missing'):
        write_submission(folder, 'got10k', 'ABC')
