"""Data to measure with where there is none of yours."""

import os
import sys
from pathlib import Path

from siamrpnpp_plugin.datasets.packing import pack
from siamrpnpp_plugin.datasets.sources import VIDSource
from siamrpnpp_plugin.datasets.synthetic import write_synthetic_vid


class FirstVideos(VIDSource):
    """The first videos of a data set."""

    def __init__(self, root: Path, split: str, count: int) -> None:
        super().__init__(root, split)
        self.count = count

    def videos(self) -> list:
        return super().videos()[:self.count]


def synthetic_root(folder: Path) -> Path:
    """Four videos of 1280x720, as ILSVRC2015 VID has them; made once per folder."""
    root = folder / 'synthetic'
    if not root.exists():
        print('making synthetic videos of 1280x720 ...', file=sys.stderr)
        list(write_synthetic_vid(root, videos=4, frames=40, size=(1280, 720), seed=0, workers=os.cpu_count()))
    return root


def synthetic_store(folder: Path) -> Path:
    """Their store; made once per folder."""
    store = folder / 'store.lmdb'
    if not store.exists():
        pack(VIDSource(synthetic_root(folder)), store, workers=os.cpu_count())
    return store
