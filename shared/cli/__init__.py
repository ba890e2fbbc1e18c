"""``pioneer …``: run the services, register models, ask for improvements, watch what happens."""

import sys
from collections.abc import Sequence
from typing import NoReturn

import typer
from pydantic import ValidationError

from shared.cli import judge, models, operate, runs, traces
from shared.cli import services as service_commands
from shared.cli.exporting import export
from shared.cli.start import start
from shared.errors import PioneerError

# What the fields of commands want; Pydantic would show the pattern.
_WANTED = {
    "model": "use letters, digits, '.', '_' and '-', a letter or digit first, at most 100",
    "endpoint": "give a URL without a query, such as http://host:8200/v1",
}

app = typer.Typer(
    help="Keeps small language models in production getting better and never worse.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
models.app.command()(export)
app.add_typer(models.app, name="models")
app.add_typer(runs.app, name="runs")
app.add_typer(traces.app, name="traces")
app.add_typer(judge.app, name="judge")
for command in (service_commands.run, service_commands.up, operate.improve, operate.rollback):
    app.command()(command)
app.command()(start)
for command in (operate.watch, operate.dead_letters):
    app.command()(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: our own errors are sentences, not stack traces."""
    try:
        app(arguments)
    except PioneerError as error:
        _fail(str(error))
    except ValidationError as error:
        _fail(_sentence(error))


def _fail(sentence: str) -> NoReturn:
    typer.secho(f"error: {sentence}", fg=typer.colors.RED, err=True)
    sys.exit(1)


def _sentence(error: ValidationError) -> str:
    """What a message of ours refuses, by the name and value that the command was given."""
    wrong = error.errors(include_url=False)[0]
    field = str(wrong["loc"][0]) if wrong["loc"] else error.title
    return f"{field} {wrong['input']!r}: {_WANTED.get(field, wrong['msg'])}"
