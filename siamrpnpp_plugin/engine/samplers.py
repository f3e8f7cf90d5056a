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

    Raises:
        ValueError: If the rank is not in the world.
    """

    def __init__(self, dataset: Sized, seed: Optional[int] = None, rank: Optional[int] = None,
                 world_size: Optional[int] = None) -> None:
        own_rank, own_world_size = get_dist_info()
        self.rank = own_rank if rank is None else rank
        self.world_size = own_world_size if world_size is None else world_size
        if not 0 <= self.rank < self.world_size:
            raise ValueError(f'rank must be in [0, {self.world_size}), got {self.rank}')
        self.dataset = dataset
        self.pairs_per_epoch = self.epoch_size = len(dataset)
        self.epoch = self.position = 0
        self._gives_seed = getattr(dataset, 'seed', 0) is None
        if self._gives_seed:
            self.set_seed(sync_random_seed() if seed is None else seed)

    def set_seed(self, seed: int) -> None:
        """Give the dataset another seed, if it has none of its own; before its loader starts workers."""
        if self._gives_seed:
            self.dataset.seed = seed

    def trim(self, multiple: int) -> None:
        """Leave out the last samples of every epoch that do not fill `multiple`.

        Raises:
            ValueError: If none are left.
        """
        self.epoch_size = self.pairs_per_epoch // multiple * multiple
        if not self.epoch_size:
            raise ValueError(f'an epoch of {self.pairs_per_epoch} samples is shorter than one batch of {multiple}')

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
        if not 0 <= position <= self.epoch_size:
            raise ValueError(f'position must be in [0, {self.epoch_size}], got {position}')
        self.position = position

    def __len__(self) -> int:
        """Samples of this rank in a whole epoch, also where the position is not its start."""
        return -(-self.epoch_size // self.world_size)

    def __iter__(self) -> Iterator[int]:
        start = self.epoch * self.pairs_per_epoch
        for position in range(self.position + self.rank, len(self) * self.world_size, self.world_size):
            yield start + position % self.epoch_size
