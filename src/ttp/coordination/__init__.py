"""Redis: keys, scripts, commands, one connection class, the embedded server."""
