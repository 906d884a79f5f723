"""An agent of the OpenAI Agents SDK that looks up rooms before it answers."""

from agents import Agent, RunConfig, Runner, RunResult, function_tool, set_tracing_disabled

set_tracing_disabled(disabled=True)  # traces would go to OpenAI, past the harness

ROOMS = {"single": 2, "double": 0}


@function_tool
def free_rooms(kind: str) -> int:
    """How many rooms of a kind are free tonight.

    Args:
        kind: single or double.
    """
    return ROOMS.get(kind, 0)


concierge = Agent(
    name="Concierge",
    instructions="You are a hotel's concierge. Look up free rooms before you answer.",
    tools=[free_rooms],
)


async def ask(question: str, model: str = "gpt-4o-mini") -> RunResult:
    """The agent's whole run for a guest's question."""
    return await Runner.run(concierge, question, max_turns=4, run_config=RunConfig(model=model))
