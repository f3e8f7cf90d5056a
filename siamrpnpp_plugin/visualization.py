"""Boxes on images, images in a grid, curves, videos. Images are (H, W, 3) uint8 BGR; boxes are continuous pixels."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Optional, Union

import cv2
import numpy as np
from mmengine.visualization import Visualizer

from .registry import VISUALIZERS

GREEN, RED, YELLOW = (60, 200, 60), (60, 60, 230), (40, 210, 240)


def draw_box(image: np.ndarray, box_xyxy: Sequence[float], color: tuple = GREEN, text: str = '') -> np.ndarray:
    """A copy of an image with the outline of a box, exact to a sixteenth of a pixel, and a line of text at its top."""
    image = image.copy()
    x1, y1, x2, y2 = (round((float(value) - 0.5) * 16) for value in box_xyxy)  # OpenCV counts from the middle of the first pixel
    thickness = max(1, round(max(image.shape[:2]) / 400))
    cv2.rectangle(image, (x1, y1), (x2, y2), color, thickness, cv2.LINE_AA, shift=4)
    return draw_text(image, text, color) if text else image


def draw_text(image: np.ndarray, text: str, color: tuple = YELLOW, line: int = 0) -> np.ndarray:
    """A copy of an image with a line of text in its upper left corner, or `line` lines below."""
    image, scale = image.copy(), max(0.35, max(image.shape[:2]) / 1000)
    place = 3, round(30 * scale * (line + 1))
    for ink, thickness in (((0, 0, 0), 3), (color, 1)):  # dark rim: readable on any background
        cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, thickness, cv2.LINE_AA)
    return image


def heat_map(values: np.ndarray, size: int) -> np.ndarray:
    """(H, W) numbers in [0, 1] as a (size, size, 3) uint8 BGR picture, dark blue for 0, red for 1."""
    pixels = np.clip(np.nan_to_num(values) * 255, 0, 255).astype(np.uint8)
    return cv2.applyColorMap(cv2.resize(pixels, (size, size), interpolation=cv2.INTER_NEAREST), cv2.COLORMAP_JET)


def image_grid(images: Sequence[np.ndarray], columns: int, gap: int = 2) -> np.ndarray:
    """Images row by row on one sheet, each in a cell of the largest one's size.

    Raises:
        ValueError: If there is no image.
    """
    if not images or columns < 1:
        raise ValueError(f'a grid needs images and at least one column, got {len(images)} images, {columns} columns')
    height, width = (max(image.shape[axis] for image in images) + gap for axis in (0, 1))
    rows = -(-len(images) // columns)
    sheet = np.full((rows * height + gap, min(columns, len(images)) * width + gap, 3), 32, np.uint8)
    for index, image in enumerate(images):
        top, left = index // columns * height + gap, index % columns * width + gap
        sheet[top:top + image.shape[0], left:left + image.shape[1]] = image
    return sheet


def save_image(path: Union[str, 'os.PathLike[str]'], image: np.ndarray) -> None:
    """Write an image in the format of the file's suffix; its folder is made.

    Raises:
        ValueError: If OpenCV does not know the suffix.
        OSError: If the file cannot be written.
    """
    path = Path(path)
    try:
        _, data = cv2.imencode(path.suffix, image)
    except cv2.error as error:
        raise ValueError(f'{path}: the name of an image must end with .png or .jpg') from error
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.tobytes())


def plot_curves(path: Union[str, 'os.PathLike[str]'], x: np.ndarray, curves: dict, labels: tuple[str, str], title: str,
                score: Optional[int] = None) -> None:
    """Write curves over one axis as an image, best first in the legend.

    Args:
        path: File; its suffix is the format.
        x: (n,) places.
        curves: Name -> (n,) values in [0, 1].
        labels: What the axes show.
        title: Above the axes.
        score: Index of the value in the legend; None: the mean of the curve.
    """
    from matplotlib.figure import Figure  # slow to import; no global state, no screen

    figure = Figure(figsize=(6, 4.5), dpi=120, layout='constrained')
    axes = figure.subplots()
    scores = {name: float(np.mean(values) if score is None else values[score]) for name, values in curves.items()}
    for name in sorted(curves, key=lambda name: -scores[name]):
        axes.plot(x, curves[name], label=f'{name} [{scores[name]:.3f}]')
    axes.set(xlim=(x[0], x[-1]), ylim=(0, 1), xlabel=labels[0], ylabel=labels[1], title=title)
    axes.grid(alpha=0.3)
    axes.legend()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def draw_trail(image: np.ndarray, centers: Sequence[Sequence[float]], color: tuple = GREEN) -> np.ndarray:
    """A copy of an image with the way of a target's centre, older parts thinner."""
    image = image.copy()
    points = [tuple(round((float(value) - 0.5) * 16) for value in center) for center in centers]
    thickness = max(1, round(max(image.shape[:2]) / 400))
    for index, (start, end) in enumerate(zip(points, points[1:])):
        share = (index + 1) / len(points)
        cv2.line(image, start, end, color, max(1, round(2 * thickness * share)), cv2.LINE_AA, shift=4)
    return image


