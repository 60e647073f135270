"""What the benchmarks' made-up arenas have in common."""

from typing import Any


def revision_row(number: int) -> dict[str, Any]:
    """A model revision to be inserted: every other one OpenAI's, the rest Vertex AI's."""
    return {
        "fingerprint": str(number),
        "model_id": f"model-{number}",
        "number": 1,
        "platform": "openai" if number % 2 else "vertex",
        "api_name": f"model-{number}",
        "sampling": {},
        "display_name": f"Model {number}",
    }
