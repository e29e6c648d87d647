"""Class names, and which names of two vocabularies mean the same thing."""

from collections.abc import Sequence

ALIASES = {  # every spelling -> one of them, all lower case without blanks
    "airplane": "aeroplane",
    "motorcycle": "motorbike",
    "couch": "sofa",
    "tv": "tvmonitor",
    "tvset": "tvmonitor",
    "television": "tvmonitor",
    "bike": "bicycle",
    "automobile": "car",
}

_COCO = """person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign,
parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella, handbag,
tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, surfboard,
tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot,
hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop, mouse, remote, keyboard,
cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear, hair drier,
toothbrush"""
COCO = tuple(
    name.strip() for name in _COCO.split(",")
)  # label order of yolov3.weights and of YOLOv5's checkpoints


def canonical(name: str) -> str:
    """One spelling of a class name: "Dining Table", "dining_table" and "diningtable" are the same."""
    plain = "".join(letter for letter in name.lower() if letter.isalnum())
    return ALIASES.get(plain, plain)


def match_classes(wanted: Sequence[str], offered: Sequence[str]) -> list[int | None]:
    """For each wanted class the index of the offered one that means the same, or None."""
    at = {canonical(name): i for i, name in reversed(list(enumerate(offered)))}
    return [at.get(canonical(name)) for name in wanted]
