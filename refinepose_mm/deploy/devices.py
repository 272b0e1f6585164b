"""Where exported files run: a device or an engine's own provider by name, or an error.

ONNX Runtime goes on with the CPU, silently or with a warning, where a provider is missing or does
not load. Here that is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .config import usable_device

if TYPE_CHECKING:
    import onnxruntime
    import openvino

CPU = 'cpu'
SUFFIX = 'ExecutionProvider'  # of the names of ONNX Runtime's providers


class DeviceError(ValueError):
    """A device that the engine of a file has not."""


def onnx_options() -> onnxruntime.SessionOptions:
    """Options of a session: as many threads as torch has, which sleep after each call.

    They would go on spinning otherwise, and take the cores from whatever runs next: a second
    session, such as a detector's, or torch (docs/speed.md).
    """
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry('session.force_spinning_stop', '1')
    return options


def onnx_session(path: str, device: str,
                 options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    """A session of ONNX Runtime on a device.

    Args:
        path: The file.
        device: 'cpu', 'cuda', 'cuda:1', or the name of a provider, such as
            'TensorrtExecutionProvider' or 'CoreMLExecutionProvider'. What a provider cannot
            compute, ONNX Runtime computes on the CPU.
        options: Of the session.

    Raises:
        DeviceError: If this ONNX Runtime has no such provider, or it does not load.
    """
    import onnxruntime
    name, _, number = device.partition(':')
    provider = name if name.endswith(SUFFIX) else f'{name.upper()}{SUFFIX}'
    available = onnxruntime.get_available_providers()
    if provider not in available or (number and not number.isdigit()):
        raise DeviceError(f'device {device!r} cannot be used: onnxruntime has '
                          f'{", ".join(available)} here')
    chosen = (provider, dict(device_id=number)) if number else provider
    session = onnxruntime.InferenceSession(path, options, providers=[chosen])
    if provider not in session.get_providers():
        raise DeviceError(f'device {device!r} cannot be used: {provider} did not load, and '
                          f'onnxruntime fell back to {", ".join(session.get_providers())}; are '
                          'its libraries installed?')
    return session


def openvino_device(core: openvino.Core, device: str) -> str:
    """OpenVINO's name of a device: 'CPU' for 'cpu', else as OpenVINO has it, such as 'GPU.1'.

    Raises:
        DeviceError: If it has none of this name.
    """
    name = 'CPU' if device == CPU else device
    if not any(name in (own, own.partition('.')[0]) for own in core.available_devices):
        raise DeviceError(f'device {device!r} cannot be used: OpenVINO has '
                          f'{", ".join(core.available_devices)} here')
    return name


def moved(program: torch.export.ExportedProgram, device: str) -> torch.export.ExportedProgram:
    """A program on another device than the CPU, on which it was written.

    Raises:
        DeviceError: If torch has no such device here.
    """
    try:
        usable_device(device)
    except ValueError as error:
        raise DeviceError(str(error)) from None
    if device == CPU:
        return program
    from torch.export.passes import move_to_device_pass
    return move_to_device_pass(program, device)
