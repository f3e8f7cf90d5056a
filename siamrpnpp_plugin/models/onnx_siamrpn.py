"""An exported network in ONNX Runtime, in the place of a `SiamRPN`: the tracker does not see the difference."""

import importlib.util
import json
import os
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from ..registry import TASK_UTILS
from .fusion_head import decode_maps

DESCRIPTION = 'tracker.json'  # in the folder of an exported network, beside the graphs


class OnnxSiamRPN(nn.Module):
    """What `SiamRPNTracker` needs of a model, computed by ONNX Runtime from the graphs that `export_onnx` wrote.

    Weights are mapped from the files when they are first used; torch holds none. `cfg` has the tracker's policy.

    Args:
        folder: What `export_onnx` wrote: `tracker.json`, `template.onnx`, and `search_S.onnx` for each side S of search images,
            each with its `.weights`.
        threads: Threads of ONNX Runtime; None as many as torch has.
        providers: ONNX Runtime's execution providers, best first; None is the CPU.

    Raises:
        FileNotFoundError: If the folder or a file of it is missing.
        ImportError: If ONNX Runtime is not installed.
    """

    def __init__(self, folder: 'str | os.PathLike[str]', threads: Optional[int] = None,
                 providers: Optional[list] = None) -> None:
        super().__init__()
        if importlib.util.find_spec('onnxruntime') is None:
            raise ImportError("exported networks run in ONNX Runtime: pip install 'siamrpnpp_plugin[onnx]'")
        self.folder = Path(folder)
        path = self.folder / DESCRIPTION
        if not path.is_file():
            raise FileNotFoundError(f'{self.folder} is no exported network: {path} is missing; tools/export_onnx.py writes one')
        self.cfg = json.loads(path.read_text(encoding='utf-8'))
        with DefaultScope.overwrite_default_scope(self.cfg['default_scope']):
            self.head = OnnxHead(self.cfg['anchor_generator'], self.cfg['box_coder'])
        self._sessions: dict = {}
        self._threads, self._providers = threads or torch.get_num_threads(), providers or ['CPUExecutionProvider']
        for name in ('template', *(f'search_{side}' for side in self.cfg['search_sizes'])):
            if not self._file(name).is_file():
                raise FileNotFoundError(f'{self._file(name)} is missing; tools/export_onnx.py writes it')

    def to(self, *args, **kwargs) -> 'OnnxSiamRPN':
        """It stays where ONNX Runtime gives its outputs, whatever device a Runner has."""
        return self

    def __getstate__(self) -> dict:
        """Without the sessions, which a copy or another process makes anew."""
        return dict(vars(self), _sessions={})

    def _file(self, name: str) -> Path:
        return self.folder / f'{name}.onnx'

    def _run(self, name: str, inputs: dict) -> list[Tensor]:
        if name not in self._sessions:
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads, options.log_severity_level = self._threads, 3
            options.add_session_config_entry('session.set_denormal_as_zero', '1')
            if name == 'template':  # runs once: its weights stay mapped, without copies in the order that is fastest
                options.add_session_config_entry('session.disable_prepacking', '1')
                options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
            try:
                self._sessions[name] = onnxruntime.InferenceSession(str(self._file(name)), options, providers=self._providers)
            except Exception as error:  # ONNX Runtime's own kinds of error have no common base
                raise ValueError(f'ONNX Runtime cannot load {self._file(name)}: {error}') from error
        return [torch.from_numpy(output) for output in self._sessions[name].run(None, inputs)]

    def prepare_images(self, images: np.ndarray) -> np.ndarray:
        """(B, S, S, 3) uint8 BGR images as they are: the graphs normalise."""
        return images

    def template_kernels(self, template: np.ndarray) -> list:
        """As `SiamRPN.template_kernels`, of (B, S, S, 3) uint8 BGR images."""
        side = self.cfg['template_size']
        if template.shape[1:3] != (side, side):
            raise ValueError(f'{self._file("template")} was exported for {side}x{side}, got {template.shape}')
        outputs = self._run('template', dict(template=template))
        self._sessions.pop('template', None)  # loading it anew takes less than a frame, holding it as much memory as the search's
        return list(zip(outputs[::2], outputs[1::2]))

    def correlate(self, kernels: list, search: np.ndarray) -> tuple[Tensor, Tensor]:
        """As `SiamRPN.correlate`, of (B, S, S, 3) uint8 BGR images.

        Raises:
            ValueError: If no graph was exported for S.
        """
        side = search.shape[1]
        if side not in self.cfg['search_sizes']:
            raise ValueError(f'{self.folder} was exported for search images of {self.cfg["search_sizes"]}, got {search.shape}')
        inputs = {name: kernel.contiguous().numpy() for name, kernel in zip(kernel_names(len(kernels)), sum(kernels, ()))}
        cls_score, bbox_pred = self._run(f'search_{side}', dict(inputs, search=search))
        return cls_score, bbox_pred


class OnnxHead(nn.Module):
    """Anchors and decoding, which are the same for all weights and stay outside of the graphs."""

    def __init__(self, anchor_generator: dict, box_coder: dict) -> None:
        super().__init__()
        self.anchor_generator, self.box_coder = TASK_UTILS.build(anchor_generator), TASK_UTILS.build(box_coder)

    def decode(self, cls_score: Tensor, bbox_pred: Tensor, search_size: int) -> tuple[Tensor, Tensor]:
        """As `FusionHead.decode`."""
        anchors = self.anchor_generator.grid(cls_score.shape[2:], center=search_size // 2)
        return decode_maps(cls_score, bbox_pred, anchors, self.box_coder)


def kernel_names(levels: int) -> list[str]:
    """Names of the template's kernels in the graphs, in the order of `SiamRPN.template_kernels`."""
    return [f'{branch}_kernel_{level}' for level in range(levels) for branch in ('cls', 'box')]


def as_plain(config: Any) -> Any:
    """A config of mmengine as dicts and lists that JSON writes."""
    if isinstance(config, dict):
        return {key: as_plain(value) for key, value in config.items()}
    return [as_plain(value) for value in config] if isinstance(config, (list, tuple)) else config
