"""The import law: rooms meet in the config, never by import."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from mmengine.registry import Registry

PACKAGE = ROOT / 'siamrpnpp_plugin'
ROOMS = ('models', 'datasets', 'tracking', 'evaluation', 'engine')
ALLOWED = {'__init__': set(), 'safe_checkpoints': set(), 'registry': {'safe_checkpoints'}, 'ops': {'ops'},
           **{room: {room, 'ops', 'registry'} for room in ROOMS}, 'visualization': {'ops', 'registry'},
           'export': {'models', 'ops', 'registry'}, 'apis': {*ROOMS, 'ops', 'registry', 'visualization'}}


def imports_of(path: Path, source: str = None) -> set:
    """First-level parts of our package that a file imports, relative and absolute."""
    found = set()
    package = path.relative_to(PACKAGE.parent).parts[:-1]
    for node in ast.walk(ast.parse(source if source is not None else path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name.split('.') for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(package[:len(package) - node.level + 1]) if node.level else []
            module = base + (node.module.split('.') if node.module else [])
            names = [module + [alias.name] for alias in node.names]
        found |= {name[1] for name in names if name[0] == PACKAGE.name and len(name) > 1}
    return found


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix('.py')


FILES = sorted(PACKAGE.rglob('*.py'))


@pytest.mark.parametrize('path', FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_a_room_imports_only_ops_and_registry(path):
    assert room_of(path) in ALLOWED, f'{path} is new: say in ALLOWED what it may import'
    forbidden = imports_of(path) - ALLOWED[room_of(path)] - {'__version__'}
    assert not forbidden, f'{path} must not import {forbidden}'


@pytest.mark.parametrize('line', ['from ..datasets import x', 'from siamrpnpp_plugin.engine import x', 'from .. import apis',
                                  'import siamrpnpp_plugin.tracking.siamrpn_tracker'])
def test_the_law_sees_every_form_of_import(line):
    assert not imports_of(PACKAGE / 'models' / 'any.py', line) <= ALLOWED['models']


def test_importing_the_package_loads_nothing_heavy():
    code = 'import sys, siamrpnpp_plugin; print(sorted({"torch", "mmengine", "mmcv", "cv2"} & set(sys.modules)))'
    assert subprocess.check_output([sys.executable, '-c', code], text=True, cwd=ROOT).strip() == '[]'


def test_registered_names_are_unique_and_every_class_is_exported():
    import siamrpnpp_plugin.registry as registry
    exported = {name for room in ROOMS for name in importlib.import_module(f'siamrpnpp_plugin.{room}').__all__}
    registered = [name for child in vars(registry).values() if isinstance(child, Registry) and child.scope == registry.SCOPE
                  for name in child.module_dict]
    assert len(registered) == len(set(registered)) > 20
    assert set(registered) - {'TrackingVisualizer'} <= exported
