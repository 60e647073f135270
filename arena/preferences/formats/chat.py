"""Messages as OpenAI's chat format has them, which TRL reads too."""

from collections.abc import Sequence

from arena.preferences.pairs import Message, Said, SharedPrompt


def prompt_messages(prompt: SharedPrompt) -> Sequence[Message]:
    """The system prompt, if there is one, then all turns; the user's comes last."""
    system = [{"role": "system", "content": prompt.system}] if prompt.system else []
    turns = [{"role": message["role"], "content": message["content"]} for message in prompt.messages]
    return [*system, *turns]


def answer_message(said: Said) -> Message:
    """An answer."""
    return {"role": "assistant", "content": said.text}
