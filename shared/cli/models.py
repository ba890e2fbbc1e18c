"""``pioneer models``: register a model, list models, show one with its history."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from shared.adapters.artifacts import FsspecArtifacts
from shared.adapters.checkpoint_import import import_checkpoint
from shared.adapters.kafka import publishing
from shared.cli.environment import client_settings, reading
from shared.domain.artifacts import ArtifactRef
from shared.domain.bio import from_tokens
from shared.domain.entities import write_answer
from shared.domain.ids import derive_id
from shared.domain.rows import EvalPart, EvalRow, Row, dump_rows
from shared.domain.tasks import Head, Task
from shared.errors import BadInput, UnknownThing
from shared.events import ModelRegistered
from shared.tasks import behaviour

app = typer.Typer(help="Register and inspect models.", no_args_is_help=True)
console = Console()


@app.command()
def register(
    name: Annotated[str, typer.Argument(help="Name that traces will carry as their model.")],
    adapter: Annotated[Path, typer.Option(help="Folder of the deployed checkpoint (see docs).")],
    *,
    base_model: Annotated[
        str | None,
        typer.Option(help="Hugging Face id or folder new versions are trained from."),
    ] = None,
    training_set: Annotated[
        Path | None,
        typer.Option(
            help="JSONL it was trained on, for replay: text and label, tokens and tags, "
            "or prompt and answer."
        ),
    ] = None,
    evaluation_set: Annotated[
        Path | None, typer.Option(help="JSONL that no later version may break, of the same form.")
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(help="URL the model answers at, such as http://host:8200/v1, for probes."),
    ] = None,
) -> None:
    """Register a model in production that classifies or writes: PEFT or Hugging Face layout."""
    artifacts = FsspecArtifacts(client_settings().artifacts_uri)
    imported = import_checkpoint(artifacts, adapter, name=name, base_model=base_model)
    training = stored_rows(artifacts, training_set, imported.task)
    evaluation = _stored_evaluation(artifacts, evaluation_set, imported.task)
    try:
        event = ModelRegistered(
            id="to be derived",
            model=name,
            task=imported.task,
            base_model=imported.base_model,
            adapter=imported.ref,
            training_set=training,
            evaluation_set=evaluation,
            endpoint=endpoint,
        )
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        raise BadInput(f"{wrong['loc'][0]} {wrong['input']!r}: {wrong['msg']}") from None
    cause = derive_id("registered", event.model_dump_json())
    asyncio.run(_publish(event.model_copy(update={"id": cause})))
    console.print(f"asked to register {name}: {len(imported.task.labels)} labels, {imported.ref}")
    console.print(f"see: pioneer models show {name}; if it was refused: pioneer dead-letters")


@app.command("list")
def list_models() -> None:
    """All models, what is in production and since when."""
    table = Table("model", "version", "held-out score", "since", "reason")
    for document in asyncio.run(_find("models")):
        record = document["state"]
        latest = record["deployments"][-1]
        version = next(v for v in record["versions"] if v["number"] == latest["version"])
        score = version["heldout_score"]
        table.add_row(
            record["name"],
            str(latest["version"]),
            "–" if score is None else f"{score:.3f}",
            latest["at"],
            latest["reason"],
        )
    console.print(table)


@app.command()
def show(name: Annotated[str, typer.Argument(help="The model's name.")]) -> None:
    """One model: its versions, and what was deployed when and why."""
    document = asyncio.run(_get("models", name))
    record = document["state"]
    console.print(f"[bold]{name}[/bold]: {len(record['task']['labels'])} labels")
    versions = Table("version", "base model", "held-out score", "run", "adapter", title="versions")
    for version in record["versions"]:
        score = version["heldout_score"]
        versions.add_row(
            str(version["number"]),
            version["base_model"],
            "–" if score is None else f"{score:.3f}",
            version["run_id"] or "–",
            version["adapter"]["sha256"][:12],
        )
    history = Table("#", "version", "at", "kind", "reason", title="deployments")
    for deployment in record["deployments"]:
        history.add_row(
            *(str(deployment[k]) for k in ("number", "version", "at", "kind", "reason"))
        )
    console.print(versions, history)


def _rows(file: Path, task: Task) -> list[Row]:
    rows: list[Row] = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        place = f"{file}:{number}"
        try:
            row = json.loads(line)
            text, answer = _read(row, task, place)
        except (json.JSONDecodeError, KeyError, TypeError):
            raise BadInput(f"{place}: want {_FORMS[behaviour(task).head]} on each line") from None
        if objection := behaviour(task).objection(answer, task, text):
            raise BadInput(f"{place}: {objection} of the model")
        rationale = str(row.get("rationale") or "")
        rows.append(Row(derive_id("row", text, answer), text, answer, rationale))
    return rows


_FORMS = {
    Head.TEXT: '{"text": …, "label": …}',
    Head.WORDS: '{"tokens": […], "tags": […]}',
    Head.NEXT: '{"prompt": …, "answer": …}',
}


def _read(row: dict[str, Any], task: Task, place: str) -> tuple[str, str]:
    """(text, answer) of a row as its file writes it. Raises BadInput for tags that are not BIO."""
    if behaviour(task).head is Head.TEXT:
        return str(row["text"]), str(row["label"])
    if behaviour(task).head is Head.NEXT:
        return str(row["prompt"]), str(row["answer"])
    text, entities = from_tokens([*map(str, row["tokens"])], [*map(str, row["tags"])], row=place)
    return text, write_answer(entities, text)


def stored_rows(artifacts: FsspecArtifacts, file: Path | None, task: Task) -> ArtifactRef | None:
    """The rows of a file as a training set. Raises BadInput naming the line that does not fit."""
    if file is None:
        return None
    return artifacts.put(dump_rows(_rows(file, task)), name="training.jsonl")


def _stored_evaluation(
    artifacts: FsspecArtifacts, file: Path | None, task: Task
) -> ArtifactRef | None:
    if file is None:
        return None
    rows = [
        EvalRow(r.id, r.text, r.target, EvalPart.REGRESSION, right_before=True)
        for r in _rows(file, task)
    ]
    return artifacts.put(dump_rows(rows), name="evaluation.jsonl")


async def _publish(event: ModelRegistered) -> None:
    async with publishing(client_settings(), source="cli") as publisher:
        await publisher.publish(event)


async def _find(collection: str) -> list[dict[str, Any]]:
    async with reading() as documents:
        return await documents.find(collection, {})


async def _get(collection: str, key: str) -> dict[str, Any]:
    async with reading() as documents:
        document = await documents.get(collection, key)
    if document is None:
        raise UnknownThing(f"{collection} has no {key!r}: see pioneer {collection} list")
    return document
