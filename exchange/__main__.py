"""`python -m exchange`: the command, where its script is not on the path."""

from exchange.cli.main import app

if __name__ == "__main__":
    app(prog_name="exchange")
