"""Reading PyTorch files without running what is in them.

A `.pt` file is a zip with a pickle inside. A pickle is a program: "find os.system and call
it with these arguments" is one of its instructions, and `torch.load(weights_only=False)` obeys it.
`weights_only=True` obeys only for PyTorch's own plain kinds, tensors, dictionaries and numbers, and
refuses the rest. An official YOLOv5 checkpoint is refused, because it pickles the whole module: it
names classes such as `models.yolo.DetectionModel`. `load_stubbed` reads it all the same:

1. List the classes and functions that the pickle names, without running it (`foreign_classes`).
2. Refuse the file if any is not on a short list of harmless ones.
3. For each that is, make an empty stub class of our own: it takes any arguments, does nothing with
   them, and keeps the attributes that it is given. Even a harmless name never gets its real class.
4. Let `weights_only=True` read the file with each name bound to its stub. The tensors then stand in
   the attributes of the stubs, where `models.yolov5_weights` collects them.
"""

import pickle
import re
import struct
import threading
from pathlib import Path
from typing import Any

import torch

from models.weights import WeightsError

# What YOLOv5's own checkpoints name: its modules, PyTorch's layers, and what training scripts leave
# in a file, such as its arguments, the date and NumPy numbers.
HARMLESS = re.compile(
    r"models\.yolo\.(Model|DetectionModel|Detect)|models\.common\.\w+"
    r"|torch\.nn\.modules\.[\w.]+|torch\.torch_version\.TorchVersion"
    r"|torch\.nn\.parallel\.data_parallel\.DataParallel"
    r"|numpy(\._core|\.core)?\.multiarray\.(scalar|_reconstruct)"
    r"|numpy\.(ndarray|dtype|dtypes\.\w+|float64|float32|int64)"
    r"|pathlib(\._local)?\.(Posix|Windows|Pure\w*)?Path"
    r"|datetime\.(datetime|timedelta|timezone)|argparse\.Namespace"
    r"|_codecs\.encode"
)
# Names beyond these by which a file of a related model is recognised: refused, but with its name.
RELATIVES = {
    re.compile(r"ultralytics\..*"): (
        "of the ultralytics package: an anchor-free 'u' model, YOLOv8 or later"
    ),
    re.compile(r"models\.yolo\.Segment\w*"): "a segmentation model (-seg)",
    re.compile(r"models\.yolo\.Classif\w*"): "a classification model (-cls)",
}
_STUBBING = threading.Lock()  # torch keeps one list of permitted classes per process


class Stub:
    """Stands in for a class of the pickle: takes any arguments and keeps its attributes."""

    def __init__(self, *args: Any, **kwargs: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)


def foreign_classes(path: Path) -> list[str]:
    """Names of the classes and functions in a PyTorch zip beyond its plain ones, sorted.

    It runs none of them. An empty list: `torch.load(weights_only=True)` reads the file as it is.
    Raises WeightsError for a file of another format, FileNotFoundError for none.
    """
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except FileNotFoundError:
        raise
    # torch raises any of these for a damaged file, depending on where the damage is.
    except (
        ValueError,
        RuntimeError,
        OSError,
        EOFError,
        struct.error,
        pickle.UnpicklingError,
    ) as error:
        raise WeightsError(
            f"{path}: want a PyTorch zip checkpoint, this file is something else or cut short"
        ) from error


def load_stubbed(path: Path) -> Any:
    """The content of a PyTorch zip, with a stub for each instance of a harmless foreign class.

    Raises WeightsError for a file that names any other class, and for a damaged one.
    """
    # 1. and 2.
    names = foreign_classes(path)
    refused = [name for name in names if not HARMLESS.fullmatch(name)]
    for relative, kind in RELATIVES.items():
        if refused and all(relative.fullmatch(name) for name in refused):
            raise WeightsError(f"{path}: want YOLOv5 n, s, m, l or x of v6/v7, this is {kind}")
    if refused:
        raise WeightsError(
            f"{path}: refused, it would run {', '.join(refused[:5])}; "
            f"want a YOLOv5 checkpoint, or one of this harness"
        )

    # 3. Pairs of a class and the name it is to answer to.
    stubs: list[Any] = [(type(name.rpartition(".")[2], (Stub,), {}), name) for name in names]

    # 4.
    with _STUBBING, torch.serialization.safe_globals(stubs):
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises half a dozen kinds for a damaged archive
            raise WeightsError(unreadable(path, error)) from error


def unreadable(path: Path, error: Exception) -> str:
    """The message for a file that torch failed on: one line, less torch's advice to let it run."""
    cause = re.search(r"(?:WeightsUnpickler error:|\n\n)\s*(.+?)(?:\. |\.?\n|$)", str(error))
    if isinstance(error, pickle.UnpicklingError) and cause:
        reason = cause[1]
    else:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
    return f"{path}: cannot be read as a checkpoint: {reason}"
