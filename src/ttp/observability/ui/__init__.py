"""The status page of `ttp ui`: what it reads, what it serves, and who may see it. The page itself lies in static/."""
