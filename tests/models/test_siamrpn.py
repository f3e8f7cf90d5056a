import copy
import pickle

import mmengine
import pytest
import torch
from conftest import pair_batch, small_model_config

from siamrpnpp_plugin.models import PairDataPreprocessor, ResNet
from siamrpnpp_plugin.registry import MODELS


def test_three_modes(small_model):
    batch = small_model.data_preprocessor(pair_batch(), training=True)
    cls_score, bbox_pred = small_model(**batch)
    assert (cls_score.shape, bbox_pred.shape) == ((2, 10, 25, 25), (2, 20, 25, 25))
    losses = small_model(**batch, mode='loss')
    assert set(losses) == {'loss_cls', 'loss_box'}
    predictions = small_model.eval()(**batch, mode='predict')
    assert len(predictions) == 2
    assert predictions[0]['box_xyxy'].shape == (4, )
    assert 0 <= predictions[0]['score'] <= 1


def test_template_then_match_is_the_whole_forward(small_model):
    small_model.eval()
    template, search = torch.rand(2, 3, 127, 127), torch.rand(2, 3, 255, 255)
    feats = small_model.extract_template(template)
    assert [tuple(feat.shape) for feat in feats] == [(2, 16, 7, 7)] * 3
    for apart, whole in zip(small_model.match(feats, search), small_model(template, search)):
        assert torch.equal(apart, whole)


def test_pairs_of_a_batch_do_not_meet(small_model):
    """B targets at once equal the single ones."""
    small_model.eval()
    template, search = torch.rand(3, 3, 127, 127), torch.rand(3, 3, 255, 255)
    together = small_model(template, search)
    for index in range(3):
        alone = small_model(template[index:index + 1], search[index:index + 1])
        for whole, single in zip(together, alone):
            assert torch.allclose(whole[index], single[0], atol=1e-4 * float(single.detach().abs().max()))


def test_larger_searches_give_larger_maps(small_model):
    """The sizes of long-term tracking: 831 -> 97."""
    small_model.eval()
    with torch.no_grad():
        feats = small_model.extract_template(torch.rand(1, 3, 127, 127))
        for size, side in ((255, 25), (287, 29), (831, 97)):
            assert small_model.match(feats, torch.rand(1, 3, size, size))[0].shape[-1] == side


def test_loss_step_is_seeded_by_torch(small_model):
    batch = small_model.data_preprocessor(pair_batch(), training=True)
    losses = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        losses.append(small_model(**batch, mode='loss')['loss_cls'].item())
    assert losses[0] == losses[1] != losses[2]


def test_training_overfits_a_batch(small_model):
    model = small_model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    batch = pair_batch(search_size=191)
    batch['box_xyxy'] -= 32  # back to the middle
    batch['is_positive'][:] = True
    data = model.data_preprocessor(batch, training=True)
    losses = []
    for _ in range(12):
        loss, _ = model.parse_losses(model(**data, mode='loss'))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10)
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(('arguments', 'message'), [
    (dict(template=(1, 3, 255, 255), search=(1, 3, 127, 127)), r'search \(1, 3, 127, 127\) is smaller than the template'),
    (dict(template=(1, 3, 127, 127), search=(1, 3, 255, 263), mode='predict'), r'must be square, got \(1, 3, 255, 263\)'),
    (dict(template=(1, 3, 127, 127), search=(1, 3, 255, 255), mode='train'), "'tensor', 'loss' or 'predict', got 'train'"),
    (dict(template=(1, 3, 127, 127), search=(1, 3, 255, 255), mode='loss'), "mode 'loss' needs box_xyxy and is_positive"),
    (dict(template=(2, 3, 127, 127), search=(1, 3, 255, 255)), 'batch of the search'),
    (dict(template=(3, 127, 127), search=(3, 255, 255)), r'template must be float \(B, 3, H, W\)'),
    (dict(template=(1, 3, 55, 55), search=(1, 3, 255, 255)), 'smaller than template_size 7'),
])
def test_bad_input_is_named(small_model, arguments, message):
    images = {key: torch.rand(shape) for key, shape in arguments.items() if key != 'mode'}
    with pytest.raises(ValueError, match=message):
        small_model(**images, mode=arguments.get('mode', 'tensor'))


@pytest.mark.parametrize('seed', [torch.zeros(1, dtype=torch.int64), torch.zeros(2)])
def test_a_seed_of_another_shape_is_named(small_model, seed):
    batch = small_model.data_preprocessor(dict(pair_batch(), sample_seed=seed))
    with pytest.raises(ValueError, match=r'needs sample_seed \(2,\) of int64, got'):
        small_model(**batch, mode='loss')


@pytest.mark.parametrize(('key', 'value'), [('box_xyxy', torch.zeros(2, 5)), ('box_xyxy', torch.zeros(4)),
                                           ('is_positive', torch.ones(2, 1, dtype=torch.bool))])
def test_labels_of_another_shape_are_named(small_model, key, value):
    batch = small_model.data_preprocessor(dict(pair_batch(), **{key: value}))
    with pytest.raises(ValueError, match=r'needs box_xyxy \(2, 4\) and is_positive \(2,\), got'):
        small_model(**batch, mode='loss')


