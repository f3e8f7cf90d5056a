import numpy as np
import pytest
import torch

from siamrpnpp_plugin.models import AnchorAssigner, AnchorGenerator, BalancedCrossEntropyLoss, DeltaBoxCoder, L1BoxLoss
from siamrpnpp_plugin.models.anchor_assigner import keep_random

ANCHORS = AnchorGenerator().grid((25, 25), 127)
SQUARE = torch.tensor([[91., 91., 163., 163.]])  # has more than 16 positive anchors


def assign(boxes, is_positive=None, generator=None, **arguments):
    boxes = torch.as_tensor(boxes, dtype=torch.float32)
    is_positive = torch.ones(len(boxes), dtype=torch.bool) if is_positive is None else torch.tensor(is_positive)
    return AnchorAssigner(**arguments)(ANCHORS, 8, boxes, is_positive, generator=generator)


def counts(targets, label):
    return (targets.labels == label).flatten(1).sum(dim=1).tolist()


def test_counts_of_positive_and_negative_pairs():
    generator = torch.Generator().manual_seed(0)
    targets = assign(SQUARE.repeat(4, 1), [True, False, True, False], generator, positive_iou=0.5)
    assert counts(targets, 1) == [16, 0, 16, 0]
    assert counts(targets, 0) == [48, 16, 48, 16]
    assert targets.box_weights.flatten(1).sum(dim=1).tolist() == pytest.approx([1, 0, 1, 0])


@pytest.mark.parametrize('source', ['generator', 'sample_seed'])
def test_the_random_choice_is_uniform_over_the_candidates(source):
    """Over 4000 draws each of n candidates is kept k / n of the time, each pair of them k (k - 1) / (n (n - 1))."""
    draws = 4000
    assigner = AnchorAssigner(positive_iou=0.5)
    same = torch.ones(1, dtype=torch.bool)
    positive, negative, _ = assigner.candidates(ANCHORS, 8, SQUARE, same)
    randomness = dict(generator=torch.Generator().manual_seed(5), sample_seed=torch.arange(draws))
    targets = assigner(ANCHORS, 8, SQUARE.repeat(draws, 1), same.repeat(draws), **{source: randomness[source]})
    for label, candidates, keep in ((1, positive, 16), (0, negative, 48)):
        number = int(candidates.sum())
        assert number > keep
        kept = (targets.labels == label).flatten(1)
        assert not kept[:, ~candidates.flatten()].any()
        kept = kept[:, candidates.flatten()].double().numpy()
        assert (kept.sum(axis=1) == keep).all()
        share = keep / number
        # without replacement, the statistic has number - 1 degrees of freedom after this scaling
        chi2 = ((kept.sum(axis=0) - draws * share)**2).sum() / (draws * share * (1 - share)) * (number - 1) / number
        assert abs(chi2 - (number - 1)) < 5 * np.sqrt(2 * (number - 1)), label
        if label == 1:  # pairs of the few positives: no run of neighbours is favoured
            pairs = (kept.T @ kept)[np.triu_indices(number, 1)]
            expected = keep * (keep - 1) / (number * (number - 1))
            scores = (pairs - draws * expected) / np.sqrt(draws * expected * (1 - expected))
            assert np.abs(scores).max() < 5.5


def test_a_seeded_choice_does_not_depend_on_the_batch():
    """Issue of every multi-GPU run: the same sample gets the same anchors wherever it stands."""
    boxes, seeds = SQUARE.repeat(6, 1) + torch.arange(6)[:, None], torch.tensor([7, -3, 2**40, 11, 0, 7])
    same = torch.tensor([True, True, False, True, False, True])
    assigner = AnchorAssigner(positive_iou=0.5)
    whole = assigner(ANCHORS, 8, boxes, same, seeds).labels
    for part in (slice(0, 3), slice(3, 6), slice(4, 5)):
        assert torch.equal(assigner(ANCHORS, 8, boxes[part], same[part], seeds[part]).labels, whole[part])
    again = assigner(ANCHORS, 8, boxes[[0, 0]], same[[0, 0]], torch.tensor([1, 2])).labels
    assert not torch.equal(again[0], again[1])


def test_the_generator_seeds_the_choice():
    generators = [torch.Generator().manual_seed(seed) for seed in (1, 1, 2)]
    first, again, other = (assign(SQUARE, generator=generator, positive_iou=0.5).labels for generator in generators)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_samples_of_a_batch_are_drawn_apart():
    labels = assign(SQUARE.repeat(2, 1), generator=torch.Generator().manual_seed(0), positive_iou=0.5).labels
    assert not torch.equal(labels[0], labels[1])


def test_fewer_candidates_than_asked_are_all_kept():
    candidates = torch.zeros(2, 30, dtype=torch.bool)
    candidates[0, [3, 7]] = True
    assert torch.equal(keep_random(candidates, 16, torch.rand(2, 30)), candidates)
    assert torch.equal(keep_random(candidates, 64, torch.rand(2, 30)), candidates), 'more asked than anchors exist'


def test_negatives_follow_the_positives_as_in_the_seed():
    boxes = torch.cat((SQUARE, torch.tensor([[95., 95., 159., 159.], [107., 37., 137., 217.]])))  # many, 9 and no positives
    targets = assign(boxes, negatives_per_positive=3, positive_iou=0.6)
    positives = counts(targets, 1)
    assert positives[1] == 9
    assert positives[2] == 0
    assert counts(targets, 0) == [min(3 * positives[0], 48), 27, 48]


