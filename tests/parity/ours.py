"""Our network's stages under the names that `pysot_numbers.py` gives PySOT's."""

from pathlib import Path

import torch

from siamrpnpp_plugin.apis import init_model
from siamrpnpp_plugin.models.state_dicts import compare, from_pysot

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


def load_pysot(config: str, pysot_weights: dict) -> torch.nn.Module:
    """Our model of a config with PySOT's weights."""
    model = init_model(CONFIGS / config)
    weights = from_pysot(pysot_weights, model.state_dict())
    report = compare(weights, model.state_dict())
    assert report.complete, report.summary()
    model.load_state_dict(weights)
    return model


@torch.no_grad()
def our_stages(config: str, pysot_weights: dict, template: torch.Tensor, search: torch.Tensor) -> dict:
    """Every stage of our network with PySOT's weights; images are raw BGR 0-255, as these configs' preprocessor leaves them."""
    model = load_pysot(config, pysot_weights)
    stages = {}
    for image, name in ((template, 'template'), (search, 'search')):
        maps = model.backbone(image)
        stages.update({f'{name}.backbone.{level}': feat for level, feat in enumerate(maps)})
        feats = maps if model.neck is None else model.neck(maps, is_template=name == 'template')
        stages.update({f'{name}.neck.{level}': feat for level, feat in enumerate(feats)})
        if name == 'template':
            template_feats = feats
    for level, block in enumerate(model.head.rpn_heads):
        stages[f'rpn.{level}.cls'], stages[f'rpn.{level}.loc'] = block(template_feats[level], feats[level])
    stages['cls'], stages['loc'] = model.match(model.extract_template(template), search)
    # PySOT's layout is (B, A, H, W, 2)
    stages['log_softmax'] = stages['cls'].unflatten(1, (2, -1)).log_softmax(dim=1).movedim(1, -1)
    return stages