class VideoFile:
    """An .mp4 that is written frame by frame, for use in `with`. Small frames are enlarged to a height of about 480 pixels;
    frames of another size than the first are brought to its.

    Args:
        path: The file; its folder is made.
        rate: Frames per second.

    Raises:
        OSError: At the first frame, if the video cannot be written.
    """

    def __init__(self, path: Union[str, 'os.PathLike[str]'], rate: float = 25) -> None:
        self.path, self.rate = Path(path), rate
        self._writer: Optional[cv2.VideoWriter] = None
        self._size = (0, 0)

    def __enter__(self) -> 'VideoFile':
        return self

    def __exit__(self, *error: object) -> None:
        if self._writer is not None:
            self._writer.release()

    def write(self, image: np.ndarray) -> None:
        """Append a frame."""
        if self._writer is None:
            scale = max(1, round(480 / image.shape[0]))
            self._size = image.shape[1] * scale // 2 * 2, image.shape[0] * scale // 2 * 2
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = cv2.VideoWriter(str(self.path), cv2.VideoWriter_fourcc(*'mp4v'), self.rate, self._size)
            if not self._writer.isOpened():
                raise OSError(f'{self.path} cannot be written as a video: its name must end with .mp4')
        self._writer.write(cv2.resize(image, self._size, interpolation=cv2.INTER_LINEAR))


def write_tracks(path: Union[str, 'os.PathLike[str]'], images: Sequence[str], tracks: dict, rate: float = 15) -> None:
    """Write a video of frames with the boxes of one or several trackers, each in its own colour, named in the corner.

    Args:
        path: An .mp4 file.
        images: (T,) image files; for one that cannot be read the one before is shown.
        tracks: Name -> (T, 4) boxes in pixels; NaN draws none.
        rate: Frames per second.

    Raises:
        OSError: If the video cannot be written.
        ValueError: If the first image cannot be read.
    """
    colors = (GREEN, YELLOW, RED, (230, 120, 60), (230, 60, 230), (230, 230, 60))
    shown = None
    with VideoFile(path, rate) as video:
        for index, name in enumerate(images):
            found = cv2.imread(str(name), cv2.IMREAD_COLOR)
            if found is None and shown is None:
                raise ValueError(f'{name} is missing or no image')
            shown = shown if found is None else found
            frame = shown
            for line, (tracker, boxes) in enumerate(tracks.items()):
                color = colors[line % len(colors)]
                if np.isfinite(boxes[index]).all():
                    frame = draw_box(frame, boxes[index], color)
                frame = draw_text(frame, tracker, color, line)
            video.write(frame)


def pairs_picture(template: np.ndarray, search: np.ndarray, box_xyxy: np.ndarray, is_positive: np.ndarray,
                  found_xyxy: np.ndarray, score: np.ndarray) -> np.ndarray:
    """A picture of what a Siamese network sees: for each pair the template, the search image with both
    boxes, and the best score of each cell.

    Args:
        template: (B, 3, h, h) uint8 BGR.
        search: (B, 3, S, S) uint8 BGR.
        box_xyxy: (B, 4) boxes as in a batch, half a pixel less than continuous ones; green, red for a negative pair.
        is_positive: (B,) bool.
        found_xyxy: (B, 4) boxes of the network, as in a batch; yellow. NaN is not drawn.
        score: (B, A, H, W) probabilities.
    """
    size, images = search.shape[-1], []
    for index in range(len(search)):
        canvas = np.zeros((size, template.shape[-1], 3), np.uint8)
        canvas[:template.shape[-2]] = template[index].transpose(1, 2, 0)
        seen = draw_box(search[index].transpose(1, 2, 0), box_xyxy[index] + 0.5, GREEN if is_positive[index] else RED)
        if np.isfinite(found_xyxy[index]).all():
            seen = draw_box(seen, found_xyxy[index] + 0.5, YELLOW)
        images += [canvas, seen, heat_map(score[index].max(axis=0), size)]
    return image_grid(images, columns=3)


@VISUALIZERS.register_module()
class TrackingVisualizer(Visualizer):
    """mmengine's Visualizer, arguments and backends as there, that also shows what a Siamese network sees."""

    def add_pairs(self, name: str, step: int = 0, **pairs: np.ndarray) -> None:
        """Hand a picture of pairs to every backend.

        Args:
            name: Of the picture.
            step: Iteration.
            pairs: See `pairs_picture`.
        """
        self.add_image(name, pairs_picture(**pairs)[..., ::-1], step)
