"""How PySOT loads and tracks, written anew for the benchmark to compare with, and PySOT itself. Nothing else uses it.

Its loader (`pysot/datasets/`): one JPEG file per crop, decoded whole; colour in float64; anchor targets in NumPy; float32
tensors.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from siamrpnpp_plugin.ops.crop import crop_and_resize, pixel_window

COLOR = np.array([[-.55919361, .98062831, -.41940627], [1.72091413, .19879334, -1.82968581],
                  [4.64467907, 4.73710203, 4.88324118]], np.float32)
ITSELF = 'PySOT itself'


def add_checkout(parser: argparse.ArgumentParser) -> None:
    """The option of the subjects that measure PySOT itself."""
    parser.add_argument('--pysot', type=Path, help='a checkout of PySOT (needs yacs); loader, track: else its way, written anew')


def missing_checkout(args: argparse.Namespace) -> str:
    """What a subject lacks that compares with nothing but PySOT itself."""
    return '' if args.pysot else f'--pysot PATH_OF_A_CHECKOUT: it is compared with {ITSELF}'


def baseline(args: argparse.Namespace) -> str:
    """Whom ours is compared with: PySOT itself where there is a checkout."""
    return ITSELF if args.pysot else "PySOT's way"


def symmetric() -> float:
    """U(-1, 1) of NumPy's global stream."""
    return np.random.random() * 2 - 1


