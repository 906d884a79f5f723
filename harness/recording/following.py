"""The next turn of a dialogue, asked again: what it quotes of the recorded answer becomes what was answered now.

A tool's recorded result goes with the new call of that tool. Where the new answer calls other tools than those whose
results were recorded, or none, or failed, it does not fit: the turn then stays as it was recorded, as far as that
answer goes, and says so. It is a dialogue that the provider takes, and one that can be compared.
"""

import copy
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.recording.model import Json, Request, Response
from harness.recording.pieces import Editor, edited
from harness.recording.placeholders import editor
from harness.recording.quoting import QUERY_WORD, Quote, dialogue, is_long, spots
from harness.recording.speaking import spoken_anew
from harness.recording.spoken import Call, Said, answered_calls, is_unique, said

Both = tuple[Response, Response]
"""The recorded answer and the new one."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A request as it is to be asked, and what became of the answers that it quotes, by their recordings' names.

    ``taken`` are quoted anew, ``same`` came back as they were. ``misfits`` are left as recorded, each with the reason.
    ``loose`` says which recorded results stand for calls with other arguments.
    """

    request: Request
    taken: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    misfits: Mapping[str, str] = field(default_factory=dict)
    loose: tuple[str, ...] = ()


@dataclass(slots=True)
class _Exchanged:
    """What stands for what: ids and long texts of the recorded answers, and those of the new ones.

    ``calls`` has the ids of calls by the recording that made them: short ones mean others in another turn.
    """

    ids: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    calls: dict[str, dict[str, str]] = field(default_factory=dict)


def follow(request: Request, quotes: Sequence[Quote], answers: Mapping[str, Both]) -> Followed:
    """``request`` with what it quotes of each recorded answer replaced by the new one.

    ``answers`` are by the names of their recordings; what is quoted of others stays.
    """
    items = dialogue(request.body)
    sides = {name: (said(old), said(new)) for name, (old, new) in answers.items()}
    now = _Exchanged()
    taken, same, misfits, loose = [], [], {}, []
    for name in dict.fromkeys(quote.name for quote in quotes if quote.name in sides):
        old, new = sides[name]
        choice = next((quote.choice for quote in quotes if quote.name == name and quote.start is not None), 0)
        if old == new:
            same.append(name)
            continue
        fitting = _fitting(old, new, choice, items, speaks=any(quote.name == name and quote.start is not None
                                                               for quote in quotes))  # fmt: skip
        if isinstance(fitting, str):
            misfits[name] = fitting
            continue
        taken.append(name)
        loose += [f"the result of {one} stands for {two}" for one, two in fitting if one.arguments != two.arguments]
        _note(now, old, new, fitting)
        now.calls[name] = {one.id: two.id for one, two in fitting if one.id and two.id}
    spoken = [quote for quote in quotes if quote.start is not None and quote.name in taken]
    changed = _changed(request, now, spoken, sides)
    return Followed(changed, tuple(taken), tuple(same), misfits, tuple(loose))


def _note(now: _Exchanged, old: Said, new: Said, fitting: Sequence[tuple[Call, Call]]) -> None:
    now.ids |= {id: new.ids[where] for where, id in old.ids.items() if where in new.ids}
    now.ids |= {one.id: two.id for one, two in fitting if is_unique(one.id) and two.id}
    for one, two in zip(old.spoken, new.spoken, strict=False):
        if is_long(one.text) and two.text and one.text != two.text:
            now.texts[one.text] = two.text


def _fitting(old: Said, new: Said, choice: int, items: list[Json], *, speaks: bool) -> list[tuple[Call, Call]] | str:
    """The new call for each recorded one; or why the new answer cannot stand where the recorded one did."""
    if new.failed:
        return "the new answer is an error"
    before = old.spoken[choice].calls if choice < len(old.spoken) else ()
    after = new.spoken[choice if choice < len(new.spoken) else 0].calls if new.spoken else ()
    known = {call.id for call in before}
    is_answered = any(id in known for id in answered_calls(items))
    if not is_answered:
        if speaks and after:
            return f"it calls {_list(after)}, of which there is no recorded result"
        return []
    if Counter(call.name for call in before) != Counter(call.name for call in after):
        return f"the recorded turn answers {_list(before)}, and it calls {_list(after) or 'no tool'}"
    return list(_paired(before, after))


def _list(calls: Sequence[Call]) -> str:
    return ", ".join(map(str, calls))


def _paired(before: Sequence[Call], after: Sequence[Call]) -> Iterator[tuple[Call, Call]]:
    """Calls of one tool: those with the same arguments first, then in order."""
    left = list(after)
    waiting = []
    for call in before:
        twin = next((one for one in left if (one.name, one.arguments) == (call.name, call.arguments)), None)
        if twin is None:
            waiting.append(call)
        else:
            left.remove(twin)
            yield call, twin
    for call in waiting:
        twin = next(one for one in left if one.name == call.name)
        left.remove(twin)
        yield call, twin


def _changed(
    request: Request, now: _Exchanged, spoken: Sequence[Quote], sides: Mapping[str, tuple[Said, Said]]
) -> Request:
    path = "/".join(now.ids.get(step, step) for step in request.path.split("/"))
    query = re.sub(QUERY_WORD, lambda word: now.ids.get(word[0], word[0]), request.query)
    body = _exchanged(copy.deepcopy(request.body), now, editor(now.texts) if now.texts else None)
    items, recorded = dialogue(body), dialogue(request.body)
    for quote in sorted(spoken, key=lambda one: -(one.start or 0)):
        next_turn = min((spot.start for spot in spots(recorded) if spot.start >= quote.end), default=len(recorded))
        results = _Exchanged(now.calls[quote.name])
        items[quote.end : next_turn] = [_exchanged(item, results, None) for item in items[quote.end : next_turn]]
        new = sides[quote.name][1]
        part = new.parts[quote.choice if quote.choice < len(new.parts) else 0] if new.parts else None
        items[quote.start : quote.end] = spoken_anew(recorded[quote.start : quote.end], new.kind, part)
    return replace(request, path=path, query=query, body=body)


def _exchanged(value: Json, now: _Exchanged, editor: Editor | None) -> Json:
    if isinstance(value, str):
        if value in now.ids:
            return now.ids[value]
        return edited(value, editor) if editor else value
    if isinstance(value, list):
        return [_exchanged(item, now, editor) for item in value]
    if isinstance(value, dict):
        return {name: _exchanged(item, now, editor) for name, item in value.items()}
    return value
