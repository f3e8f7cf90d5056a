"""LaSOT."""

from typing import Optional

from ..benchmark_tables import LASOT_TEST
from ..text_files import read_flags
from .base import Skip, Track, check_choice, natural_order
from .framewise import FramewiseSource


class LaSOTSource(FramewiseSource):
    """LaSOT: `CATEGORY/CATEGORY-N/img/%08d.jpg` with `groundtruth.txt`, `full_occlusion.txt`, `out_of_view.txt`.

    `CATEGORY-N` without a folder of the category is read too. Its authors count pixels from 1 (HengLan/LaSOT_Evaluation_Toolkit,
    issue 14). The test split are the 280 videos of protocol II, the train split all others of its 70 categories. Frames that a
    flag calls fully hidden or out of view are left out.

    Args:
        root: The folder of the categories.
        split: `train` or `test`.
        first_pixel: Coordinate of the upper left corner.

    Raises:
        ValueError: If the split is another one, or the root has no video of LaSOT.
    """

    name = 'lasot'
    arguments = dict(split=dict(choices=('train', 'test')),
                     first_pixel=dict(type=float, help='coordinate of the upper left corner'))

    def __init__(self, root: str, split: str = 'train', first_pixel: float = 1) -> None:
        check_choice('LaSOT', 'split', split, ('train', 'test'))
        super().__init__(root, split=split, first_pixel=first_pixel)
        if not self.root.is_dir():
            raise ValueError(f'{root} is not a folder')
        self.folders = {path.name: path for pattern in ('*-*', '*/*-*') for path in self.root.glob(pattern)
                        if path.is_dir() and ((path / 'img').is_dir() or (path / 'groundtruth.txt').is_file())}
        if not self.folders:
            raise ValueError(f'{root} is not a LaSOT root: it has no CATEGORY/CATEGORY-N with img or groundtruth.txt')

    def videos(self) -> list:
        """Names of all videos of the split on the disk, in natural order, and of folders that are not LaSOT's."""
        wanted = self.options['split'] == 'test'
        return sorted((name for name in self.folders if _is_test(name) in (wanted, None)), key=natural_order)

    def fingerprint(self, video: str) -> int:
        """Bytes of the boxes."""
        return self.file_size(self.folders[video] / 'groundtruth.txt')

    def read(self, video: str) -> tuple[list[Track], list[Skip]]:
        """The track of one video and what had to be left out. Frames have the numbers of their images."""
        folder = self.folders[video]
        if _is_test(video) is None:
            return [], [Skip('unknown video', f'{self.where(folder)}: not one of LaSOT\'s 70 categories')]
        boxes, lines = folder / 'groundtruth.txt', self.lines(folder / 'groundtruth.txt')
        try:
            hidden = {reason: read_flags(folder / f'{reason.replace(" ", "_")}.txt', len(lines or ())) > 0
                      for reason in ('full occlusion', 'out of view')}
        except FileNotFoundError as error:
            return [], [Skip('missing annotation', self.tell(error))]
        except ValueError as error:
            return [], [Skip('malformed annotation', self.tell(error))]
        return self.read_target(video, folder / 'img', boxes, lines, hidden, video.rpartition('-')[0],
                                first_pixel=self.options['first_pixel'])


def _is_test(video: str) -> Optional[bool]:
    """Whether a video is of the test split; None if it is not one of LaSOT's."""
    category, _, number = video.rpartition('-')
    return int(number) in LASOT_TEST[category] if category in LASOT_TEST and number.isdecimal() else None
