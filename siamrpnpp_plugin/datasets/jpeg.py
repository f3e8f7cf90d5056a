"""JPEG images of which a part can be decoded without the rest.

A training sample needs a thirteenth of a stored crop for its template and about half for its search image. Crops are encoded with
restart markers (ITU T.81, B.2.1): every few blocks the entropy coder starts anew, so the blocks under a window, taken out with a
new header, are a smaller JPEG of exactly these pixels. The files are ordinary: any reader opens the whole of them.
"""

import struct
from collections.abc import Sequence

import cv2
import numpy as np

_SOF0, _DRI, _SOS, _EOI = 0xc0, 0xdd, 0xda, b'\xff\xd9'
_BLOCK = 16  # pixels per coded block (MCU) at 4:2:0, the subsampling that OpenCV writes
_MARGIN = 2  # chroma is interpolated: the outermost pixels of a part differ from the whole image's


def encode_jpeg(image: np.ndarray, quality: int = 95) -> bytes:
    """(H, W, 3) uint8 BGR -> JPEG 4:2:0 with a restart marker every two blocks (5 % larger than without)."""
    interval = 2 if -(-image.shape[1] // _BLOCK) % 2 == 0 else 1  # an interval never spans two rows
    _, data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_RST_INTERVAL, interval,
                                           cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420])
    return data.tobytes()


def is_complete_jpeg(data: bytes) -> bool:
    """Whether a JPEG file has its end marker; libjpeg paints the missing rest of a truncated file grey without an error."""
    return data.rfind(_EOI) > data.rfind(b'\xff\xda') > 0


class EncodedImage:
    """A JPEG in memory, decoded only where it is looked at.

    Args:
        data: A file that `encode_jpeg` wrote; any other baseline JPEG is decoded whole.

    Raises:
        ValueError: If it is no JPEG.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.interval = 0  # blocks between restart markers
        position = 2
        try:
            while True:
                marker, kind, length = struct.unpack_from('>BBH', data, position)
                if marker != 0xff:
                    raise ValueError(f'not a JPEG: byte {position} is {marker:#x} instead of a marker')
                if kind == _SOF0:
                    self._size_at = position + 5
                    self.height, self.width, components, _, sampling = struct.unpack_from('>HHBBB', data, self._size_at)
                    self._blocks = (8 * (sampling >> 4), 8 * (sampling & 15)) if components == 3 else (0, 0)
                elif kind == _DRI:
                    self.interval, = struct.unpack_from('>H', data, position + 4)
                position += 2 + length
                if kind == _SOS:
                    break
            self._scan = position
            self._columns = -(-self.width // self._blocks[0]) // self.interval if self.interval else 0
        except (struct.error, AttributeError, ZeroDivisionError):
            raise ValueError(f'not a baseline JPEG in colour ({len(data)} bytes)') from None

    def region(self, window_xyxy: Sequence[float]) -> tuple[np.ndarray, tuple[int, int]]:
        """The pixels under a window, and some around it.

        Args:
            window_xyxy: Corners in pixels; what lies outside the image is left out.

        Returns:
            (h, w, 3) uint8 BGR that covers the window with a border of two pixels or more, equal to those of the whole image
            within it, and the place (x, y) of its first pixel.

        Raises:
            ValueError: If the data is damaged.
        """
        if not self.interval:
            return self._decode(np.frombuffer(self.data, np.uint8)), (0, 0)
        segment_width, segment_height = self._blocks[0] * self.interval, self._blocks[1]
        rows = -(-self.height // segment_height)
        x1, y1, x2, y2 = window_xyxy
        left = min(max(int(x1 - _MARGIN) // segment_width, 0), self._columns - 1)
        top = min(max(int(y1 - _MARGIN) // segment_height, 0), rows - 1)
        right = max(min(int(x2 + _MARGIN) // segment_width + 1, self._columns), left + 1)
        bottom = max(min(int(y2 + _MARGIN) // segment_height + 1, rows), top + 1)
        starts = self._segment_starts(rows)[top * self._columns:bottom * self._columns + 1]
        data = np.frombuffer(self.data, np.uint8)
        header = data[:self._scan].copy()
        width = min(right * segment_width, self.width) - left * segment_width
        height = min(bottom * segment_height, self.height) - top * segment_height
        header[self._size_at:self._size_at + 4] = np.frombuffer(struct.pack('>HH', height, width), np.uint8)
        firsts = starts[left::self._columns][:bottom - top].tolist()
        ends = starts[right::self._columns][:bottom - top].tolist()
        part = np.concatenate([header, *(data[first:end] for first, end in zip(firsts, ends))])
        # the two bytes that end each segment are a marker; they count 0 ... 7 anew, the last one ends the image
        lengths = np.diff(starts).reshape(bottom - top, self._columns)[:, left:right]
        last_bytes = self._scan + np.cumsum(lengths) - 1
        part[last_bytes] = 0xd0 + np.arange(len(last_bytes)) % 8
        part[last_bytes[-1]] = 0xd9
        return self._decode(part), (left * segment_width, top * segment_height)

    def pixels(self) -> np.ndarray:
        """The whole image, (H, W, 3) uint8 BGR."""
        return self._decode(np.frombuffer(self.data, np.uint8))

    def _segment_starts(self, rows: int) -> np.ndarray:
        """(segments + 1,) byte where each segment starts, and the byte after the image."""
        scan = np.frombuffer(self.data, np.uint8, offset=self._scan)
        marked = np.flatnonzero(scan[:-1] == 0xff)  # inside a segment 0xff is always followed by 0
        kinds = scan[marked + 1]
        ends = marked[kinds != 0]
        if len(ends) != rows * self._columns or kinds[-1] != _EOI[1]:
            raise ValueError(f'damaged JPEG: {len(ends)} segments instead of {rows * self._columns}')
        return np.concatenate(([0], ends + 2)) + self._scan

    def _decode(self, data: np.ndarray) -> np.ndarray:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError(f'damaged JPEG ({len(self.data)} bytes)')
        return image
