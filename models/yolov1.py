"""YOLOv1 on a ResNet: one grid of cells, 14 x 14 at 448 pixels, or 7 x 7 as in the paper.

Source: Redmon et al., "You Only Look Once", 2016, https://arxiv.org/abs/1506.02640; ResNet and its state names from
torchvision. Differs: ResNet for the paper's backbone, two convolutions for its fully connected layers, so that inputs
of other sizes work; sigmoids for the linear output. `head="tuned"` keeps the network and the single grid, and
replaces the output layer, box code and loss by those of models/heads.py and models/losses.py.
"""

from collections import OrderedDict
from typing import Literal

import torch
from torch import Tensor, nn
from torchvision.models import resnet18, resnet34, resnet50, resnet101

from models.assign import stack_truths
from models.detector import Detector, Target
from models.heads import Heads, decode_sigmoid
from models.losses import Gains, ciou, tuned_loss

RESNETS = {18: resnet18, 34: resnet34, 50: resnet50, 101: resnet101}
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # RGB
BOXES = 2  # a cell; `match_cells` knows that there are two

# Width, height in pixels of the tuned head's two. Within ratio 4 the first fits sides of 12 to 192, the second of 40 to
# 640; squares, so that wide and tall fit alike. Measured at 448: every box of 197 VOC photos (459) and of BCCD (4886)
# fits one of them, and no other pair from 32 to 64 and 140 to 192 fits more. Neither fits one side below 40 beside
# another above 192.
PRIORS = ((48.0, 48.0), (160.0, 160.0))


