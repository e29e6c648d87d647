"""Reading Darknet's `.weights` files: bare numbers, in the order of the layer table.

    header                major, minor, revision: int32 each
                          images seen: int64 since version 0.2, int32 before
    per convolution       float32, little-endian, one after the other
      with batch norm     bias (n), scale (n), mean (n), variance (n), kernel (n, c, k, k)
      without             bias (n), kernel (n, c, k, k)
    ... to the end

n filters, c input channels, k the side of the kernel. Nothing says how many layers follow or of
which shape: which network a file holds follows from its size alone. The first convolution of
DarkNet-53 (n = 32, c = 3, k = 3) takes 4 * (4 * 32 + 32 * 3 * 9) = 3,968 bytes.

Source: the layer tables darknet53.cfg and yolov3.cfg, and what Darknet's own reader takes
(src/parser.c), https://github.com/pjreddie/darknet.
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

Shapes = dict[str, torch.Size]  # name of a tensor -> its shape, in the order of a file

# The parts of YoloV3 in the order of a file, which goes from coarse to fine.
_PARTS = (
    *("backbone", "branches.2", "tips.2", "heads.m.2"),
    *("routes.1", "branches.1", "tips.1", "heads.m.1"),
    *("routes.0", "branches.0", "tips.0", "heads.m.0"),
)


def read_darknet(path: Path) -> Weights:
    """Read the backbone darknet53.conv.74 or a whole YOLOv3; names as in DarkNet53 or YoloV3.

    A file holds no class names: a whole network of 80 classes gets COCO's, one of any other number
    "class 0", "class 1", ... Raises WeightsError for a file whose size fits neither network, or
    whose numbers no network can have.
    """
    with open(path, "rb") as file:
        architecture, classes, shapes = _network_of_size(path, _skip_header(file))
        state = {
            name: torch.from_numpy(np.fromfile(file, "<f4", shape.numel())).view(shape)
            for name, shape in shapes.items()
        }
    variances = [name for name in state if name.endswith("running_var")]
    bad = [
        name
        for name, value in state.items()
        if not value.sum().isfinite() or (name in variances and value.min() < 0)
    ]
    if bad:
        raise WeightsError(
            f"{path}: has the size of {architecture}, want finite numbers and variances from 0 up, "
            f"found others in {len(bad)} of {len(state)} tensors, such as {', '.join(bad[:3])}: "
            f"damaged, or no Darknet file"
        )

    # What the state has and a file has not: batch norm's counters, and the anchors of the .cfg.
    for name in variances:
        state[name.replace("running_var", "num_batches_tracked")] = torch.tensor(0)
    if classes:
        state["heads.anchors"] = torch.tensor(ANCHORS) / torch.tensor(STRIDES)[:, None, None]
    return Weights(architecture, classes, state)


def file_order(model: DarkNet53 | YoloV3) -> Shapes:
    """The state's tensors that a file holds, in its order."""
    names: list[str] = []
    for part in _PARTS if isinstance(model, YoloV3) else ("",):
        for name, layer in model.get_submodule(part).named_modules(prefix=part):
            if isinstance(layer, ConvBNLeaky):
                statistics = ("bias", "weight", "running_mean", "running_var")
                names += [f"{name}.bn.{kind}" for kind in statistics]
                names.append(f"{name}.conv.weight")
            # The last layer of a level. The convolutions within ConvBNLeaky have no bias.
            elif isinstance(layer, nn.Conv2d) and layer.bias is not None:
                names += [f"{name}.bias", f"{name}.weight"]
    state = model.state_dict()
    return {name: state[name].shape for name in names}


def _skip_header(file: BinaryIO) -> int:
    """Go to the first number. -> bytes of the header."""
    start = file.read(8)
    major, minor = struct.unpack("<2i", start) if len(start) == 8 else (0, 2)
    return file.seek(20 if 10 * major + minor >= 2 else 16)


def _network_of_size(path: Path, header: int) -> tuple[str, tuple[str, ...], Shapes]:
    """Architecture, classes and content of the network that makes a file of this size.

    YOLOv3 grows by the same number of bytes with every class, so that the number of classes is
    80 + (size - size with 80 classes) / bytes per class. Raises WeightsError where that is not
    whole, or below 1.
    """
    with torch.device("meta"):  # shapes without numbers
        coco = YoloV3(COCO)
    whole, backbone = file_order(coco), file_order(coco.backbone)
    whole_bytes, backbone_bytes = header + _bytes(whole), header + _bytes(backbone)
    size = path.stat().st_size
    if size == backbone_bytes:
        return "darknet53", (), backbone

    # A kernel row and a bias for each of 3 anchors on each level.
    class_bytes = 4 * 3 * sum(c + 1 for c in coco.backbone.channels)
    more, rest = divmod(size - whole_bytes, class_bytes)
    if rest or len(COCO) + more < 1:
        raise WeightsError(
            f"{path}: want a Darknet file of {backbone_bytes:,} bytes (darknet53.conv.74) or "
            f"of {whole_bytes:,} (yolov3.weights, 80 classes; {class_bytes:,} per class more or "
            f"less), found {size:,}: cut short or foreign"
        )
    if more == 0:
        return "yolov3", COCO, whole
    classes = tuple(f"class {i}" for i in range(len(COCO) + more))
    with torch.device("meta"):
        return "yolov3", classes, file_order(YoloV3(classes))


def _bytes(shapes: Shapes) -> int:
    return 4 * sum(shape.numel() for shape in shapes.values())
