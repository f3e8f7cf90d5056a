"""SiamRPN++ single-object tracking as a plugin of the OpenMMLab family.

Importing this package costs nothing: mmengine imports `siamrpnpp_plugin.registry` by itself when a config names one of our types.
"""

__version__ = '0.1.0'
