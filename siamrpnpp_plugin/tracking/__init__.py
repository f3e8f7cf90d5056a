"""Tracking policies."""

from .siamrpn_tracker import SiamRPNTracker, TrackState, join_states
from .video_tracker import VideoResult, VideoTracker

__all__ = ['SiamRPNTracker', 'TrackState', 'VideoResult', 'VideoTracker', 'join_states']
