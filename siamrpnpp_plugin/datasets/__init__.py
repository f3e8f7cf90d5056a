"""From disk to tensors: readers of annotations, the crop store, pairs and their transforms."""

from .crop_store import CropStore, StoreError

__all__ = ['CropStore', 'StoreError']
