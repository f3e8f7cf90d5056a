"""What the Runner needs beside mmengine's own: samplers."""

from .samplers import PairSampler

__all__ = ['PairSampler']
