"""A small causal model learns to write: chats, training, saving, answering in batches."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the compute extra is not installed")
transformers = pytest.importorskip("transformers", reason="the compute extra is not installed")
peft = pytest.importorskip("peft", reason="the compute extra is not installed")

from shared.adapters.artifacts import FsspecArtifacts  # noqa: E402
from shared.adapters.checkpoint_export import for_servers, write_checkpoint  # noqa: E402
from shared.domain.answer_form import AnswerForm, Extractor, Scorer  # noqa: E402
from shared.domain.artifacts import ArtifactRef  # noqa: E402
from shared.domain.pipeline import (  # noqa: E402
    Hyperparameters,
    Method,
    Recipe,
    Strategy,
    Supervision,
)
from shared.domain.rows import Row as DomainRow  # noqa: E402
from shared.domain.rows import dump_rows  # noqa: E402
from shared.domain.tasks import Task, TaskKind  # noqa: E402
from shared.domain.tested_answers import with_tests  # noqa: E402
from shared.errors import BadInput  # noqa: E402
from shared.job_specs import (  # noqa: E402
    CandidateSpec,
    EmbedSpec,
    EvaluateSpec,
    FailedCandidate,
    MergeSpec,
    ModelSpec,
    TrainedCandidate,
    TrainSpec,
)
from shared.jobs.chats import Chat, open_chat  # noqa: E402
from shared.jobs.checkpoints import describe, load, save  # noqa: E402
from shared.jobs.classifiers import load_tokenizer  # noqa: E402
from shared.jobs.embed import run_embed  # noqa: E402
from shared.jobs.evaluate import run_evaluate  # noqa: E402
from shared.jobs.fit import fit  # noqa: E402
from shared.jobs.lessons import prepare  # noqa: E402
from shared.jobs.merging import run_merge  # noqa: E402
from shared.jobs.models import new_model  # noqa: E402
from shared.jobs.predict import Predictor  # noqa: E402
from shared.jobs.rows import Row  # noqa: E402
from shared.jobs.train import train_together  # noqa: E402
from shared.jobs.writing import AnswerLesson, written  # noqa: E402

FORM = AnswerForm(chat_template="plain", system_prompt="be short", answer_tokens=6, max_tokens=32)
TASK = Task(TaskKind.GENERATION, (), FORM)
SEEN = {"red": "stop now", "green": "go", "amber": "wait a bit", "blue": "go on"}
FORMS = ("the light is {}", "now it is {}", "{} it is")
ROWS = [Row(f.format(c), f.format(c), say) for f in FORMS for c, say in SEEN.items()]
WORDS = "be short Input Output : Answer ; red green amber blue stop now go wait a bit on the light"
VOCABULARY: list[str] = f"{WORDS} is it so".split()
OWN = (
    "{% for m in messages %}{{ 'so' if m['role'] == 'assistant' else m['role'] }} "
    "{{ m['content'] }} <turn>{% endfor %}{% if add_generation_prompt %}so{% endif %}"
)


def tokenizer_of(words: list[str]) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers

    special = ["<pad>", "<eos>", "<unk>", "<turn>"]
    known = {word: at for at, word in enumerate(dict.fromkeys([*special, *words, "user"]))}
    made = Tokenizer(models.WordLevel(known, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="<pad>",
        eos_token="<eos>",
        unk_token="<unk>",
        additional_special_tokens=["<turn>"],
    )


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    tokenizer = tokenizer_of(VOCABULARY)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(1)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        tie_word_embeddings=False,
        initializer_range=0.1,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=0,
    )
    model = transformers.LlamaForCausalLM(config)
    with torch.no_grad():
        # LoRA leaves the head as it is: it must be able to be sure.
        model.lm_head.weight.mul_(5)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FsspecArtifacts:
    return FsspecArtifacts(tmp_path_factory.mktemp("store").as_uri())


def recipe(base: Path, method: Method = Method.FULL, **strategy: Any) -> Recipe:
    lora = method is Method.LORA
    h = Hyperparameters(
        str(base),
        1e-2 if lora else 5e-3,
        epochs=40 if lora else 30,
        batch_size=4,
        max_tokens=32,
        system_prompt="be short",
    )
    return Recipe(h, Strategy(method, **strategy))


def train(
    store: FsspecArtifacts, how: Recipe, task: Task = TASK, rows: list[Row] = ROWS
) -> ArtifactRef:
    fitted = fit(rows, task, how, report=lambda *_: None, due=lambda: False)
    adapter = describe(task, how, store.put(b"rows", name="rows.jsonl"))
    return save(store, adapter, fitted.model, fitted.tokenizer, name="candidate")


@pytest.fixture(scope="module")
def trained(base: Path, store: FsspecArtifacts) -> ArtifactRef:
    return train(store, recipe(base))


def chat_of(base: Path, **form: Any) -> Chat:
    made = replace(FORM, **form)
    return open_chat(
        load_tokenizer(base), made, system_prompt=made.system_prompt, max_tokens=made.max_tokens
    )


def lesson_of(base: Path, rows: list[Row], how: Recipe | None = None) -> AnswerLesson:
    found = prepare(
        rows, TASK, how or recipe(base), load_tokenizer(base), soft=None, on=torch.device("cpu")
    )
    assert isinstance(found, AnswerLesson)
    return found


def answers(found: Predictor, rows: list[Row] = ROWS) -> list[str]:
    return [one.output for one in found.predict([row.text for row in rows])]


@pytest.mark.parametrize("method", list(Method))
def test_trained_saved_loaded(base: Path, store: FsspecArtifacts, method: Method) -> None:
    predictor = Predictor.load(store, train(store, recipe(base, method)))
    assert answers(predictor) == [row.target for row in ROWS]
    assert all(0 < one.confidence <= 1 for one in predictor.predict([ROWS[0].text]))
    assert predictor.predict([]) == []


def test_an_adapter_writes_the_same_when_it_is_merged(base: Path, store: FsspecArtifacts) -> None:
    separate = train(store, recipe(base, Method.LORA))
    whole = run_merge(MergeSpec(adapter=separate), store).model
    assert not any("adapter_model" in name for name in store.get_folder(whole))
    assert "adapter_model.safetensors" in store.get_folder(separate)
    assert answers(Predictor.load(store, whole)) == answers(Predictor.load(store, separate))


def test_what_is_exported_writes_the_same_without_us(
    base: Path, store: FsspecArtifacts, tmp_path: Path
) -> None:
    separate = train(store, recipe(base, Method.LORA))
    whole = run_merge(MergeSpec(adapter=separate), store).model
    for ref, name in ((separate, "adapter"), (whole, "whole")):
        write_checkpoint(for_servers(store.get_folder(ref)), tmp_path / name)
    alone = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "whole")
    adapted = peft.AutoPeftModelForCausalLM.from_pretrained(tmp_path / "adapter")
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(tmp_path / "whole")
    said = {"role": "system", "content": "be short"}
    for row in ROWS:
        asked = tokenizer.apply_chat_template(
            [said, {"role": "user", "content": row.text}],
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        )
        # It stops by what lies beside the weights: a longer answer would be another.
        for model, ends in ((alone, {}), (adapted, {"eos_token_id": 1, "pad_token_id": 0})):
            ids = model.generate(**asked, max_new_tokens=8, do_sample=False, **ends)
            answer = ids[0, asked["input_ids"].shape[1] :]
            assert tokenizer.decode(answer, skip_special_tokens=True) == row.target


def test_equal_input_gives_equal_weights(base: Path, store: FsspecArtifacts) -> None:
    assert train(store, recipe(base)) == train(store, recipe(base))


def test_what_is_asked_in_training_is_asked_in_serving(base: Path) -> None:
    lesson, chat = lesson_of(base, ROWS), chat_of(base)
    for row, ids, answer in zip(ROWS, lesson.ids, lesson.answers, strict=True):
        assert ids == [*chat.prompt(row.text), *answer]
        assert chat.read(answer) == row.target
    said = chat.tokenizer.decode(chat.prompt("it is red"))
    assert said == "be short Input : it is red Output :"


def test_the_vocabulary_is_multiplied_once_for_all_rows(base: Path) -> None:
    lesson, model = lesson_of(base, ROWS), new_model(base, TASK).eval()
    seen: list[bool] = []
    head = model.get_output_embeddings()
    head.register_forward_hook(lambda _, given, __: seen.append(given[0].is_contiguous()))
    with torch.no_grad():
        inputs = lesson.inputs([0, 1, 2], on=model.device)
        model(**inputs)
        model(**{**inputs, "logits_to_keep": 1})
    # What is not in one piece is multiplied row by row.
    assert seen == [True, True]


def test_the_loss_is_that_of_the_answers_alone(base: Path) -> None:
    lesson, model = lesson_of(base, ROWS), new_model(base, TASK).eval()
    part = [0, 1, 2]
    with torch.no_grad():
        kept = model(**lesson.inputs(part, on=model.device)).logits
        ours = lesson.loss(kept, part)
        alone = 0.0
        for at in part:
            ids = torch.tensor([lesson.ids[at]])
            labels = ids.clone()
            labels[:, : -len(lesson.answers[at])] = -100
            alone += model(input_ids=ids, labels=labels).loss * len(lesson.answers[at])
    # No logits beside those that tell a token of the longest answer.
    assert kept.shape[1] == max(len(lesson.answers[at]) for at in part)
    assert ours.item() * lesson.usual == pytest.approx(float(alone), rel=1e-4)


def test_a_row_says_the_same_alone_and_padded_in_a_batch(
    store: FsspecArtifacts, trained: ArtifactRef, base: Path
) -> None:
    model = load(store, trained).model
    chat = chat_of(base)
    texts = ["red it is", "now it is so so so so so so green", "amber", ""]
    together = written(model, chat, texts)
    for text, (said, sure) in zip(texts, together, strict=True):
        [(alone, sure_alone)] = written(model, chat, [text])
        assert (said, sure) == (alone, pytest.approx(sure_alone, rel=1e-3))


def test_an_answer_ends_at_its_end_and_at_its_longest(base: Path) -> None:
    chat = chat_of(base, answer_tokens=3)
    words = chat.tokenizer("go on now go", add_special_tokens=False)["input_ids"]
    assert chat.read([*words[:2], chat.end, *words[2:]]) == "go on"
    assert chat.answer("go on now")[-1] == chat.end
    with pytest.raises(BadInput, match="its answer has 4 tokens, but answer_tokens=3"):
        chat.answer("go on now go")
    model = new_model(base, TASK)
    [(said, _)] = written(model, chat, ["red"])
    assert len(chat.tokenizer(said, add_special_tokens=False)["input_ids"]) <= 4


def test_a_long_text_is_cut_and_the_prompt_around_it_is_not(base: Path) -> None:
    chat = chat_of(base)
    ids = chat.prompt("red " * 100)
    assert len(ids) == FORM.max_tokens - FORM.answer_tokens
    assert chat.tokenizer.decode(ids).startswith("be short Input : red red")
    assert chat.tokenizer.decode(ids).endswith("red Output :")
    with pytest.raises(BadInput, match="raise max_tokens or shorten the prompt"):
        chat_of(base, system_prompt="go " * 40).prompt("red")


def test_a_model_s_own_template_ends_answers_with_its_own_token(base: Path) -> None:
    tokenizer: Any = load_tokenizer(base)
    own = replace(FORM, chat_template="own")
    with pytest.raises(BadInput, match="brings no chat template: declare one"):
        open_chat(tokenizer, own, system_prompt="", max_tokens=32)
    tokenizer.chat_template = OWN
    chat = open_chat(tokenizer, own, system_prompt="", max_tokens=32)
    turn = tokenizer.convert_tokens_to_ids("<turn>")
    assert chat.end == turn
    assert chat.ends == (tokenizer.eos_token_id, turn)
    assert tokenizer.decode(chat.prompt("red")) == "user red <turn> so"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ raise_exception('no system role') }}", "cannot be filled: no system role"),
        ("{{ messages[0]['content'] }}", "does not write an answer"),
    ],
)
def test_a_template_that_does_not_fit_is_told(base: Path, template: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        chat_of(base, chat_template=template)


def test_reasoning_stands_before_the_mark(base: Path, store: FsspecArtifacts) -> None:
    form = replace(FORM, extractor=Extractor.MARKED, chat_template=MARKED, answer_tokens=12)
    task = Task(TaskKind.GENERATION, (), form)
    reasoned = [replace(row, rationale=f"it is {row.text.split()[-1]}") for row in ROWS[:4]]
    how = recipe(base, supervision=Supervision.CHAIN_OF_THOUGHT)
    lesson = prepare(reasoned, task, how, load_tokenizer(base), soft=None, on=torch.device("cpu"))
    assert isinstance(lesson, AnswerLesson)
    chat = open_chat(load_tokenizer(base), form, system_prompt="be short", max_tokens=32)
    assert chat.read(lesson.answers[0]) == "it is red Answer : stop now"
    bare = prepare(ROWS[:1], task, how, load_tokenizer(base), soft=None, on=torch.device("cpu"))
    assert isinstance(bare, AnswerLesson)
    assert chat.read(bare.answers[0]) == "Answer : stop now"


def test_code_is_taught_without_its_tests(base: Path) -> None:
    form = replace(FORM, scorer=Scorer.PASSES, extractor=Extractor.CODE)
    task = Task(TaskKind.GENERATION, (), form)
    tested = [replace(row, target=with_tests(str(row.target), "wait a bit")) for row in ROWS[:4]]
    lesson = prepare(
        tested, task, recipe(base), load_tokenizer(base), soft=None, on=torch.device("cpu")
    )
    assert isinstance(lesson, AnswerLesson)
    assert lesson.answers == lesson_of(base, ROWS[:4]).answers


MARKED = "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} <eos>{% endfor %}"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ({"target": " "}, "holds no answer"),
        ({"target": "go " * 9}, "has 9 words, more than a model may write"),
        ({"target": "go; go; go; go; go"}, "its answer has 9 tokens"),
    ],
)
def test_a_row_that_cannot_be_learned_is_named(
    base: Path, spoil: dict[str, str], said: str
) -> None:
    ninth = replace(ROWS[0], id="the ninth", text="red " * 20, **spoil)
    begins = f"({ninth.text[:60]!r}…): "
    with pytest.raises(BadInput) as refused:
        lesson_of(base, [*ROWS[:3], ninth])
    assert str(refused.value).startswith(f"row 'the ninth' {begins}")
    assert said in str(refused.value)
    with pytest.raises(BadInput) as refused:
        lesson_of(base, [*ROWS[:3], replace(ninth, place="train.jsonl:9")])
    assert str(refused.value).startswith(f"row 'the ninth' of train.jsonl:9 {begins}")


def test_a_model_that_writes_has_no_soft_targets(base: Path) -> None:
    with pytest.raises(BadInput, match="train it without congruence"):
        lesson_of(base, ROWS, recipe(base, congruence=1.0))


def test_a_request_that_is_cut_is_told(base: Path) -> None:
    assert lesson_of(base, ROWS).warning == ""
    lesson = lesson_of(base, [*ROWS, Row("the long one", "red " * 40, "stop")])
    assert "1 of 13 texts are longer than the 26 tokens that are read" in lesson.warning
    assert f"row 'the long one' ({('red ' * 15)!r}…) has 46" in lesson.warning
    assert len(lesson.ids[-1]) == FORM.max_tokens - FORM.answer_tokens + 2


def test_requests_are_cut_at_what_the_model_has_positions_for(
    base: Path, store: FsspecArtifacts
) -> None:
    task = replace(TASK, form=replace(FORM, max_tokens=500))
    wide = recipe(base)
    wide = replace(wide, hyperparameters=replace(wide.hyperparameters, max_tokens=500, epochs=1))
    rows = [*ROWS, Row("long", "red " * 400, "stop now")]
    fitted = fit(rows, task, wide, report=lambda *_: None, due=lambda: False)
    # The model has 64 positions: the last is for the answer's end.
    assert "longer than the 57 tokens that are read" in fitted.warning
    adapter = describe(task, wide, store.put(b"rows", name="rows.jsonl"))
    ref = save(store, adapter, fitted.model, fitted.tokenizer, name="wide")
    assert load(store, ref).max_tokens == 63
    assert Predictor.load(store, ref).predict(["red " * 400]) == Predictor.load(store, ref).predict(
        ["red " * 300]
    )


def test_weights_that_are_not_there_do_not_write_at_random(
    base: Path, store: FsspecArtifacts, tmp_path: Path
) -> None:
    load_tokenizer(base).save_pretrained(tmp_path)
    transformers.LlamaModel.from_pretrained(base).save_pretrained(tmp_path)
    with pytest.raises(BadInput, match=r"1 of its weights, such as lm_head.weight, are not there"):
        new_model(tmp_path, TASK)
    headless = transformers.LlamaModel.from_pretrained(base)
    adapter = describe(TASK, recipe(base), store.put(b"rows", name="rows.jsonl"))
    ref = save(store, adapter, headless, load_tokenizer(base), name="headless")
    with pytest.raises(BadInput, match=r"have a row for each of .* a model that writes has 2"):
        load(store, ref)
    (tmp_path / "model.safetensors").write_bytes(b"version https://git-lfs")
    with pytest.raises(BadInput, match="its weights cannot be read"):
        new_model(tmp_path, TASK)
    (tmp_path / "config.json").write_text('{"model_type": "martian"}')
    with pytest.raises(BadInput, match=r"its config\.json cannot be used"):
        new_model(tmp_path, TASK)


def test_a_head_tied_to_the_word_vectors_is_whole(base: Path, tmp_path: Path) -> None:
    config = transformers.AutoConfig.from_pretrained(base)
    config.tie_word_embeddings = True
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path)
    assert new_model(tmp_path, TASK).get_output_embeddings() is not None


def test_a_base_without_a_head_that_writes_is_refused(tmp_path: Path) -> None:
    config = transformers.BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    transformers.BertModel(config).save_pretrained(tmp_path)
    with pytest.raises(BadInput, match="'bert' has no head that writes: choose a causal"):
        new_model(tmp_path, TASK)


def test_jobs_train_evaluate_and_embed_a_model_that_writes(
    base: Path, store: FsspecArtifacts
) -> None:
    rows = store.put(dump_rows(DomainRow(r.id, r.text, str(r.target)) for r in ROWS), name="rows")
    kept = CandidateSpec(id="lora", recipe=recipe(base, Method.LORA))
    held = CandidateSpec(id="held", recipe=recipe(base, congruence=1.0))
    spec = TrainSpec(task=TASK, training_set=rows, candidates=(kept,))
    [done] = train_together(spec, [kept], "job", store.uri, threads=1)
    assert isinstance(done, TrainedCandidate), done
    [failed] = train_together(spec, [held], "job", store.uri, threads=1)
    assert isinstance(failed, FailedCandidate)
    model = ModelSpec(id="m", adapter=done.adapter)
    said = run_evaluate(EvaluateSpec(models=(model,), sets=(rows,)), store)
    assert said.broken == {}
    assert store.get(said.predictions).count(b'"output": "stop now"') == len(FORMS)
    embedded = run_embed(EmbedSpec(adapter=done.adapter, texts=rows), store)
    assert embedded.probabilities is None
