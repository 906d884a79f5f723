"""What changed between two sets of recordings: pairs, compared by meaning, with everything that a report needs.

A pair holds what differs, not the exchanges themselves, so that a diff of many recordings stays small.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from harness.recording.canonical import Canonicalizer, endpoint_of
from harness.recording.classes import CLASSES, Class, rank
from harness.recording.dialogue import Bubble, asked, said
from harness.recording.differences import Difference, differences
from harness.recording.drift import Drift, Wire, drift
from harness.recording.figures import NOTHING, Figures, figures_of
from harness.recording.meaning import settled
from harness.recording.model import Exchange, Json
from harness.recording.pairing import How, Match, Matching, by_meaning, by_name, card, sequence
from harness.recording.places import Place, aligned_places
from harness.recording.prices import Prices
from harness.recording.vectors import is_vector
from harness.recording.words import segments, similarity

__all__ = ["Diff", "Pair", "Single", "compare", "dialogue_of", "diff", "sorted_pairs"]

_SHOWN_NUMBERS = 16
_SLOWER = 1.5
_NOTICED_SECONDS = 0.5
_DIALOGUE_TEXT = 20_000
_DIALOGUE_BUBBLES = 60


@dataclass(frozen=True, slots=True)
class Dialogue:
    """What was asked (by the newer request), and both answers."""

    asked: tuple[Bubble, ...]
    old: tuple[Bubble, ...]
    new: tuple[Bubble, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two recordings that were compared. ``name`` is that of the file in OLD, ``new_name`` of the one in NEW.

    ``differences`` stand worst first; there are none when the pair is equal. ``request`` says where the canonical
    requests differ (an answer to another question is no surprise), ``how`` by what the two were found to belong
    together. ``similarity`` of the texts is from 0 to 1, None where no text differs. ``old`` and ``new`` are the
    figures of both answers. ``dialogue`` is there where it was asked for and the answers differ. ``remark`` is what
    there is to say of the pair beside; with ``is_own`` its difference is one that the model shows against itself.
    """

    name: str
    new_name: str
    test_id: str | None
    cls: Class
    differences: tuple[Difference, ...] = ()
    endpoint: str = ""
    model: str = ""
    how: How = "key"
    request: tuple[Place, ...] = ()
    similarity: float | None = None
    old: Figures = NOTHING
    new: Figures = NOTHING
    dialogue: Dialogue | None = None
    remark: str = ""
    is_own: bool = False


@dataclass(frozen=True, slots=True)
class Single:
    """A recording without a counterpart."""

    name: str
    test_id: str | None


@dataclass(frozen=True, slots=True)
class Diff:
    """The outcome: every pair, the recordings that only NEW has (``added``), and those that only OLD has.

    ``unreadable`` are files of either side that are no recordings, each with the reason; ``passed_over`` is how many
    are recordings of exchanges with what is no HTTP API.
    """

    pairs: tuple[Pair, ...]
    added: tuple[Single, ...] = ()
    removed: tuple[Single, ...] = ()
    drift: tuple[Drift, ...] = ()
    unreadable: tuple[str, ...] = ()
    currency: str = "USD"
    passed_over: int = 0

    @property
    def summary(self) -> dict[str, int]:
        """How many pairs there are of each class, worst first."""
        counted = Counter(pair.cls for pair in self.pairs)
        return {cls: counted[cls] for cls in CLASSES}

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs at all: every pair is equal, or of the model's own variation, and none is alone."""
        return not self.added and not self.removed and all(pair.cls == "equal" or pair.is_own for pair in self.pairs)

    def reaches(self, cls: Class) -> bool:
        """Whether any pair is of this class or of a worse one, and not only of the model's own variation."""
        return any(rank(pair.cls) <= rank(cls) and not pair.is_own for pair in self.pairs)

    @property
    def totals(self) -> tuple[Figures, Figures]:
        """The sums of both sides' figures, over the pairs."""
        return (
            sum((pair.old for pair in self.pairs), start=NOTHING),
            sum((pair.new for pair in self.pairs), start=NOTHING),
        )


