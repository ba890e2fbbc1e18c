"""Whether written answers are a choice among few, as their rows show it (paper §2.5)."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from shared.domain.answer_form import AnswerForm, Extractor, Scorer
from shared.domain.answer_scores import extract

# A choice is given again and again: so many rows for each answer on average, two at least.
_ROWS_EACH = 4
_LEAST = 2
# What is counted, programmed or scored by its likeness is no choice, however often it repeats.
_CHOSEN = (Extractor.WHOLE, Extractor.MARKED, Extractor.FIRST_LINE, Extractor.LETTER)
_SAME = (Scorer.EXACT, Scorer.WORDS)


def choices(answers: Sequence[str], form: AnswerForm) -> tuple[str, ...]:
    """The only answers there are, sorted; none where answers are free.

    Case and blanks make no other answer: of such the commonest form is taken.
    """
    if form.extractor not in _CHOSEN or form.scorer not in _SAME:
        return ()
    forms: dict[str, Counter[str]] = defaultdict(Counter)
    for answer in answers:
        said = extract(answer, form.extractor) or answer
        forms[" ".join(said.split()).casefold()][said] += 1
    counts = [form.total() for form in forms.values()]
    if len(forms) < _LEAST or min(counts) < _LEAST or len(answers) < _ROWS_EACH * len(forms):
        return ()
    return tuple(sorted(min(f, key=lambda said: (-f[said], said)) for f in forms.values()))
