"""Class names, and which names of two vocabularies mean the same thing."""

from collections.abc import Sequence

# Every spelling -> one of them, all lower case without blanks.
ALIASES = {
    "airplane": "aeroplane",
    "motorcycle": "motorbike",
    "couch": "sofa",
    "tv": "tvmonitor",
    "tvset": "tvmonitor",
    "television": "tvmonitor",
    "bike": "bicycle",
    "automobile": "car",
}

# In label order of yolov3.weights and of YOLOv5's checkpoints.
_COCO = """
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant,
stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra,
giraffe, backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite,
baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle, wine glass, cup, fork,
knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut,
cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop, mouse, remote, keyboard,
cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear,
hair drier, toothbrush
"""
COCO = tuple(" ".join(name.split()) for name in _COCO.split(","))


def canonical(name: str) -> str:
    """One spelling of a class name: "Dining Table" and "dining_table" are "diningtable"."""
    plain = "".join(letter for letter in name.lower() if letter.isalnum())
    return ALIASES.get(plain, plain)


def match_classes(wanted: Sequence[str], offered: Sequence[str]) -> list[int | None]:
    """For each wanted class the row of the offered one that means the same, or None.

    wanted (aeroplane, sofa, fish), offered (couch, airplane) -> [1, 0, None].
    """
    # Of several offered names that mean the same, the first: going backwards it is written last.
    rows = {canonical(name): row for row, name in reversed(list(enumerate(offered)))}
    return [rows.get(canonical(name)) for name in wanted]
