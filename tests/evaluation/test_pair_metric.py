"""Overlap of pairs, gathered by mmengine."""

import pytest
import torch

from siamrpnpp_plugin.evaluation import PairMetric


def test_negative_pairs_do_not_count():
    metric = PairMetric(threshold=0.6)
    boxes = torch.tensor([[0., 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10]])
    found = [dict(box_xyxy=torch.tensor(box)) for box in
             ([0., 0, 10, 10], [5., 0, 15, 10], [50., 50, 60, 60], [0., 0, 10, 8])]
    metric.process(dict(box_xyxy=boxes, is_positive=torch.tensor([True, True, False, True])), found)
    values = metric.evaluate(size=4)
    assert values['pair/success'] == pytest.approx(2 / 3)
    assert values['pair/mean_iou'] == pytest.approx((1 + 1 / 3 + 0.8) / 3)


def test_no_positive_pair_is_an_error():
    metric = PairMetric()
    metric.process(dict(box_xyxy=torch.zeros(1, 4), is_positive=torch.tensor([False])), [dict(box_xyxy=torch.zeros(4))])
    with pytest.raises(ValueError, match='no positive pair'):
        metric.evaluate(size=1)