class PySOTPairs(Dataset):
    """Pairs as PySOT loads them.

    Args:
        root: Folder of `video/frame.track.x.jpg` files.
        annotations: JSON file {video: {track: {frame: [xmin, ymin, xmax, ymax]}}}; each worker gets the whole of it.
        length: Samples.
    """

    def __init__(self, root: str, annotations: str, length: int, frame_range: int = 100, negative: float = 0.2,
                 blur: float = 0.2) -> None:
        with open(annotations) as file:
            self.labels = json.load(file)
        self.root, self.length, self.frame_range, self.negative, self.blur = root, length, frame_range, negative, blur
        self.frames = {video: {track: sorted(map(int, boxes)) for track, boxes in tracks.items()}
                       for video, tracks in self.labels.items()}
        self.videos = list(self.labels)
        self.pick = np.random.permutation(np.resize(np.arange(len(self.videos)), length)).tolist()
        self.anchors = self.all_anchors()

    @staticmethod
    def all_anchors() -> tuple:
        """Corners and centre form, each (4, 5, 25, 25) float32."""
        sizes = []
        for ratio in (0.33, 0.5, 1, 2, 3):
            width = int(np.sqrt(64 / ratio))
            sizes.append((width * 8, int(width * ratio) * 8))
        sizes = np.array(sizes, np.float32)[:, :, None, None]
        grid = (np.arange(25) - 12) * 8 + 127
        grid = grid.astype(np.float32)
        cx, cy, w, h = np.broadcast_arrays(grid[None, None], grid[None, :, None], sizes[:, 0], sizes[:, 1])
        return np.stack((cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)), np.stack((cx, cy, w, h))

    def __len__(self) -> int:
        return self.length

    def image_and_box(self, video: str, track: str, frame: int) -> tuple:
        path = os.path.join(self.root, video, f'{frame:06d}.{track}.x.jpg')
        return path, self.labels[video][track][f'{frame:06d}']

    def random_target(self, index: int) -> tuple:
        video = self.videos[index]
        track = np.random.choice(list(self.labels[video]))
        return self.image_and_box(video, track, np.random.choice(self.frames[video][track]))

    def positive_pair(self, index: int) -> tuple:
        video = self.videos[index]
        track = np.random.choice(list(self.labels[video]))
        frames = self.frames[video][track]
        template = np.random.randint(len(frames))
        nearby = frames[max(template - self.frame_range, 0):template + self.frame_range + 1]
        return self.image_and_box(video, track, frames[template]), self.image_and_box(video, track, np.random.choice(nearby))

    @staticmethod
    def box_in_crop(image: np.ndarray, box: list) -> tuple:
        width, height = box[2] - box[0], box[3] - box[1]
        scale = 127 / np.sqrt((width + (width + height) / 2) * (height + (width + height) / 2))
        cx, cy = image.shape[1] // 2, image.shape[0] // 2
        return cx - width * scale / 2, cy - height * scale / 2, cx + width * scale / 2, cy + height * scale / 2

    def augment(self, image: np.ndarray, box: tuple, size: int, shift: float, scale: float, blur: float) -> tuple:
        height, width = image.shape[:2]
        scale_x, scale_y = 1 + symmetric() * scale, 1 + symmetric() * scale
        half_x, half_y = (size - 1) * scale_x / 2, (size - 1) * scale_y / 2
        cx, cy = width // 2 + symmetric() * shift, height // 2 + symmetric() * shift
        x1, y1 = cx - half_x, cy - half_y
        box = ((box[0] - x1) / scale_x, (box[1] - y1) / scale_y, (box[2] - x1) / scale_x, (box[3] - y1) / scale_y)
        a, b = (size - 1) / (2 * half_x), (size - 1) / (2 * half_y)
        image = cv2.warpAffine(image, np.array([[a, 0, -a * x1], [0, b, -b * y1]]), (size, size), borderMode=cv2.BORDER_CONSTANT)
        image = image - (COLOR @ np.random.randn(3, 1))[::-1].reshape(3)
        if blur > np.random.random():
            length = np.random.choice(np.arange(5, 46, 2))
            share, kernel = np.random.random(), np.zeros((length, length))
            kernel[:, length // 2] += share / length
            kernel[length // 2] += (1 - share) / length
            image = cv2.filter2D(image, -1, kernel)
        return image, box

    def targets(self, box: tuple, negative: bool) -> tuple:
        corners, centers = self.anchors
        labels = -np.ones((5, 25, 25), np.int64)
        delta, weight = np.zeros((4, 5, 25, 25), np.float32), np.zeros((5, 25, 25), np.float32)
        cx, cy, w, h = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1]

        def keep(position: tuple, number: int) -> tuple:
            if len(position[0]) <= number:
                return position
            chosen = np.random.permutation(len(position[0]))[:number]
            return tuple(part[chosen] for part in position)

        if negative:
            column, row = (12 + int(np.ceil((value - 127) / 8 + .5)) for value in (cx, cy))
            near = np.zeros_like(labels)
            near[:, max(row - 3, 0):max(row + 4, 0), max(column - 3, 0):max(column + 4, 0)] = 1
            labels[keep(np.where(near == 1), 16)] = 0
            return labels, delta, weight, np.zeros_like(weight)
        delta[0], delta[1] = (cx - centers[0]) / centers[2], (cy - centers[1]) / centers[3]
        delta[2], delta[3] = np.log(w / centers[2]), np.log(h / centers[3])
        width = np.maximum(np.minimum(corners[2], box[2]) - np.maximum(corners[0], box[0]), 0)
        height = np.maximum(np.minimum(corners[3], box[3]) - np.maximum(corners[1], box[1]), 0)
        overlap = width * height / (centers[2] * centers[3] + w * h - width * height)
        positive = keep(np.where(overlap > .6), 16)
        labels[positive], weight[positive] = 1, 1 / (len(positive[0]) + 1e-6)
        labels[keep(np.where(overlap < .3), 48)] = 0
        return labels, delta, weight, overlap

    def __getitem__(self, index: int) -> dict:
        video = self.pick[index]
        negative = self.negative > np.random.random()
        if negative:
            template, search = self.random_target(video), self.random_target(np.random.randint(len(self.videos)))
        else:
            template, search = self.positive_pair(video)
        template_image, search_image = cv2.imread(template[0]), cv2.imread(search[0])
        template_box = self.box_in_crop(template_image, template[1])
        search_box = self.box_in_crop(search_image, search[1])
        template_image, _ = self.augment(template_image, template_box, 127, 4, .05, 0)
        search_image, box = self.augment(search_image, search_box, 255, 64, .18, self.blur)
        labels, delta, weight, _ = self.targets(box, negative)
        return dict(template=template_image.transpose(2, 0, 1).astype(np.float32),
                    search=search_image.transpose(2, 0, 1).astype(np.float32), label_cls=labels, label_loc=delta,
                    label_loc_weight=weight, bbox=np.array(box))


def pysot_dataset(root: str, crops: str, annotations: str, length: int) -> Dataset:
    """PySOT's own `TrkDataset`, out of a checkout of it.

    Args:
        root: The checkout; needs yacs.
        crops: Folder of `video/frame.track.x.jpg` files.
        annotations: JSON file, as for `PySOTPairs`.
        length: Samples.
    """
    cfg = pysot_config(root)
    if not hasattr(np, 'float'):
        np.float = float  # NumPy 1.24 took it away
    cfg.defrost()
    cfg.merge_from_list(['DATASET.NAMES', ('VID', ), 'DATASET.VID.ROOT', os.path.abspath(crops), 'DATASET.VID.ANNO',
                         os.path.abspath(annotations), 'DATASET.VID.NUM_USE', length, 'DATASET.VIDEOS_PER_EPOCH', length,
                         'TRAIN.EPOCH', 1, 'DATASET.SEARCH.BLUR', 0.2])
    from pysot.datasets.dataset import TrkDataset
    return TrkDataset()


def pysot_config(root: str, experiment: str = 'siamrpn_r50_l234_dwxcorr'):
    """PySOT's global settings, those of an experiment."""
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    from pysot.core.config import cfg
    cfg.merge_from_file(os.path.join(root, 'experiments', experiment, 'config.yaml'))
    return cfg


def pysot_training_step(root: str, batch: dict, frozen: bool) -> tuple:
    """PySOT's own model, loss and optimizer, out of a checkout of it.

    Args:
        root: The checkout; needs yacs.
        batch: `template`, `search` as PySOT's loader gives them, with `label_cls`, `label_loc`, `label_loc_weight`.
        frozen: Whether the backbone is frozen, as in PySOT's first ten epochs, or its layers 2 to 4 train.

    Returns:
        The model and a function that takes one training step and returns the loss.
    """
    cfg = pysot_config(root)
    from pysot.models.model_builder import ModelBuilder
    model = ModelBuilder().train()
    for name, module in model.backbone.named_modules():
        trained = not frozen and name.split('.')[0] in cfg.BACKBONE.TRAIN_LAYERS
        if isinstance(module, torch.nn.BatchNorm2d):
            module.train(trained)
        for parameter in module.parameters(recurse=False):
            parameter.requires_grad = trained
    optimizer = torch.optim.SGD([parameter for parameter in model.parameters() if parameter.requires_grad], lr=1e-4,
                                momentum=cfg.TRAIN.MOMENTUM, weight_decay=cfg.TRAIN.WEIGHT_DECAY)

    def step() -> float:
        loss = model(batch)['total_loss']
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), cfg.TRAIN.GRAD_CLIP)
        optimizer.step()
        return loss.item()

    return model, step


