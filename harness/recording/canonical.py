"""The canonical request, and its fingerprint: what two requests share when they mean the same.

A list of rules, each a pure function from body to body, applied in order. What may change the answer is left alone:
numbers are not rounded, text is not trimmed, a default is not guessed.
"""

import copy
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from harness.recording.built_in_rules import BUILT_IN, EITHER_WAY, EXTRA_BODY, QUOTED_IDS, UNREAD
from harness.recording.model import Json, Request
from harness.recording.rules import Body, Rule

CHUNKED = ("/v1/chat/completions", "/v1/completions")
"""Where a stream can answer a whole request and the reverse."""
JSON_ENDPOINTS = (*CHUNKED, "/v1/embeddings", "/v1/messages", "/v1/models")
"""What answers in JSON, whatever a server calls it."""
_DEPLOYMENT = re.compile(r"^.*/openai/deployments/[^/]+/")
_STATEFUL = ("/v1/conversations", "/v1/vector_stores", "/v1/batches", "/v1/files", "/v1/fine_tuning", "/v1/evals")
"""Where what no model reads (``metadata``) is kept and given back."""


@lru_cache(1024)
def endpoint_of(path: str) -> str:
    """The path below the last ``/v1``: ``/openai/v1/v1/models`` and ``/v1/models`` are both ``/v1/models``.

    What Azure has below a deployment (``/openai/deployments/gpt-4o/chat/completions``) is there as well.
    """
    _, found, rest = _DEPLOYMENT.sub("/v1/", path).rpartition("/v1/")
    return f"/v1/{rest}" if found else path


@dataclass(frozen=True, slots=True)
class Step:
    """What one rule changed: the body before it and after it."""

    rule: str
    before: Json
    after: Json


@dataclass(frozen=True)
class Canonicalizer:
    """Makes requests canonical by the built-in rules and then the user's.

    ``upstreams`` are the names that may stand before a model's name (``openai/gpt-4o``); ``rules`` come from
    ``[tool.harness.match]``. Record and replay share one instance.
    """

    upstreams: Sequence[str] = ("openai",)
    rules: Sequence[Rule] = ()

    def canonical(self, request: Request) -> dict[str, Json]:
        """``{"method", "endpoint", "body"}`` of a request, free of what no model reads. The scope is not part of it.

        Where the URL has a query, there is a ``query`` as well.
        """
        body = copy.deepcopy(request.body)
        if isinstance(body, dict):
            for rule in self._rules_for(request):
                body = rule.apply(body)
        query = {"query": request.query} if request.query else {}
        return {"method": request.method, "endpoint": endpoint_of(request.path), "body": body, **query}

    def fingerprint(self, request: Request) -> str:
        """SHA-256 of the canonical request, 64 hex digits."""
        return fingerprint_of(self.canonical(request))

    def steps(self, request: Request) -> list[Step]:
        """The rules that change the body of ``request``, in order, each with the body before and after it."""
        body, steps = request.body, []
        if isinstance(body, dict):
            for rule in self._rules_for(request):
                after = rule.apply(copy.deepcopy(body))
                # Python alone takes 1.0 for 1.
                if json.dumps(after, sort_keys=True) != json.dumps(body, sort_keys=True):
                    steps.append(Step(rule.name, body, after))
                body = after
        return steps

    def placeholders(self, recorded: Request, present: Request) -> dict[str, str]:
        """What stands in ``present`` where ``recorded`` has something else behind the same placeholder.

        Both must share their fingerprint. Where one text of the recorded request stands for several of the present one,
        the first counts. Empty when no rule of placeholders found anything, or the same.
        """
        mapping: dict[str, str] = {}
        for old, new in zip(self._found(recorded), self._found(present), strict=False):
            # A count that differs cannot be told apart by position: such a rule puts nothing back.
            for was, now in zip(old, new, strict=True) if len(old) == len(new) else ():
                mapping.setdefault(was, now)
        return {was: now for was, now in mapping.items() if was != now}

    def _found(self, request: Request) -> list[list[str]]:
        """What each rule of placeholders finds in a request, in the order of the rules."""
        body, found = copy.deepcopy(request.body), []
        for rule in self._rules_for(request) if isinstance(body, dict) else ():
            if rule.found is not None:
                found.append(rule.found(body))
            body = rule.apply(body)
        return found

    def _rules_for(self, request: Request) -> Iterator[Rule]:
        endpoint = endpoint_of(request.path)
        yield EXTRA_BODY
        if not endpoint.startswith(_STATEFUL):
            yield UNREAD
        yield from BUILT_IN
        if endpoint in CHUNKED:
            yield EITHER_WAY
            yield QUOTED_IDS
        yield Rule("a model's name without its upstream", self._bare_model)
        yield from (rule for rule in self.rules if rule.holds_for(endpoint))

    def _bare_model(self, body: Body) -> Body:
        model = body.get("model")
        if isinstance(model, str):
            body["model"] = bare_model(model, self.upstreams)
        return body


def fingerprint_of(canonical: Json) -> str:
    """The fingerprint of a request that is canonical already."""
    return hashlib.sha256(json.dumps(canonical, sort_keys=True).encode()).hexdigest()


def bare_model(model: str, upstreams: Iterable[str]) -> str:
    """A model's name without the prefix that names a configured upstream (``openai/gpt-4o`` is ``gpt-4o``)."""
    prefix, slash, rest = model.partition("/")
    return rest if slash and rest and prefix in upstreams else model
