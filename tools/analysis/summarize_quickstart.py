#!/usr/bin/env python3
"""Put what the quick start measured into WORK_DIR/summary.json and say what came out: python ... WORK_DIR TRAIN_SECONDS"""

import json
import sys
from pathlib import Path


def main(work_dir: str, train_seconds: str) -> None:
    work = Path(work_dir)
    tracked, pairs = (json.loads((work / path).read_text()) for path in ('results/summary.json', 'pairs.json'))
    untrained = pairs.pop('untrained')
    trained = next(value for name, value in pairs.items() if name.startswith('epoch'))
    summary = {key: tracked['trackers']['SiamRPN++'][key] for key in ('ao', 'auc', 'precision')}
    summary.update({key: tracked[key] for key in ('success_plot', 'video')})
    summary.update(static_box_ao=tracked['trackers']['static box']['ao'], train_seconds=float(train_seconds),
                   pair_success=trained['success'], untrained_pair_success=untrained['success'],
                   pairs_picture=str(work / 'pairs.png'))
    (work / 'summary.json').write_text(json.dumps(summary, indent=2) + '\n')
    print(f'the tracker overlaps its targets by {summary["ao"]:.3f} on average, a box that stays where it was by '
          f'{summary["static_box_ao"]:.3f}\n  success plot {summary["success_plot"]}\n  video        {summary["video"]}\n'
          f'  pairs        {summary["pairs_picture"]}\n  numbers      {work / "summary.json"}')


if __name__ == '__main__':
    main(*sys.argv[1:])
