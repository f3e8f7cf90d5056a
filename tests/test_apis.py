import cv2
import numpy as np
import pytest
import torch
from conftest import ROOT, pair_batch, small_model_config
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from siamrpnpp_plugin.apis import SOTracker, init_model
from siamrpnpp_plugin.registry import MODELS
from siamrpnpp_plugin.tracking import SiamRPNTracker


@pytest.fixture
def config():
    return Config(dict(model=small_model_config(), default_scope='siamrpnpp_plugin'))


def test_model_comes_ready_to_track(config, tmp_path):
    donor = MODELS.build(config.model)
    torch.save(dict(state_dict=donor.state_dict()), tmp_path / 'model.pth')
    model = init_model(config, tmp_path / 'model.pth')
    assert not model.training
    assert model.cfg is config
    assert all(torch.equal(value, donor.state_dict()[key]) for key, value in model.state_dict().items())


def test_a_checkpoint_of_mmengines_runner_loads(config, tmp_path):
    """A real Runner's checkpoint: log histories and NumPy values beside the weights, read without running code."""
    items = [{key: value[0] for key, value in pair_batch(1).items()}] * 2
    runner = Runner(MODELS.build(config.model), str(tmp_path / 'work'), train_dataloader=DataLoader(items, batch_size=2),
                    train_cfg=dict(by_epoch=True, max_epochs=1), default_scope='siamrpnpp_plugin',
                    optim_wrapper=dict(optimizer=dict(type='SGD', lr=.001)), experiment_name='test_apis')
    runner.train()
    model = init_model(config, tmp_path / 'work' / 'epoch_1.pth')
    assert all(torch.equal(value, runner.model.state_dict()[key]) for key, value in model.state_dict().items())


def test_a_hostile_getattr_in_a_checkpoint_is_refused(config, tmp_path):
    class Hostile:

        def __reduce__(self):
            return getattr, (HistoryBuffer, '__init__')

    torch.save(dict(state_dict={}, hook=Hostile()), tmp_path / 'hostile.pth')
    with pytest.raises(ValueError, match='hostile.pth is no checkpoint that loads safely'):
        init_model(config, tmp_path / 'hostile.pth')


def test_config_by_path_and_foreign_default_scope():
    from mmengine.registry import DefaultScope
    with DefaultScope.overwrite_default_scope('mmengine'):
        model = init_model(str(ROOT / 'configs' / 'siamrpn_alexnet_pysot.py'))
    assert type(model).__name__ == 'SiamRPN'


def test_random_weights_are_warned_of_once(config, warnings_logged, tmp_path):
    model = init_model(config)
    assert [message for message in warnings_logged if 'random weights' in message] == warnings_logged
    assert len(warnings_logged) == 1
    torch.save(model.state_dict(), tmp_path / 'model.pth')
    warnings_logged.clear()
    init_model(config, tmp_path / 'model.pth')
    assert warnings_logged == [], 'a checkpoint needs no warning'


def test_a_wrong_checkpoint_is_refused_by_name(config, tmp_path):
    weights = MODELS.build(config.model).state_dict()
    weights.pop('head.fusion.cls_conv.weight')
    weights['head.rpn_heads.0.cls_head.bias'] = torch.zeros(12)
    weights['extra'] = torch.zeros(1)
    torch.save(weights, tmp_path / 'model.pth')
    with pytest.raises(ValueError, match=r'(?s)model.pth does not fit.*1 missing, 1 unexpected, 1 of another shape.*'
                       r'missing: head.fusion.cls_conv.weight.*unexpected: extra.*file \(12,\), model \(10,\)'):
        init_model(config, tmp_path / 'model.pth')


def test_a_pysot_checkpoint_is_told_apart(config, tmp_path):
    torch.save({'rpn_head.cls_weight': torch.ones(3)}, tmp_path / 'pysot.pth')
    with pytest.raises(ValueError, match='convert it first with tools/convert_checkpoint.py'):
        init_model(config, tmp_path / 'pysot.pth')


def test_missing_files_and_keys_are_named(config):
    with pytest.raises(FileNotFoundError, match='nowhere.pth'):
        init_model(config, 'nowhere.pth')
    with pytest.raises(FileNotFoundError, match='nowhere.py'):
        init_model('nowhere.py')
    with pytest.raises(KeyError, match="has no 'model'"):
        init_model(Config(dict(a=1)))


def test_a_checkpoint_that_carries_code_is_refused(config, tmp_path):
    torch.save(dict(state_dict={}, hook=Config), tmp_path / 'code.pth')
    with pytest.raises(ValueError, match=r'code.pth is no checkpoint that loads safely \(weights_only=True\)'):
        init_model(config, tmp_path / 'code.pth')