@pytest.mark.parametrize('box', [[107., 37., 137., 217.], [37., 112., 217., 142.]], ids=['tall', 'wide'])
def test_a_box_of_aspect_6_gets_positives_only_with_the_fallback(box):
    assert counts(assign([box]), 1) == [0]
    targets = assign([box], fallback_topk=4)
    assert counts(targets, 1) == [4]
    assert counts(targets, 0) == [48]
    _, _, overlap = AnchorAssigner().candidates(ANCHORS, 8, torch.tensor([box]), torch.tensor([True]))
    assert overlap[targets.labels == 1].min() >= overlap.flatten().sort(descending=True).values[3]


def test_the_fallback_leaves_covered_boxes_and_negative_pairs_alone():
    generators = [torch.Generator().manual_seed(0) for _ in range(2)]
    boxes = torch.cat((SQUARE, torch.tensor([[107., 37., 137., 217.]])))
    plain, fallback = (assign(boxes, [True, False], generator, fallback_topk=k) for generator, k in zip(generators, (0, 8)))
    assert torch.equal(plain.labels, fallback.labels)


def test_the_fallback_never_takes_an_anchor_without_overlap():
    assert counts(assign([[400., 400., 450., 450.]], fallback_topk=4), 1) == [0]


def test_a_fallback_positive_is_not_negative_too():
    """A tiny box overlaps every anchor by less than .3: its fallback anchors are positive, not negative."""
    targets = assign([[125., 125., 129., 129.]], fallback_topk=4, max_negatives=10**6)
    assert counts(targets, 1) == [4]
    assert counts(targets, 0) == [5 * 25 * 25 - 4]


@pytest.mark.parametrize('box', [[100., 100., 100., 150.], [100., 100., 100., 100.], [150., 150., 100., 100.]])
def test_a_box_without_area_gives_a_finite_loss(box):
    targets = assign([box], fallback_topk=4)
    assert counts(targets, 1) == [0]
    pred = torch.zeros(1, 20, 25, 25, requires_grad=True)
    deltas = DeltaBoxCoder().encode(torch.tensor([[box]]).view(1, 1, 1, 1, 4), ANCHORS)
    assert not torch.isfinite(deltas).all()
    loss = L1BoxLoss()(pred, deltas, targets.box_weights)
    loss.backward()
    assert loss.item() == 0
    assert not pred.grad.any()


def test_nothing_waits_for_the_device():
    """On the meta device any look at a value raises: no `.item()`, no `nonzero`, no python branch on data."""
    boxes = torch.zeros(4, 4, device='meta')
    anchors = ANCHORS.to('meta')
    same = torch.zeros(4, dtype=torch.bool, device='meta')
    targets = AnchorAssigner(fallback_topk=4, negatives_per_positive=3)(anchors, 8, boxes, same)
    AnchorAssigner()(anchors, 8, boxes, same, sample_seed=torch.zeros(4, dtype=torch.int64, device='meta'))
    deltas = DeltaBoxCoder().encode(boxes[:, None, None, None], anchors)
    for per_sample in (False, True):
        BalancedCrossEntropyLoss(per_sample)(torch.zeros(4, 10, 25, 25, device='meta'), targets.labels)
    L1BoxLoss()(torch.zeros(4, 20, 25, 25, device='meta'), deltas, targets.box_weights)


@pytest.mark.parametrize(('arguments', 'message'), [
    (dict(positive_iou=0.2), r'negative_iou <= positive_iou <= 1, got 0.3, 0.2'),
    (dict(max_positives=-1), 'max_positives of AnchorAssigner must not be negative, got -1'),
])
def test_bad_arguments_of_the_assigner(arguments, message):
    with pytest.raises(ValueError, match=message):
        AnchorAssigner(**arguments)


@pytest.mark.parametrize(('arguments', 'message'), [
    (dict(stride=0), 'stride of AnchorGenerator must be positive'),
    (dict(ratios=()), 'ratios of AnchorGenerator must be positive'),
    (dict(ratios=(100, )), 'ratio 100 of AnchorGenerator gives an anchor without area'),
])
def test_bad_arguments_of_the_generator(arguments, message):
    with pytest.raises(ValueError, match=message):
        AnchorGenerator(**arguments)


def test_anchor_grid_of_a_map_that_is_not_square():
    grid = AnchorGenerator(scales=(4, 8)).grid((3, 5), center=100)
    assert grid.shape == (10, 3, 5, 4)
    assert grid[0, 1, 2, :2].tolist() == [100, 100]
    assert grid[0, 0, 4, :2].tolist() == [116, 92]
    assert grid[:, 0, 0, 2].tolist()[:2] == [52, 104], 'by ratio, then by scale'


def test_anchor_sizes_stay_out_of_the_state_dict():
    assert not AnchorGenerator().state_dict()


def test_box_coder_round_trip_and_bad_argument():
    coder = DeltaBoxCoder()
    boxes = torch.tensor([[80., 90., 150., 140.]])
    anchors = torch.tensor([[100., 100., 64., 64.]])
    assert torch.allclose(coder.decode(coder.encode(boxes, anchors), anchors), boxes, atol=1e-4)
    with pytest.raises(ValueError, match='max_log_ratio of DeltaBoxCoder must be positive, got 0'):
        DeltaBoxCoder(0)
