"""Readers of tracking benchmarks in the layouts in which they are published. T frames; no image is opened.

Boxes keep the numbers of their files, x y w h becoming x, y, x + w, y + h, because all toolkits compute with them. Where files
count pixels from 1 (MATLAB) there is `first_pixel`, subtracted from the corners: 0 for the numbers of the toolkits, 1 for exact
pixels; then results are written one pixel lower, too.

Every reader takes `names`, to read only these sequences, and `allow_missing`, to read what is there of a benchmark.
"""

import inspect
import json
import re
from collections import Counter
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, Optional, Union

import numpy as np

from ..ops.polygons import box_corners, equal_area_box
from .benchmark_files import (
    check_number,
    check_split,
    choose,
    close_names,
    first_only,
    frame_files,
    frame_range,
    make_sequence,
    read_rows,
    to_xyxy,
)
from .benchmark_tables import LASOT_CUT, LASOT_TEST, NFS, OTB13, OTB50, OTB100, OTB_FRAMES, UAV20L, UAV123, UAV_ATTRIBUTES
from .sequences import Sequence, track_sequences
from .sources import FolderSource, VIDSource
from .text_files import read_flags, read_meta, read_names

RESULT_ALIASES = {'Human4-2': ('Human4',)}  # other names of sequences in files of results: the got10k toolkit's
SOURCES_OF_BENCHMARKS = {'vid': VIDSource, 'folders': FolderSource}  # read as for training: a sequence per track
VOT_TAGS = ('camera_motion', 'illum_change', 'motion_change', 'size_change', 'occlusion')


def read_sequences(benchmark: str, root: Union[str, Path], **options: Any) -> list[Sequence]:
    """All sequences of a benchmark, or those of `names`.

    Args:
        benchmark: A key of `BENCHMARKS`.
        root: Its folder.
        options: Of its reader: `names`, `allow_missing`, `split`, `fps`, `first_pixel`, `tiger1_from_6`.

    Raises:
        ValueError: If there is no such benchmark, option or name, or an annotation is malformed or does not fit the frames.
        FileNotFoundError: If the root, a sequence, a frame or an annotation is missing.
    """
    if benchmark not in BENCHMARKS:
        raise ValueError(f'unknown benchmark {benchmark!r}{close_names(benchmark, BENCHMARKS)}; known are '
                         f'{", ".join(BENCHMARKS)}')
    known = [name for name in inspect.signature(BENCHMARKS[benchmark]).parameters if name != 'root']
    for name in options:
        if name not in known:
            raise ValueError(f'{benchmark} has no option {name!r}; it has {", ".join(known)}')
    if benchmark not in SOURCES_OF_BENCHMARKS and not Path(root).is_dir():
        raise FileNotFoundError(f'{root}, the folder of {benchmark}, is missing')
    sequences = BENCHMARKS[benchmark](Path(root), **options)
    if not sequences:
        raise ValueError(f'{root} has no sequences of {benchmark}')
    twice = [name for name, number in Counter(sequence.name for sequence in sequences).items() if number > 1]
    if twice:
        raise ValueError(f'{root} has several sequences of the name {twice[0]!r}: rename one of its folders')
    return sequences


def read_otb(benchmark: str, root: Path, names: Optional[list] = None, allow_missing: bool = False, first_pixel: float = 0,
             tiger1_from_6: bool = True) -> list[Sequence]:
    """OTB-2013, OTB-50 or OTB-100: `NAME/img/%04d.jpg`, `NAME/groundtruth_rect.txt`.

    `Jogging-2` is the second target of `Jogging`, in `groundtruth_rect.2.txt`; of Human4 only the second has boxes, and PySOT's
    name is `Human4-2`. Attributes come from `attrs.txt` or `cfg.json` beside the boxes, else from our table.

    Args:
        tiger1_from_6: Tiger1 starts at frame 6, as in the MATLAB toolkit, PySOT and pytracking; the got10k toolkit starts at 1.
    """
    targets = dict(otb13=OTB13, otb50=OTB50, otb100=tuple(OTB100))[benchmark]
    folders = {name: root / re.sub(r'-\d$', '', name) for name in targets}
    listed = cache(frame_files)
    sequences = []
    for name in choose(benchmark, root, targets, lambda name: folders[name].is_dir(), names, allow_missing, 'NAME/img'):
        folder, number = folders[name], name.rpartition('-')[2] if '-' in name else ''
        boxes = folder / f'groundtruth_rect{"." if number else ""}{number}.txt'
        images = listed(folder / 'img')
        if name in OTB_FRAMES:
            images = frame_range(images, folder / 'img', *OTB_FRAMES[name])
        first = 5 if name == 'Tiger1' and tiger1_from_6 else 0
        xyxy = to_xyxy(read_rows(boxes), first_pixel)
        check_number(images, xyxy, folder / 'img', boxes)
        sequences.append(make_sequence(name, list(images.values())[first:], xyxy[first:], boxes,
                                       attributes=_otb_attributes(folder, name)))
    return sequences


