"""``harness demo``: a recorded conversation, replayed through the Responses API to the real client, offline."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.settings import NO_KEY, Settings

if TYPE_CHECKING:
    from openai import OpenAI

MODEL = "gpt-4o"
TURNS = ("Say hello", "Say goodbye")

_NEXT = """\
Try next:
  {folder}harness serve    # then point any client at it: OPENAI_BASE_URL=http://127.0.0.1:8321/v1
  {folder}harness author --model gpt-4o --message "user=Say hi" --answer "Hi there!"
  HARNESS_MODE=record-if-missing OPENAI_API_KEY=… {folder}pytest    # record your own tests, once"""


@click.command()
def demo() -> None:
    """Replay the conversation that ships with the harness. Needs no key and no network.

    \b
    Example:
      harness demo
    """
    try:
        import openai
    except ImportError:
        raise click.UsageError("The demo needs the openai client: pip install openai") from None
    from harness.running import ServerThread

    settings = replace(Settings(), recordings=shipped_recordings())
    with (
        ServerThread(settings) as server,
        # No proxy of the environment stands between the two.
        openai.DefaultHttpxClient(trust_env=False) as http,
        openai.OpenAI(base_url=server.base_url, api_key=NO_KEY, http_client=http) as client,
    ):
        click.echo(f"Replaying {server.parts.store.count()} recordings at {server.base_url}\n")
        _converse(client)
    click.echo(_NEXT.format(folder=folder()))


def _converse(client: "OpenAI") -> None:
    """The two turns: the first whole, the second as it streams."""
    conversation = client.conversations.create()
    first, second = TURNS
    whole = client.responses.with_raw_response.create(model=MODEL, input=first, conversation=conversation.id)
    _say("you", first)
    _say(MODEL, whole.parse().output_text)
    _from(whole.headers["x-harness-recording"])
    _say("you", second)
    with client.responses.with_streaming_response.create(
        model=MODEL, input=second, conversation=conversation.id, stream=True
    ) as streamed:
        click.echo(f"{MODEL:>8}  ", nl=False)
        for event in streamed.parse():
            if event.type == "response.output_text.delta":
                click.echo(event.delta, nl=False)
        click.echo("   (streamed)")
        _from(streamed.headers["x-harness-recording"])


def folder() -> str:
    """What goes before ``harness`` on a command line here: nothing where a shell finds it, else where it lies."""
    called = Path(sys.argv[0])
    return "" if shutil.which("harness") or not called.parent.name else f"{called.parent}/"


def _say(who: str, text: str) -> None:
    click.echo(f"{who:>8}  {text}")


def _from(recording: str) -> None:
    click.echo(f"{'':>8}  from recording {recording[:12]}\n")


def shipped_recordings() -> Path:
    """The recordings that came with the package; in a checkout, those beside it."""
    package = Path(__file__).resolve().parent.parent
    packed = package / "recordings"
    return packed if packed.is_dir() else package.parent / "recordings"
