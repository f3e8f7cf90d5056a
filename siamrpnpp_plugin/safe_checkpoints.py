"""Let `torch.load(weights_only=True)`, the default since torch 2.6, read the checkpoints that mmengine's Runner writes.

They hold log histories (HistoryBuffer) of NumPy arrays. Each name allowed here is data; the one function among them, `getattr`,
is replaced by one that answers the four statistics of HistoryBuffer and nothing else, so a hostile file gains no code.
"""

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.utils import digit_version

_STATISTICS = ('min', 'max', 'current', 'mean')


def _history_buffer_getattr(owner: object, name: str) -> object:
    if owner is HistoryBuffer and name in _STATISTICS:
        return getattr(owner, name)
    raise AttributeError(f'{owner!r}.{name} is not allowed in a checkpoint')


def allow_mmengine_checkpoints() -> None:
    """Register what mmengine's checkpoints need with torch's safe loader. Before torch 2.6 its list cannot hold them: mmengine's
    own loading works there as it is, `read_checkpoint` takes bare weights only."""
    if digit_version(torch.__version__) < digit_version('2.6'):
        return
    multiarray = (getattr(np, '_core', None) or np.core).multiarray
    safe = [HistoryBuffer, np.ndarray, np.dtype, (_history_buffer_getattr, 'builtins.getattr')]
    for module in ('numpy._core.multiarray', 'numpy.core.multiarray'):  # files of NumPy 2 and of NumPy 1
        safe += [(multiarray._reconstruct, f'{module}._reconstruct'), (multiarray.scalar, f'{module}.scalar')]
    safe += [kind for name, kind in vars(np.dtypes).items()
             if isinstance(kind, type) and issubclass(kind, np.dtype) and name != 'ObjectDType']
    torch.serialization.add_safe_globals(safe)
