"""The device a network runs on, and the number format it computes in there."""

import os
from typing import Any

import torch

from evaluate.exceptions import InputError
from models.detector import Detector

PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def pick_device(name: str) -> torch.device:
    """The device called "cpu", "cuda", "cuda:1", ...; "auto" is the GPU if there is one.

    Under torchrun each process of a machine has a GPU of its own, numbered by LOCAL_RANK. Raises
    InputError for a device this machine does not have.
    """
    if name == "auto":
        # torchrun sets LOCAL_RANK; a process on its own takes the first GPU.
        name = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)  # a name may be well formed and its device still missing
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {name}: {str(error).splitlines()[0]}") from None
    return device


def pick_precision(name: str, device: torch.device) -> torch.dtype:
    """The trunk's dtype. "auto" is the fastest format that the device computes well in.

    On a GPU the tensor cores decide, by compute capability:

        8 and up    bfloat16    Ampere (A100, RTX 30) and later
        7           float16     Volta and Turing (V100, T4), which know no bfloat16
        6 and less  float32     the P100 has no tensor cores

    On a CPU it is bfloat16 if there are instructions for it (AVX-512 BF16), else float32. bfloat16
    has float32's range and 8 bits of mantissa; float16 has 11 bits, but overflows at 65,504, so
    training with it scales the loss.
    """
    if name != "auto":
        return PRECISIONS[name]
    if device.type == "cuda":
        generation, _ = torch.cuda.get_device_capability(device)
        if generation >= 8:
            return torch.bfloat16
        return torch.float16 if generation == 7 else torch.float32
    # Older versions of torch cannot say what a CPU is capable of.
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return torch.bfloat16 if capabilities.get("avx512_bf16", False) else torch.float32


def precision_name(precision: torch.dtype) -> str:
    """float32, bfloat16 or float16."""
    return str(precision).removeprefix("torch.")


def device_name(device: torch.device) -> str:
    """What a person calls the device: the GPU's product name, or cpu."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def photo_threads(device: torch.device, processes: int = 1) -> int:
    """How many threads read and scale photos, when `processes` share this machine's cores.

    Two if a CPU detects. A GPU is faster than two threads can feed it: it gets an equal part of the
    cores.
    """
    return 2 if device.type == "cpu" else max(2, (os.cpu_count() or 2) // processes)


def device_of(model: Detector) -> torch.device:
    """Where the model's weights are. An exported file has none: it takes its input from the CPU."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
