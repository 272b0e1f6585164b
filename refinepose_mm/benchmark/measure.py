"""Timings in turns, peak memory, and the rate of the machine itself."""

from __future__ import annotations

import datetime
import multiprocessing
import time
from pathlib import Path
from typing import Callable

import torch
import torch.nn.functional as F

from ..ops.processor import processor_name

WARMUP_ROUNDS = 2
PROCESS_STATUS = Path('/proc/self/status')


def compare(functions: dict[str, Callable[[], object]], rounds: int,
            device: torch.device) -> dict[str, list[float]]:
    """Seconds that each function takes, called in turns.

    Args:
        functions: What to time, by name.
        rounds: How often each is timed, after two rounds to warm up.
        device: Where they run; on CUDA their end is waited for.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for current in range(WARMUP_ROUNDS + rounds):
        for name, function in functions.items():
            _synchronize(device)
            start = time.perf_counter()
            function()
            _synchronize(device)
            if current >= WARMUP_ROUNDS:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def product_rates(device: torch.device, dtype: torch.dtype) -> dict[str, float]:
    """Multiply-accumulates per second of a large product, the best of several calls.

    In single precision on x86 torch hands matrix products to MKL and convolutions to oneDNN.

    Returns:
        The rate of 'matmul', and that of a product of this size as a 1x1 'convolution'.
    """
    size = 4096 if device.type == 'cuda' else 1536
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    pixels, kernels = left.view(1, size, 1, size).permute(0, 3, 1, 2), right[:, :, None, None]
    seconds = compare(dict(matmul=lambda: left @ right,
                           convolution=lambda: F.conv2d(pixels, kernels)), 8, device)
    return {name: size**3 / min(times) for name, times in seconds.items()}


def machine(device: torch.device) -> dict[str, object]:
    """What a timing must not be told without."""
    return dict(device=device_name(device), threads=torch.get_num_threads(),
                torch=torch.__version__, date=datetime.date.today().isoformat())


def peak_memory(prepare: Callable[[], Callable[[], object]],
                device: torch.device) -> float | None:
    """Peak MiB of a function called twice, with all that was built for it.

    On a CPU it is measured in a process of its own, and only where the system tells (Linux).

    Args:
        prepare: Builds the function; can be pickled.
        device: Where the function runs.
    """
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        _call_twice(prepare)
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    if not PROCESS_STATUS.is_file():
        return None
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        return pool.apply(_resident_peak, (prepare, torch.get_num_threads()))


def _call_twice(prepare: Callable[[], Callable[[], object]]) -> None:
    function = prepare()
    for _ in range(2):  # an optimizer has its state from the first step on
        function()


def _resident_peak(prepare: Callable[[], Callable[[], object]], threads: int) -> float:
    torch.set_num_threads(threads)
    before = process_status('VmRSS')
    _call_twice(prepare)
    return process_status('VmHWM') - before


def process_status(field: str) -> float:
    """MiB that the system counts for this process."""
    line, = [line for line in PROCESS_STATUS.read_text().splitlines() if line.startswith(field)]
    return int(line.split()[1]) / 2**10


def device_name(device: torch.device) -> str:
    """What the machine calls its GPU, or its CPU."""
    if device.type == 'cuda':
        return torch.cuda.get_device_name(device)
    return processor_name()


def _synchronize(device: torch.device) -> None:
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
