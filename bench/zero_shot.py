"""What a base model answers before it was trained on anything: from names and the sentence alone.

A classifier takes the label whose name is nearest in the base model's embeddings. What writes is
told the answers in its prompt. What names entities has a head that is all new: it names none.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from bench.coldstart_data import Case
from shared.domain.answer_form import AnswerForm
from shared.domain.entities import write_answer
from shared.domain.tasks import TaskKind


def zero_shot(case: Case, base_model: str) -> list[str]:
    """An answer to each text of the case's test, in order."""
    texts = [example.text for example in case.test]
    if case.task.kind is TaskKind.NER:
        return [write_answer((), text) for text in texts]
    if case.task.kind is TaskKind.GENERATION:
        return _written(case, base_model, texts)
    return _nearest(case.task.labels, base_model, texts)


def words_of_name(label: str) -> str:
    """``AddToPlaylist`` and ``add_to_playlist`` as people write them."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", label)
    return " ".join(re.split(r"[\s_\-]+", apart)).strip().lower()


def _nearest(labels: Sequence[str], base_model: str, texts: Sequence[str]) -> list[str]:
    # Loads torch, which takes seconds.
    from shared.jobs.embed import load_base, read_texts

    base = load_base(base_model)
    names, _ = read_texts([words_of_name(label) for label in labels], base=base, deployed=None)
    found, _ = read_texts(texts, base=base, deployed=None)
    nearest: list[int] = (found @ names.T).argmax(-1).tolist()
    return [labels[at] for at in nearest]


def _written(case: Case, base_model: str, texts: Sequence[str]) -> list[str]:
    from shared.jobs.base_models import base_folder
    from shared.jobs.chats import open_chat
    from shared.jobs.classifiers import load_tokenizer
    from shared.jobs.devices import device
    from shared.jobs.models import new_model
    from shared.jobs.writing import written

    folder, form = base_folder(base_model), case.task.form or AnswerForm()
    told = f"{case.scenario.description}. Answer with one of: {', '.join(case.task.labels)}."
    form = replace(form, system_prompt=told, max_tokens=form.max_tokens + 128)
    model = new_model(folder, case.task).to(device()).eval()
    chat = open_chat(load_tokenizer(folder), form, system_prompt=told, max_tokens=form.max_tokens)
    return [answer for answer, _ in written(model, chat, texts)]
