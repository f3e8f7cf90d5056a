"""The child registries of mmengine that this package fills, one for every kind that a Runner touches.

The scope is the package name, so `default_scope = 'siamrpnpp_plugin'` or `type='siamrpnpp_plugin.ResNet'` in any mm project finds
our classes without `custom_imports`: mmengine imports this file, and the rooms listed in `locations` at the first build.
A kind without a child here would print a warning at each use, so kinds that we do not fill are listed too.
"""

import functools
import inspect
from typing import Any

from mmengine import registry as mm
from mmengine.registry import Registry

from .safe_checkpoints import allow_mmengine_checkpoints

SCOPE = 'siamrpnpp_plugin'

allow_mmengine_checkpoints()  # every entry into the package passes here: our scripts, and a Runner by its scope


def _refuse_unknown_arguments(cls: type) -> None:
    """Make a class answer an unknown keyword, typically misspelt in a config, with the keywords that it has."""
    init = inspect.unwrap(cls.__init__)
    _, *parameters = inspect.signature(init).parameters.values()  # without self
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    names = [parameter.name for parameter in parameters]

    @functools.wraps(init)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        for name, value in kwargs.items():
            if name not in names:
                raise ValueError(f'{cls.__name__} has no argument {name!r} (given: {value!r}); expected: {", ".join(names)}')
        init(self, *args, **kwargs)

    cls.__init__ = checked


class StrictRegistry(Registry):
    """A registry whose classes of this package raise ValueError for an unknown argument, whoever builds them."""

    def _register_module(self, module: Any, *args: Any, **kwargs: Any) -> None:
        super()._register_module(module, *args, **kwargs)
        if inspect.isclass(module) and module.__module__.split('.')[0] == SCOPE:  # never change another project's class
            _refuse_unknown_arguments(module)


_MODELS_ROOM = ['siamrpnpp_plugin.models']
MODELS = StrictRegistry('model', parent=mm.MODELS, scope=SCOPE, locations=_MODELS_ROOM)
TASK_UTILS = StrictRegistry('task util', parent=mm.TASK_UTILS, scope=SCOPE,
                            locations=[*_MODELS_ROOM, 'siamrpnpp_plugin.tracking'])

_DATASETS_ROOM = ['siamrpnpp_plugin.datasets']
DATASETS = StrictRegistry('dataset', parent=mm.DATASETS, scope=SCOPE, locations=_DATASETS_ROOM)
TRANSFORMS = StrictRegistry('transform', parent=mm.TRANSFORMS, scope=SCOPE, locations=_DATASETS_ROOM)
FUNCTIONS = Registry('function', parent=mm.FUNCTIONS, scope=SCOPE, locations=_DATASETS_ROOM)

_ENGINE_ROOM = ['siamrpnpp_plugin.engine']
DATA_SAMPLERS = StrictRegistry('data sampler', parent=mm.DATA_SAMPLERS, scope=SCOPE, locations=_ENGINE_ROOM)

EVALUATOR = Registry('evaluator', parent=mm.EVALUATOR, scope=SCOPE)
HOOKS = StrictRegistry('hook', parent=mm.HOOKS, scope=SCOPE, locations=_ENGINE_ROOM)
INFERENCERS = Registry('inferencer', parent=mm.INFERENCERS, scope=SCOPE)
LOG_PROCESSORS = Registry('log_processor', parent=mm.LOG_PROCESSORS, scope=SCOPE)
LOOPS = StrictRegistry('loop', parent=mm.LOOPS, scope=SCOPE, locations=[*_ENGINE_ROOM, 'siamrpnpp_plugin.evaluation'])
METRICS = StrictRegistry('metric', parent=mm.METRICS, scope=SCOPE, locations=['siamrpnpp_plugin.evaluation'])
MODEL_WRAPPERS = Registry('model_wrapper', parent=mm.MODEL_WRAPPERS, scope=SCOPE, locations=_ENGINE_ROOM)
OPTIMIZERS = Registry('optimizer', parent=mm.OPTIMIZERS, scope=SCOPE)
OPTIM_WRAPPERS = Registry('optim_wrapper', parent=mm.OPTIM_WRAPPERS, scope=SCOPE)
OPTIM_WRAPPER_CONSTRUCTORS = StrictRegistry('optimizer wrapper constructor', parent=mm.OPTIM_WRAPPER_CONSTRUCTORS, scope=SCOPE,
                                            locations=_ENGINE_ROOM)
PARAM_SCHEDULERS = Registry('parameter scheduler', parent=mm.PARAM_SCHEDULERS, scope=SCOPE)
RUNNERS = Registry('runner', parent=mm.RUNNERS, scope=SCOPE)
RUNNER_CONSTRUCTORS = Registry('runner constructor', parent=mm.RUNNER_CONSTRUCTORS, scope=SCOPE)
STRATEGIES = Registry('strategy', parent=mm.STRATEGIES, scope=SCOPE)
VISBACKENDS = Registry('vis_backend', parent=mm.VISBACKENDS, scope=SCOPE)
VISUALIZERS = Registry('visualizer', parent=mm.VISUALIZERS, scope=SCOPE, locations=['siamrpnpp_plugin.visualization'])
WEIGHT_INITIALIZERS = Registry('weight initializer', parent=mm.WEIGHT_INITIALIZERS, scope=SCOPE)