@pytest.fixture
def tracked(config):
    """A small model ready to track, and five frames."""
    model = MODELS.build(config.model).eval()
    model.cfg = config
    rng = np.random.default_rng(0)
    return model, [cv2.resize(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8), (160, 120)) for _ in range(5)]


def test_two_verbs_track_a_target(tracked):
    model, frames = tracked
    tracker = SOTracker(model)
    tracker.init(frames[0], (40, 30, 50, 40))
    boxes = [tracker.update(frame) for frame in frames[1:]]
    assert all(box.shape == (4,) and np.isfinite(box).all() and (box[2:] > 0).all() for box in boxes)
    assert 0 <= tracker.confidence <= 1
    policy = SiamRPNTracker()
    state = policy.init(model, frames[:1], np.array([[40., 30, 90, 70]]))
    state = policy.update(model, state, frames[1:2])
    assert np.array_equal(state.box_xyxy[0, :2], boxes[0][:2])


def test_a_pil_image_is_the_same_as_opencvs(tracked):
    image = pytest.importorskip('PIL.Image')
    model, frames = tracked
    first, second = SOTracker(model), SOTracker(model)
    first.init(frames[0], (40, 30, 50, 40))
    second.init(image.fromarray(frames[0][..., ::-1]), (40, 30, 50, 40))
    assert np.array_equal(first.update(frames[1]), second.update(image.fromarray(frames[1][..., ::-1])))


def test_wrong_input_of_the_verbs_is_named(tracked):
    model, frames = tracked
    tracker = SOTracker(model)
    with pytest.raises(RuntimeError, match='call init'):
        tracker.update(frames[0])
    for box, message in (((400, 30, 50, 40), 'outside'), ((40, 30, 0, 40), 'area'), ((float('nan'), 30, 9, 9), 'finite')):
        with pytest.raises(ValueError, match=message):
            tracker.init(frames[0], box)
    with pytest.raises(ValueError, match='BGR image'):
        tracker.init(frames[0][..., 0], (40, 30, 50, 40))
    with pytest.raises(ValueError, match=r'nowhere\.jpg'):
        tracker.track(['nowhere.jpg'], (1, 2, 3, 4))


def test_the_got10k_toolkit_runs_our_tracker_and_prints_our_numbers(tracked, tmp_path):
    """Its experiment on a real tree, as it is; its AO is that of our own preset on its result files."""
    from got10k.experiments import ExperimentGOT10k

    from siamrpnpp_plugin.datasets.benchmarks import read_sequences
    from siamrpnpp_plugin.evaluation.ope import evaluate_sequence, summarize
    from siamrpnpp_plugin.evaluation.results import find_result, read_boxes
    model, frames = tracked
    (tmp_path / 'val').mkdir()
    (tmp_path / 'val' / 'list.txt').write_text('A\nB\n')
    for number, name in enumerate('AB'):
        folder = tmp_path / 'val' / name
        folder.mkdir()
        for index, frame in enumerate(frames):
            cv2.imwrite(str(folder / f'{index + 1:08d}.jpg'), frame)
        (folder / 'groundtruth.txt').write_text(''.join(f'{40 + index},{30 + number},50,40\n' for index in range(5)))
        (folder / 'cover.label').write_text('8\n8\n0\n8\n8\n')
        for label in ('absence', 'cut_by_image'):
            (folder / f'{label}.label').write_text('0\n' * 5)
        (folder / 'meta_info.ini').write_text('[METAINFO]\nresolution: (160, 120)\n')
    folders = dict(result_dir=str(tmp_path / 'results'), report_dir=str(tmp_path / 'reports'))
    experiment = ExperimentGOT10k(str(tmp_path), 'val', **folders)
    experiment.run(SOTracker(model))
    theirs = experiment.report(['SiamRPNpp'])['SiamRPNpp']['overall']
    folder, scores = tmp_path / 'results' / 'GOT-10k' / 'SiamRPNpp', []
    for sequence in read_sequences('got10k', str(tmp_path), split='val'):
        boxes = read_boxes(find_result(folder, 'got10k', sequence.name))
        scores.append(evaluate_sequence(boxes, sequence.boxes_xyxy, 'got10k', cover=sequence.cover, size=sequence.size))
    ours = summarize(scores, 'got10k')
    assert ours['ao'] == pytest.approx(theirs['ao'], abs=1e-5)
    assert ours['sr50'] == pytest.approx(theirs['sr'], abs=1e-5)
