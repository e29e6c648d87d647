"""Reading torchvision's ResNets, which serve YOLOv1 as its backbone."""

import pickle
import re
import zipfile
from pathlib import Path

import torch

from models.unpickling import unreadable
from models.weights import Weights, WeightsError

# (residual blocks, convolutions per block) -> depth. Blocks of two 3x3 up to 34, bottlenecks of
# three after that: 2 * 16 + 2 = 34 and 3 * 16 + 2 = 50 layers.
DEPTHS = {(8, 2): 18, (16, 2): 34, (16, 3): 50, (33, 3): 101}


def read_resnet(path: Path) -> Weights:
    """Read torchvision's state dictionary of a ResNet, less its classifier.

    Raises WeightsError for any other file.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (
        RuntimeError,
        ValueError,
        EOFError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
    ) as error:
        raise WeightsError(unreadable(path, error)) from None

    names = [str(name) for name in state] if isinstance(state, dict) else []
    blocks = sum(bool(re.fullmatch(r"layer\d\.\d+\.conv1\.weight", name)) for name in names)
    convolutions = sum(name.startswith("layer1.0.conv") for name in names)
    depth = DEPTHS.get((blocks, convolutions))
    if depth is None:
        raise WeightsError(
            f"{path}: want torchvision's ResNet-18, 34, 50 or 101, found {names[:4]}"
        )

    kept = {name: value for name, value in state.items() if not name.startswith("fc.")}
    for name in [name for name in kept if name.endswith("running_var")]:
        # Files older than batch norm's counter lack it.
        kept.setdefault(name.replace("running_var", "num_batches_tracked"), torch.tensor(0))
    return Weights(f"resnet{depth}", (), kept)