def diff(old: Mapping[str, Exchange], new: Mapping[str, Exchange], canonicalizer: Canonicalizer | None = None) -> Diff:
    """Pair the recordings of two sets, each by its name, and compare every pair, all in memory."""
    canonicalizer = canonicalizer or Canonicalizer()
    keyed, left, right = by_name(old, new)
    rest: Matching = by_meaning(
        [card(name, old[name].request, canonicalizer) for name in left],
        [card(name, new[name].request, canonicalizer) for name in right],
    )
    before, after = Wire(), Wire()
    pairs = []
    for match in (*keyed, *rest.matches):
        before.observe(old[match.old])
        after.observe(new[match.new])
        pairs.append(compare(match, old[match.old], new[match.new], canonicalizer))
    return Diff(
        sorted_pairs(pairs),
        added=tuple(Single(name, new[name].request.scope) for name in rest.added),
        removed=tuple(Single(name, old[name].request.scope) for name in rest.removed),
        drift=drift(before, after),
    )


def sorted_pairs(pairs: list[Pair]) -> tuple[Pair, ...]:
    """Pairs by the names of OLD."""
    return tuple(sorted(pairs, key=lambda pair: sequence(pair.name)))


def compare(
    match: Match,
    old: Exchange,
    new: Exchange,
    canonicalizer: Canonicalizer,
    *,
    prices: Prices | None = None,
) -> Pair:
    """One pair: its differences, those of its requests, its figures."""
    old, new = (replace(exchange, response=settled(exchange.response)) for exchange in (old, new))
    found = list(differences(old, new))
    texts = [segments(one.old, one.new) for one in found if isinstance(one.old, str) and isinstance(one.new, str)
             and (one.cls == "text" or one.note)]  # fmt: skip
    before, after = (
        figures_of(exchange.response, model=exchange.request.model, prices=prices) for exchange in (old, new)
    )
    found = sorted([*found, *_beside(before, after)], key=lambda one: rank(one.cls))
    return Pair(
        match.old,
        match.new,
        old.request.scope if new.request.scope is None else new.request.scope,
        found[0].cls if found else "equal",
        tuple(_small(one) for one in found),
        endpoint=endpoint_of(new.request.path),
        model=new.request.model,
        how=match.how,
        request=_asked_otherwise(old, new, canonicalizer),
        similarity=similarity([part for parts in texts for part in parts]) if texts else None,
        old=before,
        new=after,
    )


def dialogue_of(old: Exchange, new: Exchange) -> Dialogue:
    """A pair as people read it, long texts cut."""
    question, before, after = asked(new.request), said(old.response), said(new.response)
    return Dialogue(*(tuple(map(_cut, bubbles[-_DIALOGUE_BUBBLES:])) for bubbles in (question, before, after)))


def _cut(bubble: Bubble) -> Bubble:
    if len(bubble.text) <= _DIALOGUE_TEXT:
        return bubble
    return replace(bubble, text=f"{bubble.text[:_DIALOGUE_TEXT]}… ({len(bubble.text)} characters)")


def _beside(old: Figures, new: Figures) -> list[Difference]:
    """Differences of cost and time. Every call takes another time: it counts when it is half again, and felt."""
    found = []
    if old.cost is not None and new.cost is not None and old.cost != new.cost:
        found.append(Difference("cost", round(old.cost, 9), round(new.cost, 9), "usage"))
    for name, one, two in (("seconds", old.seconds, new.seconds), ("first_byte", old.first_byte, new.first_byte)):
        if one is not None and two is not None:
            short, long = sorted((one, two))
            if long >= _SLOWER * short and long - short >= _NOTICED_SECONDS:
                found.append(Difference(f"latency.{name}", round(one, 3), round(two, 3), "usage"))
    return found


def _asked_otherwise(old: Exchange, new: Exchange, canonicalizer: Canonicalizer) -> tuple[Place, ...]:
    if old.request.body == new.request.body and old.request.path == new.request.path:
        return ()
    before, after = canonicalizer.canonical(old.request), canonicalizer.canonical(new.request)
    found = aligned_places(before["body"], after["body"])
    if before["endpoint"] != after["endpoint"]:
        found.insert(0, Place("endpoint", before["endpoint"], after["endpoint"]))
    return tuple(found)


def _small(found: Difference) -> Difference:
    """A difference without the thousand numbers of a vector, and without the bytes of a picture or a sound."""
    old, new = _few(found.old), _few(found.new)
    return found if old is found.old and new is found.new else replace(found, old=old, new=new)


def _few(value: Json) -> Json:
    if is_vector(value) and len(value) > _SHOWN_NUMBERS:
        return [*value[:4], f"… {len(value)} numbers"]
    if isinstance(value, dict | list) and len(text := json.dumps(value)) > 200_000:
        return f"{text[:1000]}… ({len(text)} characters of JSON)"
    return value
