"""Starting ranks where mmengine cannot, on machines without a GPU, and ending them in order; memory on a CPU."""

import ctypes
import os
import sys

import torch
import torch.distributed
from mmengine.config import Config
from torch import nn

from ..registry import MODEL_WRAPPERS


def init_cpu_ranks(config: Config) -> None:
    """Join a gloo process group and fit the config to it, if there is a launcher and no GPU; else leave both to mmengine.

    mmengine 0.10 calls `torch.cuda.set_device` for every launcher, and gives DDP a device that a CPU model must not have.

    Raises:
        ValueError: If the config asks for mixed precision, or for another launcher than torch's, without a GPU.
    """
    if torch.cuda.is_available():
        return
    if config.get('optim_wrapper', {}).get('type') == 'AmpOptimWrapper':
        raise ValueError('mixed precision (--amp, AmpOptimWrapper) needs a GPU: PyTorch sees none here')
    if config.get('launcher', 'none') == 'none':
        return
    if config.launcher != 'pytorch':
        raise ValueError(f'without a GPU only the launcher pytorch works, got {config.launcher}')
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group('gloo')
    config.setdefault('model_wrapper_cfg', dict(type='MMDistributedDataParallel', broadcast_buffers=False))
    config.model_wrapper_cfg.device_ids = None
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // int(os.environ.get('LOCAL_WORLD_SIZE', 1))))


def keep_freed_memory() -> None:
    """Let the process keep the memory that torch frees on a CPU, and use it again.

    glibc gives large pieces back to the kernel at once, which clears every page of the next one: a tenth to a quarter of a
    network's time without gradients. The peak does not change. Elsewhere than on Linux with glibc nothing happens.
    """
    if sys.platform == 'linux':
        try:
            mallopt = ctypes.CDLL(None).mallopt
        except (AttributeError, OSError):  # another C library
            return
        # M_MMAP_THRESHOLD: smaller pieces come from the heap; glibc before 2.34 or so takes 32 MiB at most
        if mallopt(-3, 2**30) or mallopt(-3, 2**25):
            mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: bytes at the heap's end that stay


@MODEL_WRAPPERS.register_module()
class SameOnEachRank(nn.Module):
    """For ranks that only test: no gradients to share, so not DDP, which refuses a model that has none.

    Args:
        module: The model.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)


def leave_ranks() -> None:
    """End the process group, if there is one, once all ranks are here: one that exits while its threads talk aborts."""
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
