"""JPEG images of which a part can be decoded without the rest.

A training sample needs a thirteenth of a stored crop for its template and about half for its search image. Crops are encoded with
restart markers (ITU T.81, B.2.1): every few blocks the entropy coder starts anew, so the blocks under a window, taken out with a
new header, are a smaller JPEG of exactly these pixels. The files are ordinary: any reader opens the whole of them. An application
segment (APP9) in their header lists the lengths of the parts between the markers, so that none need be searched for.
"""

import struct
from collections.abc import Sequence

import cv2
import numpy as np

try:  # the same pixels as OpenCV's, a seventh of a sample's time less
    from simplejpeg import decode_jpeg
except ImportError:
    decode_jpeg = None

_SOF0, _DRI, _SOS, _APP9, _EOI = 0xc0, 0xdd, 0xda, 0xe9, b'\xff\xd9'
_TABLE = b'RSTLEN\0\0'  # what the APP9 segment begins with
_MARKERS = np.resize(np.arange(0xd0, 0xd8, dtype=np.uint8), 0xffff // 2)  # as many as a table can list
_BLOCK = 16  # pixels per coded block (MCU) at 4:2:0, the subsampling that OpenCV writes
_MARGIN = 2  # pixels: chroma is interpolated, so the outermost ones of a part differ from the whole image


class JPEGError(ValueError):
    """Data that is no JPEG, or a damaged one."""


def encode_jpeg(image: np.ndarray, quality: int = 95) -> bytes:
    """(H, W, 3) uint8 BGR -> JPEG 4:2:0 with a restart marker every two blocks (5 % larger than without)."""
    interval = 2 if -(-image.shape[1] // _BLOCK) % 2 == 0 else 1  # an interval never spans two rows
    _, data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_RST_INTERVAL, interval,
                                           cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420])
    scan = data[_scan_start(data):]
    marked = np.flatnonzero(scan[:-1] == 0xff)
    ends = marked[scan[marked + 1] != 0] + 2  # inside a segment 0xff is always followed by 0
    table = _TABLE + np.diff(ends, prepend=0).astype('>u2').tobytes()
    if len(table) > 0xfffd:  # too large an image for a table: it will be decoded whole
        return data.tobytes()
    data = data.tobytes()
    return data[:2] + struct.pack('>BBH', 0xff, _APP9, len(table) + 2) + table + data[2:]


def _scan_start(data: Sequence[int]) -> int:
    """First byte of the compressed pixels."""
    position = 2
    while True:
        kind = data[position + 1]
        position += 2 + int(data[position + 2]) * 256 + int(data[position + 3])
        if kind == _SOS:
            return position


def is_complete_jpeg(data: bytes) -> bool:
    """Whether a JPEG file has its end marker; libjpeg paints the missing rest of a truncated file grey without an error."""
    return data.rfind(_EOI) > data.rfind(b'\xff\xda') > 0


class EncodedImage:
    """A JPEG in memory, decoded only where it is looked at.

    Args:
        data: A file that `encode_jpeg` wrote; any other baseline JPEG is decoded whole.

    Raises:
        JPEGError: If it is no JPEG.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        interval, table, position = 0, None, 2
        try:
            kind = None
            while kind != _SOS:
                marker, kind, length = struct.unpack_from('>BBH', data, position)
                if marker != 0xff:
                    raise JPEGError(f'not a JPEG: byte {position} is {marker:#x} instead of a marker')
                if kind == _SOF0:
                    self._size_at = position + 5
                    self.height, self.width, components, _, sampling = struct.unpack_from('>HHBBB', data, self._size_at)
                elif kind == _DRI:
                    interval, = struct.unpack_from('>H', data, position + 4)
                elif kind == _APP9 and data.startswith(_TABLE, position + 4):
                    table = slice(position + 4 + len(_TABLE), position + 2 + length)
                position += 2 + length
            self._scan = position
            self._segment = 8 * (sampling >> 4) * interval, 8 * (sampling & 15)  # width and height in pixels
        except (struct.error, AttributeError, UnboundLocalError):
            raise JPEGError(f'not a baseline JPEG ({len(data)} bytes)') from None
        self._table = table if interval and components == 3 and sampling >> 4 and sampling & 15 else None
        if self._table is None and table is not None:
            raise JPEGError(f'damaged JPEG: sampling {sampling:#x}, {components} components, restart interval {interval}')

    def region(self, window_xyxy: Sequence[float]) -> tuple[np.ndarray, tuple[int, int]]:
        """The pixels under a window, and some around it.

        Args:
            window_xyxy: Corners in pixels; what lies outside the image is left out.

        Returns:
            (h, w, 3) uint8 BGR that covers the window with a border of a pixel or more, within it equal to the whole image,
            and the place (x, y) of its first pixel.

        Raises:
            JPEGError: If the data is damaged.
        """
        if self._table is None:
            return self.pixels(), (0, 0)
        width, height = self._segment
        columns, rows = -(-self.width // width), -(-self.height // height)
        x1, y1, x2, y2 = window_xyxy
        left = min(max(int(x1 - _MARGIN) // width, 0), columns - 1)
        top = min(max(int(y1 - _MARGIN) // height, 0), rows - 1)
        right = max(min(int(x2 + _MARGIN) // width + 1, columns), left + 1)
        bottom = max(min(int(y2 + _MARGIN) // height + 1, rows), top + 1)
        lengths = np.frombuffer(self.data, '>u2', (self._table.stop - self._table.start) // 2, self._table.start).astype(np.int64)
        bounds = np.empty(len(lengths) + 1, np.int64)  # of the segments in the file
        bounds[0] = self._scan
        np.add.accumulate(lengths, out=bounds[1:])
        bounds[1:] += self._scan
        if len(lengths) != rows * columns or bounds[-1] != len(self.data):
            raise JPEGError(f'damaged JPEG: {len(self.data)} bytes, {len(lengths)} segments instead of {rows * columns}')
        view = memoryview(self.data)
        head = view[:2], view[self._table.stop:self._scan]  # without the table
        firsts = bounds[top * columns + left:bottom * columns:columns].tolist()
        ends = bounds[top * columns + right:bottom * columns + 1:columns].tolist()
        part = np.frombuffer(bytearray().join((*head, *(view[first:end] for first, end in zip(firsts, ends)))), np.uint8)
        struct.pack_into('>HH', part, self._size_at - self._table.stop + 2, min(bottom * height, self.height) - top * height,
                         min(right * width, self.width) - left * width)
        # the two bytes that end each segment are a marker; markers count 0 ... 7 anew, the last one ends the image
        last_bytes = lengths.reshape(rows, columns)[top:bottom, left:right].cumsum()
        last_bytes += len(head[0]) + len(head[1]) - 1
        if (part[last_bytes - 1] != 0xff).any():
            raise JPEGError('damaged JPEG: a segment does not end with a marker')
        part[last_bytes] = _MARKERS[:len(last_bytes)]
        part[last_bytes[-1]] = _EOI[1]
        return self._decode(part), (left * width, top * height)

    def pixels(self) -> np.ndarray:
        """The whole image, (H, W, 3) uint8 BGR."""
        return self._decode(np.frombuffer(self.data, np.uint8))

    def _decode(self, data: np.ndarray) -> np.ndarray:
        if decode_jpeg is not None:
            try:
                return decode_jpeg(data, 'BGR')
            except ValueError as error:
                raise JPEGError(f'damaged JPEG ({len(self.data)} bytes): {error}') from error
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
        if image is None:
            raise JPEGError(f'damaged JPEG ({len(self.data)} bytes)')
        return image
