"""``harness demo``: a recorded conversation, replayed through the Responses API to the real client, offline."""

from dataclasses import replace
from pathlib import Path

import click

from harness.settings import NO_KEY, Settings

MODEL = "gpt-4o"
TURNS = ("Say hello", "Say goodbye")

_NEXT = """
Try next:
  harness serve              then point any client at it: OPENAI_BASE_URL=http://127.0.0.1:8321/v1
  harness author --model gpt-4o --message "user=Say hi" --answer "Hi there!"
  HARNESS_MODE=record-if-missing OPENAI_API_KEY=… pytest       record your own tests, once"""


@click.command()
def demo() -> None:
    """Replay the conversation that ships with the harness. Needs no key and no network."""
    from openai import OpenAI

    from harness.running import ServerThread

    settings = replace(Settings(), recordings=shipped_recordings())
    with ServerThread(settings) as server:
        click.echo(f"Replaying {len(server.parts.store.entries())} recordings at {server.base_url}\n")
        client = OpenAI(base_url=server.base_url, api_key=NO_KEY)
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
        client.close()
    click.echo(_NEXT)


def _say(who: str, text: str) -> None:
    click.echo(f"{who:>8}  {text}")


def _from(recording: str) -> None:
    click.echo(f"{'':>8}  from recording {recording[:12]}\n")


def shipped_recordings() -> Path:
    """The recordings that came with the package; in a checkout, those beside it."""
    package = Path(__file__).resolve().parent.parent
    packed = package / "recordings"
    return packed if packed.is_dir() else package.parent / "recordings"