def test_levels_that_do_not_match_are_named():
    config = small_model_config(neck=dict(type='siamrpnpp_plugin.AdjustNeck', in_channels=(128, 256), out_channels=16))
    with pytest.raises(ValueError, match='AdjustNeck was built for 2 levels, the backbone gives 3'):
        MODELS.build(config)(torch.rand(1, 3, 127, 127), torch.rand(1, 3, 255, 255))
    with pytest.raises(ValueError, match='FusionHead was built for 3'):
        MODELS.build(small_model_config(neck=None, backbone=dict(type='siamrpnpp_plugin.AlexNet')))(
            torch.rand(1, 3, 127, 127), torch.rand(1, 3, 255, 255))


def test_unknown_arguments_and_types_are_named():
    config = small_model_config()
    config['backbone']['depht'] = 50
    with pytest.raises(ValueError, match=r"ResNet has no argument 'depht' \(given: 50\); expected: depth, width"):
        MODELS.build(config)
    with pytest.raises(ValueError, match="SiamRPN has no argument 'bakbone'"):
        mmengine.registry.MODELS.build(dict(small_model_config(), bakbone=1))  # as a Runner builds it
    with pytest.raises(ValueError, match="ResNet has no argument 'depht'"):
        ResNet(depht=50)
    with pytest.raises(KeyError, match='ResNext is not in the siamrpnpp_plugin::model registry'):
        MODELS.build(dict(type='ResNext', _scope_='siamrpnpp_plugin'))


def test_preprocessor_leaves_bgr_for_pysot_weights():
    images = torch.randint(0, 256, (2, 3, 5, 5), dtype=torch.uint8)
    normalized = PairDataPreprocessor().normalize(images)
    assert normalized.dtype == torch.float32
    assert torch.equal(normalized, images.float())


def test_preprocessor_normalises_rgb_for_torchvision_weights():
    mean, std = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
    images = torch.randint(0, 256, (2, 3, 5, 5), dtype=torch.uint8)
    batch = PairDataPreprocessor(mean, std, bgr_to_rgb=True)(dict(template=images, search=images, box_xyxy=torch.rand(2, 4)))
    red = (images[:, 2].float() - mean[0]) / std[0]
    assert torch.allclose(batch['search'][:, 0], red)
    assert set(batch) == {'template', 'search', 'box_xyxy'}


def test_preprocessor_stacks_lists_and_leaves_other_keys_to_hooks():
    batch = pair_batch(3)
    listed = {key: list(value) for key, value in batch.items()}
    stacked, whole = (PairDataPreprocessor()(data) for data in (dict(listed, sample_id=['a', 'b', 'c']), batch))
    assert set(stacked) == set(whole) == set(batch)
    assert all(torch.equal(stacked[key], whole[key]) for key in whole)


def test_seeded_losses_do_not_depend_on_how_samples_are_batched(small_model):
    """Batch norm in evaluation: the mean over two halves is the whole's."""
    small_model.eval()
    batch = pair_batch(4)
    batch.update(is_positive=torch.ones(4, dtype=torch.bool), sample_seed=torch.tensor([3, 1, 4, 1]))
    small_model.head.loss_cls.per_sample = True

    def loss(part):
        data = small_model.data_preprocessor({key: value[part] for key, value in batch.items()})
        return torch.stack(tuple(small_model(**data, mode='loss').values()))

    with torch.no_grad():
        whole, halves = loss(slice(0, 4)), (loss(slice(0, 2)) + loss(slice(2, 4))) / 2
    assert torch.allclose(whole, halves, rtol=1e-5)


def test_prediction_keeps_no_graph_and_leaves_training_alone(small_model):
    data = small_model.data_preprocessor(pair_batch())
    prediction = small_model(**data, mode='predict')[0]
    assert not prediction['box_xyxy'].requires_grad
    assert not prediction['score'].requires_grad
    assert small_model(**data)[0].requires_grad


def test_the_model_copies_and_pickles(small_model):
    """As EMA and multi-process tools do."""
    small_model.eval()
    images = torch.rand(1, 3, 127, 127), torch.rand(1, 3, 255, 255)
    for twin in (copy.deepcopy(small_model), pickle.loads(pickle.dumps(small_model))):
        assert torch.equal(twin(*images)[0], small_model(*images)[0])


def test_preprocessor_names_bad_input():
    with pytest.raises(ValueError, match=r'shape \(B, 3, H, W\), got \(2, 5, 5, 3\)'):
        PairDataPreprocessor().normalize(torch.zeros(2, 5, 5, 3))
    with pytest.raises(KeyError, match="no 'search', only"):
        PairDataPreprocessor()(dict(template=torch.zeros(1, 3, 5, 5)))
    with pytest.raises(ValueError, match='mean and std together'):
        PairDataPreprocessor(mean=[1, 2, 3])
    with pytest.raises(ValueError, match='std positive'):
        PairDataPreprocessor(mean=[1, 2, 3], std=[1, 0, 1])
