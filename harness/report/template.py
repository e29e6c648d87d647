"""Values into one HTML page that needs nothing else.

The page opens from disk and from any web server alike: styles, script and images are inside it, and
its Content-Security-Policy forbids every request. Names that come from data are text: every value
is escaped, and the only script that may run is ours, allowed by its hash.
"""

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).parent / "templates"


def render_page(template: str, *, script: str = "", **values: Any) -> str:
    """The page. `script` names a file beside the templates: the one script that the page may run.

    A template that names a value it was not given raises, rather than leaving a gap.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["ap"] = lambda value: "–" if value is None else f"{value:.4f}"
    # The policy names the script by its hash: another one, from a name in the data, does not run.
    code = (TEMPLATES / script).read_text() if script else ""
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    return environment.get_template(template).render(
        script=code, script_hash=f"sha256-{digest}", **values
    )
