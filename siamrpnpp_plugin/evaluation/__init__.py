"""Metrics."""

from .metrics import GOT10kMetric, OPEMetric, VOTLTMetric, VOTMetric
from .pair_metric import PairMetric
from .track_loop import TrackLoop

__all__ = ['GOT10kMetric', 'OPEMetric', 'PairMetric', 'TrackLoop', 'VOTLTMetric', 'VOTMetric']
