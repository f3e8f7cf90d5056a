import pytest
import torch
from conftest import small_model_config
from torch import nn

from siamrpnpp_plugin.models import (
    AdjustNeck,
    DeltaBoxCoder,
    FusionHead,
    GroupedConvFusion,
    RPNHead,
    SoftmaxFusion,
    UpChannelRPNHead,
)
from siamrpnpp_plugin.registry import MODELS, TASK_UTILS


def test_neck_crops_the_centre_of_a_template_map_only():
    neck = AdjustNeck(in_channels=(4, ), out_channels=2).eval()
    feat = torch.rand(1, 4, 15, 15)
    whole, = neck((feat, ))
    crop, = neck((feat, ), is_template=True)
    assert whole.shape == (1, 2, 15, 15)
    assert torch.equal(crop, whole[:, :, 4:11, 4:11])


def test_neck_without_norm_and_with_channels_per_level():
    neck = AdjustNeck(in_channels=(4, 8), out_channels=(2, 3), norm_cfg=None)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in neck.modules())
    assert [m.shape[1] for m in neck((torch.rand(1, 4, 9, 9), torch.rand(1, 8, 9, 9)))] == [2, 3]


def test_neck_names_what_does_not_match():
    with pytest.raises(ValueError, match='out_channels of AdjustNeck has 2 levels, in_channels 3'):
        AdjustNeck(out_channels=(1, 2))
    neck = AdjustNeck(in_channels=(4, 8), out_channels=2)
    with pytest.raises(ValueError, match='built for 2 levels, the backbone gives 1'):
        neck((torch.rand(1, 4, 9, 9), ))
    with pytest.raises(ValueError, match='expects 8 channels on level 1, the backbone gives 4'):
        neck((torch.rand(1, 4, 9, 9), torch.rand(1, 4, 9, 9)))
    with pytest.raises(ValueError, match='smaller than template_size 7'):
        neck((torch.rand(1, 4, 5, 5), torch.rand(1, 8, 5, 5)), is_template=True)


def test_rpn_head_is_the_seeds_table():
    """adj: conv 3x3 pad 1 with bias, BN, no activation; fusion: conv 1x1, BN, ReLU; heads: conv 1x1 to 4*5 and 2*5."""
    head = RPNHead()
    for adj in (head.adj_1, head.adj_2, head.adj_3, head.adj_4):
        assert [type(layer) for layer in adj] == [nn.Conv2d, nn.BatchNorm2d]
        assert (adj.conv.in_channels, adj.conv.out_channels, adj.conv.kernel_size, adj.conv.padding) == (256, 256, (3, 3), (1, 1))
        assert adj.conv.bias is not None
    for fusion in (head.fusion_module_1, head.fusion_module_2):
        assert [type(layer) for layer in fusion] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
        assert (fusion.conv.kernel_size, fusion.conv.padding) == ((1, 1), (0, 0))
    assert (head.box_head.out_channels, head.cls_head.out_channels) == (20, 10)


@pytest.mark.parametrize('arguments', [{}, dict(adjust_padding=0, adjust_act_cfg=dict(type='ReLU'), conv_bias=False)])
def test_both_variants_give_a_25x25_map(arguments):
    cls_score, bbox_pred = RPNHead(8, 8, **arguments).eval()(torch.rand(2, 8, 7, 7), torch.rand(2, 8, 31, 31))
    assert (cls_score.shape, bbox_pred.shape) == ((2, 10, 25, 25), (2, 20, 25, 25))


def test_branches_use_their_own_adjustments():
    """adj_1, adj_2 feed the boxes and adj_3, adj_4 the scores (the seed's forward)."""
    head = RPNHead(8, 8).eval()
    maps = torch.rand(1, 8, 7, 7), torch.rand(1, 8, 31, 31)
    cls_before, box_before = head(*maps)
    with torch.no_grad():
        head.adj_1.conv.weight.mul_(2)
    cls_after, box_after = head(*maps)
    assert torch.equal(cls_before, cls_after)
    assert not torch.equal(box_before, box_after)


@pytest.mark.parametrize('cls', [RPNHead, UpChannelRPNHead])
def test_a_map_with_other_channels_is_named(cls):
    with pytest.raises(ValueError, match=r'expects 8 channels, the search map is \(1, 4, 31, 31\)'):
        cls(in_channels=8)(torch.rand(1, 8, 7, 7), torch.rand(1, 4, 31, 31))


def predictions(levels=3):
    return [torch.rand(2, 10, 5, 5) for _ in range(levels)], [torch.rand(2, 20, 5, 5) for _ in range(levels)]


@pytest.mark.parametrize('fusion', [GroupedConvFusion(), SoftmaxFusion(), SoftmaxFusion(learnable=False)])
def test_fusions_start_as_the_mean(fusion):
    scores, boxes = predictions()
    cls_score, bbox_pred = fusion(scores, boxes)
    assert torch.allclose(cls_score, sum(scores) / 3, atol=1e-6)
    assert torch.allclose(bbox_pred, sum(boxes) / 3, atol=1e-6)


def test_grouped_fusion_weighs_each_level_and_output_channel():
    fusion = GroupedConvFusion()
    nn.init.normal_(fusion.box_conv.weight)
    nn.init.normal_(fusion.box_conv.bias)
    scores, boxes = predictions()
    weight = fusion.box_conv.weight.view(20, 3)
    expected = sum(box * weight[:, level, None, None] for level, box in enumerate(boxes)) + fusion.box_conv.bias[:, None, None]
    assert torch.allclose(fusion(scores, boxes)[1], expected, atol=1e-5)


