"""Ask a checkout of PySOT for whole tracks and freeze them beside this script; or compare ours with them on any video.

    git clone https://github.com/STVIR/pysot && pip install yacs pyyaml
    python tests/parity/pysot_tracks.py PATH_OF_PYSOT                          # writes pysot_tracks.npz
    python tests/parity/pysot_tracks.py PATH_OF_PYSOT --check VIDEO x,y,w,h    # compares live, frame by frame, with other weights

PySOT needs no compiled code for this. The weights are random, but the outputs are brought to a mean and a spread where boxes
move in every frame and scores do not saturate: nothing is tracked, all of the policy's numbers are exercised.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
import yaml

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]
import seeded  # noqa: E402


class Case(NamedTuple):
    """A track: a network of `seeded.NETWORKS`, the video, and how the network's outputs are spread."""

    network: str
    num_frames: int = 12
    is_long_term: bool = False  # PySOT's SiamRPNLTTracker, and a video that is blank in between
    score_mean: float = 0  # of the target's logit less the background's
    score_std: float = 2
    delta_std: float = 0.2


CASES = {
    'r50': Case('r50'),
    'r50_lt': Case('r50_lt', num_frames=8, is_long_term=True, score_mean=-3.5, score_std=4),
    'mobilenetv2': Case('mobilenetv2'),
    'alexnet': Case('alexnet'),
    'alexnet_lt': Case('alexnet', is_long_term=True, score_mean=-1.5, score_std=3),
    'alexnet_lost': Case('alexnet', num_frames=7, is_long_term=True, score_mean=-4, score_std=3),
}
BOX_XYWH = (262.5, 170.25, 52.0, 64.5)  # near the lower right corner of the video


class Track(NamedTuple):
    """What a tracker did with T frames; the first one initialises."""

    boxes_xywh: np.ndarray  # (T, 4) float64 pixels
    scores: np.ndarray  # (T,)
    is_lost: np.ndarray  # (T,) bool
    crops: list  # T images (S, S, 3) uint8: the template, then the search images
    num_comparable: int  # frames until PySOT's long-term tracker tells a clipped box and goes on from another one; T if never


def video(num_frames: int, has_gap: bool = False) -> list:
    """Frames (240, 320, 3) uint8: waves, and a chequered target that wanders in from the corner; a gap is a grey frame."""
    y, x = np.mgrid[:240, :320].astype(np.float64)
    frames = []
    for t in range(num_frames):
        center_x, center_y = 288 - 9 * t, 202 - 6 * t
        inside = (abs(x - center_x) < 26) & (abs(y - center_y) < 32)
        channels = []
        for c in range(3):
            ground = 128 + 50 * np.sin(x / 17 + c + 0.3 * t) + 50 * np.sin(y / 23 + 2 * c) * np.cos(x / 41 - y / 29 + 0.2 * t)
            target = 128 + 110 * np.sin((x - center_x) / 5 + c) * np.cos((y - center_y) / 7)
            channels.append(np.where(inside, target, ground))
        frame = np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
        frames.append(np.full_like(frame, 128) if has_gap and t == 3 else frame)
    return frames


def spread(tensors: dict, gains: dict) -> dict:
    """A state dict whose outputs are `gain` times the old ones plus `shift`, for (gain, shift) by branch, one for each channel.

    The levels are fused with shares that sum to 1, so each level is changed alike.
    """
    tensors = dict(tensors)
    for key in tensors:
        for branch, (gain, shift) in gains.items():
            gain, shift = torch.from_numpy(gain), torch.from_numpy(shift)
            if key.endswith(f'{branch}.head.3.weight'):
                tensors[key] = tensors[key] * gain[:, None, None, None]
            elif key.endswith(f'{branch}.head.3.bias'):
                tensors[key] = tensors[key] * gain + shift
    return tensors


