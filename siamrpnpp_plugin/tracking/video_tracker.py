"""Whole videos: several in lockstep through one network, frames read ahead. T frames of a video."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Optional

import cv2
import numpy as np
from torch import nn

from ..ops.polygons import box_corners, raster_overlap
from ..registry import TASK_UTILS
from .siamrpn_tracker import TrackState, join_states

STAGES = ('read', 'crop', 'network', 'post')
BOX, SKIPPED, INITIALISED, FAILED = -1, 0, 1, 2  # the last three stand for a box in results of the VOT protocol
LOOKAHEAD = 3  # frames of a video in memory


class VideoResult(NamedTuple):
    """What a tracker said about one video."""

    boxes_xyxy: np.ndarray  # (T, 4) float64 pixels; NaN where the VOT protocol has no box
    confidence: np.ndarray  # (T,) in [0, 1]; 0 where the box was held
    kind: np.ndarray  # (T,) int: -1 a box, 1 initialised, 2 failure, 0 skipped
    seconds: np.ndarray  # (T, 4) by `STAGES`: this video's share of the time for each frame; `read` is waiting for the file
    held: tuple  # images that could not be read; the box stayed
    size: tuple  # width and height of the first frame


class Clock:
    """Seconds spent in each of the `STAGES`: `clock('crop')` books there all time since the last call."""

    def __init__(self) -> None:
        self.seconds = np.zeros(len(STAGES))
        self._last = time.perf_counter()

    def __call__(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[STAGES.index(stage)] += now - self._last
        self._last = now


def read_frame(path: str) -> Optional[np.ndarray]:
    """(H, W, 3) uint8 BGR, of grey images and those with transparency too; None if the file is missing or damaged."""
    return cv2.imread(path, cv2.IMREAD_COLOR)


class _Video:
    """A video under way."""

    def __init__(self, sequence: Any) -> None:
        self.sequence = sequence
        self.frame, self.restart = -1, 0  # index of the present frame, and of the next one to initialise at
        self.states: Optional[TrackState] = None  # of all videos that were tracked with this one
        self.row = 0  # of this video in them
        self.size: tuple = ()
        self.boxes, self.confidence, self.kinds, self.seconds, self.held = [], [], [], [], []
        self._queue: deque = deque()
        self._asked = 0

    @property
    def image(self) -> str:
        """The present frame's file."""
        return self.sequence.images[self.frame]

    @property
    def state(self) -> TrackState:
        return self.states.select([self.row])

    @property
    def has_ended(self) -> bool:
        return self.frame + 1 == len(self.sequence.images)

    def next_image(self, pool: ThreadPoolExecutor) -> Optional[np.ndarray]:
        """Step to the next frame; its pixels. Those after it are on their way."""
        while len(self._queue) < LOOKAHEAD and self._asked < len(self.sequence.images):
            self._queue.append(pool.submit(read_frame, self.sequence.images[self._asked]))
            self._asked += 1
        self.frame += 1
        image = self._queue.popleft().result()
        if image is not None and not self.size:
            self.size = image.shape[1], image.shape[0]
        return image

    def add(self, kind: int, box: Optional[np.ndarray] = None, confidence: float = 0) -> None:
        """The answer for the present frame."""
        self.kinds.append(kind)
        self.boxes.append(np.full(4, np.nan) if box is None else np.array(box, np.float64))
        self.confidence.append(float(confidence))

    def result(self) -> VideoResult:
        return VideoResult(np.array(self.boxes), np.array(self.confidence), np.array(self.kinds), np.array(self.seconds),
                           tuple(self.held), self.size)


def _joined(videos: Sequence) -> TrackState:
    """One state of several videos: the one that they have, while the same ones are tracked together."""
    states = videos[0].states
    if [video.row for video in videos] == list(range(len(states.center))) and all(video.states is states for video in videos):
        return states
    return join_states([video.state for video in videos])


