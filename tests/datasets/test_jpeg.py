import cv2
import numpy as np
import pytest

from siamrpnpp_plugin.datasets import jpeg
from siamrpnpp_plugin.datasets.jpeg import EncodedImage, JPEGError, encode_jpeg, is_complete_jpeg

TABLE = b'RSTLEN\0\0'  # begins the list of lengths in the header


def natural_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Coloured noise at all scales, as photographs have it, and a little at the pixels."""
    rng = np.random.default_rng(seed)
    image = rng.normal(0, 3, (height, width, 3)) + 128
    for octave in range(1, 7):
        grid = rng.normal(0, 40 / octave, (2 ** octave + 1, 2 ** octave + 1, 3))
        image += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.fixture(params=['simplejpeg', 'opencv'])
def decoder(request, monkeypatch):
    """Runs a test with either decoder."""
    if request.param == 'opencv':
        monkeypatch.setattr(jpeg, 'decode_jpeg', None)
    elif jpeg.decode_jpeg is None:
        pytest.skip('simplejpeg is not installed')
    return request.param


def whole_by_opencv(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def flip_byte(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 0x55]) + data[position + 1:]


@pytest.mark.parametrize(('height', 'width'), [(511, 511), (255, 255), (17, 16), (33, 100), (1, 1)])
def test_whole_image_is_what_opencv_reads(decoder, height, width):
    data = encode_jpeg(natural_image(height, width))
    pixels = EncodedImage(data).pixels()
    assert pixels.shape == (height, width, 3)
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, whole_by_opencv(data))


def test_decoded_image_is_near_the_original():
    image = natural_image(255, 255)
    assert np.abs(EncodedImage(encode_jpeg(image)).pixels().astype(int) - image).mean() < 4


def test_restart_markers_do_not_change_the_pixels():
    image = natural_image(255, 300)
    _, plain = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert np.array_equal(EncodedImage(encode_jpeg(image, 95)).pixels(), cv2.imdecode(plain, cv2.IMREAD_COLOR))


@pytest.mark.parametrize(('height', 'width'), [
    (511, 511),     # a stored crop: two blocks to a segment, the last one not full
    (510, 510),     # cut in a block, even
    (255, 255),
    (240, 240),     # an odd number of blocks in a row: one block to a segment
    (16, 16),       # one block
    (17, 17),       # one pixel in the second block
    (33, 100),      # not square
    (100, 33),
    (5, 7),         # smaller than a block
])
def test_region_equals_that_part_of_the_whole_image(decoder, height, width):
    data = encode_jpeg(natural_image(height, width))
    whole, image = whole_by_opencv(data), EncodedImage(data)
    rng = np.random.default_rng(0)
    for number in range(40):
        x1, x2 = np.sort(rng.uniform(-20, width + 20, 2))
        y1, y2 = np.sort(rng.uniform(-20, height + 20, 2))
        window = np.round((x1, y1, x2, y2)) if number % 2 else (x1, y1, x2, y2)
        part, (left, top) = image.region(window)
        # the pixels that the window touches and one around them, as far as the image has them
        first = np.clip(np.floor(window[:2]).astype(int) - 1, 0, (width, height))
        last = np.clip(np.ceil(window[2:]).astype(int) + 1, 0, (width, height))
        if (first >= last).any():
            continue  # the window lies outside the image
        expected = whole[first[1]:last[1], first[0]:last[0]]
        found = part[first[1] - top:last[1] - top, first[0] - left:last[0] - left]
        assert found.shape == expected.shape, f'region of {window} lacks pixels'
        assert np.array_equal(found, expected), f'region of {window} differs'


def test_region_of_a_small_window_decodes_a_small_part(decoder):
    part, origin = EncodedImage(encode_jpeg(natural_image(511, 511))).region((192, 192, 319, 319))
    assert part.shape[0] <= 127 + 2 * 18
    assert part.shape[1] <= 127 + 2 * 34
    assert all(0 < place < 192 for place in origin)


@pytest.mark.parametrize('window', [(-90, -90, -50, -50), (300, 10, 320, 20), (10, 200, 20, 400), (-1e6, -1e6, 1e6, 1e6)])
def test_region_of_a_window_beyond_the_image_lies_in_the_image(decoder, window):
    data = encode_jpeg(natural_image(64, 100))
    part, (left, top) = EncodedImage(data).region(window)
    height, width = part.shape[:2]
    assert height > 0
    assert width > 0
    assert 0 <= left <= 100 - width
    assert 0 <= top <= 64 - height


@pytest.mark.parametrize('factor', [cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444])
@pytest.mark.parametrize('interval', [0, 4])
def test_ordinary_jpeg_is_decoded_whole(decoder, factor, interval):
    _, data = cv2.imencode('.jpg', natural_image(70, 90), [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor,
                                                           cv2.IMWRITE_JPEG_RST_INTERVAL, interval])
    image = EncodedImage(data.tobytes())
    assert (image.width, image.height) == (90, 70)
    part, origin = image.region((30, 30, 40, 40))
    assert origin == (0, 0)
    assert np.array_equal(part, cv2.imdecode(data, cv2.IMREAD_COLOR))


def test_gray_jpeg_becomes_three_equal_channels(decoder):
    _, data = cv2.imencode('.jpg', natural_image(40, 60)[:, :, 0])
    part, origin = EncodedImage(data.tobytes()).region((10, 10, 20, 20))
    assert origin == (0, 0)
    assert part.shape == (40, 60, 3)
    assert np.array_equal(part, cv2.imdecode(data, cv2.IMREAD_COLOR))
    assert (part == part[:, :, :1]).all()


def test_size_is_known_without_decoding():
    image = EncodedImage(encode_jpeg(natural_image(33, 100)))
    assert (image.width, image.height) == (100, 33)


def test_image_too_large_for_the_table_is_decoded_whole(decoder):
    """183 x 183 single blocks need more than the 65,533 bytes of a segment of the header."""
    side = 16 * 183
    image = cv2.resize(natural_image(64, 64), (side, side))
    data = encode_jpeg(image, 30)
    assert TABLE not in data
    part, origin = EncodedImage(data).region((100, 100, 120, 120))
    assert origin == (0, 0)
    assert part.shape == (side, side, 3)


@pytest.mark.parametrize('data', [
    b'',                                    # nothing
    b'\xff\xd8',                            # the first marker only
    b'\x89PNG\r\n\x1a\n' + bytes(200),      # another format
    bytes(1000),                            # zeros
    b'\xff' * 1000,
    bytes(range(256)) * 8,
])
def test_what_is_no_jpeg_is_refused_at_once(data):
    with pytest.raises(JPEGError, match='not a'):
        EncodedImage(data)


def test_progressive_jpeg_is_refused():
    _, data = cv2.imencode('.jpg', natural_image(40, 40), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    with pytest.raises(JPEGError, match='not a baseline JPEG'):
        EncodedImage(data.tobytes())


@pytest.mark.parametrize('share', [0.01, 0.05, 0.3, 0.7, 0.999])
def test_truncated_data_is_an_error(decoder, share):
    data = encode_jpeg(natural_image(255, 255))
    with pytest.raises(JPEGError):
        EncodedImage(data[:int(share * len(data))]).region((60, 60, 90, 90))


def test_data_that_lacks_its_last_byte_or_has_one_too_many_is_an_error(decoder):
    data = encode_jpeg(natural_image(64, 64))
    for damaged in (data[:-1], data + b'\0'):
        with pytest.raises(JPEGError, match='damaged JPEG'):
            EncodedImage(damaged).region((20, 20, 30, 30))


def test_any_byte_flipped_in_the_table_is_an_error(decoder):
    data = encode_jpeg(natural_image(128, 128))
    start = data.index(TABLE) + len(TABLE)
    for position in range(start, start + 2 * 4 * 8):
        with pytest.raises(JPEGError, match='damaged JPEG'):
            EncodedImage(flip_byte(data, position)).region((20, 20, 30, 30))


def test_swapped_lengths_in_the_table_are_an_error(decoder):
    """The sum is right: only the marker that each segment ends with tells."""
    data = encode_jpeg(natural_image(128, 128))
    start = data.index(TABLE) + len(TABLE)
    swapped = data[:start] + data[start + 2:start + 4] + data[start:start + 2] + data[start + 4:]
    assert swapped != data, 'the first two segments differ in length'
    with pytest.raises(JPEGError, match='does not end with a marker'):
        EncodedImage(swapped).region((0, 0, 10, 10))


def test_table_of_another_image_is_an_error(decoder):
    data = encode_jpeg(natural_image(128, 128))
    size_at = data.index(b'\xff\xc0') + 5
    with pytest.raises(JPEGError, match='segments instead of'):
        EncodedImage(data[:size_at] + b'\1\0\1\0' + data[size_at + 4:]).region((20, 20, 30, 30))


@pytest.mark.parametrize('sampling', [0x00, 0x02, 0x20])
def test_sampling_factor_of_zero_is_an_error(sampling):
    data = encode_jpeg(natural_image(64, 64))
    place = data.index(b'\xff\xc0') + 11
    assert data[place] == 0x22
    with pytest.raises(JPEGError):
        EncodedImage(data[:place] + bytes([sampling]) + data[place + 1:]).region((20, 20, 30, 30))


def test_noise_in_the_pixels_is_an_error_or_an_image_of_the_right_size(decoder):
    data = encode_jpeg(natural_image(128, 128))
    rng = np.random.default_rng(0)
    scan_start = data.index(b'\xff\xda') + 14
    for position in rng.integers(scan_start, len(data), 200):
        try:
            part, _ = EncodedImage(flip_byte(data, position)).region((0, 0, 128, 128))
        except JPEGError:
            continue
        assert part.shape == (128, 128, 3)


def test_complete_jpeg_is_told_from_a_truncated_one():
    _, plain = cv2.imencode('.jpg', natural_image(60, 80))
    for data in (encode_jpeg(natural_image(60, 80)), plain.tobytes()):
        assert is_complete_jpeg(data)
        assert is_complete_jpeg(data + bytes(20)), 'some cameras append zeros'
        for length in (0, 1, 2, 100, len(data) // 2, len(data) - 2, len(data) - 1):
            assert not is_complete_jpeg(data[:length])


def test_end_of_an_embedded_thumbnail_does_not_make_a_jpeg_complete():
    data = encode_jpeg(natural_image(60, 80))
    thumbnail = encode_jpeg(natural_image(8, 8))
    with_thumbnail = data[:2] + b'\xff\xe1' + (len(thumbnail) + 2).to_bytes(2, 'big') + thumbnail + data[2:]
    assert is_complete_jpeg(with_thumbnail)
    assert not is_complete_jpeg(with_thumbnail[:-2])


def test_lower_quality_is_smaller_and_further_from_the_image():
    image = natural_image(255, 255)
    sizes, errors = [], []
    for quality in (50, 75, 95):
        data = encode_jpeg(image, quality)
        sizes.append(len(data))
        errors.append(np.abs(EncodedImage(data).pixels().astype(int) - image).mean())
    assert sizes == sorted(sizes)
    assert errors == sorted(errors, reverse=True)
    assert sizes[2] > 1.5 * sizes[0]
    assert errors[0] > 1.2 * errors[2]


def test_files_are_less_than_eight_percent_larger_than_plain_ones():
    image = natural_image(511, 511)
    _, plain = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert len(encode_jpeg(image, 95)) < 1.08 * len(plain)
