from collections import Counter

import pytest
import torch

from siamrpnpp_plugin.ops.random import hash_of, permute, uniform_of_seed


def test_numbers_depend_on_the_seed_only():
    whole = uniform_of_seed(torch.tensor([5, 6, 5]), 100)
    assert torch.equal(whole[0], whole[2])
    assert torch.equal(uniform_of_seed(torch.tensor([6]), 100)[0], whole[1])
    assert torch.equal(uniform_of_seed(torch.tensor([6]), 40)[0], whole[1, :40]), 'nor on how many are asked'


def test_numbers_are_uniform_and_uncorrelated():
    """Neighbouring seeds, as sample numbers are."""
    numbers = uniform_of_seed(torch.arange(2000), 500).double()
    assert 0 <= numbers.min() < numbers.max() < 1
    counts = torch.histc(numbers, 100, 0, 1)
    chi2 = ((counts - 10000)**2 / 10000).sum()
    assert abs(chi2 - 99) < 5 * (2 * 99)**0.5
    centered = (numbers - 0.5) * 12**0.5
    for first, second in ((centered[1:], centered[:-1]), (centered[:, 1:], centered[:, :-1])):
        assert abs((first * second).sum()) < 5 * first.numel()**0.5
    assert (numbers.mean(dim=1) - 0.5).abs().max() < 5 / (12 * 500)**0.5


def test_frozen_numbers():
    """Every machine and every version draws the same: MurmurHash3's finaliser, checked by hand with Python's integers."""
    def mix(value):
        for multiplier in (0xff51afd7ed558ccd, 0xc4ceb9fe1a85ec53):
            value = (value ^ value >> 33) * multiplier % 2**64
        return value ^ value >> 33

    for seed in (0, 1, 12345, 2**62, -1, -2**63):
        expected = [(mix((mix(seed % 2**64) + index) % 2**64) >> 40) / 2**24 for index in range(5)]
        assert uniform_of_seed(torch.tensor([seed]), 5)[0].tolist() == expected


@pytest.mark.parametrize('count', [1, 2, 3, 4, 5, 7, 16, 17, 64, 65, 1000])
@pytest.mark.parametrize('seed', [0, 1, -5, 2**64 - 1])
def test_permute_gives_every_place_once(count, seed):
    assert sorted(permute(index, count, seed) for index in range(count)) == list(range(count))


def test_permutations_of_two_seeds_differ():
    first, second = ([permute(index, 1000, seed) for index in range(1000)] for seed in (0, 1))
    assert sum(one == other for one, other in zip(first, second)) < 10


def test_permute_reaches_all_orders_of_three_about_equally():
    counts = Counter(tuple(permute(index, 3, seed) for index in range(3)) for seed in range(6000))
    assert len(counts) == 6
    assert all(abs(count - 1000) < 5 * (1000 * 5 / 6)**0.5 for count in counts.values())


def test_permute_spreads_each_index_uniformly_over_the_places():
    for index in (0, 1, 499, 999):
        places = torch.tensor([permute(index, 1000, seed) for seed in range(2000)]).float()
        chi2 = ((torch.histc(places, 20, 0, 1000) - 100)**2 / 100).sum()
        assert abs(chi2 - 19) < 5 * (2 * 19)**0.5


@pytest.mark.parametrize(('index', 'count'), [(-1, 5), (5, 5), (0, 0)])
def test_permute_refuses_an_index_out_of_range(index, count):
    with pytest.raises(ValueError, match=rf'\[0, {count}\), got {index}'):
        permute(index, count, 0)


def test_hash_depends_on_every_argument_their_order_and_their_number():
    arguments = [(), (0, ), (1, ), (0, 0), (0, 1), (1, 0), (1, 1), (0, 0, 0), (1, 2, 3), (3, 2, 1), (2, 1, 3), (1, 2, 4),
                 (1, 3, 3), (2, 2, 3), (-5, ), (2**40, )]
    hashes = [hash_of(*values) for values in arguments]
    assert len(set(hashes)) == len(arguments)
    assert hashes == [hash_of(*values) for values in arguments]
    assert all(0 <= value < 2**64 for value in hashes)


def test_hash_of_neighbouring_numbers_has_no_pattern():
    """Every bit is set in about half of the hashes and changes with each argument in half of the cases."""
    hashes = [[hash_of(seed, index) for index in range(64)] for seed in range(64)]
    bits = torch.tensor([[[value >> bit & 1 for bit in range(64)] for value in row] for row in hashes]).double()
    limit = 5 * 0.5 / 4000**0.5
    assert (bits.mean(dim=(0, 1)) - 0.5).abs().max() < limit
    assert ((bits[1:] != bits[:-1]).double().mean(dim=(0, 1)) - 0.5).abs().max() < limit
    assert ((bits[:, 1:] != bits[:, :-1]).double().mean(dim=(0, 1)) - 0.5).abs().max() < limit
