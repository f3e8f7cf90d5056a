"""Tracking policies."""

from .siamrpn_tracker import SiamRPNTracker, TrackState, join_states

__all__ = ['SiamRPNTracker', 'TrackState', 'join_states']
