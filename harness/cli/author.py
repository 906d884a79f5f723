"""``harness author``: write a recording by hand."""

from typing import Any

import click

from harness.cli.options import settings_from

_ROLES = ("system", "developer", "user", "assistant")


def _message(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> list[dict[str, str]]:
    messages = []
    for value in values:
        role, equals, content = value.partition("=")
        if not equals or role not in _ROLES:
            raise click.BadParameter(f"{value!r}: write ROLE=TEXT, with a role of {', '.join(_ROLES)}.")
        messages.append({"role": role, "content": content})
    return messages


def _chat(_ctx: click.Context, _param: click.Parameter, path: str) -> str:
    if not (path.startswith("/") and path.endswith("/chat/completions")):
        raise click.BadParameter(
            f"{path!r}: what is written is a chat completion, of /v1/chat/completions and its like."
        )
    return path


def _named(_ctx: click.Context, _param: click.Parameter, model: str) -> str:
    if not model.strip():
        raise click.BadParameter("an empty name is no model's.")
    return model


@click.command()
@click.option("--model", required=True, callback=_named, help="The model that is asked.")
@click.option("--message", "messages", multiple=True, required=True, callback=_message, metavar="ROLE=TEXT",
              help="A message of the request; repeat it for more.")  # fmt: skip
@click.option("--answer", required=True, help="What the model says.")
@click.option("--stream/--whole", default=True, show_default=True, help="Record a stream or a whole answer.")
@click.option("--test-id", help="The scope: the test that this is for (default: shared).")
@click.option("--path", default="/v1/chat/completions", callback=_chat, show_default=True,
              help="The path of the request's URL.")  # fmt: skip
@click.option("--recordings", metavar="DIR", help="Where to write it (default: recordings).")
@click.option("--force", is_flag=True, help="Replace a recording that is there.")
def author(**given: Any) -> None:
    """Write a recording by hand. It says what you want a model to say.

    \b
    Example:
      harness author --model gpt-4o --message "user=Say hello" --answer "Hello!"
    """
    from harness.opening import open_store, redactor_of
    from harness.recording.author import author as make
    from harness.recording.key import key
    from harness.recording.model import Request

    settings = settings_from({"recordings": given["recordings"]})
    body: dict[str, Any] = {"model": given["model"], "messages": given["messages"]}
    if given["stream"]:
        body["stream"] = True
    request = Request("POST", given["path"], body, given["test_id"])
    store, redactor = open_store(settings), redactor_of(settings)
    name = key(request, redactor)
    if store.find(name) and not given["force"]:
        raise click.UsageError(f"{name}.json is there already; --force replaces it.")
    store.save(redactor.exchange(make(request, given["answer"])), name)
    click.echo(f"{settings.recordings}/{store.find(name)[0]}.json")
