"""Give the distribution another name before a release is built: `python deploy/rename.py NAME`.

The import name stays ttp. On PyPI `ttp` is another project's.
"""

import re
import sys
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def main(name: str) -> None:
    """Write the name into pyproject.toml, and into the extras that name the project itself."""
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", name):
        sys.exit(f"not the name of a distribution: {name!r}")
    text = PYPROJECT.read_text()
    renamed, count = re.subn(r'(?m)^name = "ttp"$', f'name = "{name}"', text)
    if count != 1:
        sys.exit('pyproject.toml has no line: name = "ttp"')
    PYPROJECT.write_text(renamed.replace('"ttp[', f'"{name}['))


if __name__ == "__main__":
    main(*sys.argv[1:])
