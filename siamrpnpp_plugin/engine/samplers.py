"""Who loads which sample."""

from collections.abc import Iterator, Sized
from typing import Optional

from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from ..registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class PairSampler(Sampler):
    """The samples of an epoch in one global order, of which rank r of W takes positions r, r + W, r + 2 W ...

    With batches of b per rank, the batches of all ranks together are W * b consecutive samples: the global batch does not depend
    on how many ranks share it. The dataset draws at random by number, so the order is simply counting: epoch e of n pairs is
    samples e * n ... (e + 1) * n - 1. If W does not divide n, the last ranks repeat the epoch's first samples.

    Args:
        dataset: Any k >= 0 must be a sample, as in `LMDBPairDataset`; its length is that of an epoch.
        seed: The Runner's; becomes the dataset's if that has None.
        rank: Of this process; None takes it from the process group.
        world_size: Number of processes, likewise.
    """

    def __init__(self, dataset: Sized, seed: Optional[int] = None, rank: Optional[int] = None,
                 world_size: Optional[int] = None) -> None:
        own_rank, own_world_size = get_dist_info()
        self.rank = own_rank if rank is None else rank
        self.world_size = own_world_size if world_size is None else world_size
        if not 0 <= self.rank < self.world_size:
            raise ValueError(f'rank must be in [0, {self.world_size}), got {self.rank}')
        self.pairs_per_epoch = len(dataset)
        self.epoch = self.position = 0
        if getattr(dataset, 'seed', 0) is None:
            dataset.seed = sync_random_seed() if seed is None else seed

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of an epoch; mmengine's loop calls it."""
        self.epoch, self.position = epoch, 0

    def set_position(self, position: int) -> None:
        """Start the next iteration within the epoch.

        Args:
            position: Samples of the epoch that all ranks together have seen.

        Raises:
            ValueError: If the epoch is shorter.
        """
        if not 0 <= position <= self.pairs_per_epoch:
            raise ValueError(f'position must be in [0, {self.pairs_per_epoch}], got {position}')
        self.position = position

    def __len__(self) -> int:
        """Samples that are left for this rank."""
        return -(-(self.pairs_per_epoch - self.position) // self.world_size)

    def __iter__(self) -> Iterator[int]:
        start = self.epoch * self.pairs_per_epoch
        for index in range(len(self)):
            yield start + (self.position + self.rank + index * self.world_size) % self.pairs_per_epoch
