#!/usr/bin/env python3
"""Score result files of any tracker, or compare several; no model, no images but the first of a sequence.

    python tools/eval_results.py otb100 --data-root data/OTB --results results/OTB100/SiamRPNpp results/OTB100/BACF
    python tools/eval_results.py lasot --data-root data/LaSOT --results results/LaSOT/* --convention lasot
    python tools/eval_results.py vot2018 --data-root data/VOT2018 --results results/VOT2018/SiamRPNpp

A folder of results is one tracker: NAME.txt with x,y,w,h lines; GOT-10k's NAME/NAME_001.txt; VOT's baseline/NAME/NAME_001.txt.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Optional

import numpy as np
from mmengine.config import DictAction

from siamrpnpp_plugin.datasets.benchmarks import BENCHMARKS, RESULT_ALIASES, read_sequences
from siamrpnpp_plugin.evaluation.compare import bootstrap_interval, paired_test
from siamrpnpp_plugin.evaluation.longterm import evaluate_longterm_sequence, read_confidences, summarize_longterm
from siamrpnpp_plugin.evaluation.metrics import has_truth, image_size, regions, score_sequence
from siamrpnpp_plugin.evaluation.ope import PRECISION_THRESHOLDS, PRESETS, summarize
from siamrpnpp_plugin.evaluation.results import find_result, read_boxes, result_format, result_path
from siamrpnpp_plugin.evaluation.vot import INTERVALS, evaluate_vot_sequence, read_vot_results, summarize_vot
from siamrpnpp_plugin.visualization import plot_curves

CONVENTIONS = {'got10k': 'got10k', 'trackingnet': 'trackingnet', 'vid': 'default', 'folders': 'default'}  # else PySOT's
COLUMNS = dict(auc='AUC', precision='prec. 20', norm_precision='norm. .2', norm_precision_auc='norm. AUC', ao='AO', sr50='SR.50',
               sr75='SR.75')
SERVERS = ('got10k', 'trackingnet')
VOT_COLUMNS = dict(eao='EAO', accuracy='A', robustness='R', lost='lost')
LONGTERM_COLUMNS = dict(f1='F', precision='precision', recall='recall')


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_benchmark_arguments(parser, positional=True)
    parser.add_argument('--results', required=True, type=Path, nargs='+', metavar='DIR',
                        help='folders of results, one per tracker')
    parser.add_argument('--out', type=Path, help='folder for summary.json and plots; default: none are written')
    return parser.parse_args(argv)


def add_benchmark_arguments(parser: argparse.ArgumentParser, positional: bool) -> None:
    """What test.py and this script share."""
    if positional:
        parser.add_argument('benchmark', choices=tuple(BENCHMARKS))
    else:
        parser.add_argument('--benchmark', choices=tuple(BENCHMARKS), required=True)
    parser.add_argument('--data-root', required=True, type=Path, help='folder of the benchmark as published')
    parser.add_argument('--split', help='got10k, trackingnet, vid: train, val, test; lasot: train, test')
    parser.add_argument('--first-pixel', type=float, help='coordinate of the upper left pixel in the files; 1: MATLAB')
    parser.add_argument('--reader-options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE',
                        help='others of the reader, such as fps=240 (nfs), tiger1_from_6=False (otb)')
    parser.add_argument('--names', nargs='+', help='only these sequences')
    parser.add_argument('--allow-missing', action='store_true', help='score what is there of the benchmark')
    parser.add_argument('--convention', choices=tuple(PRESETS), help='whose rules; default: those of the benchmark\'s users')
    parser.add_argument('--resamples', type=int, default=1000, metavar='N', help='of the bootstrap intervals; 0: none')


def read_benchmark(args: argparse.Namespace) -> list:
    """The sequences that the arguments name."""
    if args.convention is not None and args.benchmark.startswith('vot'):
        raise ValueError(f'--convention has no meaning for {args.benchmark}: its rules are those of VOT')
    if args.resamples < 0:
        raise ValueError(f'--resamples must not be negative, got {args.resamples}')
    options = {name: getattr(args, name) for name in ('split', 'first_pixel', 'names') if getattr(args, name) is not None}
    options.update(args.reader_options)
    if args.allow_missing:
        options['allow_missing'] = True
    return read_sequences(args.benchmark, args.data_root, **options)


def load_boxes(folder: Path, benchmark: str, sequences: list) -> dict:
    """Boxes (T, 4) of every sequence by its name."""
    if not folder.is_dir():
        raise FileNotFoundError(f'{folder} is no folder of results')
    found, missing, form = {}, [], result_format(benchmark)
    names = {sequence.name for sequence in sequences}
    for sequence in sequences:
        path = find_result(folder, form, sequence.name, RESULT_ALIASES.get(sequence.name, ()), names - {sequence.name})
        if path is None:
            missing.append(sequence.name)
        else:
            found[sequence.name] = read_boxes(path)
            if len(found[sequence.name]) != len(sequence):
                print(f'  {path} has {len(found[sequence.name])} boxes for {len(sequence)} frames', file=sys.stderr)
    if missing:
        raise ValueError(f'{folder} lacks the results of {len(missing)} of {len(sequences)} sequences: {", ".join(missing[:5])}'
                         f'{" ..." if len(missing) > 5 else ""}; --names scores a part')
    return found


def row(name: str, values: dict, columns: dict, indent: int = 2) -> str:
    return ' ' * indent + name.ljust(44 - indent) + ''.join(f'{values[key]:11.3f}' for key in columns)


def report(sequences: list, trackers: dict, benchmark: str, convention: Optional[str] = None, out: Optional[Path] = None,
           resamples: int = 1000, by_sequence: Optional[str] = None) -> dict:
    """Print the table of one-pass evaluation and draw the plots.

    Args:
        sequences: With a truth.
        trackers: Name -> boxes (T, 4) by name of the sequence.
        benchmark: Its name.
        convention: A preset; None: that of the benchmark's users.
        out: Folder for `success.png` and `precision.png`; None: no plots.
        resamples: Of the bootstrap; 0 leaves intervals out.
        by_sequence: Tracker whose sequences are listed; None: if there is only one.

    Returns:
        For `summary.json`: for each tracker its numbers, those by attribute and by sequence.
    """
    convention = convention or CONVENTIONS.get(benchmark, 'pysot')
    scores = {name: [score_sequence(sequence, boxes[sequence.name], convention) for sequence in sequences]
              for name, boxes in trackers.items()}
    is_scored = [None not in of_all for of_all in zip(*scores.values())]
    if not all(is_scored):
        left_out = [sequence.name for sequence, scored in zip(sequences, is_scored) if not scored]
        print(f'\n{len(left_out)} sequences are not scored, nothing in them counts: {", ".join(left_out[:8])}'
              + (' ...' if len(left_out) > 8 else ''))
    sequences = [sequence for sequence, scored in zip(sequences, is_scored) if scored]
    if not sequences:
        raise ValueError(f'no sequence of {benchmark} can be scored by the rules of {convention!r}')
    scores = {name: [score for score, scored in zip(values, is_scored) if scored] for name, values in scores.items()}
    means = {name: summarize(values, convention) for name, values in scores.items()}
    main = 'ao' if convention == 'got10k' else 'auc'
    order = sorted(means, key=lambda name: -means[name][main])
    print(f'\n{benchmark}: {len(sequences)} sequences, {sum(map(len, sequences))} frames, rules of {convention!r}')
    print(' ' * 44 + ''.join(f'{title:>11}' for title in COLUMNS.values()))
    intervals = {}
    for name in order:
        text = row(name, means[name], COLUMNS)
        if resamples and len(sequences) > 1:
            of = np.array([score[main] for score in scores[name]])
            intervals[name] = bootstrap_interval(of[np.isfinite(of)], np.random.default_rng(0), resamples)
            text += f'   {COLUMNS[main]} in {intervals[name][0]:.3f} - {intervals[name][1]:.3f}'
        print(text)
    if intervals:
        print('  (intervals of 95 %: bootstrap over sequences, each counting once)')
    first = order[0]
    for other in order[1:] if resamples and len(sequences) > 1 else ():
        pairs = np.array([[score[main] for score in scores[name]] for name in (first, other)])
        pairs = pairs[:, np.isfinite(pairs).all(axis=0)]
        difference, chance = paired_test(*pairs, np.random.default_rng(0), 10 * resamples)
        print(f'  {first} - {other}: {COLUMNS[main]} {difference:+.3f} per sequence, p = {chance:.3g} (sign-flip test)')
    attributes = {}
    for attribute in sorted({attribute for sequence in sequences for attribute in sequence.attributes}):
        chosen = [index for index, sequence in enumerate(sequences) if attribute in sequence.attributes]
        attributes[attribute] = {name: summarize([scores[name][index] for index in chosen], convention) for name in order}
        for name in order:
            title = f'{attribute} ({len(chosen)}){"" if len(order) == 1 else " " + name}'
            print(row(title, attributes[attribute][name], COLUMNS, 4))
    if len(order) == 1 or by_sequence:
        shown = by_sequence or first
        print(f'  {shown} by sequence')
        for sequence, values in sorted(zip(sequences, scores[shown]), key=lambda item: item[1][main]):
            print(row(sequence.name, values, COLUMNS, 4))

    def numbers(values: dict) -> dict:
        return {key: float(values[key]) if np.isfinite(values[key]) else None for key in COLUMNS}

    trackers = {name: dict(numbers(means[name]), interval=list(intervals.get(name, ())),
                           attributes={key: numbers(values[name]) for key, values in attributes.items()},
                           sequences={sequence.name: numbers(values) for sequence, values in zip(sequences, scores[name])})
                for name in order}
    summary = dict(benchmark=benchmark, convention=convention, num_sequences=len(sequences),
                   num_frames=sum(map(len, sequences)), trackers=trackers)
    if out is not None:
        title = f'{benchmark}, {len(sequences)} sequences'
        thresholds = np.linspace(0, 1, len(means[first]['success']))
        plot_curves(out / 'success.png', thresholds, {name: means[name]['success'] for name in order},
                    ('overlap threshold', 'share of frames above it'), title)
        plot_curves(out / 'precision.png', PRECISION_THRESHOLDS, {name: means[name]['precisions'] for name in order},
                    ('centre error in pixels', 'share of frames within it'), title, score=20)
        summary.update(success_plot=str(out / 'success.png'), precision_plot=str(out / 'precision.png'))
    return summary


def save(summary: dict, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / 'summary.json').write_text(json.dumps(summary, indent=2, default=str) + '\n')
    print(f'  numbers: {out / "summary.json"}')


def vot_runs(folder: Path, form: str, name: str) -> list:
    """Files of the repetitions of a sequence."""
    first = result_path(folder, form, name)
    files = [path for path in sorted(first.parent.glob(f'{name}_*.txt')) if path.stem[len(name) + 1:].isdecimal()]
    if not files:
        raise ValueError(f'{folder} lacks the results of {name}: {first} is missing')
    return files


def report_vot(sequences: list, folders: list, benchmark: str) -> dict:
    """Print EAO, accuracy and robustness, or for long-term sequences F, of folders of results; the same as a summary."""
    form = result_format(benchmark)
    columns = VOT_COLUMNS if form == 'vot' else LONGTERM_COLUMNS
    print(f'\n{benchmark}: {len(sequences)} sequences, {sum(map(len, sequences))} frames, rules of PySOT\'s toolkit')
    print(' ' * 44 + ''.join(f'{title:>11}' for title in columns.values()))
    found = {}
    for folder in folders:
        scores = []
        for sequence in sequences:
            files = vot_runs(folder, form, sequence.name)
            try:
                if form == 'vot':
                    scores.append(evaluate_vot_sequence([read_vot_results(path) for path in files], regions(sequence),
                                                        image_size(sequence), sequence.tags))
                else:
                    confidences = read_confidences(files[0].with_name(f'{files[0].stem}_confidence.value'))
                    scores.append(evaluate_longterm_sequence(read_vot_results(files[0]), confidences, regions(sequence),
                                                             image_size(sequence)))
            except ValueError as error:
                raise ValueError(f'{folder.name}, {sequence.name}: {error}') from error
        summary = summarize_vot(scores, INTERVALS[benchmark]) if form == 'vot' else summarize_longterm(scores)
        print(row(folder.name, summary, columns))
        found[folder.name] = {key: float(summary[key]) for key in columns}
        if form == 'vot':
            for tag, value in summary['eao_by_tag'].items():
                print(f'    {tag:40}{value:11.3f}')
            of = {sequence.name: {key: score[key] for key in ('accuracy', 'lost')} for sequence, score in zip(sequences, scores)}
            found[folder.name].update(eao_by_tag=summary['eao_by_tag'], sequences=of)
            if len(folders) == 1:
                print('  by sequence')
                for name, values in found[folder.name]['sequences'].items():
                    print(f'    {name:40}{"":11}{values["accuracy"]:11.3f}{"":11}{values["lost"]:11.1f}')
    return dict(benchmark=benchmark, num_sequences=len(sequences), trackers=found)


def main(argv=None) -> None:
    args = parse_args(argv)
    try:
        sequences = read_benchmark(args)
        names = [folder.name for folder in args.results]
        if len(names) > len(set(names)):
            raise ValueError('two folders of results have the same name')
        if result_format(args.benchmark).startswith('vot'):
            summary = report_vot(sequences, args.results, args.benchmark)
            if args.out is not None:
                save(summary, args.out)
            return
        if not any(map(has_truth, sequences)):
            raise ValueError('no sequence has a truth after its first frame; that of the test sets of '
                             f'{" and ".join(SERVERS)} is with their servers: upload the zip')
        trackers = {folder.name: load_boxes(folder, args.benchmark, sequences) for folder in args.results}
        summary = report(sequences, trackers, args.benchmark, args.convention, args.out, args.resamples)
        if args.out is not None:
            save(summary, args.out)
    except (ValueError, OSError) as error:
        sys.exit(f'{type(error).__name__}: {error}')


if __name__ == '__main__':
    main()
