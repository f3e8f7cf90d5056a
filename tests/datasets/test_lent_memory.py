"""Batches come in memory that is used again, and nobody who keeps one notices."""

import multiprocessing.connection
import os
import pickle
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from siamrpnpp_plugin.datasets import lent_memory
from siamrpnpp_plugin.datasets.lent_memory import LIMIT, borrow, receive
from siamrpnpp_plugin.datasets.pair_batch import PairBatch, PairSamples, collate_pairs

pytestmark = pytest.mark.skipif(not hasattr(os, 'memfd_create'), reason='the system has no memfd_create')
SIZE = 5000


@pytest.fixture(autouse=True)
def _no_pieces():
    lent_memory._PIECES.clear()
    yield
    lent_memory._PIECES.clear()


def lend(value: int) -> tuple:
    """A piece full of a value, and what it is received with."""
    piece = borrow(SIZE)
    piece.tensor(SIZE).fill_(value)
    return piece, (*piece.send(), SIZE)


def test_a_piece_is_used_again_when_no_tensor_lies_in_it():
    piece, sent = lend(7)
    received = receive(*sent)
    assert (received == 7).all()
    assert borrow(SIZE) is not piece
    view = received[10:20].numpy()
    del received
    assert borrow(SIZE) is not piece, 'a view is a use'
    assert (view == 7).all()
    del view
    assert borrow(SIZE) is piece


def test_a_piece_is_not_used_again_before_it_is_received():
    piece, sent = lend(1)
    assert borrow(SIZE) is not piece
    receive(*sent)
    assert borrow(SIZE) is piece


def test_a_piece_is_not_used_again_while_its_maker_looks_at_it():
    piece = borrow(SIZE)
    tensor = piece.tensor(SIZE)
    assert borrow(SIZE) is not piece
    receive(*piece.send(), SIZE)
    assert borrow(SIZE) is not piece
    del tensor
    assert borrow(SIZE) is piece


def test_there_are_only_so_many_pieces():
    lent = [lend(value) for value in range(LIMIT)]
    assert borrow(SIZE) is None
    receive(*lent[2][1])
    assert borrow(SIZE) is lent[2][0]


def test_a_larger_batch_gets_a_larger_piece():
    piece = borrow(SIZE)
    assert borrow(SIZE - 1) is piece
    assert borrow(SIZE + 1).size == SIZE + 1
    assert len(lent_memory._PIECES) == 1


def look_when_told(pipe: multiprocessing.connection.Connection, tensor: torch.Tensor) -> None:
    pipe.recv()
    pipe.send(tensor.unique().tolist())


def test_what_a_forked_process_has_too_is_not_used_again():
    piece, sent = lend(3)
    received = receive(*sent)
    context = multiprocessing.get_context('fork')
    ours, theirs = context.Pipe()
    child = context.Process(target=look_when_told, args=(theirs, received), daemon=True)
    child.start()
    del received
    other, _ = lend(9)
    assert other is not piece
    assert piece not in lent_memory._PIECES
    ours.send('look')
    assert ours.recv() == [3]
    child.join()


def test_without_memory_files_there_are_no_pieces(monkeypatch):
    monkeypatch.delattr(os, 'memfd_create')
    assert borrow(SIZE) is None


def test_a_system_that_refuses_memory_files_gives_no_pieces(monkeypatch):
    def refuse(name: str) -> int:
        raise PermissionError(name)

    monkeypatch.setattr(os, 'memfd_create', refuse)
    assert borrow(SIZE) is None


class Numbered(Dataset):
    """Batches whose pixels are the sample's number."""

    def __len__(self) -> int:
        return 40

    def __getitems__(self, ks: list) -> PairSamples:
        batch = PairBatch(len(ks), (3, 3), (50, 50))
        for index, k in enumerate(ks):
            for value in batch.values():
                value[index] = k
        return PairSamples(batch)


def check(batch: dict, number: int) -> None:
    assert batch['sample'].tolist() == [2 * number, 2 * number + 1]
    assert batch['search'].shape == (2, 3, 50, 50)
    assert all((batch[key][index] == 2 * number + index).all() for key in ('template', 'search') for index in range(2))


@pytest.mark.parametrize('method', ['fork', 'spawn'])
def test_batches_that_are_kept_outlive_their_workers_unchanged(method):
    loader = DataLoader(Numbered(), 2, num_workers=2, multiprocessing_context=method, collate_fn=collate_pairs)
    batches = list(loader)  # more than there are pieces
    assert len(batches) == 20
    for number, batch in enumerate(batches):
        check(batch, number)


def test_batches_that_are_dropped_all_come_in_the_same_few_pieces():
    files = set()
    for number, batch in enumerate(DataLoader(Numbered(), 2, num_workers=1, collate_fn=collate_pairs)):
        check(batch, number)
        lines = [line.split() for line in Path('/proc/self/maps').read_text().splitlines() if 'memfd:batch' in line]
        files |= {fields[4] for fields in lines}  # inodes
    assert 1 <= len(files) <= LIMIT


def test_without_pieces_the_batches_are_the_same(monkeypatch):
    monkeypatch.delattr(os, 'memfd_create')
    for number, batch in enumerate(DataLoader(Numbered(), 2, num_workers=1, collate_fn=collate_pairs)):
        check(batch, number)
        assert 'memfd:batch' not in Path('/proc/self/maps').read_text()


class PickledTwice(Numbered):
    """Its workers send each batch beside a pickle of it."""

    def __getitems__(self, ks: list) -> dict:
        batch = super().__getitems__(ks).batch
        return [dict(batch=batch, again=batch, file=pickle.dumps(batch))]


def test_a_batch_may_be_pickled_as_often_as_one_likes():
    loader = DataLoader(PickledTwice(), 2, num_workers=1, collate_fn=lambda samples: samples[0])
    for number, item in enumerate(list(loader)):
        check(item['batch'], number)
        check(item['again'], number)
        check(pickle.loads(item['file']), number)


def test_what_is_made_of_a_batch_in_the_worker_arrives():
    loader = DataLoader(Numbered(), 2, num_workers=1, collate_fn=lambda samples: dict(collate_pairs(samples)))
    for number, batch in enumerate(list(loader)):
        check(batch, number)


@pytest.mark.skipif(sys.platform != 'linux', reason='the strategy is the only one elsewhere')
def test_sharing_by_name_is_left_to_torch():
    before = torch.multiprocessing.get_sharing_strategy()
    torch.multiprocessing.set_sharing_strategy('file_system')
    try:
        assert borrow(SIZE) is None
    finally:
        torch.multiprocessing.set_sharing_strategy(before)
