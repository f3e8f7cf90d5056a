"""Ask the toolkits of PySOT, got10k and pytracking for their own numbers and freeze them in `toolkit_numbers.npz` beside it.

    git clone https://github.com/STVIR/pysot && (cd pysot && python setup.py build_ext --inplace)    # cython
    git clone https://github.com/got-10k/toolkit got10k && git clone https://github.com/visionml/pytracking
    pip install shapely colorama pandas
    python tests/parity/toolkit_numbers.py pysot got10k pytracking

The toolkits run as they are, on files or objects of the inputs in `metric_cases.py`.
"""

import argparse
import contextlib
import io
import sys
import tempfile
import types
import warnings
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import metric_cases as cases  # noqa: E402

CURVES = {'success': 'success_curve', 'precisions': 'precision_curve', 'norm_precisions': 'normalized_precision_curve'}


def pysot_ope() -> dict:
    from toolkit.evaluation import OPEBenchmark
    videos = []
    for name in cases.ope_names('pysot'):
        sequence = cases.ope_sequence(name)
        videos.append(types.SimpleNamespace(name=name, gt_traj=sequence['truth'], pred_trajs={'tracker': sequence['predicted']}))
        if sequence['is_absent'] is not None:
            videos[-1].absent = (~sequence['is_absent']).astype(np.int8)  # 1: the target is there

    class Videos(list):
        tracker_names, tracker_path = ['tracker'], ''

    benchmark = OPEBenchmark(Videos(videos))
    curves = dict(success=benchmark.eval_success(), precisions=benchmark.eval_precision(),
                  norm_precisions=benchmark.eval_norm_precision())
    return {f'pysot/{key}': np.stack([value['tracker'][video.name] for video in videos]) for key, value in curves.items()}


def got10k_ope(preset: str, experiment_name: str) -> dict:
    """Curves of each sequence and the totals that the toolkit's own `report` gives, from result files."""
    import got10k.experiments
    experiment = object.__new__(getattr(got10k.experiments, experiment_name))
    names = cases.ope_names(preset)
    sequences = {name: cases.ope_sequence(name) for name in names}

    class Dataset:
        seq_names, return_meta = names, False

        def __getitem__(self, key):
            name = key if isinstance(key, str) else names[key]
            meta = dict(cover=sequences[name]['cover'], resolution=repr(cases.SIZE))
            return (None, sequences[name]['truth'].copy(), meta)[:3 if self.return_meta else 2]

        def __len__(self):
            return len(names)

    with tempfile.TemporaryDirectory() as folder:
        experiment.dataset, experiment.result_dir, experiment.report_dir = Dataset(), folder, folder + '/reports'
        experiment.nbins_iou, experiment.nbins_ce, experiment.nbins_nce = 21, 51, 51
        experiment.subset, experiment.plot_curves = 'val', lambda *args, **kwargs: None
        for name in names:
            path = Path(folder, 'tracker', *([name, f'{name}_001'] if preset == 'got10k' else [name])).with_suffix('.txt')
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savetxt(path, sequences[name]['predicted'], delimiter=',', fmt='%.17g')
            np.savetxt(path.with_name(f'{name}_time.txt'), np.ones((2, 1)))
        if preset == 'got10k':
            experiment.nbins_iou = 101
        performance = experiment.report(['tracker'])['tracker']
    total, each = performance['overall'], performance['seq_wise']
    if preset == 'got10k':
        return {'got10k/total': np.array([total['ao'], total['sr']]), 'got10k/success_total': np.array(total['succ_curve']),
                'got10k/ao': np.array([each[name]['ao'] for name in names]),
                'got10k/sr50': np.array([each[name]['sr'] for name in names])}
    numbers = {f'{preset}/{ours}': np.array([each[name][theirs] for name in names])
               for ours, theirs in CURVES.items() if theirs in total}
    numbers[f'{preset}/total'] = np.array([total['success_score'], total['precision_score'], total['success_rate'],
                                           total.get('normalized_precision_score', np.nan)])
    return numbers


def pytracking_module(root: Path) -> types.ModuleType:
    """`analysis/extract_results.py` itself, without the trackers that its package imports and without a local settings file."""
    for name in ('pytracking', 'pytracking.evaluation', 'pytracking.utils'):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [str(root / name.replace('.', '/'))]
    settings = types.ModuleType('pytracking.evaluation.environment')
    settings.env_settings = lambda: types.SimpleNamespace(result_plot_path=tempfile.gettempdir(), results_path='')
    sys.modules[settings.__name__] = settings
    import pytracking.analysis.extract_results as module
    return module


def pytracking_ope(module: types.ModuleType, preset: str) -> dict:
    dataset = {'pytracking_uav': 'uav', 'pytracking_lasot': 'lasot'}.get(preset, 'otb')
    sequences = []
    for name in cases.ope_names(preset):
        sequence = cases.ope_sequence(name)
        absent = sequence['is_absent']
        if absent is None and dataset == 'lasot':
            absent = np.zeros(len(sequence['truth']), bool)
        sequences.append(types.SimpleNamespace(name=name, dataset=dataset, ground_truth_rect=sequence['truth'],
                                               target_visible=None if absent is None else ~absent))
    with tempfile.TemporaryDirectory() as folder:
        for sequence in sequences:
            boxes = cases.ope_sequence(sequence.name)['predicted']
            np.savetxt(Path(folder, f'{sequence.name}.txt'), boxes, delimiter=',', fmt='%.17g')
        tracker = types.SimpleNamespace(results_dir=folder, name='tracker', parameter_name='', run_id=None, display_name='')
        data = module.extract_results([tracker], sequences, Path(folder, 'report').name, verbose=False,
                                      exclude_invalid_frames=preset == 'pytracking_excluded')
    keys = dict(success='ave_success_rate_plot_overlap', precisions='ave_success_rate_plot_center',
                norm_precisions='ave_success_rate_plot_center_norm', ao='avg_overlap_all')
    return {f'{preset}/{ours}': np.array(data[theirs])[:, 0] for ours, theirs in keys.items()}


