"""Small videos in the layout of ILSVRC2015 VID whose ground truth is known by construction.

Textured targets of varied shape move, scale, turn a little and change their aspect over a textured background that moves with the
camera, among look-alikes, behind occluders, under changing light, with blur and noise. A box that stays where it was fails; a
tracker that has learned to follow does not. Video i of a split depends on (seed, split, i) only.
"""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

SPLITS = ('train', 'val')
_HIDDEN, _TOUCHED = 0.8, 0.05  # covered share from which a target counts as hidden, and as occluded
_OUTSIDE = 0.6  # share outside the frame from which a target is not annotated


class Target(NamedTuple):
    """One annotated object in one frame."""

    track: int
    box: tuple  # first and last pixel: xmin, ymin, xmax, ymax
    occluded: bool


def smooth_path(rng: np.random.Generator, frames: int, every: int, sigma: float) -> np.ndarray:
    """(frames,) values around 0 that wander smoothly: independent normal numbers `every` few frames, cubically joined."""
    knots = rng.normal(0, sigma, (1, frames // every + 4)).astype(np.float64)
    start = rng.uniform(1, 2)
    places = (start + np.arange(frames) / every)[None].astype(np.float32)
    return cv2.remap(knots, places, np.zeros_like(places), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)[0]


def texture(rng: np.random.Generator, width: int, height: int, split: str, palette: np.ndarray) -> np.ndarray:
    """A pattern in colours between those of a palette.

    Args:
        rng: Source of the pattern.
        width: Pixels.
        height: Pixels.
        split: `train` has soft blobs and straight stripes; `val` has hard cells and bent stripes.
        palette: (k, 3) colours.

    Returns:
        (height, width, 3) float32 in 0-255.
    """
    value = np.zeros((height, width), np.float32)
    for octave in range(2, 8):
        grid = rng.random((max(2 ** octave * height // width, 2), 2 ** octave)).astype(np.float32) - 0.5
        hard = split == 'val' and octave % 2
        value += cv2.resize(grid, (width, height), interpolation=cv2.INTER_NEAREST if hard else cv2.INTER_CUBIC) * 2 / octave
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    angle, period = rng.uniform(0, np.pi), rng.uniform(0.08, 0.3) * height
    bend = 3 * value if split == 'val' else 0
    stripes = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period + bend).astype(np.float32)
    value = value + rng.uniform(0, 0.5) * stripes
    steps = np.linspace(0, len(palette) - 1, 1024)
    colors = np.stack([np.interp(steps, np.arange(len(palette)), channel) for channel in palette.T], axis=1).astype(np.float32)
    return colors.take(((value - value.min()) * (1023 / np.ptp(value))).astype(np.int16), axis=0)


def outline(rng: np.random.Generator) -> np.ndarray:
    """(n, 2) corners of a shape that touches all sides of the square from -0.5 to 0.5: an ellipse, a polygon or a blob."""
    kind = rng.integers(3)
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    radius = np.ones(48)
    if kind == 1:
        angles = np.sort(rng.uniform(0, 2 * np.pi, 7) * 0.3 + np.linspace(0, 2 * np.pi, 7, endpoint=False) * 0.95)
        radius = np.ones(7)
    elif kind == 2:
        for wave in (2, 3, 4):
            radius = radius + rng.uniform(0, 0.12) * np.sin(wave * angles + rng.uniform(0, 2 * np.pi))
    points = np.stack((np.cos(angles), np.sin(angles)), axis=1) * radius[:, None]
    low, high = points.min(axis=0), points.max(axis=0)
    return (points - low) / (high - low) - 0.5


@dataclass
class Sprite:
    """Something that moves: a picture with an outline, and where it is in each frame."""

    image: np.ndarray  # (n, n, 4) float32: colour times alpha, alpha
    points: np.ndarray  # (n, 2) outline in the unit square around 0
    place: np.ndarray  # (T, 5) centre x and y, width, height in pixels, angle in radians

    def matrix(self, t: int) -> np.ndarray:
        """(2, 3) from the unit square to pixels of frame t."""
        x, y, width, height, angle = self.place[t]
        cos, sin = np.cos(angle), np.sin(angle)
        return np.array([[cos * width, -sin * height, x], [sin * width, cos * height, y]])

    def corners(self, t: int) -> np.ndarray:
        """(4,) xmin, ymin, xmax, ymax of the outline in frame t, in continuous pixels."""
        matrix = self.matrix(t)
        points = self.points @ matrix[:, :2].T + matrix[:, 2]
        return np.concatenate((points.min(axis=0), points.max(axis=0)))

    def draw(self, frame: np.ndarray, t: int) -> np.ndarray:
        """Paint on (H, W, 3) float32 in place; (H, W) float32 alpha of the sprite."""
        height, width = frame.shape[:2]
        alpha = np.zeros((height, width), np.float32)
        x1, y1, x2, y2 = self.corners(t)
        left, top = max(int(x1 - 2), 0), max(int(y1 - 2), 0)
        right, bottom = min(int(x2 + 3), width), min(int(y2 + 3), height)
        if left >= right or top >= bottom:
            return alpha
        side = len(self.image)
        to_unit = np.array([[1 / side, 0, 0.5 / side - 0.5], [0, 1 / side, 0.5 / side - 0.5], [0, 0, 1]])
        matrix = self.matrix(t) @ to_unit - [[0, 0, left + 0.5], [0, 0, top + 0.5]]
        patch = cv2.warpAffine(self.image, matrix, (right - left, bottom - top))
        region = frame[top:bottom, left:right]
        region *= 1 - patch[..., 3:]
        region += patch[..., :3]
        alpha[top:bottom, left:right] = patch[..., 3]
        return alpha


def make_sprite(rng: np.random.Generator, split: str, palette: np.ndarray, points: np.ndarray, place: np.ndarray) -> Sprite:
    """A sprite with a fresh pattern, shaded towards its edge."""
    side = int(np.clip(place[:, 2:4].max(), 16, 512))  # as large as it will be seen
    mask = np.zeros((4 * side, 4 * side), np.uint8)
    cv2.fillPoly(mask, [((points + 0.5) * 4 * side - 0.5).round().astype(np.int32)], 255)
    alpha = cv2.resize(mask, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)[..., None] / 255
    edge = cv2.GaussianBlur(alpha, (0, 0), side / 16)[..., None]
    picture = np.clip(texture(rng, side, side, split, palette) * (0.4 + 0.6 * edge), 0, 255)
    return Sprite(np.concatenate((picture * alpha, alpha), axis=2), points, place)


class SyntheticVideo:
    """One video.

    Args:
        rng: Source of all that is random.
        frames: Length T.
        size: Width and height in pixels.
        split: `train` or `val`: families of textures.
    """

    def __init__(self, rng: np.random.Generator, frames: int, size: tuple[int, int], split: str) -> None:
        self.rng, self.frames, self.size, self.split = rng, frames, size, split
        width, height = size
        short = min(size)
        self.camera = np.stack([smooth_path(rng, frames, 20, 0.25 * short) for _ in range(2)], axis=1)
        self.shake = np.stack([smooth_path(rng, frames, 3, 0.004 * short) for _ in range(2)], axis=1)
        base = self._palette()
        self.background = texture(rng, 2 * width, 2 * height, split, base)
        self.targets, self.others, self.occluders = [], [], []
        for _ in range(int(rng.choice([1, 1, 1, 2]))):
            palette, points = self._palette(base), outline(rng)
            self.targets.append(make_sprite(rng, split, palette, points, self._walk(short * rng.uniform(0.15, 0.32))))
            for _ in range(int(rng.integers(0, 2))):  # look-alikes: of the same colours, or of the same shape
                similar = palette if rng.random() < 0.5 else self._palette(base)
                shape = outline(rng) if similar is palette else points
                self.others.append(make_sprite(rng, split, similar, shape, self._walk(short * rng.uniform(0.12, 0.3))))
        for _ in range(int(rng.choice([0, 0, 1, 1]))):
            place = np.zeros((frames, 5))
            place[:, 0] = rng.uniform(0.1, 0.9) * width - self.camera[:, 0]
            place[:, 1] = rng.uniform(0.2, 0.8) * height - self.camera[:, 1]
            place[:, 2:4] = rng.uniform(0.04, 0.12) * short, rng.uniform(0.5, 1.5) * short
            self.occluders.append(make_sprite(rng, split, self._palette(base), outline(rng), place))
        self.gain, self.offset = 1 + smooth_path(rng, frames, 15, 0.12), smooth_path(rng, frames, 15, 10)
        self.blur = np.maximum(smooth_path(rng, frames, 10, 1.0) - 0.6, 0)
        self.noise = rng.normal(0, rng.uniform(1, 4), (2 * height, 2 * width, 3)).astype(np.float32)
        self.noise_places = rng.integers(0, (height, width), (frames, 2))

    def _palette(self, near: np.ndarray = None) -> np.ndarray:
        """(4, 3) colours, some of them from another palette."""
        colors = self.rng.uniform(20, 235, (4, 3))
        if near is not None:
            colors[self.rng.integers(4)] = near[self.rng.integers(4)]
        return colors

    def _walk(self, side: float) -> np.ndarray:
        """(T, 5) places of a sprite of about `side` pixels that wanders through the frame, at most a third of its size a step."""
        rng, frames, limits = self.rng, self.frames, np.array(self.size)
        scale = np.exp(np.clip(smooth_path(rng, frames, 20, 0.25), -0.5, 0.5))
        aspect = np.exp(rng.uniform(-0.4, 0.4) + np.clip(smooth_path(rng, frames, 20, 0.12), -0.3, 0.3))
        widths, heights = side * scale * aspect, side * scale / aspect
        turn = np.clip(smooth_path(rng, frames, 20, 0.2), -0.5, 0.5)
        place, heading = rng.uniform(0.2, 0.8, 2) * limits, rng.uniform(0, 2 * np.pi)
        speed = rng.uniform(0.04, 0.12) * (1 + np.clip(smooth_path(rng, frames, 10, 0.4), -0.7, 0.7))
        bend = smooth_path(rng, frames, 6, 0.15)
        places = np.empty((frames, 2))
        for t in range(frames):
            places[t] = place
            heading += bend[t]
            step = speed[t] * side * scale[t] * np.array([np.cos(heading), np.sin(heading)])
            place = place + step
            if (place < 0).any() or (place > limits).any():  # turn back at the border, half outside
                place, heading = np.clip(place, 0, limits), heading + np.pi + rng.uniform(-0.8, 0.8)
        places = cv2.GaussianBlur(places, (1, 5), 0, borderType=cv2.BORDER_REPLICATE)
        return np.column_stack((places + self.shake, widths, heights, turn))

    def frame(self, t: int) -> tuple[np.ndarray, list[Target], dict]:
        """Frame t.

        Returns:
            (H, W, 3) uint8 BGR, the annotated targets, and {track: (H, W) float32 alpha} of all targets as if nothing hid them.
        """
        width, height = self.size
        x, y = self.camera[t] + self.shake[t] + np.array([width, height]) / 2
        shift = np.array([[1, 0, -x], [0, 1, -y]])
        image = cv2.warpAffine(self.background, shift, self.size, borderMode=cv2.BORDER_REFLECT)
        for sprite in self.others:
            sprite.draw(image, t)
        alphas = {track: sprite.draw(image, t) for track, sprite in enumerate(self.targets)}
        cover = np.zeros((height, width), np.float32)
        for sprite in self.occluders:
            cover = np.maximum(cover, sprite.draw(image, t))
        targets = []
        for track in reversed(range(len(self.targets))):  # later ones were painted over earlier ones
            target = self._annotation(track, t, alphas[track], cover)
            targets += [] if target is None else [target]
            cover = np.maximum(cover, alphas[track])
        if self.blur[t] > 0.2:
            image = cv2.GaussianBlur(image, (0, 0), float(self.blur[t]))
        image = image * self.gain[t] + self.offset[t]
        y, x = self.noise_places[t]
        image += self.noise[y:y + height, x:x + width]
        return np.clip(np.rint(image), 0, 255).astype(np.uint8), targets[::-1], alphas

    def _annotation(self, track: int, t: int, alpha: np.ndarray, cover: np.ndarray) -> Target:
        """The target if enough of it is to be seen, else None."""
        width, height = self.size
        x1, y1, x2, y2 = self.targets[track].corners(t)
        visible = float(alpha.sum())
        whole = self.targets[track].image[..., 3].mean() * self.targets[track].place[t, 2:4].prod()
        hidden = float((alpha * cover).sum()) / max(visible, 1e-6)
        if visible < (1 - _OUTSIDE) * whole or hidden > _HIDDEN:
            return None
        first = max(int(np.floor(x1 + 0.5)), 0), max(int(np.floor(y1 + 0.5)), 0)  # pixels whose middle the outline covers
        last = min(int(np.ceil(x2 - 0.5)) - 1, width - 1), min(int(np.ceil(y2 - 0.5)) - 1, height - 1)
        return Target(track, (*first, *last), hidden > _TOUCHED)


def annotation_xml(folder: str, stem: str, size: tuple[int, int], targets: list) -> str:
    """An annotation file as those of ILSVRC2015 VID, children of `bndbox` in their order."""
    lines = ['<annotation>', f'\t<folder>{folder}</folder>', f'\t<filename>{stem}</filename>', '\t<source>',
             '\t\t<database>ILSVRC_2015</database>', '\t</source>', '\t<size>', f'\t\t<width>{size[0]}</width>',
             f'\t\t<height>{size[1]}</height>', '\t</size>']
    for target in targets:
        xmin, ymin, xmax, ymax = target.box
        lines += ['\t<object>', f'\t\t<trackid>{target.track}</trackid>', '\t\t<name>n02084071</name>', '\t\t<bndbox>',
                  f'\t\t\t<xmax>{xmax}</xmax>', f'\t\t\t<xmin>{xmin}</xmin>', f'\t\t\t<ymax>{ymax}</ymax>',
                  f'\t\t\t<ymin>{ymin}</ymin>', '\t\t</bndbox>', f'\t\t<occluded>{int(target.occluded)}</occluded>',
                  '\t\t<generated>0</generated>', '\t</object>']
    return '\n'.join([*lines, '</annotation>', ''])


def video_name(split: str, index: int) -> str:
    """Path of a video below `Data/VID/<split>`."""
    if split == 'train':
        return f'ILSVRC2015_VID_train_{index // 1000:04d}/ILSVRC2015_train_{index:08d}'
    return f'ILSVRC2015_val_{index:08d}'


def synthetic_video(index: int, frames: int, size: tuple[int, int], seed: int, split: str) -> SyntheticVideo:
    """Video `index` of a split."""
    return SyntheticVideo(np.random.default_rng([seed, SPLITS.index(split), index]), frames, size, split)


def _write_video(root: Path, frames: int, size: tuple[int, int], seed: int, split: str, index: int) -> str:
    name = video_name(split, index)
    video = synthetic_video(index, frames, size, seed, split)
    data, annotations = (root / kind / 'VID' / split / name for kind in ('Data', 'Annotations'))
    for folder in (data, annotations):
        folder.mkdir(parents=True)
    for t in range(frames):
        image, targets, _ = video.frame(t)
        cv2.imwrite(str(data / f'{t:06d}.JPEG'), image, [cv2.IMWRITE_JPEG_QUALITY, 90])
        (annotations / f'{t:06d}.xml').write_text(annotation_xml(name, f'{t:06d}', size, targets))
    return name


def write_synthetic_vid(root: str, videos: int, frames: int = 60, size: tuple[int, int] = (320, 240), seed: int = 0,
                        split: str = 'train', workers: int = 0) -> Iterator[str]:
    """Write a split; yields the name of each video once it is complete, in order.

    Args:
        root: Folder like `ILSVRC2015`; made if it is not there.
        videos: Number of videos.
        frames: Frames of each.
        size: Width and height in pixels.
        seed: The same seed gives the same files, for any number of workers.
        split: `train` or `val`; their textures differ.
        workers: Processes; 0 does it in this one.

    Raises:
        ValueError: If an argument is out of range.
        FileExistsError: If the root has this split already.
    """
    if videos < 1 or frames < 2 or min(size) < 64 or seed < 0:
        raise ValueError(f'needed: videos >= 1, frames >= 2, sides >= 64, seed >= 0; got {videos}, {frames}, {size}, {seed}')
    if split not in SPLITS:
        raise ValueError(f'split must be one of {SPLITS}, got {split!r}')
    root = Path(root)
    for kind in ('Data', 'Annotations'):
        if (root / kind / 'VID' / split).exists():
            raise FileExistsError(f'{root / kind / "VID" / split} exists: choose another folder, or remove it')
    write = partial(_write_video, root, frames, size, seed, split)
    if workers == 0:
        return map(write, range(videos))
    return _write_parallel(write, videos, workers)


def _write_parallel(write: partial, videos: int, workers: int) -> Iterator[str]:
    with ProcessPoolExecutor(workers, get_context('fork'), cv2.setNumThreads, (0, )) as pool:
        yield from pool.map(write, range(videos))
