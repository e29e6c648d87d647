"""The device a network runs on, and what it computes best in."""

import os
from typing import Any

import torch

from evaluate.exceptions import InputError
from models.detector import Detector


def pick_device(name: str) -> torch.device:
    """ "auto" is the GPU where there is one, under torchrun the process's own.

    Raises InputError for a device this machine lacks.
    """
    if name == "auto":
        name = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {name}: {str(error).splitlines()[0]}") from None
    return device


def pick_precision(name: str, device: torch.device) -> torch.dtype:
    """The trunk's dtype. "auto" is what the device computes fastest without giving up digits it need not.

    That is bfloat16 on CPUs with instructions for it and on GPUs from Ampere on, float16 on Volta and Turing (the T4),
    whose tensor cores know no bfloat16, and float32 elsewhere (the P100).
    """
    if name == "auto" and device.type == "cuda":
        generation, _ = torch.cuda.get_device_capability(device)
        return (
            torch.bfloat16
            if generation >= 8
            else torch.float16
            if generation == 7
            else torch.float32
        )
    if name == "auto":
        capabilities: dict[str, Any] = getattr(
            torch.cpu, "get_capabilities", dict
        )()  # older torch cannot say
        return torch.bfloat16 if capabilities.get("avx512_bf16", False) else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[name]


def device_name(device: torch.device) -> str:
    """What a person calls the device: the GPU's product name, or cpu."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def photo_threads(device: torch.device, processes: int = 1) -> int:
    """How many read and scale photos: two where a CPU detects; a GPU outruns two, so there its share of the cores."""
    return 2 if device.type == "cpu" else max(2, (os.cpu_count() or 2) // processes)


def device_of(model: Detector) -> torch.device:
    """Where the model's weights are; one that holds none, an exported file, takes its input from the CPU."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
