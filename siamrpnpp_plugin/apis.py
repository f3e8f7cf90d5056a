"""The edge of the package for users' own programs."""

import contextlib
import logging
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Optional, Union

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from torch import nn

from .engine.launch import keep_freed_memory
from .models.inference import optimize_for_inference
from .models.onnx_siamrpn import OnnxSiamRPN
from .models.state_dicts import compare, read_checkpoint
from .registry import MODELS, SCOPE, TASK_UTILS
from .visualization import draw_box


def build_model(config: Union[str, 'os.PathLike[str]', dict]) -> nn.Module:
    """Build the model of a config, weights as the constructors leave them, with the config as attribute `cfg`.

    Args:
        config: Path of a config file, or a loaded config with the key `model`.

    Raises:
        FileNotFoundError: If there is no such config.
        KeyError: If the config has no `model`, or names an unknown type.
        ValueError: If a part gets an unknown or wrong argument.
    """
    if not isinstance(config, Config):
        config = Config(config) if isinstance(config, dict) else Config.fromfile(config)
    if 'model' not in config:
        raise KeyError(f"config {config.filename} has no 'model'")
    with DefaultScope.overwrite_default_scope(config.get('default_scope', SCOPE)):
        model = MODELS.build(config.model)
    model.cfg = config
    return model


def init_model(config: Union[str, 'os.PathLike[str]', dict], checkpoint: Optional[Union[str, 'os.PathLike[str]']] = None,
               device: Union[str, torch.device] = 'cpu', fast: bool = False) -> nn.Module:
    """Build the model of a config, load a checkpoint into it, and make it ready to track.

    For torch on a CPU the process is told to keep freed memory, see `keep_freed_memory`.

    Args:
        config: Path of a config file, or a loaded config with the key `model`.
        checkpoint: Local checkpoint of this package (`tools/convert_checkpoint.py` makes one of PySOT's or mmtracking's). Without
            one the weights are those of `init_cfg`, or random with a warning. A folder is a network that `export_onnx` wrote; it
            runs in ONNX Runtime.
        device: Device of the model.
        fast: Whether to fold and filter what can be, see `optimize_for_inference`: on a CPU boxes change by less than .01 pixels
            and come up to twice as fast, for up to four times the memory; a GPU computes in float16. Such a model cannot be
            trained or saved.

    Returns:
        The model in evaluation mode, with the config as attribute `cfg`.

    Raises:
        FileNotFoundError: If there is no such config or checkpoint.
        KeyError: If the config has no `model`, or names an unknown type.
        ValueError: If the checkpoint does not fit the model, with the keys and shapes that differ.
    """
    if checkpoint is not None and Path(checkpoint).is_dir():
        return _init_exported(config, checkpoint, device)
    if torch.device(device).type == 'cpu':
        keep_freed_memory()
    model = build_model(config)
    if checkpoint is None:
        with DefaultScope.overwrite_default_scope(model.cfg.get('default_scope', SCOPE)), _quiet_logger():
            model.init_weights()
    else:
        _load_weights(model, checkpoint)
    model = model.to(device).eval()
    if fast:
        tracker = build_tracker(model.cfg)
        optimize_for_inference(model, tracker.search_size, tracker.template_size)
    return model


def _init_exported(config: Union[str, 'os.PathLike[str]', dict], folder: Union[str, 'os.PathLike[str]'],
                   device: Union[str, torch.device]) -> OnnxSiamRPN:
    """An exported network with the tracking policy of a config."""
    if torch.device(device).type != 'cpu':
        raise ValueError(f'{folder} is an exported network: it runs on the CPU, not on {device}')
    if not isinstance(config, Config):
        config = Config(config) if isinstance(config, dict) else Config.fromfile(config)
    model = OnnxSiamRPN(folder)
    if 'tracker' in config:
        model.cfg = dict(model.cfg, tracker=config.tracker, default_scope=config.get('default_scope', SCOPE))
    return model


