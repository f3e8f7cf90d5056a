"""Validation and test by tracking: the videos are shared by the ranks, each rank runs its own in lockstep."""

import json
import sys
from pathlib import Path
from typing import Optional, Union

import numpy as np
from mmengine.evaluator import Evaluator
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop
from torch.utils.data import DataLoader
from tqdm import tqdm

from ..registry import LOOPS, TASK_UTILS
from .longterm import read_confidences
from .results import read_boxes, result_path, write_result, write_whole
from .vot import read_vot_results


@LOOPS.register_module()
class TrackLoop(BaseLoop):
    """Tracks every sequence of the data set and hands the boxes to the metrics, in the order of the data set.

    Args:
        runner: The Runner.
        dataloader: Of `SequenceDataset`; its batch size has no meaning here.
        evaluator: Metrics such as `OPEMetric`.
        tracker: Config of the policy, such as `SiamRPNTracker`; None: `tracker` of the Runner's config, else the default one.
        batch_videos: Videos that run at once.
        supervised: Whether by the VOT protocol with re-initialisation.
        strict: Whether a frame that cannot be read is an error.
        phase: 'val' or 'test'; which hooks are called.
        result_dir: Folder of the tracker's result files; sequences that lie there are not tracked again. None: no files.
        result_format: Their format, see `results.py`.
        progress: Whether to show a bar.

    Raises:
        ValueError: If result files there have another number of frames.
    """

    def __init__(self, runner: Runner, dataloader: Union[DataLoader, dict], evaluator: Union[Evaluator, dict, list],
                 tracker: Optional[dict] = None, batch_videos: int = 1, supervised: bool = False, strict: bool = False,
                 phase: str = 'val', result_dir: Optional[str] = None, result_format: str = 'ope',
                 progress: bool = False) -> None:
        super().__init__(runner, dataloader)
        if phase not in ('val', 'test'):
            raise ValueError(f"phase of TrackLoop must be 'val' or 'test', got {phase!r}")
        self.evaluator = runner.build_evaluator(evaluator) if isinstance(evaluator, (dict, list)) else evaluator
        self.tracker = TASK_UTILS.build(dict(
            type='siamrpnpp_plugin.VideoTracker', batch_videos=batch_videos, supervised=supervised, strict=strict,
            tracker=tracker or runner.cfg.get('tracker') or dict(type='siamrpnpp_plugin.SiamRPNTracker')))
        self.phase, self.result_format, self.progress = phase, result_format, progress
        self.result_dir = None if result_dir is None else Path(result_dir)

    def run(self) -> dict:
        """Track and evaluate; the metrics, on every rank."""
        self.runner.call_hook(f'before_{self.phase}')
        self.runner.call_hook(f'before_{self.phase}_epoch')
        model = self.runner.model.module if is_model_wrapper(self.runner.model) else self.runner.model
        model.eval()
        sequences = [sequence for batch in self.dataloader for sequence in batch]
        done = {sequence.name: result for sequence in sequences if (result := self._read(sequence)) is not None}
        waiting = {sequence.name: sequence for sequence in sequences if sequence.name not in done}  # a padding sampler repeats
        bar = tqdm(total=sum(map(len, waiting.values())), unit='frame', disable=not self.progress or self.runner.rank > 0,
                   mininterval=0.5 if sys.stderr.isatty() else 10)
        for sequence, result in self.tracker.track(model, waiting.values()):
            done[sequence.name] = dict(result._asdict())
            bar.update(len(sequence))
            if result.held:
                self.runner.logger.warning(f'{sequence.name}: {len(result.held)} frames cannot be read, the box was held: '
                                           f'{", ".join(result.held[:3])}')
            if self.result_dir is not None:
                self._write(sequence, result)
        bar.close()
        for sequence in sequences:
            self.evaluator.process(data_samples=[dict(done[sequence.name], name=sequence.name)], data_batch=[sequence])
        metrics = self.evaluator.evaluate(len(self.dataloader.dataset))
        self.runner.call_hook(f'after_{self.phase}_epoch', metrics=metrics)
        self.runner.call_hook(f'after_{self.phase}')
        return metrics

    def _read(self, sequence: object) -> Optional[dict]:
        """Boxes of a sequence that was tracked before."""
        path = None if self.result_dir is None else result_path(self.result_dir, self.result_format, sequence.name)
        if path is None or not path.is_file():
            return None
        confidence = None
        if self.result_format in ('vot', 'votlt'):
            entries = read_vot_results(path)
            kind = np.array([int(entry[0]) if len(entry) == 1 else -1 for entry in entries])
            boxes = np.array([[*entry[:2], entry[0] + entry[2], entry[1] + entry[3]] if len(entry) == 4 else [np.nan] * 4
                              for entry in entries])
            if self.result_format == 'votlt':
                confidence = read_confidences(path.with_name(f'{path.stem}_confidence.value'))
        else:
            boxes = read_boxes(path)
            kind = np.full(len(boxes), -1)
        if len(boxes) != len(sequence):
            raise ValueError(f'{path} has {len(boxes)} frames, {sequence.name} has {len(sequence)}: remove it, or use another '
                             'folder')
        return dict(boxes_xyxy=boxes, kind=kind, confidence=confidence)

    def _write(self, sequence: object, result: tuple) -> None:
        stages = dict(zip(self.tracker.stages, result.seconds.sum(axis=0).tolist()))
        details = json.dumps(dict(frames=len(sequence), seconds=stages, held=list(result.held)))
        write_whole(self.result_dir / 'details' / f'{sequence.name}.json', [details])
        write_result(self.result_dir, self.result_format, sequence.name, result.boxes_xyxy, result.kind, result.confidence,
                     result.seconds.sum(axis=1))  # last: it says that the sequence is done
