"""The library's version, from which the distribution has its own; apart, for what lies below the facade."""

__version__ = "0.1.0"
