"""What the evaluation toolkits of one-pass tracking do differently, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Optional, Union

WORDS = dict(
    first=('left_out', 'truth', 'kept'), lengths=('equal', 'cut', 'cut_longer', 'cut_or_pad'),
    prediction=('finite', 'any', 'repeat'), truth=('sized', 'known', 'any', 'positive', 'sized_or_centred'),
    absent=('left_out', 'unknown', 'missed', 'ignored'), overlap=('continuous', 'padded', 'inclusive'),
    norm=('clamped', 'plain', 'padded'), pooling=('sequences', 'frames'))


@dataclass(frozen=True)
class Convention:
    """How frames are chosen, compared and averaged. The default is ours: only what a tracker could know counts.

    The given first frame, frames without a ground truth (NaN, or no area) and frames flagged absent or not visible are left out
    of every number; a sequence counts once, whatever its length.

    A toolkit fails where a prediction's numbers are NaN (`repeat`), a truth's are (all but `uav` of pytracking) or lengths differ
    (PySOT); ours then counts a miss or names the fault. Mean overlaps of the toolkits that have none (PySOT, OTB) take the frames
    with a truth; an overlap that is NaN is 0.
    """

    first: str = 'left_out'  # the first frame: left_out, replaced by the truth, or kept as the tracker said
    lengths: str = 'equal'  # boxes and truth: must be equal, cut to the shorter, cut the boxes only, or cut or pad them by zeros
    prediction: str = 'finite'  # must be finite; any (NaN is a miss); repeat: where its size is 0 the box before holds
    truth: str = 'sized'  # frame has one: sized (area), known (no NaN), any, all four numbers positive; sized_or_centred: PySOT
    without_truth: Optional[tuple] = None  # left out, or hit/miss for overlap, centre error and normalised centre error
    absent: str = 'left_out'  # frames flagged absent: left out, unknown (as without a truth), missed, or the flag is ignored
    cover: bool = True  # whether frames with a visible share of 0 are left out
    exclude_unknown: bool = False  # divide by the frames with a truth, though hits of others count (pytracking's option)
    overlap: str = 'continuous'  # padded: union + 2e-16; inclusive: pytracking's arithmetic of last pixels, not limited to 1
    norm: str = 'clamped'  # centre error over the truth's width and height, at least 1 pixel; plain: as they are; padded: + 1e-16
    clip: bool = False  # whether boxes are moved into the image first (GOT-10k)
    num_thresholds: int = 21  # of overlaps, from 0 to 1
    pooling: str = 'sequences'  # each sequence counts once, or each of its frames

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in WORDS and value not in WORDS[field.name]:
                raise ValueError(f'{field.name} must be one of {", ".join(WORDS[field.name])}; got {value!r}')
        if self.without_truth is not None and (len(self.without_truth) != 3 or set(self.without_truth) - {'hit', 'miss'}):
            raise ValueError(f'without_truth must be None or three of hit and miss, got {self.without_truth!r}')


MISS, HIT = ('miss', 'miss', 'miss'), ('miss', 'hit', 'hit')
_OTB = Convention(first='truth', lengths='cut', prediction='any', truth='any', without_truth=MISS, absent='ignored', cover=False,
                  overlap='padded')
_PYTRACKING = Convention(first='truth', lengths='cut_or_pad', prediction='repeat', truth='positive',
                         without_truth=('miss', 'miss', 'hit'), absent='unknown', cover=False, overlap='inclusive', norm='plain')

PRESETS: Mapping = MappingProxyType(dict(
    default=Convention(),
    # toolkit/evaluation/ope_benchmark.py, toolkit/utils/statistics.py: a frame without truth fails on success, not on precision
    pysot=Convention(first='kept', prediction='any', truth='sized_or_centred', without_truth=HIT, absent='missed', cover=False,
                     norm='padded'),
    # got10k/experiments/got10k.py
    got10k=Convention(prediction='any', truth='any', without_truth=MISS, absent='ignored', overlap='padded', clip=True,
                      num_thresholds=101, pooling='frames'),
    # got10k/experiments/otb.py, uav123.py, lasot.py, trackingnet.py
    otb=_OTB, trackingnet=_OTB,
    uav=replace(_OTB, truth='known', without_truth=None), lasot=replace(_OTB, truth='known', without_truth=None),
    # pytracking/analysis/extract_results.py with `dataset` another, 'uav' or 'lasot'
    pytracking=_PYTRACKING, pytracking_uav=replace(_PYTRACKING, without_truth=HIT),
    pytracking_lasot=replace(_PYTRACKING, lengths='cut_longer', absent='missed')))


def find_convention(convention: Union[str, Convention]) -> Convention:
    """A preset by its name, or the convention itself.

    Raises:
        ValueError: If there is no such preset.
    """
    if isinstance(convention, Convention):
        return convention
    if convention not in PRESETS:
        raise ValueError(f'unknown convention {convention!r}; known are {", ".join(PRESETS)}')
    return PRESETS[convention]
