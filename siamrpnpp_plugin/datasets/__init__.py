"""From disk to tensors: readers of annotations, the crop store, pairs and their transforms."""

from .crop_store import CropStore, StoreError
from .pair_batch import collate_pairs
from .pair_dataset import LMDBPairDataset
from .sequence_dataset import SequenceDataset
from .transforms import ColorPCA, MotionBlur, RandomFlip, RandomGray, ShiftScaleCrop

__all__ = ['ColorPCA', 'CropStore', 'LMDBPairDataset', 'MotionBlur', 'RandomFlip', 'RandomGray', 'SequenceDataset',
           'ShiftScaleCrop', 'StoreError', 'collate_pairs']
