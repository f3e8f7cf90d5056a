"""A benchmark as a data set of a loader: an even choice, cut short, whole videos as items."""

import layouts
import numpy as np
import pytest
from mmengine.runner import Runner

from siamrpnpp_plugin.datasets import SequenceDataset
from siamrpnpp_plugin.datasets.sequences import Sequence


def sequences(count: int = 5, frames: int = 6) -> list:
    return [Sequence(f's{number}', tuple(f'{frame}.jpg' for frame in range(frames)), np.full((frames, 4), float(number)),
                     is_absent=np.arange(frames) > 3, tags=dict(occlusion=np.arange(frames) > 2)) for number in range(count)]


def test_an_even_choice_keeps_first_and_last():
    assert [item.name for item in SequenceDataset(sequences=sequences(), num_sequences=3)] == ['s0', 's2', 's4']
    assert len(SequenceDataset(sequences=sequences(), num_sequences=9)) == 5


def test_short_sequences_are_cut_in_every_array():
    item = SequenceDataset(sequences=sequences(), max_frames=4)[0]
    assert len(item) == len(item.boxes_xyxy) == len(item.is_absent) == len(item.tags['occlusion']) == 4
    assert item.cover is None
    assert SequenceDataset(sequences=sequences(), max_frames=99)[0].images == sequences()[0].images


def test_only_the_chosen_videos_of_vid_are_read(vid_root, monkeypatch):
    from siamrpnpp_plugin.datasets.sources import VIDSource
    read, original = [], VIDSource.read
    monkeypatch.setattr(VIDSource, 'read', lambda self, video: read.append(video) or original(self, video))
    found = SequenceDataset('vid', str(vid_root), dict(split='train'), num_sequences=2)
    assert len(found) == 2
    assert len(read) == 2


def test_a_choice_of_a_benchmark_is_of_its_test_split_though_a_source_for_training_has_its_name(tmp_path):
    layouts.write_lasot(tmp_path)
    found = SequenceDataset('lasot', str(tmp_path), dict(allow_missing=True), num_sequences=1)
    assert [item.name for item in found] == ['airplane-1']


def test_a_loader_hands_on_whole_sequences(vid_root):
    settings = dict(batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
                    dataset=dict(type='siamrpnpp_plugin.SequenceDataset', benchmark='vid', root=str(vid_root),
                                 options=dict(split='train')))
    items = [item for batch in Runner.build_dataloader(settings) for item in batch]
    assert [item.name for item in items] == [item.name for item in SequenceDataset('vid', str(vid_root), dict(split='train'))]
    assert all(isinstance(item, Sequence) for item in items)


@pytest.mark.parametrize(('arguments', 'message'), [
    (dict(sequences=sequences(), num_sequences=0), 'num_sequences >= 1'),
    (dict(sequences=sequences(), max_frames=1), 'max_frames >= 2'),
    (dict(), 'needs benchmark and root'),
    (dict(benchmark='otb1000', root='.'), 'otb100'),
    (dict(benchmark='otb100', root='nowhere'), 'nowhere'),
])
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        SequenceDataset(**arguments)
