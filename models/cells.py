"""The cell head: the last layer of YOLOv1, with the paper's loss.

The image is a grid of cells. A cell says two boxes and one set of class probabilities for both, so
that raw output is float32 logits (B, rows, cols, 2 * 5 + C), all read through a sigmoid:

    x1 y1 w1 h1 confidence1   x2 y2 w2 h2 confidence2   class_1 ... class_C

x, y is the centre's place in its cell, from 0 to 1; w, h are square roots of the size as a fraction
of the image, so that an error of some pixels weighs more on a small box. An example: 2 x 2 cells of
stride 8, an image of 16 x 16. In the cell of row 1, column 0, (x, y, w, h) = (.25, .5, .5, .75) is
the box centred at ((.25 + 0) * 8, (.5 + 1) * 8) = (2, 12), of size (.5^2 * 16, .75^2 * 16) = (4,
9).

Source: Redmon et al., "You Only Look Once", 2016, https://arxiv.org/abs/1506.02640, section 2.
Differs: the paper's output is linear; through a sigmoid no box leaves its cell or outgrows the
image, no score leaves [0, 1].
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.assign import stack_truths
from models.boxes import cell_grid, ciou, cxcywh_to_xyxy
from models.detector import Target

BOXES = 2  # per cell; `match_cells` relies on there being two


class CellHead(nn.Module):
    """A 1x1 convolution: [(B, c, rows, cols)] -> (B, rows, cols, 2 * 5 + C).

    Computes in float32 under any autocast, as models.heads.AnchorHead does.
    """

    def __init__(self, channels: int, num_classes: int, stride: int):
        super().__init__()
        self.stride = stride
        layer = nn.Conv2d(channels, BOXES * 5 + num_classes, 1)
        self.weight, self.bias = layer.weight, layer.bias  # "head_report.weight" in checkpoints

    def forward(self, features: list[Tensor]) -> Tensor:
        [x] = features
        with torch.autocast(x.device.type, enabled=False):
            logits = F.conv2d(x.float(), self.weight, self.bias)
        return logits.permute(0, 2, 3, 1)

    def decode(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """raw -> boxes (B, N, 4) xyxy pixels of the input; scores (B, N, C) = confidence * class.

        N = 2 * rows * cols. The two boxes of a cell share its classes.
        """
        boxes, classes = split_cells(raw)
        xyxy = cxcywh_to_xyxy(decode_cells(boxes, self.stride))
        scores = boxes[..., 4:] * classes[..., None, :]  # (B, rows, cols, 2, C)
        return xyxy.flatten(1, 3), scores.flatten(1, 3)

    def loss(self, raw: Tensor, targets: list[Target]) -> dict[str, Tensor]:
        """As `Detector.loss`."""
        return cell_loss(raw, targets, self.stride)

    def class_rows(self) -> dict[str, int]:
        return {"weight": 1, "bias": 1}


def split_cells(raw: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (B, rows, cols, 2 * 5 + C) -> what they say in [0, 1].

    Boxes (B, rows, cols, 2, 5): x, y, w, h, confidence; classes (B, rows, cols, C).
    """
    p = raw.sigmoid()
    return p[..., : BOXES * 5].unflatten(-1, (BOXES, 5)), p[..., BOXES * 5 :]


def decode_cells(boxes: Tensor, stride: int) -> Tensor:
    """Boxes (B, rows, cols, 2, 5) of `split_cells` -> (B, rows, cols, 2, 4) cxcywh pixels."""
    rows, cols = boxes.shape[1:3]
    cells = cell_grid(rows, cols, boxes.device)[:, :, None]  # (rows, cols, 1, 2)
    width = boxes[..., 2].square() * (cols * stride)
    height = boxes[..., 3].square() * (rows * stride)
    return torch.cat([(boxes[..., :2] + cells) * stride, torch.stack([width, height], -1)], -1)


