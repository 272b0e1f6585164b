"""A thread makes items ahead, and neither errors nor threads are lost."""

import threading
import time

import pytest

from refinepose_mm.deploy.overlap import ahead


def test_items_are_made_in_order_while_others_are_used():
    made = []

    def items():
        for number in range(9):
            made.append(number)
            yield number

    reader = ahead(items(), depth=2)
    assert next(reader) == 0
    end = time.monotonic() + 10
    while len(made) < 4 and time.monotonic() < end:
        time.sleep(.01)
    time.sleep(.05)
    assert made == [0, 1, 2, 3]  # one used, two waiting, one in hand
    assert list(reader) == list(range(1, 9))


@pytest.mark.parametrize('error', [ValueError('no'), KeyboardInterrupt()])
def test_an_error_comes_in_its_place(error):
    def items():
        yield 1
        raise error

    reader = ahead(items())
    assert next(reader) == 1
    with pytest.raises(type(error)):
        next(reader)


def test_who_stops_early_leaves_no_thread():
    closed = threading.Event()

    def items():
        try:
            while True:
                yield 1
        finally:
            closed.set()

    before = threading.active_count()
    reader = ahead(items())
    next(reader)
    reader.close()
    assert threading.active_count() == before
    del reader
    assert closed.wait(10)
