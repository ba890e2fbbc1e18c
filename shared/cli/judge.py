"""``pioneer judge``: how far the chat model's verdicts agree with people's."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from shared.chat.settings import ChatSettings
from shared.cli.environment import reading
from shared.parts import utc_now
from shared.settings import load_settings

if TYPE_CHECKING:
    from services.diagnoser.auditing import Judge
    from services.diagnoser.domain.audit import Audit, Estimate

app = typer.Typer(help="Inspect the chat model as a judge.", no_args_is_help=True)
console = Console()


@app.callback()
def judge() -> None:
    """Inspect the chat model as a judge."""


@app.command("audit")
def audit_command(
    model: Annotated[str, typer.Option(help="The model whose traces were judged.")],
    ask: Annotated[
        int,
        typer.Option(
            min=0, help="First have the chat model judge so many of the traces people judged."
        ),
    ] = 0,
) -> None:
    """Compare the chat model's verdicts with people's: agreement, kappa, abstentions."""
    audits = asyncio.run(_audit(model, ask))
    if not audits:
        console.print(
            f"the chat model judged none of the traces of {model} that people judged; "
            f"have it do so with: pioneer judge audit --model {model} --ask 100"
        )
        return
    console.print(_table(audits))


async def _audit(model: str, ask: int) -> "dict[Judge, Audit]":
    # Here, because other commands must not wait for it.
    from services.diagnoser.auditing import ask_again, audit_judges
    from services.diagnoser.chat import ChatAdvice
    from shared.adapters.chat_connect import connect_chat

    async with reading() as documents:
        if ask:
            chat = connect_chat(load_settings(ChatSettings), documents, utc_now)
            try:
                await ask_again(documents, ChatAdvice(chat), model, limit=ask, now=utc_now())
            finally:
                if chat:
                    await chat.aclose()
        return await audit_judges(documents, model)


def _table(audits: "dict[Judge, Audit]") -> Table:
    table = Table("judge", "traces", "agreement", "kappa", "abstained", "both pass / fail")
    table.add_column("only it passed / failed")
    table.add_column("same right answer")
    for judge, found in sorted(
        audits.items(), key=lambda item: (item[0].model, item[0].prompt_version)
    ):
        table.add_row(
            f"{judge.model}, prompt {judge.prompt_version}",
            str(found.judged + found.abstained),
            _told(found.agreement, percent=True),
            _told(found.kappa),
            f"{found.abstained} ({found.abstention:.0%})",
            f"{found.pass_pass} / {found.fail_fail}",
            f"{found.fail_pass} / {found.pass_fail}",
            f"{found.answers_same} of {found.answers_both}",
        )
    return table


def _told(estimate: "Estimate | None", *, percent: bool = False) -> str:
    if estimate is None:
        return "–"
    shape = ".0%" if percent else ".2f"
    parts = [format(value, shape) for value in (estimate.value, estimate.low, estimate.high)]
    return f"{parts[0]} ({parts[1]} to {parts[2]})"
