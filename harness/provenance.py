"""Where a result came from: code revision, versions, device, data. Written beside every run."""

import hashlib
import importlib.metadata
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from evaluate.tables import GroundTruth

ROOT = Path(__file__).parents[1]
PACKAGES = ("torch", "torchvision", "numpy", "opencv-python-headless", "numba")


def revision() -> tuple[str, bool]:
    """Commit, and whether the working tree has changes; ("unknown", False) outside of git."""
    head = _git("rev-parse", "HEAD")
    return (head, bool(_git("status", "--porcelain"))) if head else ("unknown", False)


def command() -> str:
    """The command line that runs now, as a person would type it."""
    return shlex.join(["harness", *sys.argv[1:]])


def versions() -> dict[str, str]:
    """Python and the packages that numbers depend on."""
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in PACKAGES
    }


def hash_truth(truth: GroundTruth) -> str:
    """sha256 over image ids, class names, boxes and `difficult` flags."""
    digest = hashlib.sha256(repr((truth.image_ids, truth.classes)).encode())
    for column in (truth.image, truth.label, truth.xyxy, truth.difficult):
        digest.update(column.tobytes())
    return digest.hexdigest()


def describe_data(photos: tuple[Path, ...], truth: GroundTruth) -> dict[str, Any]:
    """Counts and two hashes: of the truth, and of the photo files' sizes in bytes."""
    sizes = repr([path.stat().st_size for path in photos]).encode()
    hashes = {
        "truth_sha256": hash_truth(truth),
        "photo_sizes_sha256": hashlib.sha256(sizes).hexdigest(),
    }
    return {"images": len(photos), "boxes": len(truth), **hashes}


def _git(*words: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *words], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