def polygon_numbers() -> dict:
    from got10k.utils.metrics import poly_iou
    from shapely.geometry import Polygon
    from toolkit.utils import region
    numbers = {}
    for name, (first, second) in cases.polygon_pairs().items():
        flat = [polygon.reshape(len(polygon), -1).tolist() for polygon in (first, second)]
        for bound, limit in cases.BOUNDS.items():
            numbers[f'raster/{name}/{bound}'] = np.array(region.vot_overlap_traj(*flat, limit))
    first, second = cases.polygon_pairs()['convex']
    numbers['exact/convex'] = np.array([
        a.intersection(b).area / a.union(b).area for a, b in zip(map(Polygon, first), map(Polygon, second))])
    quads = [polygon[:, :4].reshape(len(polygon), 8) for polygon in (first, second)]
    numbers['exact/bounded'] = poly_iou(*quads, bound=cases.BOUNDS['image'])
    return numbers


def vot_dataset(kind: type, sequences: dict, image: str, name: str, **tags) -> object:
    from toolkit.datasets.dataset import Dataset
    dataset = Dataset(name, '.')
    dataset.videos = {key: kind(key, '.', '', None, [image], value['truth'], **value.get('tags', {}), **tags)
                      for key, value in sequences.items()}
    dataset.tracker_names = ['tracker']
    return dataset


def vot_numbers(folder: str) -> dict:
    import cv2
    from toolkit.datasets.vot import VOTLTVideo, VOTVideo
    from toolkit.evaluation import AccuracyRobustnessBenchmark, EAOBenchmark, F1Benchmark
    image, numbers = f'{folder}/image.png', {}
    cv2.imwrite(image, np.zeros((*cases.SIZE[::-1], 3), np.uint8))
    for kind, repetitions in (('plain', 1), ('plain', 3), ('odd', 1)):
        sequences = cases.vot_sequences(kind, repetitions)
        for year in (2016, 2018, 2019):
            dataset = vot_dataset(VOTVideo, sequences, image, f'VOT{year}')
            for key, video in dataset.videos.items():
                video.pred_trajs['tracker'] = sequences[key]['runs']
            tags = list(dataset.videos['short'].tags)
            eao = EAOBenchmark(dataset, tags=tags).eval()['tracker']
            numbers[f'vot/{kind}{repetitions}/{year}'] = np.array([eao[tag] for tag in tags])
        benchmark = AccuracyRobustnessBenchmark(dataset)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            result = benchmark.eval()
            benchmark.show_result(result)
        row = printed.getvalue().splitlines()[3].split('|')  # 3 decimals
        overlaps = result['tracker']['overlaps']
        numbers[f'vot/{kind}{repetitions}/printed'] = np.array([float(cell) for cell in row[2:5]])
        numbers[f'vot/{kind}{repetitions}/accuracy'] = np.array([np.nanmean(overlaps[key]) for key in cases.VOT_LENGTHS])
    sequences = cases.longterm_sequences()
    dataset = vot_dataset(VOTLTVideo, sequences, image, 'VOT2018-LT')
    for key, video in dataset.videos.items():
        video.gt_traj = [list(box) if len(box) > 1 else box for box in video.gt_traj]
        video.pred_trajs['tracker'] = sequences[key]['entries']
        video.confidence['tracker'] = sequences[key]['confidences'].tolist()
    result = F1Benchmark(dataset).eval()['tracker']
    for key in ('precision', 'recall'):
        numbers[f'longterm/{key}'] = np.mean(list(result[key].values()), axis=0)
    return numbers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ('pysot', 'got10k', 'pytracking'):
        parser.add_argument(name, type=Path, help=f"checkout of {name}'s repository")
    args = parser.parse_args()
    sys.path[:0] = [str(args.pysot), str(args.got10k), str(args.pytracking)]
    warnings.simplefilter('ignore')
    numbers = pysot_ope()
    for preset, experiment in (('got10k', 'ExperimentGOT10k'), ('otb', 'ExperimentOTB'), ('uav', 'ExperimentUAV123'),
                               ('lasot', 'ExperimentLaSOT'), ('trackingnet', 'ExperimentTrackingNet')):
        numbers.update(got10k_ope(preset, experiment))
    module = pytracking_module(args.pytracking)
    for preset in ('pytracking', 'pytracking_excluded', 'pytracking_uav', 'pytracking_lasot'):
        numbers.update(pytracking_ope(module, preset))
    numbers.update(polygon_numbers())
    with tempfile.TemporaryDirectory() as folder:
        numbers.update(vot_numbers(folder))
    np.savez_compressed(HERE / 'toolkit_numbers.npz', **{key: value.astype(np.float32) for key, value in numbers.items()})


if __name__ == '__main__':
    main()
