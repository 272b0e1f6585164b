"""A case becomes a function, by the engine that the case names."""

from __future__ import annotations

from functools import partial
from typing import Callable

import numpy as np
import torch

from ..deploy.export import export
from ..deploy.fold import deploy, fold
from ..deploy.formats import TARGETS, load_exported
from ..deploy.quantize import quantize
from .case import DTYPES, PRECISIONS, Case
from .scene import make_scene
from .tasks import make_task


def prepare(case: Case) -> Callable[[], object] | None:
    """A function that does the task once; None where the engine cannot do the task."""
    torch.manual_seed(0)
    exported = case.engine not in ('eager', 'deploy')
    if case.task == 'scene':
        return None if case.engine in PRECISIONS else make_scene(case, case.build())
    if exported:
        return _exported_forward(case) if case.task == 'forward' else None
    model = case.build()
    if case.engine == 'deploy':
        if case.task == 'train':
            return None
        # Packed layers are for single precision.
        model = deploy(model) if case.dtype == 'fp32' else fold(model)
    return make_task(case.task, model, case.batch, case.img_size, DTYPES[case.dtype])


def _exported_forward(case: Case) -> Callable[[], object]:
    """The forward pass from images of 0 to 255; the files are written once."""
    format_name, precision = PRECISIONS.get(case.engine, (case.engine, 'f32'))
    path = case.file(TARGETS[format_name].suffix)
    if not path.is_file():
        export(case.build(), path)
    images = np.random.default_rng(0).uniform(
        0, 255, (case.batch, 3, *case.img_size)).astype(np.float32)
    if precision == 'int8':  # any images do: time does not depend on the ranges
        path, source = case.file('_int8.xml'), path
        if not path.is_file():
            quantize(source, path, [images[:1]])
    run = load_exported(path, 'bf16' if precision == 'bf16' else 'f32', trust=True)
    return partial(run, images)
