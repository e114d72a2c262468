"""What mkdocs has to know about this repository."""

import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
LINK = re.compile(r"\[([^]]+)\]\(([^)#:\s]+)\)")


def on_page_markdown(markdown: str, /, *, page: Any, **_: Any) -> str:
    """Links to files of the repository that are no page become their paths; dead ones end the build."""
    here = (DOCS / page.file.src_uri).parent

    def replace(link: re.Match[str]) -> str:
        target = (here / link[2]).resolve()
        if target.is_relative_to(DOCS):
            return link[0]
        if not target.exists():
            raise PluginError(f"{page.file.src_uri}: {link[2]} is not there")
        path = target.relative_to(ROOT)
        return link[1] if link[1].strip("`") == str(path) else f"{link[1]} (`{path}`)"

    return LINK.sub(replace, markdown)
