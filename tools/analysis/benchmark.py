#!/usr/bin/env python3
"""Compare our speed with that of the predecessors, in turn on this machine.

    python tools/analysis/benchmark.py loader [--store STORE]     # training pairs per second against PySOT's way
    python tools/analysis/benchmark.py store                      # start-up and memory per worker, 1e4 to 1e7 crops (Linux)
    python tools/analysis/benchmark.py pack [--root ILSVRC2015]   # crops per second against the seed's way
    python tools/analysis/benchmark.py step --pysot PYSOT         # training steps of R50 against PySOT itself (a checkout; yacs)
    python tools/analysis/benchmark.py track [--pysot PYSOT]      # frames per second on a CPU, also in ONNX Runtime and 8 bits
    python tools/analysis/benchmark.py gpu --pysot PYSOT          # frames per second on a GPU, one target and many
    python tools/analysis/benchmark.py metrics --got10k GOT10K    # scored frames against the got10k toolkit itself (a checkout)
    python tools/analysis/benchmark.py all --markdown             # the table of the README, of what can run

Each line is the median of several rounds (A B A B ...) with the smallest and largest, its ratio to the predecessor, and its share
of the floor: what the machine does at best where only the physically needed work is done. Without data of yours, synthetic videos
are made in a temporary folder. The predecessors' ways are written anew in `speed/pysot_ways.py` and `speed/seed_ways.py`.
"""

import argparse
import importlib
import json
import sys
import tempfile
from pathlib import Path

from mmengine.registry import init_default_scope
from speed import SUBJECTS, timing


def parse_args(argv=None) -> argparse.Namespace:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument('--rounds', type=int, default=5)
    common.add_argument('--work-dir', type=Path, help='where to write; default: a temporary folder')
    common.add_argument('--json', type=Path, help='write the numbers here too')
    common.add_argument('--against', type=Path, help='an older --json: its ratios beside these, slower lines marked')
    common.add_argument('--markdown', action='store_true', help='print the table of the README')
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='subject', required=True, metavar='SUBJECT')
    modules = {name: importlib.import_module(f'speed.{name}') for name in SUBJECTS}
    for name, module in modules.items():
        module.add_arguments(commands.add_parser(name, parents=[common], help=module.__doc__.splitlines()[0]))
    every = commands.add_parser('all', parents=[common], help='every subject that has what it needs', conflict_handler='resolve')
    for module in modules.values():
        module.add_arguments(every)
    args = parser.parse_args(argv)
    args.modules = modules if args.subject == 'all' else {args.subject: modules[args.subject]}
    if args.subject != 'all' and args.modules[args.subject].missing(args):
        parser.error(f'{args.subject} needs {args.modules[args.subject].missing(args)}')
    return args


def main(argv=None) -> list:
    """Run the command; returns the lines that are slower than in `--against`."""
    args = parse_args(argv)
    modules = vars(args).pop('modules')
    init_default_scope('siamrpnpp_plugin')
    machine = timing.machine()
    print(', '.join(f'{key} {value}' for key, value in machine.items()))
    rows = []
    with tempfile.TemporaryDirectory(dir=args.work_dir) as folder:
        for name, module in modules.items():
            lack = module.missing(args)
            if lack:
                print(f'\n{name} is left out: it needs {lack}')
            else:
                rows += module.run(args, Path(folder))
            if args.json:  # after each subject: a later one may fail
                args.json.write_text(json.dumps(dict(machine=machine, rows=rows), indent=2) + '\n')
    if args.markdown:
        print(f'\n{timing.markdown(rows)}')
    return timing.against(rows, json.loads(args.against.read_text())) if args.against else []


if __name__ == '__main__':
    sys.exit(1 if main() else 0)
