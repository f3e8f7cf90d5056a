"""GOT-10k."""

from pathlib import Path
from typing import Optional

from ..text_files import read_flags, read_meta, read_names
from .base import Skip, Track, check_choice
from .framewise import FramewiseSource


class GOT10kSource(FramewiseSource):
    """GOT-10k: `train/GOT-10k_Train_000001/%08d.jpg` with `groundtruth.txt`, `absence.label`, `cover.label`, `meta_info.ini`.

    Its authors count pixels from 1 (got-10k/toolkit, issue 6). `cover` is the visible share of the target in levels: 0 nothing,
    1 ... 6 up to 15, 30 ... 90 %, 7 less than all, 8 all. A frame with 0, or flagged absent, is left out, one below 8 counts as
    occluded. The category is the `object_class`.

    Args:
        root: The folder with `train` and `val`.
        split: `train` or `val`.
        exclude: File with names of videos to leave out, one per line: for the VOT challenges the 1000 that they forbid
            (votchallenge.net names the list in its rules).
        first_pixel: Coordinate of the upper left corner.

    Raises:
        FileNotFoundError: If there is no file `exclude`.
        ValueError: If the split is another one, the root does not have the layout, or `exclude` names no video of it.
    """

    name = 'got10k'
    arguments = dict(split=dict(choices=('train', 'val')),
                     exclude=dict(metavar='FILE', help='names of videos to leave out, such as the 1000 that VOT forbids'),
                     first_pixel=dict(type=float, help='coordinate of the upper left corner'))

    def __init__(self, root: str, split: str = 'train', exclude: Optional[str] = None, first_pixel: float = 1) -> None:
        check_choice('GOT-10k', 'split', split, ('train', 'val'))
        excluded = set() if exclude is None else set(read_names(Path(exclude)))
        super().__init__(root, split=split, first_pixel=first_pixel)
        self.folder = self.root / split
        if not self.folder.is_dir():
            raise ValueError(f'{root} is not a GOT-10k root with a {split} split: {self.folder} is missing')
        listed = read_names(self.folder / 'list.txt') if (self.folder / 'list.txt').is_file() else []
        names = sorted({*listed, *(path.name for path in self.folder.iterdir() if path.is_dir())})
        self._videos = [name for name in names if name not in excluded]
        if excluded and len(self._videos) == len(names):
            raise ValueError(f'exclude: {exclude} names {len(excluded)} videos, none of them in {self.folder}')
        if excluded:
            self.options['excluded'] = len(names) - len(self._videos)

    def videos(self) -> list:
        """Names of all videos in `list.txt` or on the disk, without those excluded, sorted."""
        return self._videos

    def fingerprint(self, video: str) -> int:
        """Bytes of the boxes."""
        return self.file_size(self.folder / video / 'groundtruth.txt')

    def read(self, video: str) -> tuple[list[Track], list[Skip]]:
        """The track of one video and what had to be left out. Frames have the numbers of their images."""
        folder = self.folder / video
        if not folder.is_dir():
            return [], [Skip('missing video', f'{self.where(folder)}: in list.txt, but no such folder')]
        boxes, lines = folder / 'groundtruth.txt', self.lines(folder / 'groundtruth.txt')
        count = len(lines or ())
        try:
            absent, cover = read_flags(folder / 'absence.label', count), read_flags(folder / 'cover.label', count, highest=8)
            category, size = read_meta(folder / 'meta_info.ini')
        except FileNotFoundError as error:
            return [], [Skip('missing annotation', self.tell(error))]
        except ValueError as error:
            return [], [Skip('malformed annotation', self.tell(error))]
        return self.read_target(video, folder, boxes, lines, {'absent': absent > 0, 'not visible': cover == 0}, category, size,
                                cover < 8, self.options['first_pixel'])
