"""`python -m edgesmith …`: the command line where no `edgesmith` is on the path."""

from edgesmith.cli import app

if __name__ == "__main__":
    app(prog_name="edgesmith")