class PySOTTracker:
    """PySOT's `SiamRPNTracker` around a network of ours that has its shape.

    As there, every frame computes the template's share of the head again, autograd stays on, and candidates are ranked in NumPy.

    Args:
        model: In evaluation mode.
        policy: A `SiamRPNTracker`, for its numbers.
    """

    def __init__(self, model: torch.nn.Module, policy: object) -> None:
        self.model, self.policy = model, policy
        anchors = model.head.anchor_generator.grid((1, 1)).numpy()[:, 0, 0]
        self.shapes = anchors[:, 2:]

    def init(self, frame: np.ndarray, box_xywh: tuple) -> None:
        x, y, width, height = box_xywh
        self.center, self.size = np.array([x + (width - 1) / 2, y + (height - 1) / 2]), np.array([width, height], float)
        self.mean = np.mean(frame, axis=(0, 1))
        self.template = self.model.extract_template(self.crop(frame, 127, round(self.side())))

    def side(self) -> float:
        return np.sqrt(np.prod(self.size + 0.5 * self.size.sum()))

    def crop(self, frame: np.ndarray, size: int, side: int) -> torch.Tensor:
        image = crop_and_resize(frame, pixel_window(self.center, side), size, self.mean, align='pixel')
        return torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float32))

    def track(self, frame: np.ndarray) -> np.ndarray:
        policy, scale, instance = self.policy, 127 / self.side(), self.policy.search_size
        cls_score, bbox_pred = self.model.match(self.template, self.crop(frame, instance, round(self.side() * instance / 127)))
        grid = (np.arange(cls_score.shape[-1]) - cls_score.shape[-1] // 2) * 8
        delta = bbox_pred.detach().permute(1, 2, 3, 0).reshape(4, len(self.shapes), -1).numpy()
        score = cls_score.detach().permute(1, 2, 3, 0).reshape(2, -1).permute(1, 0).softmax(dim=1)[:, 1].numpy()
        width, height = (np.exp(delta[2 + axis]) * self.shapes[:, axis, None] for axis in (0, 1))
        x = delta[0] * self.shapes[:, 0, None] + np.tile(grid, len(grid))
        y = delta[1] * self.shapes[:, 1, None] + np.repeat(grid, len(grid))
        x, y, width, height = (part.ravel() for part in (x, y, width, height))

        def change(ratio: np.ndarray) -> np.ndarray:
            return np.maximum(ratio, 1 / ratio)

        def area(w: np.ndarray, h: np.ndarray) -> np.ndarray:
            return np.sqrt((w + (w + h) / 2) * (h + (w + h) / 2))

        penalty = np.exp(-(change(self.size[0] / self.size[1] / (width / height))
                           * change(area(width, height) / area(*(self.size * scale))) - 1) * policy.penalty_k)
        window = np.tile(np.outer(np.hanning(len(grid)), np.hanning(len(grid))).ravel(), len(self.shapes))
        best = np.argmax(penalty * score * (1 - policy.window_influence) + window * policy.window_influence)
        share = penalty[best] * score[best] * policy.smoothing
        limits = np.array(frame.shape[1::-1])
        self.center = np.clip(self.center + np.array([x[best], y[best]]) / scale, 0, limits)
        self.size = np.clip(self.size * (1 - share) + np.array([width[best], height[best]]) / scale * share, 10, limits)
        return np.array([*(self.center - self.size / 2), *self.size])


def pysot_tracker(root: str, experiment: str, device: str):
    """PySOT's own tracker with random weights, out of a checkout of it.

    Args:
        root: The checkout; needs yacs.
        experiment: Folder of `experiments`.
        device: 'cpu' or 'cuda'.
    """
    cfg = pysot_config(root, experiment)
    cfg.CUDA = device == 'cuda'
    from pysot.models.model_builder import ModelBuilder
    from pysot.tracker.tracker_builder import build_tracker
    model = ModelBuilder().eval()
    for name, parameter in model.named_parameters():
        if '.head.3.' in name:
            torch.nn.init.zeros_(parameter)  # boxes are the anchors: random ones would leave the image
    return build_tracker(model.to(device))
