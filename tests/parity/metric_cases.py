"""Inputs of the metrics that the toolkits and ours score alike, drawn from NumPy's frozen legacy generator. T frames.

Boxes are x, y, width, height as in the files of the toolkits.
"""

import zlib

import numpy as np

SIZE = (160, 120)

# name of a sequence of one-pass evaluation -> what is odd in it
SEQUENCES = {
    'plain': (), 'decimals': (), 'exact': (), 'identical': (), 'first_frame_off': (), 'border': (), 'tiny': (),
    'absent': ('flags',), 'zero_truth': (), 'zero_predicted': (), 'nan_truth': ('nan_truth',),
    'nan_truth_absent': ('nan_truth', 'flags'), 'zero_truth_absent': ('flags',), 'nan_predicted': ('nan_predicted',),
    'longer': ('longer',), 'shorter': ('shorter',)}

# preset -> what its toolkit fails on
FAILS_ON = {
    'pysot': {'longer', 'shorter'}, 'got10k': {'longer', 'shorter', 'nan_truth', 'nan_predicted'}, 'otb': set(),
    'trackingnet': set(), 'uav': set(), 'lasot': set(), 'pytracking': {'nan_truth', 'nan_predicted'},
    'pytracking_excluded': {'nan_truth', 'nan_predicted'}, 'pytracking_uav': {'nan_predicted'},
    'pytracking_lasot': {'nan_truth', 'nan_predicted', 'shorter'}}


def generator(name: str) -> np.random.RandomState:
    return np.random.RandomState(zlib.crc32(name.encode()) & 0xffffffff)


def ope_sequence(name: str) -> dict:
    """`predicted` and `truth` xywh, `is_absent` (None without flags), `cover`."""
    random = generator(name)
    length = int(random.randint(30, 70))
    path = np.cumsum(random.randint(-3, 4, (length, 2)), axis=0) + 50.
    truth = np.concatenate((path, random.randint(8, 40, (length, 2))), axis=1)
    spread = random.choice([0, 1, 3, 10, 30], (length, 1))
    predicted = truth + np.rint(random.standard_normal((length, 4)) * spread)
    if name == 'decimals':
        truth, predicted = (np.round(boxes + random.randint(0, 100, (length, 4)) / 100, 2) for boxes in (truth, predicted))
    predicted[:, 2:] = predicted[:, 2:].clip(1)
    if name == 'exact':  # overlaps of whole twentieths, errors of whole pixels, normalised ones of whole hundredths
        truth[:, 2:] = random.choice([10, 20, 50, 100], (length, 2))
        predicted = truth.copy()
        predicted[::2, 2] *= random.randint(1, 21, len(predicted[::2])) / 20
        predicted[1::2, :2] += random.choice([0, 3, 4, 5, 12, 20, 21], (len(predicted[1::2]), 2))
    elif name == 'identical':
        truth = np.round(truth + random.randint(0, 1000, (length, 4)) / 1000, 3)
        predicted = truth.copy()
    elif name == 'first_frame_off':
        predicted[0] = 1, 2, 3, 4
    elif name == 'border':
        shift = truth[:, :2] * (random.rand(length, 1) < 0.7) + random.choice([0, 0, 10, -5, 150], (length, 2))
        truth[:, :2], predicted[:, :2] = truth[:, :2] - shift, predicted[:, :2] - shift
    elif name == 'tiny':
        truth[:, 2:], predicted[:, 2:] = truth[:, 2:] / 40, predicted[:, 2:] / 40
        predicted[:, :2] = truth[:, :2] + random.randint(0, 3, (length, 2)) / 8
    odd = random.rand(length) < 0.3
    odd[:2] = False
    if name.startswith('zero_truth'):
        truth[odd] = random.choice([0., 1], (int(odd.sum()), 1)) * truth[odd]
        truth[odd, 2 + int(random.randint(2))] = 0
    elif name == 'zero_predicted':
        predicted[odd, 2:] *= random.choice([0., 1], (int(odd.sum()), 2))
        predicted[0, 2:] = 0, 5
        predicted[-2:, 2:] = 0
    elif 'nan_truth' in SEQUENCES[name]:
        truth[odd] = np.nan
    elif name == 'nan_predicted':
        predicted[odd] = np.nan
    elif name == 'longer':
        predicted = np.concatenate((predicted, predicted[:7]))
    elif name == 'shorter':
        predicted = predicted[:-6]
    is_absent = (random.rand(length) < 0.3) | (odd & (random.rand(length) < 0.5))
    is_absent[0] = False
    return dict(predicted=predicted, truth=truth, is_absent=is_absent if 'flags' in SEQUENCES[name] else None,
                cover=random.randint(0, 9, length) * (random.rand(length) < 0.7))


def ope_names(preset: str) -> list:
    return [name for name, oddities in SEQUENCES.items() if not FAILS_ON[preset] & set(oddities)]


