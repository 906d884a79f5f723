"""``python -m harness.cli``: the command line without its script."""

from harness.cli.main import main

main()
