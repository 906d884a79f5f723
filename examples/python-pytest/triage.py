"""A support desk's triage: which team should see a ticket."""

from openai import OpenAI

INSTRUCTIONS = "Answer with one word: billing, technical or other."


def triage(ticket: str, model: str = "gpt-4o-mini") -> str:
    """The team for a ticket."""
    messages = [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": ticket}]
    answer = OpenAI().chat.completions.create(model=model, messages=messages)
    return answer.choices[0].message.content.strip().lower()


def summary(ticket: str, model: str = "gpt-4o-mini") -> str:
    """The ticket in a sentence, as it is streamed."""
    messages = [{"role": "user", "content": f"In one sentence: {ticket}"}]
    stream = OpenAI().chat.completions.create(model=model, messages=messages, stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
