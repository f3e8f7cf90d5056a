"""Rounds, tables and the physics of this machine: what every subject of the benchmark shares.

A way is a function that does its work and returns (units, seconds). Ways take turns (A B A B ...), so that a ratio compares
neighbours in time and survives a noisy machine.
"""

import contextlib
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

import cv2
import lmdb
import numpy as np
import torch

Way = Callable[[], tuple[float, float]]


def compare(title: str, ways: dict[str, Way], baseline: str, rounds: int, floor: Optional[str] = None) -> list[dict]:
    """Measure ways in turn and print their table.

    Args:
        title: Names the table; ends in its unit.
        ways: By name.
        baseline: The way that the ratios are taken to, within a round.
        rounds: Turns of each way.
        floor: The way that does only what physics demands; the others get their share of its rate.

    Ways that run `Apart` have their largest memory beside the rates.

    Returns:
        One row per way, for `--json`.
    """
    rates = {name: [] for name in ways}
    for turn in range(rounds):
        for name, run in ways.items():
            units, seconds = run()
            rates[name].append(units / seconds)
            print(f'\r  round {turn + 1} of {rounds}: {name} {rates[name][-1]:.4g}/s          ', end='', file=sys.stderr,
                  flush=True)
    print(file=sys.stderr)
    memory = {name: way.peak_memory() for name, way in ways.items() if isinstance(way, Apart)}
    return table(title, rates, baseline, floor, memory)


def table(title: str, rates: dict[str, list], baseline: str, floor: Optional[str] = None,
          memory: Optional[dict[str, float]] = None) -> list[dict]:
    """Print medians, ratios to the baseline and shares of the floor, both of the same round; rows for `--json`."""
    memory = memory or {}
    print(f'\n{title}\n  {"":36s}{"median/s":>10s}{"min":>8s}{"max":>8s}{"ratio":>8s}{"min":>7s}{"max":>7s}'
          f'{"of floor" if floor else "":>10s}{"MB" if memory else "":>8s}')
    rows = []
    for name, values in rates.items():
        ratios = [value / base for value, base in zip(values, rates[baseline])]
        share = statistics.median(value / best for value, best in zip(values, rates[floor])) if floor else None
        row = dict(table=title, name=name, role='baseline' if name == baseline else 'floor' if name == floor else 'ours',
                   per_second=statistics.median(values), per_second_all=values, ratio=statistics.median(ratios),
                   ratio_all=ratios, floor_share=share, memory_mb=memory.get(name))
        rows.append(row)
        shown = f'{share:10.0%}' if floor else f'{"":10s}'
        megabytes = f'{memory[name]:8.0f}' if name in memory else ''
        print(f'  {name:36s}{row["per_second"]:10.4g}{min(values):8.4g}{max(values):8.4g}{row["ratio"]:8.2f}{min(ratios):7.2f}'
              f'{max(ratios):7.2f}{shown}{megabytes}')
    return rows


def against(rows: list[dict], old: dict) -> list[tuple]:
    """Print the ratios of an older run beside those of this one.

    Args:
        rows: Of this run.
        old: What `--json` wrote then.

    Returns:
        (table, name) of the lines that are slower: whose ratio lies below the whole range of the old one.
    """
    before = {(row['table'], row['name']): row for row in old['rows']}
    slower = []
    print(f'\nagainst the older run\n  {"":76s}{"old":>7s}{"min":>7s}{"max":>7s}{"new":>7s}')
    for row in rows:
        key = row['table'], row['name']
        if row['role'] == 'baseline' or key not in before:
            continue
        ratios = before[key]['ratio_all']
        mark = ''
        if row['ratio'] < min(ratios):
            slower.append(key)
            mark = '  slower'
        name = f'{row["table"]}: {row["name"]}'
        print(f'  {name:76s}{before[key]["ratio"]:7.2f}{min(ratios):7.2f}{max(ratios):7.2f}{row["ratio"]:7.2f}{mark}')
    return slower


def markdown(rows: list[dict]) -> str:
    """The rows as the table of the README: a line per way of ours."""
    lines = ['| | predecessor | ours | ratio (range over the rounds) | share of the floor |', '|---|---|---|---|---|']
    baselines = {row['table']: row for row in rows if row['role'] == 'baseline'}
    floors = {row['table']: row['name'] for row in rows if row['role'] == 'floor'}
    for row in rows:
        if row['role'] != 'ours':
            continue
        base = baselines[row['table']]
        share = f'{row["floor_share"]:.0%} of {floors[row["table"]]}' if row['floor_share'] is not None else ''
        ours, theirs = (_number(entry['per_second']) + ('' if entry['memory_mb'] is None else f', {entry["memory_mb"]:.0f} MB')
                        for entry in (row, base))
        name = row['table'] if row['name'] == 'ours' else f'{row["table"]}: {row["name"]}'
        ratios = f'{_number(row["ratio"])} ({_number(min(row["ratio_all"]))} - {_number(max(row["ratio_all"]))})'
        lines.append(f'| {name} | {base["name"]} {theirs} | {ours} | {ratios} | {share} |')
    return '\n'.join(lines)


