from mmengine.registry import MODELS as ROOT
from mmengine.registry import TASK_UTILS as ROOT_TASK_UTILS
from mmengine.registry import Registry

MODELS = Registry('model', parent=ROOT, scope='foreignproj', locations=['foreignproj.models'])
TASK_UTILS = Registry('task util', parent=ROOT_TASK_UTILS, scope='foreignproj')
