"""What the three backbones share: numbered stages, freezing that survives `train()`, and pretrained weights."""

import logging
from collections.abc import Sequence
from typing import Optional

from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .state_dicts import adapt_backbone, compare, read_checkpoint


class BaseBackbone(BaseModule):
    """A backbone made of numbered stages.

    A subclass builds its stages as attributes and names them in `stages` (number -> attribute names), lowest first; a stage above
    the highest of `out_levels` is not built, so that a training step leaves no parameter without a gradient.

    Args:
        out_levels: Stages whose maps are returned, ascending.
        frozen_stages: Stages up to this number are frozen, see `freeze_stages`; -1 freezes none.
        norm_eval: If True, every batch norm uses its running statistics also in training.
        init_cfg: `dict(type='Pretrained', checkpoint=PATH, fold_input_norm=False)` loads a local state dict, see `init_weights`;
            any other mmengine initialiser works as usual.
    """

    stages: dict

    def __init__(self, out_levels: Sequence[int], frozen_stages: int = -1, norm_eval: bool = False,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        out_levels = tuple(out_levels)
        allowed = sorted(self.stages)
        if not out_levels or list(out_levels) != sorted(set(out_levels)) or not set(out_levels) <= set(allowed):
            raise ValueError(f'out_levels of {type(self).__name__} must be ascending numbers out of {allowed}, got {out_levels}')
        self.out_levels = out_levels
        self.stages = {number: names for number, names in self.stages.items() if number <= out_levels[-1]}
        self.norm_eval = norm_eval
        self._fixed: Optional[set] = None  # names of the parameters that the config froze, known once all are built
        self.frozen_stages = frozen_stages

    def freeze_stages(self, last: int) -> None:
        """Freeze all stages up to number `last` and unfreeze those above it; -1 unfreezes all.

        A frozen stage gets no gradient and its batch norms use their running statistics, also after `train()`. What the config
        froze (`norm_cfg=dict(requires_grad=False)`) stays so. To unfreeze during training, build the optimizer and DDP with
        everything trainable, DDP with `find_unused_parameters=True`, and only then freeze: parameters that are frozen when those
        are built never train, or let ranks drift apart.

        Raises:
            ValueError: If `last` is beyond the highest stage that was built.
        """
        if not -1 <= last <= max(self.stages):
            raise ValueError(f'frozen_stages of {type(self).__name__} must be -1 (none) to {max(self.stages)}, got {last}')
        if self._fixed is None:
            self._fixed = {name for name, parameter in self.named_parameters() if not parameter.requires_grad}
        self.frozen_stages = last
        for number, names in self.stages.items():
            for prefix in names:
                for name, parameter in getattr(self, prefix).named_parameters(prefix):
                    parameter.requires_grad_(number > last and name not in self._fixed)
        self.train(self.training)

    def train(self, mode: bool = True) -> 'BaseBackbone':
        super().train(mode)
        for number, names in self.stages.items():
            if number <= self.frozen_stages:
                for name in names:
                    getattr(self, name).eval()
        if self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) images, normalised as the weights expect -> one map per level of `out_levels`."""
        maps = []
        for number, names in self.stages.items():
            for name in names:
                x = getattr(self, name)(x)
            if number in self.out_levels:
                maps.append(x)
        return tuple(maps)

    def init_weights(self) -> None:
        """Load `init_cfg`'s local state dict, or start at random and say so once.

        `checkpoint` is a torchvision ResNet, PySOT's backbone, a full PySOT checkpoint or one of ours. Where its downsample
        convolution is 1x1 and ours 3x3, the kernel goes to the centre of ours; a classifier is left out. `fold_input_norm=True`
        folds RGB order and ImageNet mean / std into the first convolution, for a model that is fed raw BGR 0-255.

        Raises:
            FileNotFoundError: If `checkpoint` names no file.
            ValueError: If the file does not fit this backbone, with the keys and shapes that differ.
        """
        given = self.init_cfg if isinstance(self.init_cfg, (list, tuple)) else [self.init_cfg] if self.init_cfg else []
        pretrained = [cfg for cfg in given if cfg.get('type') == 'Pretrained']
        self.init_cfg, kept = [cfg for cfg in given if cfg not in pretrained], self.init_cfg
        again = self.is_init
        try:
            super().init_weights()
        finally:
            self.init_cfg = kept
        if again:
            return  # mmengine has warned
        path = pretrained[0].get('checkpoint') if pretrained else None
        if path is None:
            is_frozen = self.frozen_stages >= min(self.stages)
            frozen = f' (stages up to {self.frozen_stages} are frozen and stay so)' if is_frozen else ''
            print_log(f'{type(self).__name__} starts from random weights{frozen}: no pretrained file is given. To start from '
                      "one, set model.backbone.init_cfg=dict(type='Pretrained', checkpoint='FILE.pth').", 'current',
                      logging.WARNING)
            return
        unknown = set(pretrained[0]) - {'type', 'checkpoint', 'fold_input_norm'}
        if unknown:
            raise ValueError(f"init_cfg of {type(self).__name__} has unknown keys {sorted(unknown)}; expected 'checkpoint', "
                             "'fold_input_norm'")
        own, fold = self.state_dict(), pretrained[0].get('fold_input_norm', False)
        weights, meta = read_checkpoint(path)
        if fold and meta.get('fold_input_norm'):
            raise ValueError(f'the input normalisation is folded into {path} already: leave fold_input_norm out')
        weights, left_out = adapt_backbone(weights, own, fold)
        report = compare(weights, own)
        if not report.complete:
            raise ValueError(f'{path} does not fit {type(self).__name__}: {report.summary()}')
        self.load_state_dict(weights, strict=False)
        print_log(f'{type(self).__name__}: {len(report.matched)} tensors from {path}; left out: {", ".join(left_out) or "none"}',
                  'current')


def fan_out_init(module: nn.Module) -> None:
    """He initialisation by fan-out of every convolution; batch norms start as identity."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode='fan_out', nonlinearity='relu')
        elif isinstance(layer, _BatchNorm) and layer.affine:
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)