def cell_loss(raw: Tensor, targets: list[Target], stride: int) -> dict[str, Tensor]:
    """YOLOv1's loss, eq. 3 of the paper, as four named parts: sums of squared errors per image.

    A truth belongs to the cell of its centre and to one of that cell's two boxes, which is then
    responsible for it. With ^ for what is wanted:

        box                 5 * sum, over responsible boxes, of
                              (x - x^)^2 + (y - y^)^2 + (sqrt w - sqrt w^)^2 + (sqrt h - sqrt h^)^2
        contain_confidence  sum, over responsible boxes, of (1 - confidence)^2
        no_object           0.5 * sum, over all other boxes, of confidence^2
        class               sum, over cells with a truth and all classes, of (p - p^)^2

    Few cells have a truth: 5 and 0.5 keep the many without one from drowning the rest.
    Differs: the responsible box is asked for confidence 1, not for its IoU; up to two truths of one
    cell are learned, one by each box (`match_cells`); a cell with truths of several classes is
    asked for all of them.
    """
    truths = stack_truths(targets)  # (T, 6)
    batch, rows, cols, _ = raw.shape
    boxes, classes = split_cells(raw)
    image_size = raw.new_tensor([cols, rows]) * stride  # width, height

    # 1. The cell of each truth; the image's far edge belongs to the last one.
    centre = truths[:, 2:4] / stride  # (T, 2) x, y in cells
    home = centre.floor().clamp(min=0).minimum(centre.new_tensor([cols - 1, rows - 1]))
    col, row = home.long().unbind(-1)
    cell = (truths[:, 0].long() * rows + row) * cols + col  # (T,) of all cells of the batch

    # 2. The box of that cell. `has_box` is a factor of 0 or 1: a mask to index with would make the
    #    CPU wait for the GPU.
    box = _responsible_box(boxes, truths, cell, stride, image_size)
    has_box = (box >= 0).float()  # (T,)
    box = box.clamp(min=0)

    # 3. What is wanted of the boxes and of the cells.
    boxes, classes = boxes.flatten(0, 2), classes.flatten(0, 2)  # (cells, 2, 5), (cells, C)
    responsible, confidence = boxes[cell, box], boxes[..., 4]  # (T, 5), (cells, 2)
    wanted = torch.cat([centre - home, (truths[:, 4:] / image_size).sqrt()], 1)  # (T, 4)
    is_responsible = torch.zeros_like(confidence)
    is_responsible.index_put_((cell, box), has_box, accumulate=True)
    class_wanted = torch.zeros_like(classes)
    class_wanted[cell, truths[:, 1].long()] = 1
    has_truth = class_wanted.amax(-1, keepdim=True)  # (cells, 1)

    # 4. The parts.
    parts = {
        "class": has_truth * (classes - class_wanted).square(),
        "no_object": 0.5 * (1 - is_responsible) * confidence.square(),
        "contain_confidence": has_box * (1 - responsible[:, 4]).square(),
        "box": 5 * has_box[:, None] * (responsible[:, :4] - wanted).square(),
    }
    return {name: errors.sum() / batch for name, errors in parts.items()}


@torch.no_grad()
def _responsible_box(
    boxes: Tensor, truths: Tensor, cell: Tensor, stride: int, image_size: Tensor
) -> Tensor:
    """`match_cells` of boxes (B, rows, cols, 2, 5) with truths (T, 6) in their `cell` (T,)."""
    both = decode_cells(boxes, stride).flatten(0, 2)[cell]  # (T, 2, 4)
    iou, _ = ciou(both.flatten(0, 1), truths[:, 2:].repeat_interleave(BOXES, 0))
    offset = (both - truths[:, None, 2:]) / image_size.repeat(2)
    distance = offset.square().sum(-1)  # (T, 2)
    return match_cells(iou.view_as(distance), distance, cell, boxes.shape[:3].numel())


def match_cells(iou: Tensor, distance: Tensor, cell: Tensor, num_cells: int) -> Tensor:
    """Which of its cell's two boxes is responsible for a truth.

    -> (T,) int64: 0, 1, or -1 for a truth left out. iou and distance (T, 2) are those of each truth
    with both boxes of its `cell` (T,). All cells at once, without a loop, which on a GPU would wait
    for every truth:

    1. Rank all pairs of a truth and a box: highest IoU first. Equal IoUs, such as both 0, go by the
       lower distance, as in the authors' code (Darknet), then to the first truth, then to its first
       box.
    2. In each cell the best pair is settled: that truth takes that box.
    3. The cell's other box goes to the truth that ranks best with it among those that are left. A
       third truth of one cell is left out, as only two boxes exist.

    An example, three truths in one cell, IoU with its two boxes: a (.60, .33), b (.79, .26), c
    (.05, .25). Ranks: b0, a0, a1, b1, c1, c0. b takes box 0. Of a and c, a ranks better with box 1
    and takes it. c is left out.
    """
    pairs = iou.numel()  # pair = 2 * truth + box

    # 1. Two stable sorts: by distance, then by IoU, which keeps the first order among equals.
    order = distance.flatten().argsort(stable=True)
    order = order[iou.flatten()[order].argsort(descending=True, stable=True)]
    ranks = torch.arange(pairs, device=order.device)
    rank = torch.empty_like(order).scatter_(0, order, ranks).view_as(iou)  # (T, 2)

    def lowest(rank: Tensor) -> Tensor:
        """(T,) -> (T,) the lowest of all truths in the same cell."""
        return cell.new_full((num_cells,), pairs).scatter_reduce_(0, cell, rank, "amin")[cell]

    # 2. The best pair of each cell.
    best = lowest(rank.amin(1))  # (T,)
    is_first = (rank == best[:, None]).any(1)
    box = order[best] % BOXES

    # 3. The best truth for the other box; `pairs` is a rank behind all.
    other = rank.gather(1, 1 - box[:, None])[:, 0].masked_fill(is_first, pairs)
    is_second = ~is_first & (other == lowest(other))
    return torch.where(is_first, box, torch.where(is_second, 1 - box, -1))
