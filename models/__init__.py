"""Detectors as plain modules: images in, raw out; `decode` to boxes, `loss` to scalars. torch only.

Never name a file here yolo.py, common.py or experimental.py: official YOLOv5 checkpoints are
pickles that import `models.yolo` and `models.common`, and an unsafe loader would build our classes
instead of theirs.
"""