class YoloV1(Detector):
    """Raw output: float32 logits of rows = H / grid_stride times cols = W / grid_stride cells.

    Tuned head: a list of one level (B, 2, rows, cols, 5 + C). Report head: (B, rows, cols, 2 * 5 + C), that is x, y,
    w, h, confidence of the cell's first box, then of its second, then the classes of both.
    """

    def __init__(
        self,
        depth: int,
        classes: tuple[str, ...],
        head: Literal["tuned", "report"] = "tuned",
        gains: Gains | None = None,
        grid_stride: Literal[32, 64] = 32,
    ):
        super().__init__()
        self.classes, self.head, self.gains = classes, head, gains or Gains(balance=(1.0,))
        if len(self.gains.balance) != 1:
            raise ValueError(
                f"gains.balance is {self.gains.balance}, want one number: YOLOv1 has one grid"
            )
        self.stride_max = grid_stride
        resnet = RESNETS[depth](weights=None)
        layers = OrderedDict(
            (name, layer)
            for name, layer in resnet.named_children()
            if name not in ("avgpool", "fc")
        )
        self.backbone = nn.Sequential(layers)  # (B, 3, H, W) -> (B, 512 or 2048, H / 32, W / 32)
        self.neck = nn.Sequential(
            nn.Conv2d(resnet.fc.in_features, 512, 3, padding=1, bias=False),
            nn.BatchNorm2d(512),
            nn.LeakyReLU(0.1, inplace=True),
            nn.Conv2d(512, 512, 3, grid_stride // 32, padding=1, bias=False),
            nn.BatchNorm2d(512),
            nn.LeakyReLU(0.1, inplace=True),
        )
        if head == "tuned":
            self.heads = Heads((512,), len(classes), (PRIORS,), (grid_stride,))
        else:
            self.head_report = nn.Conv2d(512, BOXES * 5 + len(classes), 1)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor | list[Tensor]:
        features = self.neck(self.backbone((images - self.mean) / self.std))
        if self.head == "tuned":
            raw: list[Tensor] = self.heads([features])
            return raw
        with torch.autocast(features.device.type, enabled=False):
            logits: Tensor = self.head_report(features.float())
        return logits.permute(0, 2, 3, 1)

    def decode(self, raw: Tensor | list[Tensor]) -> tuple[Tensor, Tensor]:
        """raw -> boxes (B, N, 4) xyxy pixels of the input; scores (B, N, C). N = 2 * rows * cols.

        The two boxes of a report cell share its classes: score = sigmoid(confidence) * sigmoid(class).
        """
        if not isinstance(raw, Tensor):
            return self.heads.decode(raw, decode_sigmoid, one_class=False)
        boxes, cls = split_cells(raw)
        cxcywh = decode_cells(boxes, self.stride_max)
        half = cxcywh[..., 2:] / 2
        xyxy = torch.cat([cxcywh[..., :2] - half, cxcywh[..., :2] + half], -1)
        return xyxy.flatten(1, 3), (boxes[..., 4:] * cls[..., None, :]).flatten(1, 3)

    def class_rows(self) -> dict[str, int]:
        if self.head == "tuned":
            return self.heads.class_rows("heads.")
        return {"head_report.weight": 1, "head_report.bias": 1}

    def loss(self, raw: Tensor | list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        """The tuned loss (models/losses.py), or with `head="report"` the paper's."""
        if isinstance(raw, Tensor):
            return cell_loss(raw, targets, self.stride_max)
        strides = (self.stride_max,)
        return tuned_loss(raw, targets, decode_sigmoid, self.heads.anchors_px, strides, self.gains)


def split_cells(raw: Tensor) -> tuple[Tensor, Tensor]:
    """Report logits (B, rows, cols, 2 * 5 + C) -> boxes (B, rows, cols, 2, 5), classes (B, rows, cols, C), in [0, 1].

    A box is x, y in its cell, square roots of w, h as fractions of the image, confidence. Differs from the paper,
    whose output is linear: through a sigmoid no box leaves its cell or outgrows the image, no score leaves [0, 1].
    """
    p = raw.sigmoid()
    return p[..., : BOXES * 5].unflatten(-1, (BOXES, 5)), p[..., BOXES * 5 :]


def decode_cells(boxes: Tensor, stride: int) -> Tensor:
    """Boxes (B, rows, cols, 2, 5) of `split_cells` -> (B, rows, cols, 2, 4) cxcywh pixels of the input."""
    rows, cols = boxes.shape[1:3]
    ranges = (torch.arange(n, device=boxes.device) for n in (rows, cols))
    row, col = torch.meshgrid(*ranges, indexing="ij")
    cells = torch.stack([col, row], -1)[:, :, None]  # (rows, cols, 1, 2)
    wh = torch.stack(
        [boxes[..., 2].square() * (cols * stride), boxes[..., 3].square() * (rows * stride)], -1
    )
    return torch.cat([(boxes[..., :2] + cells) * stride, wh], -1)


def cell_loss(raw: Tensor, targets: list[Target], stride: int) -> dict[str, Tensor]:
    """The paper's four parts: class, no_object (x 0.5), contain_confidence, box (x 5), a sum over cells an image.

    All are squared errors. A truth belongs to the cell of its centre and to one of that cell's two boxes
    (`match_cells`), which is then responsible: contain_confidence asks confidence 1 of it, box the place in the cell
    and sqrt(w), sqrt(h) as fractions of the image. no_object asks confidence 0 of every other box of the grid. class
    asks a cell with truths for the classes of all of them.
    """
    truths = stack_truths(targets)
    batch, rows, cols, _ = raw.shape
    boxes, cls = split_cells(raw)
    image_size = raw.new_tensor([cols, rows]) * stride

    place = truths[:, 2:4] / stride  # x, y in cells
    home = (
        place.floor().clamp(min=0).minimum(place.new_tensor([cols - 1, rows - 1]))
    )  # an edge belongs to the image
    col, row = home.long().unbind(-1)
    cell = (truths[:, 0].long() * rows + row) * cols + col  # (T,)
    with torch.no_grad():
        guess = decode_cells(boxes, stride).flatten(0, 2)[cell]  # (T, 2, 4)
        iou, _ = ciou(guess.flatten(0, 1), truths[:, 2:].repeat_interleave(BOXES, 0))
        far = ((guess - truths[:, None, 2:]) / image_size.repeat(2)).square().sum(-1)
        box = match_cells(iou.view_as(far), far, cell, batch * rows * cols)
    held = (box >= 0).float()  # a factor, not a mask to index with, which would wait for the device
    box = box.clamp(min=0)

    boxes, cls = boxes.flatten(0, 2), cls.flatten(0, 2)  # (cells, 2, 5), (cells, C)
    mine, confidence = boxes[cell, box], boxes[..., 4]
    wanted = torch.cat([place - home, (truths[:, 4:] / image_size).sqrt()], 1)
    responsible = torch.zeros_like(confidence).index_put_((cell, box), held, accumulate=True)
    here = torch.zeros_like(cls)
    here[cell, truths[:, 1].long()] = 1
    parts = {
        "class": here.amax(-1, keepdim=True) * (cls - here).square(),
        "no_object": 0.5 * (1 - responsible) * confidence.square(),
        "contain_confidence": held * (1 - mine[:, 4]).square(),
        "box": 5 * held[:, None] * (mine[:, :4] - wanted).square(),
    }
    return {name: errors.sum() / batch for name, errors in parts.items()}


def match_cells(iou: Tensor, far: Tensor, cell: Tensor, num_cells: int) -> Tensor:
    """Which of its cell's two boxes is responsible for a truth. -> (T,) int64: 0, 1, or -1 for a truth left out.

    iou and far (a distance) are (T, 2), of each truth with both boxes of its `cell` (T,). The pair with the highest
    IoU goes first; the cell's other box goes to the truth that it overlaps most among those that are left; a third
    truth of one cell is left out, as only two boxes exist. Equal IoUs, such as both 0, go to the pair with the lower
    distance, as in the authors' code (darknet), then to the first truth, then to its first box.
    """
    pairs = iou.numel()  # pair = 2 * truth + box
    order = far.flatten().argsort(stable=True)
    order = order[iou.flatten()[order].argsort(descending=True, stable=True)]
    rank = (
        torch.empty_like(order)
        .scatter_(0, order, torch.arange(pairs, device=order.device))
        .view_as(iou)
    )

    def lowest(rank: Tensor) -> Tensor:
        """(T,) -> (T,) the lowest of all truths in the same cell."""
        return cell.new_full((num_cells,), pairs).scatter_reduce_(0, cell, rank, "amin")[cell]

    best = lowest(rank.amin(1))
    is_first = (rank == best[:, None]).any(1)
    box = order[best] % BOXES  # of the cell's best pair
    other = rank.gather(1, 1 - box[:, None])[:, 0].masked_fill(is_first, pairs)
    is_second = ~is_first & (other == lowest(other))
    return torch.where(is_first, box, torch.where(is_second, 1 - box, -1))
