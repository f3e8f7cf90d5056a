"""Losses and gradients for given labels are PySOT's, also where the batch lacks a kind of label."""

from pathlib import Path

import numpy as np
import pytest
import seeded
import torch

from siamrpnpp_plugin.models import BalancedCrossEntropyLoss, L1BoxLoss

NUMBERS = np.load(Path(__file__).resolve().parent / 'pysot_numbers.npz')

pytestmark = pytest.mark.parity


def run(case: str) -> dict:
    inputs = seeded.loss_inputs(case, seed=0)
    cls, loc = inputs['cls'].requires_grad_(), inputs['loc'].requires_grad_()
    loss_cls = BalancedCrossEntropyLoss()(cls, inputs['labels'])
    loss_loc = L1BoxLoss(loss_weight=1)(loc, inputs['deltas'].movedim(1, -1), inputs['weights'])
    grads = [torch.autograd.grad(loss, leaf)[0].reshape(-1).numpy() for loss, leaf in ((loss_cls, cls), (loss_loc, loc))]
    return dict(cls=loss_cls.item(), loc=loss_loc.item(), cls_grad=grads[0], loc_grad=grads[1])


@pytest.mark.parametrize('case', seeded.LOSS_CASES)
def test_losses_and_gradients_equal_pysots(case):
    ours = run(case)
    for name in ('cls', 'loc'):
        if name == 'cls' and case in ('one_positive', 'one_negative'):
            continue  # the next test
        loss, grad = ours[name], ours[f'{name}_grad']
        assert loss == pytest.approx(float(NUMBERS[f'loss/{case}/{name}']), rel=1e-5)
        places = NUMBERS[f'loss/{case}/{name}_grad_places']
        assert np.allclose(grad[places], NUMBERS[f'loss/{case}/{name}_grad'], rtol=1e-5, atol=1e-9)
        assert np.linalg.norm(grad.astype(np.float64)) == pytest.approx(float(NUMBERS[f'loss/{case}/{name}_grad_norm']), rel=1e-5)


@pytest.mark.parametrize(('case', 'label'), [('one_positive', 1), ('one_negative', 0)])
def test_a_single_label_counts_where_pysot_loses_it(case, label):
    """PySOT squeezes one index to a 0-d tensor, takes it for none, and drops the term. Documented difference: ours counts."""
    inputs = seeded.loss_inputs(case, seed=0)
    log_prob = inputs['cls'].unflatten(1, (2, -1)).log_softmax(dim=1)
    assert (inputs['labels'] == label).sum() == 1
    lost = -0.5 * log_prob[:, label][inputs['labels'] == label].item()
    assert run(case)['cls'] == pytest.approx(float(NUMBERS[f'loss/{case}/cls']) + lost, rel=1e-5)


def test_nothing_labelled_is_a_zero_with_a_graph():
    ours = run('all_ignored')
    assert ours['cls'] == ours['loc'] == 0
    assert not ours['cls_grad'].any()
    assert not ours['loc_grad'].any()
