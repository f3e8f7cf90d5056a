"""ILSVRC2015 VID."""

import os

from .base import Skip, Track, TrackRows, frame_number, has_area, image_files, natural_order
from .ilsvrc import XML_ERRORS, ILSVRCSource, parse_xml


class VIDSource(ILSVRCSource):
    """ILSVRC2015 VID: `Data/VID/train/ILSVRC2015_VID_train_000k/*/%06d.JPEG` or `Data/VID/val/*/%06d.JPEG`, and an xml for each
    frame at the same place under `Annotations/VID`.

    Its boxes name the first and the last pixel of the object, counted from 0, so the box ends one further.

    Args:
        root: The folder with `Data` and `Annotations`, usually `ILSVRC2015`.
        split: `train` or `val`.

    Raises:
        ValueError: If the split is another one, or the root does not have the layout.
    """

    name, task, layout = 'vid', 'VID', 'ILSVRC2015 VID root with a {} split'

    def videos(self) -> list:
        """Names of all videos, sorted: paths below `Data/VID/<split>`, of those with images, annotations or both."""
        pattern = '*/*' if self.options['split'] == 'train' else '*'
        found = {path.relative_to(top).as_posix() for top in (self.images, self.annotations) for path in top.glob(pattern)
                 if path.is_dir()}
        return sorted(found)

    def fingerprint(self, video: str) -> int:
        """Number of annotation files; tells one version of a data set from another, soon."""
        folder = self.annotations / video
        return sum(name.endswith('.xml') for name in os.listdir(folder)) if folder.is_dir() else 0

    def read(self, video: str) -> tuple[list[Track], list[Skip]]:
        """Tracks of one video, by number, and what had to be left out."""
        images = {path.stem: path for path in image_files(self.images / video)}
        annotations = {path.stem: path for path in (self.annotations / video).glob('*.xml')}
        skips = [Skip('missing annotation', self.where(images[stem])) for stem in sorted(images.keys() - annotations.keys())]
        tracks: dict[str, TrackRows] = {}
        for stem in sorted(annotations):
            where = self.where(annotations[stem])
            if stem not in images:
                skips.append(Skip('missing image', f'{where}: no image of that name in Data'))
                continue
            try:
                frame, size, objects = frame_number(stem), *parse_xml(annotations[stem])
            except XML_ERRORS as error:
                skips.append(Skip('malformed annotation', f'{where}: {error}'))
                continue
            seen = set()
            for name, category, corners, occluded, generated in objects:
                xmin, ymin, xmax, ymax = corners
                if name in seen:
                    skips.append(Skip('malformed annotation', f'{where}: track {name} occurs twice'))
                elif not has_area(corners):
                    skips.append(Skip('zero-size box', f'{where}: track {name}, {corners}'))
                else:
                    row = (frame, (xmin, ymin, xmax + 1, ymax + 1), str(images[stem]), occluded, generated, size)
                    tracks.setdefault(name, TrackRows(category)).rows.append(row)
                seen.add(name)
        if not tracks and not skips:
            skips.append(Skip('video without objects', self.where(self.annotations / video)))
        return [tracks[name].track(video, name) for name in sorted(tracks, key=natural_order)], skips
