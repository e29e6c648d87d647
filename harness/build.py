"""Which network does a recipe describe?"""

import re
from dataclasses import fields

from evaluate.exceptions import InputError
from harness.recipe import Recipe
from models.detector import Detector
from models.gains import Gains
from models.yolov1 import YoloV1
from models.yolov3 import YoloV3
from models.yolov5 import YoloV5


def build(recipe: Recipe, classes: tuple[str, ...]) -> Detector:
    """The recipe's network with random weights.

    Raises InputError for an unknown model, and for a `balance` that does not have one number per
    level.
    """
    known = re.fullmatch(r"yolov1-resnet(18|34|50|101)|yolov3()|yolov5([nsmlx])", recipe.model)
    if not known:
        wanted = "yolov1-resnet18, 34, 50 or 101, yolov3, or yolov5n, s, m, l or x"
        raise InputError(f"recipe: model={recipe.model}: want {wanted}")
    depth, _, size = known.groups()
    levels = 1 if depth else 3
    if len(recipe.balance) != levels:
        raise InputError(
            f"recipe: balance has {len(recipe.balance)} numbers, {recipe.model} has {levels} levels"
        )
    gains = Gains(**{field.name: getattr(recipe, field.name) for field in fields(Gains)})
    if depth:
        return YoloV1(int(depth), classes, recipe.head, gains, recipe.grid_stride)
    if size:
        return YoloV5(size, classes, recipe.head, gains)
    return YoloV3(classes, recipe.head, gains)
