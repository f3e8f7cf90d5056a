"""How far scores over sequences can be trusted: a bootstrap interval and a paired test. S sequences."""

import numpy as np

CHUNK = 1 << 22  # random numbers at once


def bootstrap_interval(scores: np.ndarray, generator: np.random.Generator, num_resamples: int = 10000,
                       level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of the mean over sequences, by drawing sequences with replacement (Efron 1979).

    Args:
        scores: (S,) one number per sequence, such as its AUC.
        generator: Source of the draws.
        num_resamples: How many means to draw.
        level: Share of the means within the interval, in (0, 1).

    Returns:
        Lower and upper end.

    Raises:
        ValueError: If there are no scores, one is not finite, or the level is not in (0, 1).
    """
    scores = _checked(scores, 'scores')
    if not 0 < level < 1:
        raise ValueError(f'level must be in (0, 1), got {level}')
    means = [scores[generator.integers(len(scores), size=(number, len(scores)))].mean(axis=1)
             for number in _chunks(num_resamples, len(scores))]
    low, high = np.quantile(np.concatenate(means), ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def paired_test(first: np.ndarray, second: np.ndarray, generator: np.random.Generator,
                num_resamples: int = 10000) -> tuple[float, float]:
    """Sign-flip test: would the mean difference be so large if it were chance which tracker got which score of a sequence?

    Up to 2**S of `num_resamples` all flips are tried, else random ones.

    Args:
        first: (S,) scores of one tracker.
        second: (S,) of another in the same sequences.
        generator: Source of the flips.
        num_resamples: How many flips to try.

    Returns:
        Mean of first - second, and the two-sided p-value in (0, 1].

    Raises:
        ValueError: If the lengths differ, there are no scores, or one is not finite.
    """
    first, second = _checked(first, 'first'), _checked(second, 'second')
    if len(first) != len(second):
        raise ValueError(f'a paired test needs scores of the same sequences, got {len(first)} and {len(second)}')
    differences = first - second
    observed = abs(differences.sum()) * (1 - 1e-12)  # ties count, whatever the order of the sum
    if 2**len(differences) <= num_resamples:
        flips = np.arange(2**len(differences))[:, None] >> np.arange(len(differences)) & 1
        chance = (np.abs((1 - 2 * flips) @ differences) >= observed).mean()
    else:
        count = 0
        for number in _chunks(num_resamples, len(differences)):
            signs = 1 - 2 * generator.integers(2, size=(number, len(differences)))
            count += np.count_nonzero(np.abs(signs @ differences) >= observed)
        chance = (count + 1) / (num_resamples + 1)  # the observed one is a flip too
    return float(differences.mean()), float(chance)


def _checked(scores: np.ndarray, name: str) -> np.ndarray:
    scores = np.asarray(scores, float)
    if scores.ndim != 1 or not len(scores) or not np.isfinite(scores).all():
        raise ValueError(f'{name} must be at least one finite number per sequence, got {scores.shape} with '
                         f'{int((~np.isfinite(scores)).sum())} not finite')
    return scores


def _chunks(number: int, length: int) -> list:
    """`number` cut into parts that need at most `CHUNK` values of rows of this length."""
    step = max(CHUNK // length, 1)
    return [min(step, number - start) for start in range(0, number, step)]