def polygon_pairs(count: int = 120) -> dict:
    """{name: two (N, corners, 2)} for the overlap by pixels; `convex` for the exact one."""
    random, pairs = generator('polygons'), {}
    centers = random.uniform(-20, 140, (count, 1, 2))
    for name, corners, scale in (('crossing', (4, 4), 40), ('many', (8, 5), 40), ('small', (4, 3), 2), ('large', (4, 4), 250)):
        pairs[name] = [centers + random.uniform(-scale, scale, (count, number, 2)) for number in corners]
    pairs['halves'] = [np.rint(2 * polygon) / 2 for polygon in pairs['crossing']]
    boxes = centers + random.randint(-90, 90, (count, 1, 2)) / 2
    sides = [random.randint(0, 60, (count, 1, 2)) * np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) for _ in range(2)]
    pairs['boxes'] = [boxes + sides[0], boxes + random.randint(-9, 10, (count, 1, 2)) + sides[1]]
    angles = [np.sort(random.uniform(0, 2 * np.pi, (count, number)), axis=1) for number in (5, 4)]
    pairs['convex'] = [centers + random.uniform(-15, 15, (count, 1, 2))
                       + np.stack((30 * np.cos(angle), 20 * np.sin(angle)), axis=2) for angle in angles]
    return pairs


BOUNDS = {'none': None, 'image': (119, 99), 'small': (30.5, 30.25)}
VOT_LENGTHS = dict(short=90, long=420, middle=200, late=160, still=310)


def vot_sequences(kind: str, repetitions: int) -> dict:
    """{name: dict(runs, truth, tags)}; truth has lists of 4 or 8 numbers. In `odd` a target leaves the image, which gives NaN."""
    sequences = {}
    for name, length in VOT_LENGTHS.items():
        random = generator(f'vot/{kind}/{name}')
        center = 60 + np.cumsum(random.standard_normal((length, 2)), axis=0).clip(-55, 55)
        half = random.uniform(8, 25, 2) * (1 + 0.2 * np.sin(np.arange(length) / 20))[:, None]
        turn = np.cumsum(random.standard_normal(length)) / 20
        truth = _turned(center, half, turn * (name != 'middle'))
        if kind == 'odd' and name == 'still':
            truth[250:255] += 500
        runs = [_run(random, truth, name) for _ in range(repetitions)]
        truth = [[*polygon[0], *(polygon[2] - polygon[0])] if name == 'middle' else polygon.ravel().tolist() for polygon in truth]
        flags = np.repeat(random.rand(5, length // 30 + 1) < 0.4, 30, axis=1)[:, :length].astype(int)
        flags[int(random.randint(5))] = 0
        tags = dict(zip(('camera_motion', 'illum_change', 'motion_change', 'size_change', 'occlusion'), flags.tolist()))
        if name == 'late':
            tags['occlusion'] = []
        sequences[name] = dict(runs=runs, truth=[list(map(float, region)) for region in truth], tags=tags)
    return sequences


def _turned(center: np.ndarray, half: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """(T, 4, 2) corners, in hundredths of a pixel."""
    corners = half[:, None] * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
    turned = np.stack((corners[..., 0] * cos - corners[..., 1] * sin, corners[..., 0] * sin + corners[..., 1] * cos), axis=2)
    return np.round(center[:, None] + turned, 2)


def _run(random: np.random.RandomState, truth: np.ndarray, name: str) -> list:
    length, entries, frame = len(truth), [], 0
    failures = {'still': [], 'late': [60, length - 5], 'long': [40, length - 3]}.get(
        name, sorted(random.choice(np.arange(2, length // 10) * 10, 3, replace=False).tolist()))
    while len(entries) < length:
        frame = len(entries)
        if frame in failures:
            entries += [[2.], [0.], [0.], [0.], [0.]]
        elif not entries or entries[-1] == [0.]:
            entries.append([1.])
        else:
            region = truth[frame] + np.round(random.standard_normal((1, 2)) * 4, 2)
            low, high = region.min(axis=0), region.max(axis=0)
            entries.append([*low, *(high - low)] if frame % 3 else region.ravel().tolist())
    return [list(map(float, entry)) for entry in entries[:length]]


def longterm_sequences() -> dict:
    """{name: dict(entries, confidences, truth)}; truth is NaN where the target is absent."""
    sequences = {}
    for name, length in dict(first=150, second=90, third=200).items():
        random = generator(f'longterm/{name}')
        path = 60 + np.cumsum(random.standard_normal((length, 2)), axis=0)
        truth = np.concatenate((path, random.uniform(10, 30, (length, 2))), axis=1)
        entries = truth + random.standard_normal((length, 4)) * random.choice([1, 8], (length, 1))
        entries[:, 2:] = entries[:, 2:].clip(2)
        confidences = np.round(random.uniform(0, 1, length), 2)
        confidences[0] = np.nan
        truth[np.arange(length) % 40 > 30] = np.nan
        sequences[name] = dict(entries=[[1.], *entries[1:].tolist()], confidences=confidences, truth=truth)
    return sequences
