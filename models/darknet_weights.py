"""Reading Darknet's `.weights`: a header, then bare little-endian float32 in the order of the layer table.

Nothing in such a file says what it holds: which network it is follows from its size.
Source: the layer tables darknet53.cfg and yolov3.cfg, and what Darknet's own reader takes (src/parser.c),
https://github.com/pjreddie/darknet.
"""

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import nn

from models.class_names import COCO
from models.darknet import ConvBNLeaky, DarkNet53
from models.heads import ANCHORS, STRIDES
from models.weights import Weights, WeightsError
from models.yolov3 import YoloV3

# The parts of YoloV3 in the order of a file, which goes from coarse to fine.
_PARTS = (
    *("backbone", "branches.2", "tips.2", "heads.m.2"),
    *("routes.1", "branches.1", "tips.1", "heads.m.1"),
    *("routes.0", "branches.0", "tips.0", "heads.m.0"),
)


def read_darknet(path: Path) -> Weights:
    """Read the backbone darknet53.conv.74 or a whole YOLOv3; state names as in DarkNet53 or YoloV3.

    A whole file of 80 classes has COCO's names, of any other number "class 0", "class 1" ...: the file names none.
    Raises WeightsError for a file whose size fits no such network, or whose numbers are those of none.
    """
    with open(path, "rb") as file:
        architecture, classes, shapes = _which(path, _skip_header(file))
        state = {
            name: torch.from_numpy(np.fromfile(file, "<f4", shape.numel())).view(shape)
            for name, shape in shapes.items()
        }
    bad = [
        k
        for k, v in state.items()
        if not v.sum().isfinite() or (k.endswith("running_var") and v.min() < 0)
    ]
    if bad:
        raise WeightsError(
            f"{path}: has the size of {architecture}, want finite numbers and variances from 0 up, found others in "
            f"{len(bad)} of {len(state)} tensors, such as {', '.join(bad[:3])}: damaged, or no Darknet file"
        )
    for name in [k for k in state if k.endswith("running_var")]:
        state[name.replace("running_var", "num_batches_tracked")] = torch.tensor(0)
    if classes:
        state["heads.anchors"] = torch.tensor(ANCHORS) / torch.tensor(STRIDES)[:, None, None]
    return Weights(architecture, classes, state)


def file_order(model: DarkNet53 | YoloV3) -> dict[str, torch.Size]:
    """Names of the state's tensors in the order in which a file holds their numbers -> their shapes."""
    names: list[str] = []
    for part in _PARTS if isinstance(model, YoloV3) else ("",):
        for name, layer in model.get_submodule(part).named_modules(prefix=part):
            if isinstance(layer, ConvBNLeaky):
                names += [
                    f"{name}.bn.{kind}"
                    for kind in ("bias", "weight", "running_mean", "running_var")
                ]
                names.append(f"{name}.conv.weight")
            elif (
                isinstance(layer, nn.Conv2d) and layer.bias is not None
            ):  # a head; those within ConvBNLeaky have no bias
                names += [f"{name}.bias", f"{name}.weight"]
    state = model.state_dict()
    return {name: state[name].shape for name in names}


def _skip_header(file: BinaryIO) -> int:
    """-> its bytes: major, minor, revision as int32, photos seen as int64 since version 0.2, as int32 before."""
    start = file.read(8)
    major, minor = struct.unpack("<2i", start) if len(start) == 8 else (0, 2)
    return file.seek(20 if 10 * major + minor >= 2 else 16)


def _which(path: Path, header: int) -> tuple[str, tuple[str, ...], dict[str, torch.Size]]:
    """Architecture, classes and content of the network that makes a file of this size. Raises WeightsError for none."""
    with torch.device("meta"):
        coco = YoloV3(COCO)
    whole, backbone = file_order(coco), file_order(coco.backbone)
    whole_bytes, backbone_bytes = (
        header + 4 * sum(s.numel() for s in shapes.values()) for shapes in (whole, backbone)
    )
    class_bytes = (
        4 * 3 * sum(c + 1 for c in coco.backbone.channels)
    )  # a row and a bias for each of 3 anchors a level
    found = path.stat().st_size
    if found == backbone_bytes:
        return "darknet53", (), backbone
    more, rest = divmod(found - whole_bytes, class_bytes)
    if rest or len(COCO) + more < 1:
        raise WeightsError(
            f"{path}: want a Darknet file of {backbone_bytes:,} bytes (darknet53.conv.74) or of {whole_bytes:,} "
            f"(yolov3.weights, 80 classes; {class_bytes:,} a class more or less), found {found:,}: cut short or foreign"
        )
    if more == 0:
        return "yolov3", COCO, whole
    classes = tuple(f"class {i}" for i in range(len(COCO) + more))
    with torch.device("meta"):
        return "yolov3", classes, file_order(YoloV3(classes))
