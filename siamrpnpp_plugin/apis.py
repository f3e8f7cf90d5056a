"""The edge of the package for users' own programs."""

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Optional, Union

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from torch import nn

from .models.state_dicts import compare, read_checkpoint
from .registry import MODELS, SCOPE


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
               device: Union[str, torch.device] = 'cpu') -> nn.Module:
    """Build the model of a config, load a checkpoint into it, and make it ready to track.

    Args:
        config: Path of a config file, or a loaded config with the key `model`.
        checkpoint: Local checkpoint of this package (`tools/convert_checkpoint.py` makes one of PySOT's or mmtracking's). Without
            one the weights are those of `init_cfg`, or random with a warning.
        device: Device of the model.

    Returns:
        The model in evaluation mode, with the config as attribute `cfg`.

    Raises:
        FileNotFoundError: If there is no such config or checkpoint.
        KeyError: If the config has no `model`, or names an unknown type.
        ValueError: If the checkpoint does not fit the model, with the keys and shapes that differ.
    """
    model = build_model(config)
    if checkpoint is None:
        with DefaultScope.overwrite_default_scope(model.cfg.get('default_scope', SCOPE)), _quiet_logger():
            model.init_weights()
        return model.to(device).eval()
    weights, _ = read_checkpoint(checkpoint)
    report = compare(weights, model.state_dict())
    if not report.complete:
        hint = ''
        if any(key.startswith(('rpn_head.', 'head.cls_heads.')) for key in weights):
            hint = '\nIt comes from PySOT or mmtracking: convert it first with tools/convert_checkpoint.py.'
        raise ValueError(f'{checkpoint} does not fit the model of {model.cfg.filename}: {report.summary()}{hint}')
    model.load_state_dict(weights, strict=False)  # not strict: old files lack the batch counters of norm layers
    return model.to(device).eval()


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
