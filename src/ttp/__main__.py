"""`python -m ttp`."""

from ttp.cli import main

main()
