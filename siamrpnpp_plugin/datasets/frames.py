"""The one place where frames of training videos are decoded: image files, and frames of clips by their time."""

import math
import os
from pathlib import Path
from typing import Optional, Union

import cv2
import numpy as np

from .jpeg import is_complete_jpeg
from .sources.base import ClipFrame


def describe_image(image: Union[str, ClipFrame], root: Path) -> str:
    """Where an image is, relative to the root of its data set."""
    if isinstance(image, ClipFrame):
        return f'{os.path.relpath(image.clip, root)} at {image.milliseconds} ms'
    return os.path.relpath(image, root)


class FrameReader:
    """Reads images; the last clip stays open, because frames of a clip are wanted in the order of time.

    Within a few seconds frames are only grabbed until the wanted one, which costs less than to seek; further on it seeks. A frame
    is never decoded twice if times increase.
    """

    seek_beyond = 5000  # milliseconds

    def __init__(self) -> None:
        self._clip: Optional[str] = None
        self._capture: Optional[cv2.VideoCapture] = None
        self._position = -math.inf  # time of the frame that was grabbed last, in milliseconds
        self._end = math.inf  # a time at which the clip has no frame any more

    def read(self, image: Union[str, ClipFrame]) -> tuple[Optional[np.ndarray], str]:
        """((H, W, 3) uint8 BGR, '') or (None, reason)."""
        return self._read_clip(image) if isinstance(image, ClipFrame) else read_image(image)

    def close(self) -> None:
        """Close the clip."""
        if self._capture is not None:
            self._capture.release()
        self._clip = self._capture = None

    def _read_clip(self, image: ClipFrame) -> tuple[Optional[np.ndarray], str]:
        if not os.path.isfile(image.clip):
            return None, 'missing clip'
        if image.clip != self._clip:
            self._end = math.inf
        elif image.milliseconds >= self._end:
            return None, 'clip too short'
        if image.clip != self._clip or image.milliseconds < self._position:
            self._open(image.clip)
        if not self._capture.isOpened():
            return None, 'corrupt clip'
        if image.milliseconds - max(self._position, 0) > self.seek_beyond:
            self._capture.set(cv2.CAP_PROP_POS_MSEC, image.milliseconds - 500)  # before it: where a seek lands is not exact
            if not self._grab() or self._position > image.milliseconds:
                self._open(image.clip)
        while self._position < image.milliseconds - 1:  # times of frames are rounded
            if not self._grab():
                if self._position == -math.inf:
                    self.close()
                    return None, 'corrupt clip'
                self._position, self._end = math.inf, image.milliseconds  # an earlier time starts anew
                return None, 'clip too short'
        found, frame = self._capture.retrieve()
        return (frame, '') if found else (None, 'corrupt clip')

    def _open(self, clip: str) -> None:
        self.close()
        self._clip, self._capture, self._position = clip, cv2.VideoCapture(clip), -math.inf

    def _grab(self) -> bool:
        if not self._capture.grab():
            return False
        self._position = max(self._capture.get(cv2.CAP_PROP_POS_MSEC), 0.0)
        return True


def read_image(path: str) -> tuple[Optional[np.ndarray], str]:
    """((H, W, 3) uint8 BGR, '') of an image file, or (None, reason)."""
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        return None, 'missing image'
    except OSError:
        return None, 'unreadable image'
    if data[:2] == b'\xff\xd8' and not is_complete_jpeg(data):
        return None, 'truncated image'
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    except cv2.error:  # a header that claims an impossible size
        image = None
    return (image, '') if image is not None else (None, 'corrupt image')