def test_softmax_fusion_weighs_scores_and_boxes_apart():
    fusion = SoftmaxFusion()
    with torch.no_grad():
        fusion.cls_weight.copy_(torch.tensor([100., 0., 0.]))
        fusion.box_weight.copy_(torch.tensor([0., 0., 100.]))
    scores, boxes = predictions()
    cls_score, bbox_pred = fusion(scores, boxes)
    assert torch.allclose(cls_score, scores[0])
    assert torch.allclose(bbox_pred, boxes[2])


def test_fusion_head_checks_levels_and_anchors():
    block = dict(type='siamrpnpp_plugin.RPNHead', in_channels=8, hidden_channels=8)
    with pytest.raises(ValueError, match=r'num_levels=2, 2 rpn_head config\(s\) and a fusion for 3 level\(s\)'):
        FusionHead(block, num_levels=2)
    with pytest.raises(ValueError, match=r'num_levels=3, 3 rpn_head config\(s\) and a fusion for 1 level\(s\)'):
        FusionHead(block, fusion=None)
    with pytest.raises(ValueError, match='rpn_head of level 0 has num_anchors=4, the anchor generator gives 5'):
        FusionHead(dict(block, num_anchors=4))
    with pytest.raises(ValueError, match='fusion has num_anchors=4, the anchor generator gives 5'):
        FusionHead(block, fusion=dict(type='siamrpnpp_plugin.GroupedConvFusion', num_anchors=4))
    head = FusionHead(block)
    with pytest.raises(ValueError, match='template_feats has 2 levels, FusionHead was built for 3'):
        head([torch.rand(1, 8, 7, 7)] * 2, [torch.rand(1, 8, 31, 31)] * 3)


def test_decode_puts_a_zero_delta_on_its_anchor():
    head = MODELS.build(small_model_config()['head'])
    cls_score, bbox_pred = torch.zeros(1, 10, 25, 25), torch.zeros(1, 20, 25, 25)
    cls_score.view(1, 2, 5, 25, 25)[0, 1, 2, 10, 14] = 9  # the square anchor of row 10, column 14
    box, score = head.predict(cls_score, bbox_pred, search_size=255)
    assert box.tolist() == [[127 + 16 - 32, 127 - 16 - 32, 127 + 16 + 32, 127 - 16 + 32]]
    assert score.item() == pytest.approx(torch.sigmoid(torch.tensor(9.)).item())


def test_predict_finds_the_box_that_the_assigner_asked_for():
    """Write the assigner's own targets as the network's output: decoding must give the target box back."""
    head = MODELS.build(small_model_config()['head'])
    boxes = torch.tensor([[80., 90., 150., 140.], [100., 60., 140., 170.]])
    anchors = head.anchors(torch.zeros(2, 10, 25, 25), 255)
    targets = head.anchor_assigner(anchors, 8, boxes, torch.tensor([True, True]))
    cls_score = torch.stack((-targets.labels.float(), targets.labels.float()), dim=1).flatten(1, 2)
    bbox_pred = head.box_coder.encode(boxes[:, None, None, None], anchors).movedim(-1, 1).flatten(1, 2)
    detections = head.predict(cls_score, bbox_pred, 255)
    assert torch.allclose(detections.box_xyxy, boxes, atol=1e-3)


@pytest.mark.parametrize('head', [RPNHead(8, 8).eval(), UpChannelRPNHead(8).eval()], ids=lambda head: type(head).__name__)
def test_the_templates_share_is_done_once_for_many_searches(head):
    template = torch.rand(2, 8, 7, 7)
    kernels = head.template_kernels(template)
    for _ in range(2):
        search = torch.rand(2, 8, 31, 31)
        for once, whole in zip(head.correlate(kernels, search), head(template, search)):
            assert torch.equal(once, whole)


def test_losses_are_float32_also_for_half_precision_outputs():
    head = MODELS.build(small_model_config()['head'])
    outputs = torch.randn(2, 10, 25, 25).bfloat16(), torch.randn(2, 20, 25, 25).bfloat16()
    labels = torch.tensor([[95., 95., 159., 159.]] * 2), torch.tensor([True, True]), 255, torch.tensor([1, 2])
    half = head.loss(*outputs, *labels)
    single = head.loss(*(output.float() for output in outputs), *labels)
    assert half['loss_cls'].dtype == half['loss_box'].dtype == torch.float32
    assert half == single


def test_another_box_coder_is_used_for_targets_and_boxes():
    @TASK_UTILS.register_module()
    class TenfoldCoder(DeltaBoxCoder):

        def encode(self, box_xyxy, anchor_cxcywh):
            return super().encode(box_xyxy, anchor_cxcywh) * 10

        def decode(self, deltas, anchor_cxcywh):
            return super().decode(deltas / 10, anchor_cxcywh)

    try:
        head = MODELS.build(dict(small_model_config()['head'], box_coder=dict(type='siamrpnpp_plugin.TenfoldCoder')))
        box = torch.tensor([[80., 90., 150., 140.]])
        anchors = head.anchors(torch.zeros(1, 10, 25, 25), 255)
        bbox_pred = head.box_coder.encode(box[:, None, None, None], anchors).movedim(-1, 1).flatten(1, 2)
        cls_score = torch.zeros(1, 10, 25, 25)
        assert torch.allclose(head.predict(cls_score, bbox_pred, 255).box_xyxy, box, atol=1e-2)
        assert head.loss(cls_score, bbox_pred, box, torch.tensor([True]), 255)['loss_box'].item() == pytest.approx(0, abs=1e-4)
    finally:
        TASK_UTILS.module_dict.pop('TenfoldCoder')
