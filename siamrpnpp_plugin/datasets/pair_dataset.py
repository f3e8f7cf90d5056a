"""Which template and which search image make sample k: a pure function of (seed, k)."""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Optional, Union

import cv2
import numpy as np
from torch.utils.data import Dataset

from ..ops.random import hash_of, permute
from ..registry import DATASETS, TRANSFORMS
from .crop_store import CropStore, StoreError
from .jpeg import JPEGError
from .pair_batch import PairBatch, PairSamples
from .transforms import View, stored_view


class Pair(NamedTuple):
    """What sample k shows. Crops are (number of the store in the dataset, number of the crop in the store)."""

    template: tuple[int, int]
    search: tuple[int, int]
    is_positive: bool
    sample_seed: int


_ZEROS = np.zeros(4, np.uint64)  # a Philox generator's counter and empty buffer
_STORE_KEYS = ('path', 'repeats', 'pairs', 'weight', 'frame_range', 'negative_share', 'same_frame')


class _Share(NamedTuple):
    """One store in the mixture."""

    store: CropStore
    frame_range: int
    same_frame: bool
    negative_share: float
    num_videos: int
    start: int  # first of its slots in a pass
    slots: int


@DATASETS.register_module()
class LMDBPairDataset(Dataset):
    """Template and search images from one or several CropStores.

    Sample k depends on the seed and on k only: neither on workers, ranks or batch nor on what was loaded before. A pass goes
    through every video `repeats` times in a random order; a track of the video, a template frame, and as search frame one at most
    `frame_range` frames away are drawn uniformly. With probability `negative_share` the search image shows another track instead,
    from any store, each store equally likely. PySOT draws so too (`pysot/datasets/dataset.py`), but counts its range in annotated
    frames of the track, which is the same where every frame is annotated.

    Any k >= 0 is a sample: epoch e of n pairs is samples e * n ... (e + 1) * n - 1, which `PairSampler` hands out.

    Args:
        store: Path of a store, or a list of paths and of dicts with `path`, one of `repeats`, `pairs` and `weight`, and any of
            `frame_range`, `negative_share` and `same_frame`, which are about the pairs whose template is of this store. `repeats`
            is how often a pass goes through the videos (default 1), `pairs` how many samples of a pass are the store's (PySOT's
            NUM_USE). `weight`, for every store or none, is its share of an epoch, which then is a pass. Stills take
            `frame_range=0`: template and search image are one image, cut and coloured differently.
        pipeline: Configs of transforms; they must cut both views to their final size.
        pairs_per_epoch: Length of an epoch in pairs (PySOT: 600,000).
        frame_range: Largest distance of template and search frame in frame numbers (PySOT: VID 100).
        negative_share: Share of pairs of two different targets.
        same_frame: Whether the template's own frame may be drawn as search frame. If not, it still is where the track has no
            other within range.
        seed: None takes the Runner's through `PairSampler`, and 0 without one.

    Raises:
        StoreError: If a store cannot be read.
        ValueError: If an argument is out of range, negatives are asked for and there is only one track, or `pairs` of all stores
            do not add up to an epoch.
    """

    def __init__(self, store: Union[str, dict, Sequence[Union[str, dict]]], pipeline: Sequence[dict],
                 pairs_per_epoch: int = 600_000, frame_range: int = 100, negative_share: float = 0.2, same_frame: bool = True,
                 seed: Optional[int] = None) -> None:
        if pairs_per_epoch < 1:
            raise ValueError(f'pairs_per_epoch must be positive, got {pairs_per_epoch}')
        self.pairs_per_epoch, self.seed = pairs_per_epoch, seed
        self.pipeline = [TRANSFORMS.build(transform) for transform in pipeline]
        entries = [store] if isinstance(store, (str, dict)) or not isinstance(store, Sequence) else store
        self._shares = self._mix([entry if isinstance(entry, dict) else dict(path=entry) for entry in entries],
                                 dict(frame_range=frame_range, same_frame=same_frame, negative_share=negative_share))
        self._ends = np.cumsum([share.slots for share in self._shares]).tolist()
        tracks = {share.store.real_path: share.store.num_tracks for share in self._shares}
        if any(share.negative_share > 0 for share in self._shares) and sum(tracks.values()) < 2:
            raise ValueError(f'negative pairs need two tracks, {list(tracks)} has only one: set negative_share=0')

    def _mix(self, entries: list, defaults: dict) -> list:
        """The stores with their slots in a pass."""
        if not entries:
            raise ValueError('store names no store')
        stores = []
        for entry in entries:
            if 'path' not in entry or entry.keys() - set(_STORE_KEYS):
                raise ValueError(f'a store is a path or a dict of {", ".join(_STORE_KEYS)}; got {entry}')
            amounts = entry.keys() & {'repeats', 'pairs', 'weight'}
            if ('weight' in entry) != ('weight' in entries[0]) or len(amounts) > 1:
                raise ValueError(f'give every store a weight, or none; and only one of repeats, pairs, weight: {entries}')
            if any(not 0 < entry[name] < math.inf for name in amounts) or entry.get('pairs', 1) % 1:
                raise ValueError(f'weight, repeats and pairs of a store must be positive, pairs a whole number, got {entry}')
            settings = {**defaults, **entry}
            if settings['frame_range'] < 0:
                raise ValueError(f'frame_range must not be negative, got {settings["frame_range"]}')
            if not 0 <= settings['negative_share'] <= 1:
                raise ValueError(f'negative_share must be in [0, 1], got {settings["negative_share"]}')
            stores.append(CropStore(entry['path']))
        empty = [store.path for store in stores if not len(store)]  # a shard may have nothing usable
        if len(empty) == len(stores) or any(not len(store) and entry.keys() & {'weight', 'pairs'}
                                            for store, entry in zip(stores, entries)):
            raise StoreError(f'no crops in {", ".join(empty)}')
        if all('pairs' in entry for entry in entries) and sum(entry['pairs'] for entry in entries) != self.pairs_per_epoch:
            raise ValueError(f'the pairs of the stores add up to {sum(entry["pairs"] for entry in entries)}, pairs_per_epoch is '
                             f'{self.pairs_per_epoch}: make them equal, or give weights')
        stores, entries = zip(*((store, entry) for store, entry in zip(stores, entries) if len(store)))
        slots = [int(entry.get('pairs', 0)) or max(round(store.num_videos * entry.get('repeats', 1)), 1)
                 for store, entry in zip(stores, entries)]
        if 'weight' in entries[0]:
            ends = np.rint(np.cumsum([entry['weight'] for entry in entries]) / sum(entry['weight'] for entry in entries)
                           * self.pairs_per_epoch).astype(int)
            slots = np.diff(ends, prepend=0).tolist()
            if not all(slots):
                raise ValueError(f'a weight is so small that its store has no pair in {self.pairs_per_epoch}: {entries}')
        starts = (np.cumsum(slots) - slots).tolist()
        return [_Share(store, *({**defaults, **entry}[name] for name in ('frame_range', 'same_frame', 'negative_share')),
                       store.num_videos, start, count) for store, entry, start, count in zip(stores, entries, starts, slots)]

    @property
    def metainfo(self) -> dict:
        """What mmengine writes into checkpoints."""
        return dict(stores=[share.store.path for share in self._shares])

    def __len__(self) -> int:
        """Pairs of an epoch."""
        return self.pairs_per_epoch

    def __iter__(self) -> Iterator[dict]:
        """The samples of the first epoch."""
        return (self[index] for index in range(len(self)))

    def choose(self, k: int) -> Pair:
        """What sample k shows, without reading any image."""
        return self._choose(k, self._generator(k))

    def _generator(self, k: int, used: Optional[np.random.Generator] = None) -> np.random.Generator:
        """The random numbers of sample k. A generator that was used is set to them, in a fifth of a new one's time."""
        if used is None:
            return np.random.Generator(np.random.Philox(key=[self.seed or 0, k]))
        used.bit_generator.state = dict(bit_generator='Philox', state=dict(counter=_ZEROS, key=[self.seed or 0, k]),
                                        buffer=_ZEROS, buffer_pos=len(_ZEROS), has_uint32=0, uinteger=0)
        return used

    def _choose(self, k: int, rng: np.random.Generator) -> Pair:
        seed, turn_length = self.seed or 0, self._ends[-1]
        draws = rng.random(4).tolist()
        turn, slot = divmod(k, turn_length)
        slot = permute(slot, turn_length, hash_of(seed, turn))
        number = bisect_right(self._ends, slot)
        share = self._shares[number]
        cycle, video = divmod(slot - share.start, share.num_videos)
        video = permute(video, share.num_videos, hash_of(seed, turn, number, cycle))
        track, template = self._any_crop(share.store, video, draws[0], draws[1])
        is_positive = draws[2] >= share.negative_share
        if is_positive:
            search = (number, self._near_crop(share, track, template, draws[3]))
        else:
            while True:
                draws = rng.random(4).tolist()
                other = int(draws[0] * len(self._shares))
                store = self._shares[other].store
                other_track, crop = self._any_crop(store, int(draws[1] * store.num_videos), draws[2], draws[3])
                if other_track != track or store.real_path != share.store.real_path:
                    break
            search = (other, crop)
        return Pair((number, template), search, is_positive, hash_of(seed, k) >> 1)

    @staticmethod
    def _any_crop(store: CropStore, video: int, draw_track: float, draw_crop: float) -> tuple[int, int]:
        """A track of a video and a crop of it; draws are in [0, 1)."""
        tracks = store.tracks(video)
        track = tracks[int(draw_track * len(tracks))]
        crops = store.crops(track)
        return track, crops[int(draw_crop * len(crops))]

    @staticmethod
    def _near_crop(share: _Share, track: int, template: int, draw: float) -> int:
        """A crop of the track at most `frame_range` frames from the template; the draw is in [0, 1)."""
        crops = share.store.crops(track)
        frames = share.store.array('frame')[crops.start:crops.stop]
        middle = int(frames[template - crops.start])
        first = int(np.searchsorted(frames, middle - share.frame_range, side='left')) + crops.start
        last = int(np.searchsorted(frames, middle + share.frame_range, side='right')) - 1 + crops.start
        if share.same_frame or first == last:
            return first + int(draw * (last - first + 1))
        crop = first + int(draw * (last - first))
        return crop + (crop >= template)

    def __getitem__(self, k: int) -> dict:
        """Sample k.

        Returns:
            `template` (3, 127, 127) and `search` (3, 255, 255) uint8 BGR (the sizes are the pipeline's), `box_xyxy` (4,) float32
            in the search image, counted from the middle of the first pixel as the anchors are, `is_positive` () bool,
            `sample_seed` () int64 for the random choice of anchors, and `sample` () int64, which is k.

        Raises:
            IndexError: If k is negative.
            StoreError: If a crop is missing or damaged.
            ValueError: If the pipeline does not cut the images.
        """
        return self.__getitems__([k])[0]

    def __getitems__(self, ks: Sequence[int]) -> PairSamples:
        """Several samples, for a DataLoader: each image is written once, to its place in the batch."""
        batch, ks = None, [int(k) for k in ks]
        if ks and min(ks) < 0:
            raise IndexError(f'samples are numbered from 0, got {min(ks)}')
        rng = None
        for index, k in enumerate(ks):
            rng = self._generator(k, rng)
            pair, views = self._load(k, rng)
            images = {key: view.image for key, view in views.items()}
            if batch is None:
                batch = PairBatch(len(ks), images['template'].shape[:2], images['search'].shape[:2])
                arrays = {key: value.numpy() for key, value in batch.items()}
            for key, image in images.items():
                if image.dtype != np.uint8:
                    raise ValueError(f'the pipeline must give uint8 images, the {key} image is {image.dtype}')
                if image.shape[:2] != arrays[key].shape[2:]:
                    raise ValueError(f'{key} images of a batch must have one size: {image.shape[:2]}, {arrays[key].shape[2:]}')
                cv2.split(image, list(arrays[key][index]))
            arrays['box_xyxy'][index] = views['search'].box_xyxy - 0.5  # anchors count from the middle of the first pixel
            for key, value in (('is_positive', pair.is_positive), ('sample_seed', pair.sample_seed), ('sample', k)):
                arrays[key][index] = value
        return PairSamples(batch)

    def _load(self, k: int, rng: np.random.Generator) -> tuple[Pair, dict[str, View]]:
        """What sample k shows, and its views after the pipeline; the generator is sample k's."""
        pair = self._choose(k, rng)
        views = dict(template=self._view(*pair.template), search=self._view(*pair.search))
        try:
            for transform in self.pipeline:
                views = transform(views, rng)
        except JPEGError as error:
            crops = ' or '.join(self._shares[number].store.describe(crop) for number, crop in (pair.template, pair.search))
            raise StoreError(f'{error}: {crops}; check the store with tools/inspect_dataset.py') from error
        if not all(isinstance(view.image, np.ndarray) for view in views.values()):
            raise ValueError('the pipeline must cut template and search image, with ShiftScaleCrop')
        return pair, views

    def _view(self, number: int, crop: int) -> View:
        store = self._shares[number].store
        data = store.read(crop)
        try:
            return stored_view(data, store.target_size(crop))
        except JPEGError as error:
            raise StoreError(f'{error}: {store.describe(crop)}; check the store with tools/inspect_dataset.py') from error

    def describe(self, k: int) -> str:
        """Where the images of sample k come from, for messages."""
        pair = self.choose(k)
        template, search = (self._shares[number].store.describe(crop) for number, crop in (pair.template, pair.search))
        return f'sample {k}, {"positive" if pair.is_positive else "negative"}: template {template}, search {search}'
