"""What VID and DET of ILSVRC share: the two folders of a split, and the annotation files."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from .base import Source, check_choice

XML_ERRORS = (ElementTree.ParseError, ValueError, OverflowError, LookupError, OSError)


class ILSVRCSource(Source):
    """Images below `Data/TASK/SPLIT` and an xml of the same name for each below `Annotations/TASK/SPLIT`.

    Args:
        root: The folder with `Data` and `Annotations`.
        split: `train` or `val`.

    Raises:
        ValueError: If the split is another one, or the root does not have the layout.
    """

    task: str
    layout: str  # what the root should be, for the error; with a place for the split
    arguments = dict(split=dict(choices=('train', 'val')))

    def __init__(self, root: str, split: str = 'train') -> None:
        check_choice(self.task, 'split', split, ('train', 'val'))
        super().__init__(root, split=split)
        self.images, self.annotations = (self.root / kind / self.task / split for kind in ('Data', 'Annotations'))
        for folder in (self.images, self.annotations):
            if not folder.is_dir():
                raise ValueError(f'{root} is not an {self.layout.format(split)}: {folder} is missing')


def parse_xml(path: Path, has_tracks: bool = True) -> tuple:
    """What an annotation file says.

    Args:
        path: The file.
        has_tracks: Whether its objects have a `<trackid>`; otherwise they are numbered from 0.

    Returns:
        Image size (w, h) or None, and (track, category, (xmin, ymin, xmax, ymax), occluded, generated) of each object. Corners
        name the first and the last pixel.

    Raises:
        One of `XML_ERRORS`: If the file is malformed.
    """
    root = ElementTree.parse(path).getroot()

    def number(node: ElementTree.Element, tag: str) -> float:
        text = node.findtext(tag)
        try:
            return float(text)
        except (TypeError, ValueError):
            raise ValueError(f'<{tag}> of <{node.tag}> is {text!r} instead of a number') from None

    if root.tag != 'annotation':
        raise ValueError(f'the root is <{root.tag}> instead of <annotation>')
    size = root.find('size')
    size = None if size is None else (int(number(size, 'width')), int(number(size, 'height')))
    objects = []
    for index, node in enumerate(root.iter('object')):
        name, box = node.findtext('trackid') if has_tracks else str(index), node.find('bndbox')
        if name is None or box is None:
            raise ValueError('an <object> lacks <trackid> or <bndbox>' if has_tracks else 'an <object> lacks <bndbox>')
        corners = tuple(number(box, tag) for tag in ('xmin', 'ymin', 'xmax', 'ymax'))  # by name: files differ in order
        objects.append((name.strip(), node.findtext('name', '').strip(), corners,
                        node.findtext('occluded', '0').strip() == '1', node.findtext('generated', '0').strip() == '1'))
    return size, objects
