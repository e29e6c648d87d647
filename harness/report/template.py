"""Values -> one HTML page that needs nothing else: styles inside, no request to anywhere, every string escaped."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, *, script: str = "", **values: Any) -> str:
    """The page. `script` names a file of ours beside the templates, the one script that the page's policy lets run."""
    pages = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["ap"] = lambda value: "–" if value is None else f"{value:.4f}"
    code = (TEMPLATES / script).read_text() if script else ""
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    return pages.get_template(template).render(
        script=code, script_hash=f"sha256-{digest}", **values
    )
