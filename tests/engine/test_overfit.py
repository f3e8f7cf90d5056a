"""A network that cannot learn eight pairs by heart learns nothing: loss to near zero, boxes on the targets.

    python tests/engine/test_overfit.py STORE      # the same with pairs of a store of yours
"""

import sys

import pytest
import torch
from mmengine.optim import OptimWrapper

from siamrpnpp_plugin.datasets import LMDBPairDataset, collate_pairs
from siamrpnpp_plugin.ops.boxes import box_iou
from siamrpnpp_plugin.registry import MODELS

SIAM = 'siamrpnpp_plugin'


def overfit(store: str, steps: int, width: float, hidden: int) -> tuple[float, float, torch.Tensor]:
    """First and last loss, and the overlaps of the eight found boxes."""
    torch.manual_seed(0)
    channels = tuple(int(channels * width) for channels in (128, 256, 512))
    model = MODELS.build(dict(
        type=f'{SIAM}.SiamRPN',
        data_preprocessor=dict(type=f'{SIAM}.PairDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
        backbone=dict(type=f'{SIAM}.ResNet', depth=18, width=width),
        neck=dict(type=f'{SIAM}.AdjustNeck', in_channels=channels, out_channels=hidden),
        head=dict(type=f'{SIAM}.FusionHead', rpn_head=dict(type=f'{SIAM}.RPNHead', in_channels=hidden, hidden_channels=hidden))))
    pairs = LMDBPairDataset(store, negative_share=0, frame_range=5, pipeline=[
        dict(type=f'{SIAM}.ShiftScaleCrop', keys='template', size=127),
        dict(type=f'{SIAM}.ShiftScaleCrop', keys='search', size=255, shift=64, scale=0.18)])
    batch = collate_pairs(pairs.__getitems__(range(8)))
    wrapper = OptimWrapper(torch.optim.AdamW(model.parameters(), lr=3e-3), clip_grad=dict(max_norm=10))
    losses = []
    for step in range(steps):
        if step == steps * 3 // 4:
            wrapper.optimizer.param_groups[0]['lr'] = 3e-4
        model.train()
        losses.append(model.train_step(batch, wrapper)['loss'].item())
        if sys.argv[0] == __file__ and step % 10 == 0:
            print(f'step {step}: loss {losses[-1]:.4f}', flush=True)
    found = torch.stack([pair['box_xyxy'] for pair in model.train().val_step(batch)])  # norms as trained, on this one batch
    return losses[0], losses[-1], box_iou(found, batch['box_xyxy'])


@pytest.mark.parametrize(('steps', 'loss', 'overlap'), [(60, 0.15, 0.5), pytest.param(170, 0.05, 0.8, marks=pytest.mark.slow)])
def test_eight_pairs_are_learned_by_heart(store, steps, loss, overlap):
    first, last, overlaps = overfit(store, steps=steps, width=0.25, hidden=32)
    assert last < loss * first
    assert overlaps.min() > overlap
    assert overlaps.mean() > 0.8


if __name__ == '__main__':
    first, last, overlaps = overfit(sys.argv[1], steps=170, width=0.25, hidden=32)
    print(f'loss {first:.3f} -> {last:.4f}; overlaps {[round(value, 2) for value in overlaps.tolist()]}')
