import math

import pytest
import torch

from siamrpnpp_plugin.ops.boxes import box_iou, cxcywh_to_xyxy, decode_deltas, encode_deltas, xyxy_to_cxcywh


def test_formats_are_inverse():
    box = torch.tensor([[1., 2., 11., 7.], [-3., 0.5, 4., 0.75]])
    assert torch.allclose(cxcywh_to_xyxy(xyxy_to_cxcywh(box)), box)
    assert xyxy_to_cxcywh(box)[0].tolist() == [6, 4.5, 10, 5]


@pytest.mark.parametrize(('other', 'expected'), [
    ([0, 0, 10, 10], 1),        # itself
    ([10, 0, 20, 10], 0),       # touching
    ([5, 0, 15, 10], 1 / 3),    # half over
    ([2, 2, 4, 4], 0.04),       # inside
    ([30, 30, 40, 40], 0),      # apart in both directions: no negative times negative
    ([3, 3, 3, 3], 0),          # no area
])
def test_iou(other, expected):
    assert box_iou(torch.tensor([0., 0., 10., 10.]), torch.tensor(other).float()).item() == pytest.approx(expected)


def test_iou_of_two_boxes_without_area_is_zero_not_nan():
    assert box_iou(torch.zeros(4), torch.zeros(4)).item() == 0


def test_iou_broadcasts():
    assert box_iou(torch.rand(5, 1, 4), torch.rand(3, 4)).shape == (5, 3)


def test_decode_inverts_encode():
    generator = torch.Generator().manual_seed(1)
    boxes = torch.rand(50, 4, generator=generator) * 100 + 1
    anchors = torch.rand(50, 4, generator=generator) * 100 + 1
    decoded = decode_deltas(encode_deltas(boxes, anchors), anchors, max_log_ratio=10)
    assert torch.allclose(decoded, boxes, rtol=1e-4, atol=1e-3)


def test_encode_by_hand():
    delta = encode_deltas(torch.tensor([20., 30., 40., 10.]), torch.tensor([10., 40., 20., 20.]))
    assert torch.allclose(delta, torch.tensor([0.5, -0.5, math.log(2), -math.log(2)]))


def test_decode_of_a_huge_delta_is_finite_and_has_an_area():
    box = decode_deltas(torch.tensor([[0., 0., 1e4, -1e4]]), torch.tensor([[5., 5., 64., 64.]]), max_log_ratio=4)
    assert torch.isfinite(box).all()
    assert (box[:, 2:] > 0).all()
