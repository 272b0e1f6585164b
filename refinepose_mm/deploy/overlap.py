"""Work in a thread of its own, so that reading, network and drawing go on at the same time.

Decoding, convolutions, drawing and encoding run outside of Python's lock.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar('Item')
DEPTH = 4  # items that wait
GLANCE = .1  # seconds between looks at whether anybody still reads


def ahead(items: Iterable[Item], depth: int = DEPTH) -> Iterator[Item]:
    """The same items in order, made in a thread while the ones before are used.

    What the making raises comes up here, in its place. Whoever stops early closes this iterator,
    which waits for the item that is being made.

    Args:
        items: Are made in the thread.
        depth: How many may wait.
    """
    waiting: queue.Queue = queue.Queue(depth)
    left = threading.Event()

    def put(item: object, error: BaseException | None = None) -> bool:
        while not left.is_set():
            try:
                waiting.put((item, error), timeout=GLANCE)
                return True
            except queue.Full:
                continue
        return False

    def make() -> None:
        try:
            for item in items:
                if not put(item):
                    return
            put(None, StopIteration())
        except BaseException as error:  # an interrupt, too, belongs to the reader
            put(None, error)

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
    finally:
        left.set()
        thread.join()
