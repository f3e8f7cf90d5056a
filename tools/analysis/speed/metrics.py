"""Frames scored per second: all numbers of 280 sequences as long as LaSOT's, ours and those of the got10k toolkit itself."""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from siamrpnpp_plugin.evaluation.ope import evaluate_sequence, summarize

from .timing import compare, copy_bandwidth, threads

BASELINE, FLOOR = 'the got10k toolkit itself', 'reading the boxes'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--got10k', type=Path, help='metrics: a checkout of the got10k toolkit; needs shapely')


def missing(args: argparse.Namespace) -> str:
    return '' if args.got10k else '--got10k PATH_OF_A_CHECKOUT: it is compared with the got10k toolkit itself'


def run(args: argparse.Namespace, folder: Path) -> list[dict]:
    del folder
    sys.path.insert(0, str(args.got10k))
    from got10k.experiments import ExperimentLaSOT
    toolkit = object.__new__(ExperimentLaSOT)
    toolkit.nbins_iou, toolkit.nbins_ce, toolkit.nbins_nce = 21, 51, 51
    generator, sequences = np.random.default_rng(0), []
    for length in generator.integers(1000, 4000, 280):
        truth = np.rint(generator.uniform((0, 0, 20, 20), (1000, 1000, 200, 200), (length, 4)))
        predicted = np.round(truth + generator.normal(0, 15, (length, 4)), 2)
        predicted[:, 2:] = predicted[:, 2:].clip(1)
        predicted[0] = truth[0]  # as the toolkit's report does it
        sequences.append((predicted, truth))
    frames = sum(len(truth) for _, truth in sequences)
    corners = [[np.concatenate((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), axis=1) for boxes in pair] for pair in sequences]

    def ours() -> tuple:
        start = time.perf_counter()
        summary = summarize([evaluate_sequence(*pair, 'lasot') for pair in corners], 'lasot')
        return frames / 1000, time.perf_counter() - start, summary

    def theirs() -> tuple:
        start = time.perf_counter()
        curves = [toolkit._calc_curves(*toolkit._calc_metrics(*pair)) for pair in sequences]
        means = [np.mean(curve, axis=0) for curve in zip(*curves)]
        return frames / 1000, time.perf_counter() - start, means

    def floor() -> tuple:
        """The boxes of both, float64, once from memory."""
        return frames / 1000, frames * 2 * 4 * 8 / (copy_bandwidth(0.05) * 1e9)

    with threads(1):
        summary, means = ours()[2], theirs()[2]
        for key, mean in zip(('success', 'precisions', 'norm_precisions'), means):
            if not np.allclose(summary[key], mean, atol=1e-9):
                raise SystemExit(f'{key} differs from the toolkit: what is compared is not the same')
        ways = {BASELINE: lambda: theirs()[:2], 'ours': lambda: ours()[:2], FLOOR: floor}
        return compare(f'metrics, 280 sequences, {frames} frames, thousands/s', ways, BASELINE, args.rounds, FLOOR)
