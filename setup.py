"""Packaging. Everything a user may want to choose (torch's build, mmcv or mmcv-lite) is an extra."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def requirements(name: str) -> list:
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text(encoding='utf-8').splitlines()
    return [line for line in (line.split('#')[0].strip() for line in lines) if line]


setup(
    name='siamrpnpp_plugin',
    version=re.search(r"__version__ = '(.+)'", (ROOT / 'siamrpnpp_plugin' / '__init__.py').read_text(encoding='utf-8'))[1],
    description='SiamRPN++ single-object tracking as a plugin of the OpenMMLab family',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.9',
    packages=find_packages(include=['siamrpnpp_plugin', 'siamrpnpp_plugin.*']),
    install_requires=requirements('runtime'),
    extras_require={
        'torch': requirements('torch'),
        'lite': requirements('lite'),
        'fast': requirements('fast'),
        'onnx': requirements('onnx'),
        'tests': requirements('onnx') + requirements('tests'),
    },
)
