"""Who is asked: the upstream that is configured, or one that a path or a model names; its URL, and its key."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode, urlsplit

from harness.backends.protocol import Call
from harness.recording.bodies import is_multipart
from harness.recording.canonical import endpoint_of
from harness.recording.model import JSON_TYPE

KEY_WANTED = "Set OPENAI_API_KEY, or the upstream's key_env, to a key that it takes."
"""What to do about an upstream's 401."""

_PLACEHOLDER_KEYS = ("", "none", "null", "dummy", "harness")
_CREDENTIALS = ("authorization", "x-api-key", "api-key")
_MODEL = "{model}"
_SIGNED_ON = re.compile("eyJ|sk-ant-oat")
"""Tokens of a sign-on (Entra ID's, Anthropic's OAuth): read from ``authorization``, whatever header keys have."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One upstream.

    ``base_url`` is what clients would be given, the ``/v1`` included where it has one; ``{model}`` in it stands for the
    model that is asked. ``auth`` is the header that carries the key (``bearer`` for ``authorization``, ``none`` for no
    key at all); None passes on what a client sends, and adds ``api_key`` where that is no key. ``query`` and
    ``headers`` go with every request that has none of that name.
    """

    base_url: str
    api_key: str | None = field(default=None, repr=False)
    auth: str | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Route:
    """Where one call goes: to whom, on which path of theirs, for which model of theirs.

    ``own_key_first`` says whose key counts where both are there: the client's own, or the provider's, where the client
    may not know that it talks to another.
    """

    provider: Provider
    call: Call
    path: str
    model: str
    own_key_first: bool = True

    @property
    def url(self) -> str:
        """The whole URL. The path and the query stand as the client wrote them: what is percent-encoded stays so."""
        base, endpoint = self.provider.base_url, endpoint_of(self.path)
        if endpoint.startswith("/v1/") and "/openai/deployments/" not in self.path:
            # A base URL without a path is one that the /v1 was forgotten of.
            url = (base if urlsplit(base).path else f"{base}/v1") + endpoint.removeprefix("/v1")
        else:
            url = _joined(base.partition("/openai/deployments/")[0].removesuffix("/v1"), self.path)
        query = "&".join(filter(None, [self.call.query, self._more_query()]))
        return url.replace(_MODEL, self.model) + (f"?{query}" if query else "")

    def _more_query(self) -> str:
        given = {pair.partition("=")[0] for pair in self.call.query.split("&")}
        return urlencode({name: value for name, value in self.provider.query.items() if name not in given})

    @property
    def body(self) -> bytes:
        """The body, with the model's name as the provider knows it."""
        asked, raw = self.call.request.model, self.call.raw
        if asked == self.model:
            return raw
        if is_multipart(self.call.content_type or ""):
            return raw.replace(f"\r\n\r\n{asked}\r\n".encode(), f"\r\n\r\n{self.model}\r\n".encode(), 1)
        return json.dumps({**self.call.request.body, "model": self.model}).encode()

    @property
    def headers(self) -> dict[str, str]:
        sent = {"content-type": self.call.content_type or JSON_TYPE, **self.provider.headers, **self.call.headers}
        auth = self.provider.auth
        if auth is None:
            if _key_of(self.call, "authorization") is None:
                sent.pop("authorization", None)
                sent |= {"authorization": f"Bearer {self.provider.api_key}"} if self.provider.api_key else {}
            return sent
        sent = {name: value for name, value in sent.items() if name not in _CREDENTIALS}
        if auth == "none" or self.key is None:
            return sent
        if _SIGNED_ON.match(self.key):
            auth = "bearer"
        return sent | ({"authorization": f"Bearer {self.key}"} if auth == "bearer" else {auth: self.key})

    @property
    def key(self) -> str | None:
        """The key that is sent; None where there is none."""
        if self.provider.auth == "none":
            return None
        own = next(filter(None, (_key_of(self.call, name) for name in _CREDENTIALS)), None)
        return (own or self.provider.api_key) if self.own_key_first else (self.provider.api_key or own)


class Providers:
    """The default upstream and those with names. ``names`` are all prefixes that a model's name may have."""

    def __init__(
        self, default: Provider, named: Mapping[str, Provider] | None = None, names: Sequence[str] = ()
    ) -> None:
        self._default, self._named, self._names = default, named or {}, (*names, *(named or {}))

    def route(self, call: Call) -> Route:
        """A path's prefix (``/anthropic/v1/messages``) decides, then a model's (``openai/gpt-4o``)."""
        first, _, rest = call.path.removeprefix("/").partition("/")
        in_path = first if first in self._names and first != "v1" else None
        path = f"/{rest}" if in_path else call.path
        prefix, slash, bare = call.request.model.partition("/")
        in_model = prefix if slash and bare and prefix in self._names else None
        if in_path in self._named:
            # Some providers' own names of models have a slash.
            model = bare if in_model == in_path else call.request.model
            return Route(self._named[in_path or ""], call, path, model)
        provider = self._named.get(in_model or "")
        return Route(
            provider or self._default, call, path, bare if in_model else call.request.model, own_key_first=not provider
        )

    def checks(self, route: Route) -> Route:
        """A call to the same provider, with the same key, that costs nothing: its models."""
        path = "/openai/models" if "/openai/deployments/" in route.provider.base_url else "/v1/models"
        version = [pair for pair in route.call.query.split("&") if pair.startswith("api-version=")]
        call = Call("GET", path, b"", None, route.call.headers, query="&".join(version))
        return replace(route, call=call, path=path, model="")

    def secrets(self, call: Call) -> list[str]:
        """What must never be written down: the request's keys and every provider's."""
        sent = [_key_of(call, name) for name in _CREDENTIALS]
        kept = [provider.api_key for provider in (self._default, *self._named.values())]
        return [secret for secret in [*sent, *kept] if secret]


def _key_of(call: Call, header: str) -> str | None:
    sent = re.sub("^bearer ", "", call.headers.get(header, ""), flags=re.IGNORECASE).strip()
    return None if sent.lower() in _PLACEHOLDER_KEYS else sent


def _joined(root: str, path: str) -> str:
    """A root and a path put together; what both say (``…/openai`` and ``/openai/deployments``) is said once."""
    steps = path.split("/")[1:]
    for length in range(len(steps), 0, -1):
        shared = "/" + "/".join(steps[:length])
        if urlsplit(root).path.endswith(shared):
            return root.removesuffix(shared) + path
    return root + path
