"""What many tests share: the configs, a small model, a small batch."""

import importlib.util
import logging
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from mmengine.logging import MMLogger

import siamrpnpp_plugin.models  # noqa: F401  registers the network
from siamrpnpp_plugin.datasets.packing import pack
from siamrpnpp_plugin.datasets.sources import VIDSource
from siamrpnpp_plugin.datasets.synthetic import write_synthetic_vid
from siamrpnpp_plugin.registry import MODELS

ROOT = Path(__file__).resolve().parent.parent


def small_model_config(**changes) -> dict:
    """A SiamRPN of the seed's structure, small enough for a CPU test: ResNet-18, 16 channels in the head."""
    block = dict(type='siamrpnpp_plugin.RPNHead', in_channels=16, hidden_channels=16)
    config = dict(
        type='siamrpnpp_plugin.SiamRPN',
        backbone=dict(type='siamrpnpp_plugin.ResNet', depth=18),
        neck=dict(type='siamrpnpp_plugin.AdjustNeck', in_channels=(128, 256, 512), out_channels=16),
        head=dict(type='siamrpnpp_plugin.FusionHead', rpn_head=block))
    config.update(changes)
    return config


def pair_batch(batch: int = 2, template_size: int = 127, search_size: int = 255) -> dict:
    """A batch as the loader gives it: uint8 BGR images, targets near the middle, the last pair negative."""
    generator = torch.Generator().manual_seed(0)
    middle, half = search_size // 2, round(template_size / 4)
    box = torch.tensor([[middle - half] * 2 + [middle + half] * 2]).float()
    return dict(
        template=torch.randint(0, 256, (batch, 3, template_size, template_size), generator=generator, dtype=torch.uint8),
        search=torch.randint(0, 256, (batch, 3, search_size, search_size), generator=generator, dtype=torch.uint8),
        box_xyxy=box.repeat(batch, 1) + torch.arange(batch)[:, None],
        is_positive=torch.arange(batch) < max(batch - 1, 1))


def load_tool(path: str) -> ModuleType:
    """A script of `tools/` as a module; it may import what lies beside it, as a script may."""
    folder = str((ROOT / 'tools' / path).parent)
    if folder not in sys.path:
        sys.path.append(folder)
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / 'tools' / path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # what it defines can be pickled for worker processes
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(scope='session')
def vid_root(tmp_path_factory):
    """Six small synthetic videos as ILSVRC2015 VID. Do not write into it."""
    root = tmp_path_factory.mktemp('vid') / 'ILSVRC2015'
    list(write_synthetic_vid(root, videos=6, frames=16, size=(160, 120), seed=3))
    return root


@pytest.fixture(scope='session')
def store(vid_root, tmp_path_factory):
    """Path of their store, crops of 511 pixels. Do not write into it."""
    path = tmp_path_factory.mktemp('store') / 'vid.lmdb'
    pack(VIDSource(vid_root), path, workers=0)
    return str(path)


@pytest.fixture
def small_model():
    return MODELS.build(small_model_config())


@pytest.fixture
def warnings_logged():
    """Messages of mmengine's current logger from WARNING on."""
    messages = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield messages
    logger.removeHandler(handler)
