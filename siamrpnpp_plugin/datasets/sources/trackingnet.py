"""TrackingNet."""

from collections.abc import Sequence
from typing import Optional

from .base import Skip, Track, natural_order
from .framewise import FramewiseSource


class TrackingNetSource(FramewiseSource):
    """TrackingNet: `TRAIN_0/anno/NAME.txt` with a box per frame and `TRAIN_0/frames/NAME/N.jpg`, up to `TRAIN_11`.

    Its boxes are real numbers and come from YouTube-BB's relative ones, so they count from 0. The frames of a chunk are published
    as one zip per video: unpack each into `frames/NAME`.

    Args:
        root: The folder of the chunks.
        chunks: Numbers of the chunks to read; None: all that are there.

    Raises:
        ValueError: If a chunk is not there.
    """

    name = 'trackingnet'
    first_frame = 0
    arguments = dict(chunks=dict(type=int, nargs='+', metavar='N', help='which of TRAIN_0 ... TRAIN_11; default: all there are'))

    def __init__(self, root: str, chunks: Optional[Sequence[int]] = None) -> None:
        super().__init__(root)
        there = sorted((path.name for path in self.root.glob('TRAIN_*') if path.is_dir()), key=natural_order)
        wanted = there if chunks is None else [f'TRAIN_{number}' for number in sorted(set(chunks))]
        missing = [name for name in wanted if name not in there]
        if missing or not wanted:
            raise ValueError(f'{root} is not a TrackingNet root: {", ".join(missing) or "TRAIN_0 ... TRAIN_11"} missing')
        self.options = dict(chunks=wanted)

    def videos(self) -> list:
        """`TRAIN_K/NAME` of all videos with frames, boxes or both, in natural order of the chunks."""
        videos = []
        for chunk in self.options['chunks']:
            boxes = {path.stem for path in (self.root / chunk / 'anno').glob('*.txt') if not path.name.startswith('.')}
            frames = {path.name for path in (self.root / chunk / 'frames').glob('*') if path.is_dir()}
            videos += [f'{chunk}/{name}' for name in sorted(boxes | frames)]
        return videos

    def fingerprint(self, video: str) -> int:
        """Bytes of the boxes."""
        chunk, _, name = video.partition('/')
        return self.file_size(self.root / chunk / 'anno' / f'{name}.txt')

    def read(self, video: str) -> tuple[list[Track], list[Skip]]:
        """The track of one video and what had to be left out. Frames have the numbers of their images, from 0."""
        chunk, _, name = video.partition('/')
        frames, boxes = self.root / chunk / 'frames' / name, self.root / chunk / 'anno' / f'{name}.txt'
        if not frames.is_dir():
            archive = self.root / chunk / 'zips' / f'{name}.zip'
            hint = f'unpack {self.where(archive)} into it' if archive.is_file() else 'no such folder'
            return [], [Skip('missing video', f'{self.where(frames)}: {hint}')]
        return self.read_target(video, frames, boxes, self.lines(boxes), {})
