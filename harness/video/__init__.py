"""Detections on videos: decode, detect, track, draw, encode.

PyAV and yt-dlp come with the extra `video`.
"""

import importlib.util

from evaluate.exceptions import InputError

if importlib.util.find_spec("av") is None:
    raise InputError("video: want the package PyAV, which is not installed: pip install av yt-dlp")
