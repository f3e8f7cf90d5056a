import torch

from siamrpnpp_plugin.ops.random import uniform_of_seed


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
