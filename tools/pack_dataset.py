#!/usr/bin/env python3
"""Pack annotated videos into one LMDB of crops, resumable at any moment.

    python tools/pack_dataset.py vid data/ILSVRC2015 data/vid_train.lmdb --split train --workers 8
    python tools/pack_dataset.py folders data/my_videos data/mine.lmdb
    python tools/pack_dataset.py vid data/ILSVRC2015 part0.lmdb --shard 0/4      # and 1/4, 2/4, 3/4 on other machines, then
    python tools/pack_dataset.py merge part0.lmdb part1.lmdb part2.lmdb part3.lmdb data/vid_train.lmdb

Interrupted, however roughly, the same command goes on where it stopped; the result is the same for any number of workers.
"""

import argparse
import inspect
import os
import sys
import time
from dataclasses import fields
from pathlib import Path

from tqdm import tqdm

from siamrpnpp_plugin.datasets.cropping import PackSettings
from siamrpnpp_plugin.datasets.filters import Filters
from siamrpnpp_plugin.datasets.packing import merge, pack
from siamrpnpp_plugin.datasets.sources import SOURCES
from siamrpnpp_plugin.datasets.store_writer import PackError


def shard(text: str) -> tuple:
    try:
        index, count = map(int, text.split('/'))
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text!r} is not of the form i/n, such as 0/4') from None
    if not 0 <= index < count:
        raise argparse.ArgumentTypeError(f'{text}: i counts from 0 to n - 1')
    return index, count


def flag(name: str) -> str:
    return f'--{name.replace("_", "-")}'


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='source', required=True)
    for name, source in SOURCES.items():
        about = inspect.getdoc(source)
        command = commands.add_parser(name, help=about.partition('\n\n')[0].replace('%', '%%'), description=about,
                                      epilog=f'Filters. {inspect.getdoc(Filters)}',
                                      formatter_class=argparse.RawDescriptionHelpFormatter)
        command.add_argument('root', type=Path, help='folder of the data set as published')
        command.add_argument('out', type=Path, help='folder of the store')
        for argument, settings in source.arguments.items():
            default = inspect.signature(source).parameters[argument].default
            told = [settings.get('help'), None if default is None else f'default: {default}']
            command.add_argument(flag(argument), default=default, **dict(settings, help='; '.join(filter(None, told))))
        command.add_argument('--workers', type=int, default=os.cpu_count(), help='processes (0: this one only)')
        for name in ('crop_size', 'template_size', 'context', 'quality'):
            default = getattr(PackSettings, name)
            command.add_argument(flag(name), type=type(default), default=default, help=f'default: {default}')
        command.add_argument('--every', type=int, default=PackSettings.every, metavar='N',
                             help='pack only frames whose number is a multiple of N; default: 1')
        command.add_argument('--min-track-length', type=int, default=source.min_track_length,
                             help=f'frames; default: {source.min_track_length}')
        for field in fields(Filters):
            default = getattr(source.filters, field.name)
            kind = dict(action=argparse.BooleanOptionalAction) if field.type is bool else dict(type=float)
            command.add_argument(flag(field.name), default=default, help=f'filter, see below; default: {default}', **kind)
        command.add_argument('--shard', type=shard, default=(0, 1), metavar='i/n', help='pack the i-th of n parts, i from 0')
        command.add_argument('--strict', action='store_true', help='stop at the first fault that would be skipped; absent '
                             'targets, filtered boxes and tracks too short are none')
        command.add_argument('--overwrite', action='store_true', help='start anew if OUT is a store, finished or not')
    command = commands.add_parser('merge', help='make one store of the shards of a data set')
    command.add_argument('shards', type=Path, nargs='+')
    command.add_argument('out', type=Path)
    command.add_argument('--overwrite', action='store_true', help='start anew if OUT is a store, finished or not')
    return parser.parse_args(argv)


class Progress:
    """A bar that counts videos; it shows rate and time left."""

    def __init__(self) -> None:
        self.bar = None

    def __call__(self, done: int, total: int, crops: int, size: int) -> None:
        if self.bar is None:  # what an earlier call has done does not count for the rates
            self.start, self.crops, self.size = time.monotonic(), crops, size
            self.bar = tqdm(total=total, initial=done, unit='video', mininterval=0.5 if sys.stderr.isatty() else 10)
            return
        seconds = time.monotonic() - self.start
        self.bar.set_postfix_str(f'{crops} crops, {(crops - self.crops) / seconds:.0f} crops/s, '
                                 f'{(size - self.size) / seconds / 2**20:.0f} MiB/s', refresh=False)
        self.bar.update(done - self.bar.n)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def main(argv=None) -> None:
    args = parse_args(argv)
    start, progress = time.monotonic(), Progress()
    try:
        if args.source == 'merge':
            manifest = merge(args.shards, args.out, args.overwrite, progress)
        else:
            filters = Filters(**{field.name: getattr(args, field.name) for field in fields(Filters)})
            settings = PackSettings(args.crop_size, args.template_size, args.context, args.quality, args.min_track_length,
                                    args.every, filters)
            reader = SOURCES[args.source]
            source = reader(args.root, **{name: getattr(args, name) for name in reader.arguments})
            manifest = pack(source, args.out, settings, args.workers, args.shard, args.strict, args.overwrite, progress)
    except (PackError, ValueError, OSError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    finally:
        progress.close()
    counts = manifest['counts']
    if manifest.get('finished_before'):
        print(f'{args.out} was finished before: nothing was packed now. --overwrite packs it anew')
    print(f'{args.out}: {counts["videos"]} videos, {counts["tracks"]} tracks, {counts["crops"]} crops, '
          f'{counts["crop_bytes"]} bytes of crops, in {time.monotonic() - start:.1f} s')
    for reason, count in counts['skipped'].items():
        print(f'  skipped: {count} x {reason}')
    print(f'  all that was skipped: {args.out / "skipped.tsv"}' if counts['skipped'] else '  nothing was skipped')


if __name__ == '__main__':
    main()
