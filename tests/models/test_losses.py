import pytest
import torch
import torch.nn.functional as F

from siamrpnpp_plugin.models import BalancedCrossEntropyLoss, L1BoxLoss, SmoothL1BoxLoss


def batch():
    generator = torch.Generator().manual_seed(0)
    labels = torch.full((3, 5, 6, 6), -1)
    labels[0, 0, 0, :4], labels[0, 1, 0, :5] = 1, 0
    labels[1, 2, 1, :2], labels[1, 2, 2, :] = 1, 0
    labels[2, 4, 3, :3] = 0  # no positive
    positive = (labels == 1).float()
    weights = positive / positive.flatten(1).sum(dim=1).clamp(min=1).view(3, 1, 1, 1)
    return dict(cls_score=torch.randn(3, 10, 6, 6, generator=generator), bbox_pred=torch.randn(3, 20, 6, 6, generator=generator),
                labels=labels, deltas=torch.randn(3, 5, 6, 6, 4, generator=generator), weights=weights)


def test_per_sample_cross_entropy_is_the_seeds_loop():
    data = batch()
    logits = data['cls_score'].view(3, 2, 5, 6, 6).movedim(1, -1)
    expected = []
    for sample in range(3):
        terms = []
        for label in (1, 0):
            chosen = data['labels'][sample] == label
            if chosen.any():
                terms.append(F.cross_entropy(logits[sample][chosen], data['labels'][sample][chosen]))
        expected.append(sum(terms) / 2)
    loss = BalancedCrossEntropyLoss(per_sample=True, loss_weight=2)(data['cls_score'], data['labels'])
    assert loss.item() == pytest.approx(2 * torch.stack(expected).mean().item(), rel=1e-6)


def test_pooled_and_per_sample_differ():
    data = batch()
    losses = [BalancedCrossEntropyLoss(per_sample)(data['cls_score'], data['labels']).item() for per_sample in (False, True)]
    assert losses[0] != pytest.approx(losses[1], rel=1e-3)


def test_smooth_l1_is_the_seeds_mean_per_sample():
    data = batch()
    pred = data['bbox_pred'].view(3, 4, 5, 6, 6).movedim(1, -1)
    expected = [F.smooth_l1_loss(pred[s][data['labels'][s] == 1], data['deltas'][s][data['labels'][s] == 1])
                if (data['labels'][s] == 1).any() else torch.zeros(()) for s in range(3)]
    loss = SmoothL1BoxLoss()(data['bbox_pred'], data['deltas'], data['weights'])
    assert loss.item() == pytest.approx(5 * torch.stack(expected).mean().item(), rel=1e-6)


def test_smooth_l1_with_a_small_beta_nears_l1():
    data = batch()
    arguments = data['bbox_pred'], data['deltas'], data['weights']
    smooth = SmoothL1BoxLoss(beta=1e-6, coordinates='sum', loss_weight=1.2)(*arguments)
    assert smooth.item() == pytest.approx(L1BoxLoss()(*arguments).item(), rel=1e-4)


def test_sum_is_four_times_the_mean():
    data = batch()
    arguments = data['bbox_pred'], data['deltas'], data['weights']
    assert L1BoxLoss('sum')(*arguments).item() == pytest.approx(4 * L1BoxLoss('mean')(*arguments).item(), rel=1e-6)


@pytest.mark.parametrize('per_sample', [False, True])
def test_ignored_everything_is_a_zero_that_can_be_differentiated(per_sample):
    cls_score = torch.randn(2, 10, 6, 6, requires_grad=True)
    loss = BalancedCrossEntropyLoss(per_sample)(cls_score, torch.full((2, 5, 6, 6), -1))
    loss.backward()
    assert loss.item() == 0
    assert not cls_score.grad.any()


@pytest.mark.parametrize('make', [lambda: L1BoxLoss('max'), lambda: SmoothL1BoxLoss(coordinates='max')])
def test_unknown_coordinates_are_named(make):
    with pytest.raises(ValueError, match="must be 'sum' or 'mean', got 'max'"):
        make()


def test_beta_must_be_positive():
    with pytest.raises(ValueError, match='beta of SmoothL1BoxLoss must be positive, got 0'):
        SmoothL1BoxLoss(beta=0)
