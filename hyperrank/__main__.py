"""``python -m hyperrank`` is the command line."""

from hyperrank.cli import main

if __name__ == "__main__":
    main(prog_name="hyperrank")
