"""``pioneer …``: run the services, register models, ask for improvements, watch what happens."""

import sys
from collections.abc import Sequence

import typer

from shared.cli import judge, models, operate, runs, traces
from shared.cli import services as service_commands
from shared.cli.start import start
from shared.errors import PioneerError

app = typer.Typer(
    help="Keeps small language models in production getting better and never worse.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
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
        typer.secho(f"error: {error}", fg=typer.colors.RED, err=True)
        sys.exit(1)
