"""The child registries of mmengine that this package fills, one for every kind that a Runner touches.

The scope is the package name, so `default_scope = 'siamrpnpp_plugin'` or `type='siamrpnpp_plugin.ResNet'` in any mm project finds
our classes without `custom_imports`: mmengine imports this file, and the rooms listed in `locations` at the first build.
A kind without a child here would print a warning at each use, so kinds that we do not fill are listed too.
"""

import inspect
from typing import Any, Optional

from mmengine import registry as mm
from mmengine.registry import Registry, build_from_cfg, build_model_from_cfg

SCOPE = 'siamrpnpp_plugin'


def _check_arguments(cfg: Any, registry: Registry) -> None:
    """Refuse an argument that the class named by `cfg['type']` does not take, naming those that it takes.

    Raises:
        ValueError: If `cfg` holds an unknown argument.
    """
    if not isinstance(cfg, dict) or not isinstance(cfg.get('type'), str):
        return  # mmengine's own checks speak for these
    with registry.switch_scope_and_registry(cfg.get('_scope_')) as scoped:
        cls = scoped.get(cfg['type'])
    if not inspect.isclass(cls):
        return
    parameters = inspect.signature(cls).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    for name in cfg:
        if name not in ('type', '_scope_') and name not in parameters:
            raise ValueError(f'{cls.__name__} has no argument {name!r} (given: {cfg[name]!r}); expected: {", ".join(parameters)}')


def _build_model(cfg: Any, registry: Registry, default_args: Optional[dict] = None) -> Any:
    _check_arguments(cfg, registry)
    return build_model_from_cfg(cfg, registry, default_args)


def _build_part(cfg: Any, registry: Registry, default_args: Optional[dict] = None) -> Any:
    _check_arguments(cfg, registry)
    return build_from_cfg(cfg, registry, default_args)


_MODELS_ROOM = ['siamrpnpp_plugin.models']
MODELS = Registry('model', parent=mm.MODELS, scope=SCOPE, build_func=_build_model, locations=_MODELS_ROOM)
TASK_UTILS = Registry('task util', parent=mm.TASK_UTILS, scope=SCOPE, build_func=_build_part, locations=_MODELS_ROOM)

DATASETS = Registry('dataset', parent=mm.DATASETS, scope=SCOPE)
DATA_SAMPLERS = Registry('data sampler', parent=mm.DATA_SAMPLERS, scope=SCOPE)
EVALUATOR = Registry('evaluator', parent=mm.EVALUATOR, scope=SCOPE)
FUNCTIONS = Registry('function', parent=mm.FUNCTIONS, scope=SCOPE)
HOOKS = Registry('hook', parent=mm.HOOKS, scope=SCOPE)
INFERENCERS = Registry('inferencer', parent=mm.INFERENCERS, scope=SCOPE)
LOG_PROCESSORS = Registry('log_processor', parent=mm.LOG_PROCESSORS, scope=SCOPE)
LOOPS = Registry('loop', parent=mm.LOOPS, scope=SCOPE)
METRICS = Registry('metric', parent=mm.METRICS, scope=SCOPE)
MODEL_WRAPPERS = Registry('model_wrapper', parent=mm.MODEL_WRAPPERS, scope=SCOPE)
OPTIMIZERS = Registry('optimizer', parent=mm.OPTIMIZERS, scope=SCOPE)
OPTIM_WRAPPERS = Registry('optim_wrapper', parent=mm.OPTIM_WRAPPERS, scope=SCOPE)
OPTIM_WRAPPER_CONSTRUCTORS = Registry('optimizer wrapper constructor', parent=mm.OPTIM_WRAPPER_CONSTRUCTORS, scope=SCOPE)
PARAM_SCHEDULERS = Registry('parameter scheduler', parent=mm.PARAM_SCHEDULERS, scope=SCOPE)
RUNNERS = Registry('runner', parent=mm.RUNNERS, scope=SCOPE)
RUNNER_CONSTRUCTORS = Registry('runner constructor', parent=mm.RUNNER_CONSTRUCTORS, scope=SCOPE)
STRATEGIES = Registry('strategy', parent=mm.STRATEGIES, scope=SCOPE)
TRANSFORMS = Registry('transform', parent=mm.TRANSFORMS, scope=SCOPE)
VISBACKENDS = Registry('vis_backend', parent=mm.VISBACKENDS, scope=SCOPE)
VISUALIZERS = Registry('visualizer', parent=mm.VISUALIZERS, scope=SCOPE)
WEIGHT_INITIALIZERS = Registry('weight initializer', parent=mm.WEIGHT_INITIALIZERS, scope=SCOPE)