def _number(value: float) -> str:
    """Three digits, and all before the point."""
    return f'{value:.0f}' if value >= 100 else f'{value:.3g}'


@contextmanager
def threads(number: int) -> Iterator[None]:
    """So many threads for torch and none besides for OpenCV; afterwards as before."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(number)
    cv2.setNumThreads(0)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def machine() -> dict:
    """Processor, versions, and what the processor reaches."""
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(':')[1].strip() for line in lines if 'model name' in line]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    found = dict(cpu=(names or [platform.processor()])[0], cores=cores, python=platform.python_version(), torch=torch.__version__,
                 opencv=cv2.__version__, numpy=np.__version__, lmdb=lmdb.__version__)
    if torch.cuda.is_available():
        found.update(gpu=torch.cuda.get_device_name(), cudnn=torch.backends.cudnn.version())
    with threads(1):
        found.update(matmul_gflops_per_core=round(matmul_gflops()), copy_gb_per_second=round(copy_bandwidth(), 1))
    return found


def matmul_gflops(seconds: float = 0.2, device: str = 'cpu', size: int = 1024, dtype: torch.dtype = torch.float32) -> float:
    """10^9 additions and multiplications per second of matrix products, the best of many, on torch's threads or a device."""
    left, right = torch.randn(2, size, size, device=device).to(dtype)
    end, best = time.perf_counter() + seconds, float('inf')
    while time.perf_counter() < end:
        start = time.perf_counter()
        product = left @ right
        product[0, 0].item()  # waits for a device
        best = min(best, time.perf_counter() - start)
    return 2e-9 * size ** 3 / best


def copy_bandwidth(seconds: float = 0.2, size: int = 1 << 26) -> float:
    """10^9 bytes per second, read and written, of copies that no cache holds, the best of many, one thread."""
    source, target = np.ones((2, size), np.uint8)
    end, best = time.perf_counter() + seconds, float('inf')
    while time.perf_counter() < end:
        start = time.perf_counter()
        np.copyto(target, source)
        best = min(best, time.perf_counter() - start)
    return 2e-9 * size / best


class Apart:
    """A way that runs in a process of its own, with libraries, threads and memory of its own.

    Args:
        name: For messages.
        make: Called there, with `args`; returns a function that does its work and returns (units, seconds). Both are picklable.
    """

    def __init__(self, name: str, make: Callable, *args: Any) -> None:
        context = multiprocessing.get_context('spawn')
        self.name = name
        self._pipe, pipe = context.Pipe()
        self._process = context.Process(target=_serve, args=(pipe, make, args), daemon=True)
        self._process.start()
        pipe.close()

    def wait(self) -> None:
        """Until it is ready.

        Raises:
            RuntimeError: If it cannot be, with its reason.
        """
        self._receive()

    def _ask(self, what: str) -> Any:
        with contextlib.suppress(BrokenPipeError):  # a process that died is told by the next line
            self._pipe.send(what)
        return self._receive()

    def _receive(self) -> Any:
        try:
            answer = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            raise RuntimeError(f'the process of {self.name!r} died; its message is above') from None
        if isinstance(answer, BaseException):
            raise RuntimeError(f'{self.name}: {type(answer).__name__}: {answer}') from answer
        return answer

    def __call__(self) -> tuple[float, float]:
        return self._ask('run')

    def peak_memory(self) -> float:
        """The most memory, MB, that the process ever held."""
        return self._ask('memory')

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join()


@contextmanager
def apart(makers: dict[str, tuple]) -> Iterator[dict[str, Apart]]:
    """Ways by name, each (make, *args) in a process of its own, until the end of the block."""
    ways: dict[str, Apart] = {}
    try:
        for name, (make, *args) in makers.items():
            ways[name] = Apart(name, make, *args)
        for way in ways.values():  # all start at once
            way.wait()
        yield ways
    finally:
        for way in ways.values():
            way.close()


def _serve(pipe: Any, make: Callable, args: tuple) -> None:
    """The process of `Apart`."""
    try:
        work = make(*args)
        pipe.send('ready')
        while True:
            pipe.send(work() if pipe.recv() == 'run' else _most_memory())
    except EOFError:  # the end
        return
    except Exception as error:  # goes to the process that asked
        pipe.send(error)


def _most_memory() -> float:
    """MB that this process ever held at once: of the GPU's memory, where it has worked with one."""
    if torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 1e6
    status = Path('/proc/self/status')
    if status.exists():  # of this program only; `getrusage` counts what ran before it too
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith('VmHWM')) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024) / 1e6


def unique_memory() -> float:
    """MB that belong to this process alone (USS): its end would free them. Needs Linux."""
    lines = Path('/proc/self/smaps_rollup').read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith('Private_')) * 1024 / 1e6
