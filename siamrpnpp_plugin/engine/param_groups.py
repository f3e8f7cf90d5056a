"""Parameter groups of an optimizer: one for each rate, not one for each tensor."""

import logging

from mmengine.logging import MMLogger
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from torch import nn

from ..registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class MergedGroupsConstructor(DefaultOptimWrapperConstructor):
    """mmengine's constructor with the same `paramwise_cfg`, but parameters with equal settings share a group, and the log is not
    filled with a line for each tensor and setting. The groups never change during a run."""

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """The optimizer wrapper of a model; its groups are plain dicts, which torch.compile needs."""
        wrapper = super().__call__(model)
        wrapper.optimizer.param_groups[:] = [dict(group) for group in wrapper.optimizer.param_groups]
        return wrapper

    def add_params(self, params: list, module: nn.Module, prefix: str = '', is_dcn_module: object = None) -> None:
        """Append the groups of a module to `params`."""
        if prefix:
            super().add_params(params, module, prefix, is_dcn_module)
            return
        logger, single = MMLogger.get_current_instance(), []
        level = logger.level
        logger.setLevel(logging.ERROR)
        try:
            super().add_params(single, module, prefix, is_dcn_module)
        finally:
            logger.setLevel(level)
        groups: dict = {}
        for group in single:
            settings = {key: value for key, value in group.items() if key not in ('params', 'lr_mult', 'decay_mult')}
            groups.setdefault(tuple(sorted(settings.items())), dict(settings, params=[]))['params'] += group['params']
        frozen = [name for name, parameter in module.named_parameters() if not parameter.requires_grad]
        if frozen:
            logger.info(f'{len(frozen)} frozen tensors are not in the optimizer, such as {frozen[0]}')
        params += groups.values()
