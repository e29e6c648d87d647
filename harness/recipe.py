"""What a run is: one frozen recipe, read from recipes/*.toml, overridden by key=value.

A .toml file gives the keys that differ from the defaults below, or from another shipped recipe that
it names as `base`:

    base = "v5m-report"    the keys of recipes/v5m-report.toml, which has a base of its own
    model = "yolov5l"      in place of that file's model

On the command line, `lr=0.005` overrides both.
"""

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from evaluate.exceptions import InputError
from evaluate.files import written_whole
from models.gains import Gains

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Recipe:
    """Everything a run depends on except the data and the machine."""

    model: str  # yolov1-resnet18, 34, 50 or 101; yolov3; yolov5n, s, m, l or x
    head: Literal["tuned", "report"] = "tuned"  # box code and loss: ours, or the study reports'
    # To start from: a name of `harness weights list`, a file or a run folder; empty = random.
    weights: str = ""
    # Of YOLOv1's grid, in pixels: at 448, 32 gives 14 x 14 cells and 64 gives 7 x 7.
    grid_stride: Literal[32, 64] = 32

    image_size: int = 640  # side of the square training input, pixels
    predict_size: int = 0  # long side in prediction; 0 = image_size
    epochs: int = 100
    batch: int = 16  # images per optimizer step
    # Boxes per image that enter NMS when an epoch is validated; the study reports took 300.
    candidates_max: int = 3000
    seed: int = 0
    threads: int = 2  # that read and augment photos
    # Of the trunk; auto = what the device computes natively (harness/device.py).
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"

    optimizer: Literal["sgd", "adamw"] = "sgd"  # adamw learns faster from random weights
    lr: float = 0.01  # at the end of warm-up, for this batch
    lr_final: float = 0.01  # at the last step, as a fraction of lr
    schedule: Literal["cosine", "linear"] = "cosine"
    warmup_epochs: float = 3.0
    warmup_bias_lr: float = 0.1  # biases come down from here, the rest comes up from 0
    momentum: float = 0.937
    weight_decay: float = 5e-4  # on convolution weights only
    clip: float = 10.0  # largest gradient norm
    ema_epochs: float = 4.0  # horizon of the averaged weights

    mosaic: float = 1.0  # what each of this group does: harness.training.augment.Augment
    mosaic_off_epochs: int = 10  # the last epochs see whole photos
    mixup: float = 0.0
    scale: float = 0.5
    translate: float = 0.1
    degrees: float = 0.0
    shear: float = 0.0  # degrees
    hsv_h: float = 0.015
    hsv_s: float = 0.7
    hsv_v: float = 0.4
    flip: float = 0.5
    flip_ud: float = 0.0

    box_gain: float = Gains.box_gain  # models/gains.py says what each of this group weighs
    object_gain: float = Gains.object_gain
    class_gain: float = Gains.class_gain
    anchor_ratio_max: float = Gains.anchor_ratio_max
    balance: tuple[float, ...] = Gains.balance

    def __post_init__(self) -> None:
        # Augmentation checks its own ranges (harness/training/augment.py).
        for name in ("image_size", "epochs", "batch", "candidates_max", "threads"):
            if getattr(self, name) < 1:
                raise InputError(f"recipe: {name} must be at least 1, it is {getattr(self, name)}")
        # The coarsest level of a network has one cell per 32 x 32 pixels.
        for name in ("image_size", "predict_size"):
            if getattr(self, name) % 32:
                raise InputError(
                    f"recipe: {name} must be a multiple of 32, it is {getattr(self, name)}"
                )

    @property
    def size(self) -> int:
        """Long side in prediction, pixels."""
        return self.predict_size or self.image_size


def load_recipe(name: str, assignments: Sequence[str] = ()) -> Recipe:
    """A shipped recipe ("v5l", "v5l-report") or a .toml file, with `key=value` strings applied.

    Raises InputError for an unknown recipe or key, or a value of the wrong type.
    """
    values = _read(name) | _parse(assignments)
    try:
        return Recipe(**{key: _typed(key, value) for key, value in values.items()})
    except TypeError as error:
        raise InputError(f"recipe {name}: {error}") from None


def save_recipe(recipe: Recipe, path: Path) -> None:
    """Write as TOML that `load_recipe` reads back equal."""
    lines = [f"{key} = {_toml(value)}\n" for key, value in dataclasses.asdict(recipe).items()]
    with written_whole(path) as scratch:
        scratch.write_text("".join(lines))


def recipe_names() -> list[str]:
    """The shipped recipes."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def _read(name: str) -> dict[str, Any]:
    path = Path(name) if name.endswith(".toml") else RECIPES / f"{name}.toml"
    if not path.is_file():
        raise InputError(f"recipe {name}: want a .toml file or one of {', '.join(recipe_names())}")
    try:
        values = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: {error}") from None
    base = values.pop("base", None)
    return (_read(base) if base else {}) | values


def _parse(assignments: Sequence[str]) -> dict[str, str]:
    values = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise InputError(f"{assignment}: want key=value")
        values[key] = value
    return values


def _typed(key: str, value: Any) -> Any:
    """`value`, from TOML or as text, in the type of the field `key`."""
    kinds: Mapping[str, Any] = {field.name: field.type for field in fields(Recipe)}
    if key not in kinds:
        raise InputError(f"recipe: there is no key {key}; the keys are {', '.join(kinds)}")
    kind = kinds[key]
    try:
        if kind == tuple[float, ...]:
            numbers = value.split(",") if isinstance(value, str) else value
            return tuple(float(number) for number in numbers)
        if get_origin(kind) is Literal:
            return next(choice for choice in get_args(kind) if str(choice) == str(value))
        if kind is int and not isinstance(value, str) and value != int(value):
            raise ValueError  # int() would cut 2.5 to 2
        return kind(value)
    except (TypeError, ValueError, StopIteration):
        raise InputError(f"recipe: {key}={value}: want {_wanted(kind)}") from None


def _wanted(kind: Any) -> str:
    """What a value of this type looks like, for a message."""
    if kind == tuple[float, ...]:
        return "numbers, as 4,1,0.4"
    return " or ".join(map(str, get_args(kind))) if get_args(kind) else str(kind.__name__)


def _toml(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(list(value)) if isinstance(value, tuple) else str(value)