def _load_weights(model: nn.Module, checkpoint: Union[str, 'os.PathLike[str]']) -> None:
    """All weights of a model."""
    weights, _ = read_checkpoint(checkpoint)
    report = compare(weights, model.state_dict())
    if not report.complete:
        hint = ''
        if any(key.startswith(('rpn_head.', 'head.cls_heads.')) for key in weights):
            hint = '\nIt comes from PySOT or mmtracking: convert it first with tools/convert_checkpoint.py.'
        raise ValueError(f'{checkpoint} does not fit the model of {model.cfg.filename}: {report.summary()}{hint}')
    model.load_state_dict(weights, strict=False)  # not strict: old files lack the batch counters of norm layers


def build_tracker(config: Union[Config, dict, None] = None) -> Any:
    """Build the tracking policy of a config.

    Args:
        config: With the key `tracker`; without one it is a `SiamRPNTracker` with its defaults.
    """
    settings = (config or {}).get('tracker', dict(type=f'{SCOPE}.SiamRPNTracker'))
    with DefaultScope.overwrite_default_scope((config or {}).get('default_scope', SCOPE)):
        return TASK_UTILS.build(settings)


class SOTracker:
    """A single-object tracker with the field's two verbs; the got10k toolkit's experiments run it as it is.

    Args:
        model: From `init_model`, or an `OnnxSiamRPN`.
        tracker: Config of the policy; None takes that of the model's config.
        name: How the toolkit calls its folder of results.
    """

    is_deterministic = True

    def __init__(self, model: nn.Module, tracker: Optional[dict] = None, name: str = 'SiamRPNpp') -> None:
        self.model, self.name = model.eval(), name
        self.tracker = build_tracker(getattr(model, 'cfg', None) if tracker is None else dict(tracker=tracker))
        self.state: Any = None

    def init(self, image: Any, box_xywh: Sequence[float]) -> None:
        """Look at the target once.

        Args:
            image: (H, W, 3) uint8 BGR, as OpenCV reads it, or a PIL image.
            box_xywh: Left, top, width, height in pixels.

        Raises:
            ValueError: If the image is no colour image, or the box is not finite, has no area, or lies outside.
        """
        x, y, width, height = (float(value) for value in box_xywh)
        self.state = self.tracker.init(self.model, [_to_bgr(image)], np.array([[x, y, x + width, y + height]]))

    def update(self, image: Any) -> np.ndarray:
        """(4,) left, top, width, height of the target in the next image; its score is `confidence`.

        Raises:
            RuntimeError: Before `init`.
            ValueError: If the image is no colour image.
        """
        if self.state is None:
            raise RuntimeError('call init(image, box_xywh) before update(image)')
        self.state = self.tracker.update(self.model, self.state, [_to_bgr(image)])
        x1, y1, x2, y2 = self.state.box_xyxy[0]
        return np.array([x1, y1, x2 - x1, y2 - y1])

    @property
    def confidence(self) -> float:
        """Probability of the last box in [0, 1]; NaN before `init`."""
        return float('nan') if self.state is None else float(self.state.confidence[0])

    def track(self, img_files: Sequence[str], box: Sequence[float], visualize: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """(T, 4) boxes xywh and (T,) seconds of a whole video, as the got10k toolkit's `Tracker.track`.

        Args:
            img_files: (T,) image files.
            box: Left, top, width, height in the first one.
            visualize: Whether to show each frame in a window.

        Raises:
            ValueError: If an image cannot be read, with its name.
        """
        boxes, seconds = np.zeros((len(img_files), 4)), np.zeros(len(img_files))
        for index, path in enumerate(img_files):
            image = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if image is None:
                raise ValueError(f'{path} is missing or no image')
            start = time.perf_counter()
            if index == 0:
                self.init(image, box)
                boxes[0] = box
            else:
                boxes[index] = self.update(image)
            seconds[index] = time.perf_counter() - start
            if visualize:
                cv2.imshow(self.name, draw_box(image, boxes[index] + [0, 0, *boxes[index, :2]]))
                cv2.waitKey(1)
        return boxes, seconds


def _to_bgr(image: Any) -> np.ndarray:
    """PIL images have the attribute `mode`, arrays have not."""
    return np.asarray(image.convert('RGB'))[..., ::-1] if hasattr(image, 'mode') else image


@contextlib.contextmanager
def _quiet_logger() -> Iterator[None]:
    """Let mmengine's current logger speak from WARNING on: it lists every tensor at initialisation otherwise."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
