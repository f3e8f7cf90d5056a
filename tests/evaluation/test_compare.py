"""Intervals and paired tests of scores over sequences."""

import numpy as np
import pytest

from siamrpnpp_plugin.evaluation.compare import bootstrap_interval, paired_test


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_an_interval_holds_the_mean_and_has_the_width_of_its_standard_error():
    scores = generator().normal(0.6, 0.2, 400)
    low, high = bootstrap_interval(scores, generator(1), 4000)
    assert low < scores.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * scores.std() / 20, rel=0.05)
    wider = bootstrap_interval(scores, generator(1), 4000, level=0.99)
    assert wider[0] < low < high < wider[1]


def test_equal_scores_have_no_interval():
    assert bootstrap_interval(np.full(7, 0.25), generator()) == (0.25, 0.25)


def test_the_same_generator_gives_the_same_interval():
    scores = generator().random(20)
    assert bootstrap_interval(scores, generator(3)) == bootstrap_interval(scores, generator(3))


@pytest.mark.parametrize(('first', 'second', 'difference', 'chance', 'why'), [
    ([1, 1, 1], [0, 0, 0], 1, 2 / 8, 'only all signs kept or all flipped are as far from 0'),
    ([1, 0], [0, 1], 0, 1, 'no difference: each flip is at least as far'),
    ([0.5], [0.25], 0.25, 1, 'one sequence tells nothing'),
    ([1, 1, 1, 0], [0, 0, 0, 0], 0.75, 4 / 16, 'an equal sequence changes nothing')])
def test_few_sequences_are_tested_by_every_flip(first, second, difference, chance, why):
    result = paired_test(np.array(first), np.array(second), generator())
    assert result == pytest.approx((difference, chance)), why
    assert paired_test(np.array(second), np.array(first), generator()) == pytest.approx((-difference, chance))


def test_random_flips_come_near_to_all():
    scores = generator().normal(0.1, 0.3, 12)
    _, exact = paired_test(scores, np.zeros(12), generator(), 4096)
    _, drawn = paired_test(scores, np.zeros(12), generator(), 4095)
    assert drawn == pytest.approx(exact, abs=0.03)


def test_a_clear_difference_is_seen_and_chance_is_not():
    scores = generator().random(100)
    assert paired_test(scores + 0.05, scores, generator())[1] == pytest.approx(1 / 10001)
    chances = [paired_test(*generator(seed).random((2, 30)), generator(seed), 500)[1] for seed in range(100)]
    assert 0.3 < np.mean(chances) < 0.7
    assert np.mean(np.array(chances) < 0.05) < 0.12


@pytest.mark.parametrize(('call', 'message'), [
    (lambda: bootstrap_interval(np.array([]), generator()), 'scores must be at least one finite number'),
    (lambda: bootstrap_interval(np.array([0.5, np.nan]), generator()), '1 not finite'),
    (lambda: bootstrap_interval(np.ones(3), generator(), level=95), r'level must be in \(0, 1\), got 95'),
    (lambda: paired_test(np.ones(3), np.ones(2), generator()), 'got 3 and 2')])
def test_wrong_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
