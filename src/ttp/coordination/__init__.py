"""Redis: keys, scripts, commands, one connection class, the embedded server."""

from ttp.coordination.url import Target as Target
