"""The names of durability levels; apart from `durability`, so that `import ttp` stays quick."""

from typing import Literal, get_args

Durability = Literal["memory", "everysec", "fsync", "replica"]


def check_durability(level: Durability) -> Durability:
    """Return a level; ValueError if it is none."""
    if level not in get_args(Durability):
        raise ValueError(f"durability must be one of {', '.join(get_args(Durability))}, not {level!r}")
    return level
