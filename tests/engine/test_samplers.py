"""Ranks share one global order."""

import pytest

from siamrpnpp_plugin.engine import PairSampler


class Numbers:
    """A data set of which only the length counts."""

    seed = 0

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count


def batches(world_size: int, batch_size: int, count: int = 48, epoch: int = 0, position: int = 0) -> list:
    """Global batches: what all ranks load together, step by step."""
    samplers = [PairSampler(Numbers(count), rank=rank, world_size=world_size) for rank in range(world_size)]
    for sampler in samplers:
        sampler.set_epoch(epoch)
        sampler.set_position(position)
    orders = [list(sampler) for sampler in samplers]
    assert {len(order) + position // world_size for order in orders} == {len(sampler) for sampler in samplers}
    steps = len(orders[0]) // batch_size
    return [sorted(k for order in orders for k in order[step * batch_size:(step + 1) * batch_size]) for step in range(steps)]


@pytest.mark.parametrize('epoch', [0, 3])
def test_global_batches_do_not_depend_on_the_number_of_ranks(epoch):
    alone = batches(1, 12, epoch=epoch)
    assert alone[0] == list(range(48 * epoch, 48 * epoch + 12))
    assert batches(2, 6, epoch=epoch) == batches(4, 3, epoch=epoch) == alone


def test_a_resumed_epoch_goes_on_with_the_next_batch():
    assert batches(2, 6, epoch=2, position=24) == batches(2, 6, epoch=2)[2:]


def test_every_rank_has_as_many_samples_where_the_world_does_not_divide_the_epoch():
    orders = [list(PairSampler(Numbers(10), rank=rank, world_size=4)) for rank in range(4)]
    assert orders == [[0, 4, 8], [1, 5, 9], [2, 6, 0], [3, 7, 1]]


def test_a_new_epoch_starts_from_its_beginning():
    sampler = PairSampler(Numbers(6), rank=0, world_size=1)
    sampler.set_position(4)
    sampler.set_epoch(1)
    assert list(sampler) == [6, 7, 8, 9, 10, 11]


def test_positions_and_ranks_out_of_range_are_named():
    with pytest.raises(ValueError, match='rank'):
        PairSampler(Numbers(4), rank=2, world_size=2)
    with pytest.raises(ValueError, match='position'):
        PairSampler(Numbers(4), rank=0, world_size=1).set_position(5)


def test_an_epoch_may_end_with_the_last_whole_global_batch():
    sampler = PairSampler(Numbers(10), rank=1, world_size=2)
    sampler.trim(4)
    sampler.set_epoch(1)
    assert list(sampler) == [11, 13, 15, 17]  # the next epoch still starts at 20
    with pytest.raises(ValueError, match='shorter'):
        sampler.trim(11)