@TASK_UTILS.register_module()
class VideoTracker:
    """Runs a tracker over sequences, several at once: where one ends, the next one takes its place.

    Up to rounding, results do not depend on how many run at once, nor on the order. A frame that cannot be read is no reason
    to stop: the box stays where it was with confidence 0, and the frame is listed in `held`. The first must be readable.

    Args:
        tracker: The policy, such as `SiamRPNTracker`.
        batch_videos: Videos that run at once, at least 1.
        supervised: The VOT protocol: where box and truth do not overlap (pixels counted as PySOT does), the tracker is
            initialised again five frames later. Sequences need a truth for every frame.
        strict: Whether a frame that cannot be read is an error.
        readers: Threads that read images ahead, and as many that cut crops; None: the cores of the process, shared by the
            ranks of a machine.

    Raises:
        ValueError: If a number is not positive; while tracking, with the name of the sequence and its file, if the first frame,
            or with `strict` any frame, cannot be read, or the first box is of no use.
    """

    SKIP = 5  # frames from a failure to the next start
    stages = STAGES  # what the columns of `seconds` are

    def __init__(self, tracker: dict, batch_videos: int = 1, supervised: bool = False, strict: bool = False,
                 readers: Optional[int] = None) -> None:
        if readers is None:
            cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
            readers = max(cores // int(os.environ.get('LOCAL_WORLD_SIZE', 1)), 1)
        if batch_videos < 1 or readers < 1:
            raise ValueError(f'batch_videos and readers of VideoTracker must be positive, got {batch_videos} and {readers}')
        self.tracker = TASK_UTILS.build(tracker)
        self.batch_videos, self.supervised, self.strict, self.readers = batch_videos, supervised, strict, readers

    def track(self, model: nn.Module, sequences: Iterable) -> Iterator[tuple]:
        """Track sequences, `batch_videos` at once.

        Args:
            model: In evaluation mode.
            sequences: With `name`, `images` (T,) and `boxes_xyxy` (T, 4), the first of which starts the tracker; for `supervised`
                all of them, and `polygons` (T, 8) or None.

        Yields:
            (sequence, VideoResult), in the order in which they end.
        """
        waiting, running = iter(sequences), []
        with ThreadPoolExecutor(self.readers) as pool, ThreadPoolExecutor(self.readers) as cutters:
            map_crops = cutters.map if self.batch_videos > 1 and self.readers > 1 else map
            while True:
                while len(running) < self.batch_videos and (sequence := next(waiting, None)) is not None:
                    running.append(_Video(sequence))
                if not running:
                    return
                self._step(model, running, pool, map_crops)
                ended = [video for video in running if video.has_ended]
                running = [video for video in running if not video.has_ended]
                for video in ended:
                    yield video.sequence, video.result()

    def _step(self, model: nn.Module, videos: list, pool: ThreadPoolExecutor, map_crops: Callable) -> None:
        """One frame of each video."""
        clock = Clock()
        images = [video.next_image(pool) for video in videos]
        clock('read')
        starting, tracking = [], []
        for video, image in zip(videos, images):
            if image is None:
                self._hold(video)
            elif video.frame < video.restart:
                video.add(SKIPPED)
            else:
                (starting if video.frame == video.restart else tracking).append((video, image))
        for video, image in starting:  # one by one: an error names its sequence
            box = video.sequence.boxes_xyxy[video.frame]
            try:
                video.states, video.row = self.tracker.init(model, [image], box[None]), 0
            except ValueError as error:
                raise ValueError(f'{video.sequence.name}, {video.image}: {error}') from error
            video.add(INITIALISED, box, 1)
        if starting:
            clock('network')
        if tracking:
            states = _joined([video for video, _ in tracking])
            states = self.tracker.update(model, states, [image for _, image in tracking], clock=clock, map_crops=map_crops)
            boxes = states.box_xyxy
            for index, (video, image) in enumerate(tracking):
                video.states, video.row = states, index
                if self.supervised and self._is_lost(video, boxes[index], image):
                    video.restart = video.frame + self.SKIP
                    video.add(FAILED)
                else:
                    video.add(BOX, boxes[index], states.confidence[index])
        clock('post')
        for video in videos:
            video.seconds.append(clock.seconds / len(videos))

    def _hold(self, video: _Video) -> None:
        if self.strict or video.frame == 0:
            what = 'first frame' if video.frame == 0 else 'frame'
            raise ValueError(f'{video.sequence.name}: the {what} {video.image} is missing or no image')
        video.held.append(video.image)
        if video.frame <= video.restart:  # no tracker at present: start at the next frame that can be read
            video.restart = max(video.restart, video.frame + 1)
            video.add(SKIPPED)
        else:
            video.add(BOX, video.state.box_xyxy[0], 0)

    def _is_lost(self, video: _Video, box: np.ndarray, image: np.ndarray) -> bool:
        polygons = video.sequence.polygons
        truth = (box_corners(video.sequence.boxes_xyxy[video.frame, None]) if polygons is None
                 else polygons[video.frame].reshape(1, 4, 2))
        return not raster_overlap(box_corners(box[None]), truth, bound=image.shape[1::-1])[0] > 0