def _otb_attributes(folder: Path, name: str) -> tuple:
    if (folder / 'attrs.txt').is_file():
        return tuple(re.findall(r'\w+', (folder / 'attrs.txt').read_text()))
    if (folder / 'cfg.json').is_file():
        try:
            return tuple(json.loads((folder / 'cfg.json').read_text())['attributes'])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f'{folder / "cfg.json"} has no list of attributes: {error!r}') from None
    return OTB100[name]


def read_uav(benchmark: str, root: Path, names: Optional[list] = None, allow_missing: bool = False,
             first_pixel: float = 0) -> list[Sequence]:
    """UAV123, UAV20L or UAV123 at 10 frames per second: `data_seq/UAV123/FOLDER/%06d.jpg`, `anno/UAV123/NAME.txt`.

    Several sequences share a folder. At 10 fps, in `data_seq/UAV123_10fps`, frames are numbered anew and a sequence has as many
    as boxes; without `data_seq`, folders `NAME` with `NAME.txt` beside them are read. Attributes come from
    `anno/UAV123/att/NAME.txt`, where it is.
    """
    table = UAV20L if benchmark == 'uav20l' else UAV123
    kind = dict(uav123='UAV123', uav20l='UAV20L', uav123_10fps='UAV123_10fps')[benchmark]
    is_loose = benchmark == 'uav123_10fps' and not (root / 'data_seq').is_dir()
    folder = 'UAV123' if benchmark == 'uav20l' else kind
    truths = root if is_loose else root / 'anno' / kind
    folders = {name: root / name if is_loose else root / 'data_seq' / folder / table[name][0] for name in table}
    listed = cache(frame_files)
    sequences = []
    for name in choose(benchmark, root, table, lambda name: folders[name].is_dir(), names, allow_missing,
                       f'data_seq/{folder}/FOLDER{" or NAME" if is_loose else ""}'):
        boxes, images, (_, first, last) = truths / f'{name}.txt', listed(folders[name]), table[name]
        xyxy = to_xyxy(read_rows(boxes), first_pixel)
        if not is_loose:
            if benchmark == 'uav123_10fps':
                first = (first - 1) // 3 + 1
                last = first + len(xyxy) - 1
            images = frame_range(images, folders[name], first, last)
        check_number(images, xyxy, folders[name], boxes)
        sequences.append(make_sequence(name, images.values(), xyxy, boxes,
                                       attributes=_uav_attributes(truths / 'att' / f'{name}.txt')))
    return sequences


def _uav_attributes(path: Path) -> tuple:
    if not path.is_file():
        return ()
    flags = read_flags(path, len(UAV_ATTRIBUTES))
    return tuple(name for name, flag in zip(UAV_ATTRIBUTES, flags) if flag)


def read_lasot(benchmark: str, root: Path, split: str = 'test', names: Optional[list] = None, allow_missing: bool = False,
               first_pixel: float = 0) -> list[Sequence]:
    """LaSOT: `CATEGORY/CATEGORY-N/img/%08d.jpg` with `groundtruth.txt`, or `CATEGORY-N/...`.

    The test split are the 280 videos of protocol II, the train split the 1120 others. A frame is absent if
    `full_occlusion.txt` or `out_of_view.txt` says so.
    """
    check_split(benchmark, split, ('train', 'test'))
    known = [f'{category}-{number}' for category, test in LASOT_TEST.items() for number in range(1, 21)
             if (number in test) == (split == 'test')]
    nested = {name: root / name.rpartition('-')[0] / name for name in known}
    folders = {name: folder if folder.is_dir() else root / name for name, folder in nested.items()}
    sequences = []
    for name in choose(benchmark, root, known, lambda name: folders[name].is_dir(), names, allow_missing, 'CATEGORY/CATEGORY-N'):
        boxes, folder = folders[name] / 'groundtruth.txt', folders[name] / 'img'
        images, xyxy = frame_files(folder), to_xyxy(read_rows(boxes), first_pixel)
        if name in LASOT_CUT:
            images = dict(list(images.items())[:len(xyxy)])
        check_number(images, xyxy, folder, boxes)
        absent = [read_flags(folders[name] / f'{reason}.txt', len(xyxy)) for reason in ('full_occlusion', 'out_of_view')]
        sequences.append(make_sequence(name, images.values(), xyxy, boxes, is_absent=(absent[0] | absent[1]) > 0))
    return sequences


