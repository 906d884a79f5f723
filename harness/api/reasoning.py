"""``include: ["reasoning.encrypted_content"]``: a reasoning item that says all of itself, for clients that keep it.

OpenAI encrypts what its models thought. Ours is what an upstream sent in plain sight, as JSON in base64: a client hands
it back as it is, and whoever wants to can read it. No model is told of it again, for a chat completion has no place for
reasoning.
"""

import base64
import json


def packed(thoughts: str) -> str:
    """What stands in ``encrypted_content``."""
    return base64.b64encode(json.dumps({"harness": 1, "reasoning": thoughts}).encode()).decode()