@torch.no_grad()
def measure_gains(case: Case, tracker, frames: list, box_xywh: tuple) -> dict:
    """(gain, shift) by branch that give PySOT's outputs for the second frame the case's mean and spread in every channel."""
    with np.errstate(all='ignore'):  # with the old outputs boxes overflow
        crops = pysot_track(tracker, frames[:2], box_xywh).crops
    images = [torch.from_numpy(crop).permute(2, 0, 1)[None].float() for crop in crops]
    tracker.model.template(images[0])
    outputs = tracker.model.track(images[1])
    gains = {}
    for branch, mean, std in (('cls', case.score_mean / 2, case.score_std / 2**0.5), ('loc', 0, case.delta_std)):
        output = outputs[branch][0].flatten(1)
        means = torch.full((len(output), ), float(mean))
        if branch == 'cls':
            means[:len(means) // 2] *= -1  # the background's
        gain = std / output.std(dim=1)
        gains[branch] = gain.numpy(), (means - gain * output.mean(dim=1)).numpy()
    return gains


def pysot_tracker(root: Path, case: Case, frames: list, box_xywh: tuple, seed: int) -> tuple:
    """(PySOT's tracker, its weights, and the `spread` that they have been given on these frames)."""
    from pysot.core.config import cfg
    from pysot.models.model_builder import ModelBuilder
    from pysot.tracker.tracker_builder import build_tracker
    pristine = pysot_tracker.__dict__.setdefault('pristine', cfg.clone())
    cfg.clear()
    cfg.update(pristine.clone())
    config = yaml.safe_load((root / 'experiments' / seeded.NETWORKS[case.network][0] / 'config.yaml').read_text())
    for part, values in config.items():
        if isinstance(values, dict):
            for key, value in values.items():
                if key in cfg[part]:  # the long-term experiment has keys that PySOT itself does not know
                    cfg[part][key] = value
    cfg.CUDA = False
    cfg.TRACK.TYPE = 'SiamRPNLTTracker' if case.is_long_term else 'SiamRPNTracker'
    cfg.TRACK.CONFIDENCE_LOW = 0.8  # of the long-term experiment
    model = ModelBuilder().eval()
    shapes = {key: list(value.shape) for key, value in model.state_dict().items()}
    assert shapes == json.loads((HERE / 'pysot_shapes.json').read_text())[case.network]
    model.load_state_dict(seeded.weights(shapes, seed))
    gains = measure_gains(case, build_tracker(model), frames, box_xywh)
    tensors = spread(model.state_dict(), gains)
    model.load_state_dict(tensors)
    return build_tracker(model), tensors, gains


@torch.no_grad()
def pysot_track(tracker, frames: list, box_xywh: tuple) -> Track:
    crops = []
    cut = tracker.get_subwindow

    def keep(*arguments):
        crop = cut(*arguments)
        crops.append(crop[0].permute(1, 2, 0).numpy().astype(np.uint8))
        return crop

    tracker.get_subwindow = keep
    tracker.init(frames[0], box_xywh)
    center, size = tracker.center_pos, tracker.size
    rows, num_comparable = [(*(center - size / 2), *size, 1, False)], None
    for frame in frames[1:]:
        result = tracker.track(frame)
        rows.append((*result['bbox'], result['best_score'], getattr(tracker, 'longterm_state', False)))
        remembered = *(tracker.center_pos - tracker.size / 2), *tracker.size
        if num_comparable is None and not np.array_equal(result['bbox'], remembered):
            num_comparable = len(rows)
    rows = np.array(rows, np.float64)
    return Track(rows[:, :4], rows[:, 4], rows[:, 5] > 0, crops, num_comparable or len(rows))


def our_tracker(case: Case, tensors: dict, **changes) -> tuple:
    """(the tracker of the network's config, our model with PySOT's weights)."""
    from ours import load_pysot

    from siamrpnpp_plugin.registry import TASK_UTILS
    model = load_pysot(seeded.NETWORKS[case.network][1], tensors)
    if case.is_long_term:
        changes = dict(changes, lost_search_size=831)
    return TASK_UTILS.build(dict(model.cfg.tracker, _scope_='siamrpnpp_plugin', **changes)), model


def our_track(tracker, model: torch.nn.Module, frames: list, box_xywh: tuple) -> Track:
    crops = []
    cut = tracker.crop

    def keep(*arguments):
        crops.append(cut(*arguments))
        return crops[-1]

    tracker.crop = keep
    x, y, width, height = box_xywh
    states = [tracker.init(model, frames[:1], np.array([[x, y, x + width, y + height]]))]
    for frame in frames[1:]:
        states.append(tracker.update(model, states[-1], [frame]))
    return Track(np.array([[*state.box_xyxy[0, :2], *state.size[0]] for state in states]),
                 np.array([state.confidence[0] for state in states]), np.array([state.is_lost[0] for state in states]),
                 [crop[0] for crop in crops], len(states))


def crop_sample(crop: np.ndarray) -> np.ndarray:
    """256 values of a crop at fixed places."""
    return crop.reshape(-1)[seeded.generator(0, 'crop').randint(0, crop.size, 256)]


def freeze(root: Path) -> dict:
    numbers = {}
    for name, case in CASES.items():
        frames = video(case.num_frames, case.is_long_term)
        tracker, _, gains = pysot_tracker(root, case, frames, BOX_XYWH, seed=0)
        track = pysot_track(tracker, frames, BOX_XYWH)
        for branch, gain in gains.items():
            numbers[f'{name}/gains/{branch}'] = np.stack(gain)
        assert track.num_comparable == case.num_frames, f'{name}: PySOT clips a box in frame {track.num_comparable - 1}'
        numbers.update({
            f'{name}/boxes_xywh': track.boxes_xywh, f'{name}/scores': track.scores, f'{name}/is_lost': track.is_lost,
            f'{name}/crops': np.stack([crop_sample(crop) for crop in track.crops]),
            f'{name}/crop_means': np.array([crop.mean() for crop in track.crops]),
            f'{name}/crop_sides': np.array([len(crop) for crop in track.crops])})
        print(name)
        for box, score, is_lost in zip(*track[:3]):
            print('  ', *(f'{value:8.3f}' for value in box), f'{score:.4f}', 'lost' if is_lost else '')
    return numbers


def read_video(path: str, num_frames: int) -> list:
    capture = cv2.VideoCapture(path)
    frames = []
    while len(frames) < num_frames:
        is_read, frame = capture.read()
        if not is_read:
            break
        frames.append(frame)
    if len(frames) < 2:
        raise SystemExit(f'{path} has {len(frames)} frames that can be read')
    return frames


def check(root: Path, names: list, frames: list, box_xywh: tuple, seed: int) -> None:
    """Compare boxes and crops live, and tell how far our own crop leads away from PySOT's."""
    print(f'{len(frames)} frames of {frames[0].shape[1]}x{frames[0].shape[0]}, box {box_xywh}, weights of seed {seed}')
    equal = True
    for name in names:
        case = CASES[name]
        tracker, tensors, _ = pysot_tracker(root, case, frames, box_xywh, seed)
        seconds = [time.perf_counter()]
        theirs = pysot_track(tracker, frames, box_xywh)
        seconds.append(time.perf_counter())
        ours = our_track(*our_tracker(case, tensors), frames, box_xywh)
        seconds.append(time.perf_counter())
        free = our_track(*our_tracker(case, tensors, align=None), frames, box_xywh)
        num = theirs.num_comparable
        boxes = np.abs(ours.boxes_xywh - theirs.boxes_xywh)[:num].max()
        scores = np.abs(ours.scores - theirs.scores)[:num].max()
        crops = max(int(cv2.absdiff(*pair).max()) for pair in list(zip(ours.crops, theirs.crops))[:num])
        center, free_center = (track.boxes_xywh[:, :2] + track.boxes_xywh[:, 2:] / 2 for track in (theirs, free))
        steps = np.linalg.norm(np.diff(center, axis=0), axis=1)
        # PySOT counts from the middle of the first pixel, align=None from its corner
        apart = np.linalg.norm(free_center - 0.5 - center, axis=1)
        print(f'{name:12} worst in {num} frames: boxes {boxes:.2e} px, scores {scores:.1e}, crops {crops} grey levels\n'
              f'{"":12} centre moves {steps.mean():.1f} px per frame, {theirs.is_lost.sum()} frames lost; PySOT, ours: '
              f'{np.diff(seconds).round(1).tolist()} s\n'
              f'{"":12} align=None: centres {apart.mean():.2f} px apart on average, at most {apart.max():.2f}', flush=True)
        equal &= boxes <= 0.02 and crops <= 1
    if not equal:
        raise SystemExit('not equal')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('pysot', type=Path, help='checkout of PySOT')
    parser.add_argument('--check', nargs=2, metavar=('VIDEO', 'x,y,w,h'), help='compare live on this video, write nothing')
    parser.add_argument('--cases', nargs='+', choices=CASES, default=['r50', 'mobilenetv2', 'alexnet'], help='with --check')
    parser.add_argument('--frames', type=int, default=50, help='with --check')
    parser.add_argument('--seed', type=int, default=7, help='of the weights, with --check')
    args = parser.parse_args()
    sys.path.insert(0, str(args.pysot))
    if args.check is None:
        np.savez_compressed(HERE / 'pysot_tracks.npz', **freeze(args.pysot))
        return
    path, box = args.check
    check(args.pysot, args.cases, read_video(path, args.frames), tuple(float(value) for value in box.split(',')), args.seed)


if __name__ == '__main__':
    main()