def read_got10k(benchmark: str, root: Path, split: str = 'val', names: Optional[list] = None,
                allow_missing: bool = False) -> list[Sequence]:
    """GOT-10k: `SPLIT/list.txt`, `SPLIT/NAME/%08d.jpg` with `groundtruth.txt`, `cover.label`, `absence.label`, `meta_info.ini`.

    Of test sequences only the first box is published. `cover` holds the visible share of the target in levels: 0 nothing, 8 all.
    """
    check_split(benchmark, split, ('train', 'val', 'test'))
    root, sequences = root / split, []
    known = read_names(root / 'list.txt')
    for name in choose(benchmark, root, known, lambda name: (root / name).is_dir(), names, allow_missing, 'NAME'):
        folder, boxes = root / name, root / name / 'groundtruth.txt'
        images, xyxy = frame_files(folder), to_xyxy(read_rows(boxes))
        labels = {}
        if split == 'test':
            xyxy = first_only(xyxy, images, folder, boxes)
        else:
            check_number(images, xyxy, folder, boxes)
            labels = dict(is_absent=read_flags(folder / 'absence.label', len(xyxy)) > 0,
                          cover=read_flags(folder / 'cover.label', len(xyxy), highest=8))
        sequences.append(make_sequence(name, images.values(), xyxy, boxes, size=_resolution(folder / 'meta_info.ini'), **labels))
    return sequences


def _resolution(path: Path) -> Optional[tuple]:
    """Width and height in a meta file of GOT-10k, None if there is no file."""
    _, size = read_meta(path)
    if size is None and path.is_file():
        raise ValueError(f'{path} has no line "resolution: (WIDTH, HEIGHT)"')
    return size


def read_trackingnet(benchmark: str, root: Path, split: str = 'test', names: Optional[list] = None,
                     allow_missing: bool = False) -> list[Sequence]:
    """TrackingNet: `TEST/anno/NAME.txt` with the first box, `TEST/frames/NAME/N.jpg`; for training `TRAIN_0` ... `TRAIN_11`."""
    check_split(benchmark, split, ('train', 'test'))
    parts = [root / part for part in (['TEST'] if split == 'test' else [f'TRAIN_{number}' for number in range(12)])]
    truths = {}
    for part in parts:
        for folder in (part / 'anno', part / 'frames'):
            if not folder.is_dir() and not (allow_missing or names):
                raise FileNotFoundError(f'{folder} is missing; names=[...] or allow_missing=True read a part of {benchmark}')
        found = {path.stem: path for path in sorted((part / 'anno').glob('*.txt')) if not path.name.startswith('.')}
        videos = {path.name for path in (part / 'frames').glob('*') if not path.name.startswith('.')}
        for name in sorted(videos - found.keys()):
            raise FileNotFoundError(f'{part / "anno" / name}.txt is missing: expected a box for the frames of {name}')
        truths.update(found)
    folders = {name: path.parent.parent / 'frames' / name for name, path in truths.items()}
    sequences = []
    for name in choose(benchmark, root, truths, lambda name: folders[name].is_dir(), names, allow_missing,
                       f'{parts[0].name}/frames/NAME'):
        images, xyxy = frame_files(folders[name]), to_xyxy(read_rows(truths[name]))
        if split == 'test':
            xyxy = first_only(xyxy, images, folders[name], truths[name])
        else:
            check_number(images, xyxy, folders[name], truths[name])
        sequences.append(make_sequence(name, images.values(), xyxy, truths[name]))
    return sequences


def read_nfs(benchmark: str, root: Path, fps: int = 30, names: Optional[list] = None, allow_missing: bool = False,
             first_pixel: float = 0) -> list[Sequence]:
    """Need for Speed: `NAME/30/NAME/*.jpg`, `NAME/30/NAME.txt`; 240 likewise.

    Lines are `track x1 y1 x2 y2 frame lost occluded generated "category"`; flags are not used, as in other toolkits. Files of
    30 fps may have the boxes of 240: every eighth is one of ours. One box or image too many at the end is left out. Both as in
    the got10k toolkit (got10k/datasets/nfs.py:58-66).
    """
    if fps not in (30, 240):
        raise ValueError(f'fps of nfs must be 30 or 240, got {fps!r}')
    sequences = []
    folders = {name: root / name / str(fps) / name for name in NFS}
    for name in choose(benchmark, root, NFS, lambda name: folders[name].is_dir(), names, allow_missing, f'NAME/{fps}/NAME'):
        folder, boxes = folders[name], folders[name].with_name(f'{name}.txt')
        images, xyxy = frame_files(folder), read_rows(boxes, select=slice(1, 5)) - first_pixel
        if abs(len(xyxy) / len(images) - 8) < 1:
            xyxy = xyxy[::8]
        if abs(len(xyxy) - len(images)) == 1:
            count = min(len(xyxy), len(images))
            xyxy, images = xyxy[:count], dict(list(images.items())[:count])
        check_number(images, xyxy, folder, boxes)
        sequences.append(make_sequence(name, images.values(), xyxy, boxes))
    return sequences


