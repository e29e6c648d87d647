"""models.yolov1, models.cells: torchvision's names, shapes, and the paper's loss by hand."""

import itertools
import math

import numpy as np
import pytest
import torch
import torchvision

from models.cells import cell_loss, match_cells
from models.gains import Gains
from models.yolov1 import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    PRIORS,
    RESNETS,
    YoloV1,
)

CLASSES = ("cat", "dog", "bird")
NOTHING = (torch.zeros(0, dtype=torch.long), torch.zeros(0, 4))


@pytest.fixture(params=["tuned", "report"])
def model(request):
    torch.manual_seed(0)
    return YoloV1(18, CLASSES, request.param)


def logit(p):
    return math.log(p / (1 - p))


def perfect(head, label, xyxy, *, rows, cols, stride=32, big=30.0):
    """The raw output that says exactly one box, in every place of which the loss wants it."""
    x1, y1, x2, y2 = xyxy
    if head == "report":
        raw = torch.full((1, rows // stride, cols // stride, 13), -big)
        x, y = (x1 + x2) / 2 / stride, (y1 + y2) / 2 / stride
        values = x % 1, y % 1, math.sqrt((x2 - x1) / cols), math.sqrt((y2 - y1) / rows)
        cell = raw[0, int(y), int(x)]
        cell[5:10] = torch.tensor([*map(logit, values), big])
        cell[10 + label] = big
        return raw
    level = torch.full((1, 2, rows // stride, cols // stride, 8), -big)
    for a, row, col in itertools.product(*map(range, level.shape[1:4])):
        x, y = (x1 + x2) / 2 / stride - col, (y1 + y2) / 2 / stride - row
        home = 0 <= x < 1, 0 <= y < 1
        if (
            any(home) and -0.5 < x < 1.5 and -0.5 < y < 1.5
        ):  # the cell of the centre and the two nearest, no diagonal
            w, h = PRIORS[a]
            values = (
                (x + 0.5) / 2,
                (y + 0.5) / 2,
                math.sqrt((x2 - x1) / w) / 2,
                math.sqrt((y2 - y1) / h) / 2,
            )
            level[0, a, row, col, :5] = torch.tensor([*map(logit, values), big])
            level[0, a, row, col, 5 + label] = big
    return [level]


@pytest.mark.parametrize("depth", RESNETS)
def test_the_backbone_has_torchvisions_names_and_shapes(depth):
    with torch.device("meta"):
        official = getattr(torchvision.models, f"resnet{depth}")().state_dict()
        state = YoloV1(depth, CLASSES).state_dict()
    ours = {
        name.removeprefix("backbone."): v.shape
        for name, v in state.items()
        if name.startswith("backbone.")
    }
    assert ours == {name: v.shape for name, v in official.items() if not name.startswith("fc.")}
    assert {name.split(".")[0] for name in state} == {"backbone", "neck", "heads"}


def test_the_backbone_computes_what_torchvisions_does():
    torch.manual_seed(0)
    official, model = torchvision.models.resnet18().eval(), YoloV1(18, CLASSES).eval()
    official.fc = torch.nn.Identity()
    model.backbone.load_state_dict(official.state_dict())
    images = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        assert torch.allclose(model.backbone(images).mean((2, 3)), official(images), atol=1e-5)


def test_the_backbone_sees_imagenets_statistics(model):
    seen = []
    model.backbone.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    mean, std = (
        torch.tensor(v)[:, None, None].expand(3, 64, 64) for v in (IMAGENET_MEAN, IMAGENET_STD)
    )
    model.eval()(torch.stack([mean, mean + 2 * std]))
    assert torch.allclose(seen[0], torch.tensor([0.0, 2.0])[:, None, None, None], atol=1e-6)


@pytest.mark.parametrize("stride", [32, 64])
@pytest.mark.parametrize("head", ["tuned", "report"])
def test_shapes(head, stride):
    model = YoloV1(18, CLASSES, head, grid_stride=stride).eval()
    for rows, cols in ((64, 64), (128, 192)):
        raw = model(torch.rand(2, 3, rows, cols))
        xyxy, scores = model.decode(raw)
        grid = rows // stride, cols // stride
        if head == "tuned":
            assert [tuple(level.shape) for level in raw] == [(2, 2, *grid, 8)]
        else:
            assert raw.shape == (2, *grid, 13)
        assert (xyxy.shape, scores.shape) == (
            (2, 2 * math.prod(grid), 4),
            (2, 2 * math.prod(grid), 3),
        )
        assert 0 <= scores.min() and scores.max() <= 1
    assert model.stride_max == stride


@pytest.mark.parametrize("stride", [32, 64])
@pytest.mark.parametrize("head", ["tuned", "report"])
def test_a_perfect_output_decodes_to_the_truth_and_costs_nothing(head, stride):
    model = YoloV1(18, CLASSES, head, grid_stride=stride)
    truth = [
        17.0,
        59.0,
        77.0,
        104.0,
    ]  # off centre, not square, on an image that is not: a swapped axis would show
    raw = perfect(head, 2, truth, rows=128, cols=192, stride=stride)
    xyxy, scores = model.decode(raw)
    best = scores[0, :, 2].argmax()
    assert (
        torch.allclose(xyxy[0, best], torch.tensor(truth), atol=1e-3) and scores[0, best, 2] > 0.999
    )
    assert sum(model.loss(raw, [(torch.tensor([2]), torch.tensor([truth]))]).values()) < 1e-4


def test_the_boxes_of_a_report_cell_share_its_classes():
    raw = torch.full((1, 1, 2, 13), -30.0)
    raw[0, 0, 1, [4, 9, 10, 12]] = torch.tensor([logit(0.8), logit(0.5), logit(0.25), logit(0.75)])
    _, scores = YoloV1(18, CLASSES, "report").decode(raw)
    expected = torch.tensor([[0.0, 0, 0], [0, 0, 0], [0.2, 0, 0.6], [0.125, 0, 0.375]])
    assert torch.allclose(scores[0], expected, atol=1e-6)


def test_class_rows_end_each_group_and_make_the_scores(model):
    state = {name: torch.zeros_like(model.state_dict()[name]) for name in model.class_rows()}
    for name, groups in model.class_rows().items():
        if name.endswith("bias"):
            state[name].view(groups, -1)[:, -2] = 20.0  # the second of three classes
    model.load_state_dict(state, strict=False)
    _, scores = model.eval().decode(model(torch.rand(1, 3, 64, 64)))
    assert len(state) == 2 and torch.allclose(scores, torch.tensor([0.25, 0.5, 0.25]))


def test_gains_for_several_levels_are_refused():
    with pytest.raises(ValueError, match="balance is .*want one number"):
        YoloV1(18, CLASSES, gains=Gains())


# By hand: one or more images of 2 x 2 cells of stride 8, three classes. Zero logits say 0.5
# everywhere: a box of (0.5^2 * 16) 4 x 4 in the middle of its cell. The cell of row 1, col 0, whose
# middle is (4, 12), says other things.


def one_cell(first=(), second=(), classes=()):
    """Raw (1, 2, 2, 13), zero but for what row 1, col 0 says in [0, 1] of boxes and classes."""
    raw = torch.zeros(1, 2, 2, 13)
    for start, values in ((0, first), (5, second), (10, classes)):
        raw[0, 1, 0, start : start + len(values)] = torch.tensor([logit(v) for v in values])
    return raw


def squares(*rows):
    """Rows of (label, side) -> truths around (4, 12)."""
    labels, sides = zip(*rows)
    return torch.tensor(labels), torch.tensor(
        [[4 - s / 2, 12 - s / 2, 4 + s / 2, 12 + s / 2] for s in sides]
    )


def loss(raw, *targets):
    return {name: float(value) for name, value in cell_loss(raw, list(targets), 8).items()}


def test_report_parts_by_hand():
    # Truth 4 x 6 at (3, 14): cell (0.375, 1.75), so place (.375, .75) of row 1, col 0. The boxes
    # there, around (4, 12): the first 9 x 9 from .75^2 * 16, which holds 4 x 5.5 of the truth: IoU
    # 22 / (24 + 81 - 22) = .265; the second 4 x 4, which shares x 2 to 5, y 11 to 14: 9 / (24 + 16
    # - 9) = .290. The second is responsible.
    raw = one_cell((0.5, 0.5, 0.75, 0.75, 0.9), (0.5, 0.5, 0.5, 0.5, 0.3), (0.2, 0.7, 0.6))
    truth = torch.tensor([1]), torch.tensor([[1.0, 11, 5, 17]])
    parts = loss(torch.cat([torch.zeros_like(raw), raw]), NOTHING, truth)
    box = (
        (0.5 - 0.375) ** 2
        + (0.5 - 0.75) ** 2
        + (0.5 - math.sqrt(4 / 16)) ** 2
        + (0.5 - math.sqrt(6 / 16)) ** 2
    )
    expected = {
        "class": 0.2**2 + (1 - 0.7) ** 2 + 0.6**2,
        "no_object": 0.5 * (8 * 0.5**2 + 6 * 0.5**2 + 0.9**2),  # of both images
        "contain_confidence": (1 - 0.3) ** 2,
        "box": 5 * box,
    }
    assert parts == pytest.approx({name: value / 2 for name, value in expected.items()})  # 2 images


def test_two_objects_in_one_cell_take_a_box_each_the_best_pair_first():
    # Boxes of side 9 and 4. Truth of side 7: IoU 49 / 81 and 16 / 49; of side 8: 64 / 81 and 16 /
    # 64. Both want the first box; 64 / 81 is the best pair, so the truth of side 7 gets the second
    # box.
    raw = one_cell((0.5, 0.5, 0.75, 0.75, 0.9), (0.5, 0.5, 0.5, 0.5, 0.3), (0.2, 0.7, 0.6))
    parts = loss(raw, squares((0, 7), (2, 8)))
    box = 2 * (0.75 - math.sqrt(8 / 16)) ** 2 + 2 * (0.5 - math.sqrt(7 / 16)) ** 2
    expected = {
        "class": (1 - 0.2) ** 2 + 0.7**2 + (1 - 0.6) ** 2,
        "no_object": 0.5 * 6 * 0.5**2,
        "contain_confidence": (1 - 0.9) ** 2 + (1 - 0.3) ** 2,
        "box": 5 * box,
    }
    assert parts == pytest.approx(expected)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_third_object_in_one_cell_counts_for_the_class_alone_in_whatever_order(order):
    # As above with a truth of side 2, IoU 4 / 81 and 4 / 16: the truth of side 7 has 16 / 49 with
    # the second box.
    raw = one_cell((0.5, 0.5, 0.75, 0.75, 0.9), (0.5, 0.5, 0.5, 0.5, 0.3), (0.2, 0.7, 0.6))
    rows = [(0, 7), (2, 8), (1, 2)]
    two, three = loss(raw, squares(*rows[:2])), loss(raw, squares(*(rows[i] for i in order)))
    assert three.pop("class") == pytest.approx((1 - 0.2) ** 2 + (1 - 0.7) ** 2 + (1 - 0.6) ** 2)
    two.pop("class")
    assert three == pytest.approx(two)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            (0.5, 0.5, 0.25, 0.25),
            (0.25, 0.25, 0.25, 0.25),
        ),  # 1 x 1 around (4, 12) and around (2, 10)
        ((0.5, 0.5, 0.5, 0.5), (0.5, 0.5, 0.25, 0.25)),  # 4 x 4 and 1 x 1 around (4, 12)
    ],
)
def test_where_no_box_overlaps_the_nearer_one_is_responsible(first, second):
    # Truth 1 x 1 at (0.5, 8.5): IoU 0 with all of these.
    parts = loss(
        one_cell((*first, 0.9), (*second, 0.3)), (torch.tensor([0]), torch.tensor([[0.0, 8, 1, 9]]))
    )
    assert parts["contain_confidence"] == pytest.approx((1 - 0.3) ** 2)
    assert parts["box"] == pytest.approx(5 * 2 * (second[0] - 0.5 / 8) ** 2)


def test_a_centre_on_the_far_edge_belongs_to_the_last_cell():
    raw = torch.zeros(1, 2, 3, 13)
    raw[0, 1, 2, :10] = torch.tensor(
        [30.0, 30, 0, 0, 30, 30, 30, 0, 0, -30]
    )  # boxes of 6 x 4 around (24, 16)
    parts = loss(raw, (torch.tensor([0]), torch.tensor([[21.0, 14, 27, 18]])))
    assert parts["box"] == pytest.approx(0) and parts["contain_confidence"] == pytest.approx(0)


def slow_match(iou, distance, cell):
    """`match_cells`, pair by pair."""
    answer, taken = [-1] * len(cell), set()
    for t, b in sorted(
        np.ndindex(len(cell), 2), key=lambda pair: (-iou[pair], distance[pair], pair)
    ):
        if answer[t] < 0 and (cell[t], b) not in taken:
            answer[t] = b
            taken.add((cell[t], b))
    return answer


@pytest.mark.parametrize("seed", range(20))
def test_matching_agrees_with_the_slow_version_also_on_ties(seed):
    random = torch.Generator().manual_seed(seed)
    iou, distance = (torch.randint(0, 4, (30, 2), generator=random) / 4 for _ in range(2))
    cell = torch.randint(0, 12, (30,), generator=random)
    assert match_cells(iou, distance, cell, 12).tolist() == slow_match(
        iou.numpy(), distance.numpy(), cell.tolist()
    )
