"""Threads that do what is due first, so that whoever sends much waits for those who send little."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any


class EarliestFirst:
    """Threads in which the job that is due first begins first, whenever it was submitted.

    Args:
        threads: their number.
        name: prefix of their names.
    """

    def __init__(self, threads: int, name: str):
        self._threads = ThreadPoolExecutor(threads, name)
        self._jobs: list[tuple[float, int, Future, Callable[[], Any]]] = []  # a heap
        self._numbers = itertools.count()  # jobs that are due at the same time begin in their order
        self._lock = threading.Lock()

    def submit(self, due: float, function: Callable[..., Any], *arguments: Any) -> Future:
        """Call a function in a thread, before all jobs that are due later and have not begun."""
        future: Future = Future()
        with self._lock:
            heapq.heappush(self._jobs, (due, next(self._numbers), future, partial(function, *arguments)))
        self._threads.submit(self._do_first)
        return future

    def close(self) -> None:
        """Accept no more jobs, and cancel those that have not begun; the others end on their own."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            left, self._jobs = self._jobs, []
        for _, _, future, _ in left:
            future.cancel()

    def _do_first(self) -> None:
        with self._lock:
            if not self._jobs:  # closed meanwhile
                return
            _, _, future, job = heapq.heappop(self._jobs)
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(job())
            except BaseException as error:
                future.set_exception(error)
