"""The library's version; apart, for what lies below the facade."""

__version__ = "0.1.0"
