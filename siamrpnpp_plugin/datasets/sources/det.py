"""ILSVRC DET."""

import os
from pathlib import Path

from ..filters import STILLS
from .base import IMAGE_SUFFIXES, Skip, Track, TrackRows, has_area
from .ilsvrc import XML_ERRORS, ILSVRCSource, parse_xml


class DETSource(ILSVRCSource):
    """ILSVRC DET as stills: `Data/DET/train/ILSVRC2013_train/nXXXXXXXX/*.JPEG`, `Data/DET/train/ILSVRC2014_train_000K/*.JPEG` or
    `Data/DET/val/*.JPEG`, and an xml of the same name under `Annotations/DET`.

    Each image is a video of one frame, each object a track of it. Corners name the first and the last pixel, counted from 0, so a
    box ends one further. `ILSVRC2013_train_extra*` are images without any target and are not read.

    Args:
        root: The folder with `Data` and `Annotations`, usually `ILSVRC`.
        split: `train` or `val`.

    Raises:
        ValueError: If the split is another one, or the root does not have the layout.
    """

    name, task, layout = 'det', 'DET', 'ILSVRC root with a {} split of DET'
    min_track_length, filters = 1, STILLS

    def videos(self) -> list:
        """Paths below `DET/<split>`, without suffix, of all that have an image, an annotation or both, sorted."""
        found = set()
        for top, suffixes in ((self.images, IMAGE_SUFFIXES), (self.annotations, ('.xml', ))):
            for folder, folders, files in os.walk(top, followlinks=True):
                folders[:] = [name for name in folders if not name.startswith('ILSVRC2013_train_extra')]
                below = Path(folder).relative_to(top).as_posix()
                prefix = '' if below == '.' else f'{below}/'
                found.update(prefix + os.path.splitext(name)[0] for name in files if name.lower().endswith(suffixes))
        return sorted(found)

    def fingerprint(self, video: str) -> int:
        """Bytes of the annotation."""
        path = self.annotations / f'{video}.xml'
        return path.stat().st_size if path.is_file() else 0

    def read(self, video: str) -> tuple[list[Track], list[Skip]]:
        """The objects of one image and what had to be left out."""
        annotation, image = self.annotations / f'{video}.xml', self.images / f'{video}.JPEG'
        where = self.where(annotation)
        if not annotation.is_file():
            return [], [Skip('missing annotation', self.where(image))]
        try:
            size, objects = parse_xml(annotation, has_tracks=False)
        except XML_ERRORS as error:
            return [], [Skip('malformed annotation', f'{where}: {error}')]
        tracks, skips = [], []
        for name, category, corners, occluded, generated in objects:
            xmin, ymin, xmax, ymax = corners
            if not has_area(corners):
                skips.append(Skip('zero-size box', f'{where}: object {name}, {corners}'))
            else:
                row = (0, (xmin, ymin, xmax + 1, ymax + 1), str(image), occluded, generated, size)
                tracks.append(TrackRows(category, [row]).track(video, name))
        if not objects:
            skips.append(Skip('image without objects', where))
        return tracks, skips