def read_vot(benchmark: str, root: Path, names: Optional[list] = None, allow_missing: bool = False) -> list[Sequence]:
    """VOT2016 to VOT2019, short-term, and VOT2018-LT: `list.txt`, `NAME/groundtruth.txt`, `NAME/color/%08d.jpg` or `NAME/`.

    Lines have four corners or x, y, w, h; `nan` where a long-term target is not visible. Tags of frames come from `TAG.tag` or
    `TAG.label`: without a file none has it, and a shorter one goes on with 0.
    """
    sequences = []
    known = read_names(root / 'list.txt')
    for name in choose(benchmark, root, known, lambda name: (root / name).is_dir(), names, allow_missing, 'NAME'):
        folder, boxes = root / name, root / name / 'groundtruth.txt'
        frames = folder / 'color' if (folder / 'color').is_dir() else folder
        images, rows = frame_files(frames), read_rows(boxes, widths=(4, 8))
        check_number(images, rows, frames, boxes)
        xyxy = to_xyxy(rows) if rows.shape[1] == 4 else polygon_boxes(rows)
        polygons = box_corners(xyxy).reshape(-1, 8) if rows.shape[1] == 4 else rows
        tags = {} if benchmark.endswith('lt') else {tag: _tag(folder, tag, len(rows)) for tag in VOT_TAGS}
        sequences.append(make_sequence(name, images.values(), xyxy, boxes, polygons=polygons, tags=tags))
    return sequences


def _tag(folder: Path, tag: str, length: int) -> np.ndarray:
    flags = np.zeros(length, bool)
    for path in (folder / f'{tag}.tag', folder / f'{tag}.label'):
        if path.is_file() and path.stat().st_size:
            found = read_flags(path)
            if len(found) > length:
                raise ValueError(f'{path} has {len(found)} flags for {length} frames')
            flags[:len(found)] = found > 0
            break
    return flags


def polygon_boxes(polygons: np.ndarray) -> np.ndarray:
    """Boxes of quadrilaterals by PySOT's rule (tools/test.py:81-82, pysot/utils/bbox.py:get_axis_aligned_bbox).

    That is `equal_area_box`, with the right and lower sides moved out by one pixel, because the rule takes corners for numbers of
    pixels, and a box ends behind its last one.

    Args:
        polygons: (T, 8) corners x1 y1 ... x4 y4 in order around the target.

    Returns:
        (T, 4) xyxy; NaN where a polygon is NaN or its hull has no area.
    """
    return equal_area_box(polygons.reshape(-1, 4, 2)) + [0, 0, 1, 1]


def _read_vid(benchmark: str, root: Path, split: str = 'train', names: Optional[list] = None,
              allow_missing: bool = False) -> list[Sequence]:
    """ILSVRC2015 VID, see `VIDSource`; names are videos."""
    return _read_source(VIDSource(str(root), split), benchmark, root, names, allow_missing)


def _read_folders(benchmark: str, root: Path, first_pixel: float = 0, names: Optional[list] = None,
                  allow_missing: bool = False) -> list[Sequence]:
    """A user's own videos, see `FolderSource`; names are videos."""
    return _read_source(FolderSource(str(root), first_pixel), benchmark, root, names, allow_missing)


def _read_source(source: Any, benchmark: str, root: Path, names: Optional[list], allow_missing: bool) -> list[Sequence]:
    videos = source.videos()
    if names is not None:
        videos = choose(benchmark, root, videos, lambda name: True, names, allow_missing, '')
    return list(track_sequences(SimpleNamespace(videos=lambda: videos, read=source.read)))


BENCHMARKS: Mapping = MappingProxyType({name: partial(reader, name) for reader, names in (
    (read_otb, ('otb100', 'otb50', 'otb13')),
    (read_uav, ('uav123', 'uav20l', 'uav123_10fps')),
    (read_lasot, ('lasot',)),
    (read_got10k, ('got10k',)),
    (read_trackingnet, ('trackingnet',)),
    (read_nfs, ('nfs',)),
    (read_vot, ('vot2016', 'vot2017', 'vot2018', 'vot2019', 'vot2018lt')),
    (_read_vid, ('vid',)),
    (_read_folders, ('folders',))) for name in names})  # name -> reader(root, **options) -> list of Sequence
