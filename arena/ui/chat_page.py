"""The Direct chat page: one named model, turn by turn."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import gradio as gr

from arena.battle import ChatView
from arena.errors import ArenaError, reason_of
from arena.ui.context import PageContext
from arena.ui.desk import changes
from arena.ui.html import fragment, render
from arena.ui.panes import asked, conversation, said
from arena.ui.readiness import LOOK_AGAIN_S, readiness
from arena.ui.sampling import model_choice, name_of, read_sampling, ready_models, sampling_fold
from arena.ui.stage import Updates
from arena.ui.wiring import AT_ONCE, STREAMING


def build_chat_page(context: PageContext) -> None:
    """Lay the page out and wire it."""
    _ChatPage(context).wire()


class _ChatPage:
    def __init__(self, context: PageContext) -> None:
        self._context = context
        self._conversation_id = gr.Textbox(visible=False)
        """All that the browser holds of the conversation."""
        self._hero = fragment(render("chat_intro.html"), elem_id="hero")
        self._readiness = fragment(elem_id="readiness")
        self._waiting = gr.Timer(LOOK_AGAIN_S, active=False)
        self._model = model_choice("Model", "choice-chat")
        self._heading = fragment(elem_id="chat-heading")
        self._messages = conversation("chat")
        self._notice = fragment(elem_id="notice")
        with gr.Column(elem_id="composer"):
            self._prompt = gr.Textbox(
                label="Your message",
                placeholder="Write to the model…",
                lines=1,
                max_lines=14,
                container=False,
                elem_id="chat-prompt",
            )
            with gr.Row(elem_id="composer-actions"):
                self._status = fragment(elem_id="status")
                self._stop = gr.Button("Stop", elem_id="stop", visible=False, scale=0)
                self._fresh = gr.Button("New chat", elem_id="new-chat", elem_classes=["quiet"], visible=False, scale=0)
                self._send = gr.Button("Send", variant="primary", elem_id="send", scale=0, min_width=120)
            self._sampling = sampling_fold()

    @property
    def _outputs(self) -> list[Any]:
        return [
            *(self._conversation_id, self._hero, self._model, self._heading, self._messages, self._notice),
            *(self._status, self._stop, self._prompt, self._fresh),
        ]

    def wire(self) -> None:
        """Connect every button and the page's loading."""
        asked_with = [self._prompt, self._model, self._conversation_id, *self._sampling.inputs]
        gr.on([self._send.click, self._prompt.submit], self._chat, asked_with, self._outputs, **STREAMING)
        self._stop.click(self._stopping, [self._conversation_id], [self._notice, self._stop], **AT_ONCE)
        self._fresh.click(self._clear, None, self._outputs, **AT_ONCE)
        given = [self._model, self._readiness, self._waiting]
        gr.on(None, self._load, None, given, **AT_ONCE)
        self._waiting.tick(self._load, None, given, **AT_ONCE)

    def _show(self, view: ChatView, name: str) -> Updates:
        """The one place where a chat becomes pixels."""
        messages = []
        for prompt, answer in view.turns:
            messages += [asked(prompt), *([said(answer)] if answer else [])]
        return {
            self._conversation_id: view.conversation_id,
            self._hero: gr.update(visible=False),
            self._model: gr.update(visible=False),
            self._heading: render("chat_heading.html", name=name),
            self._messages: messages,
            self._notice: render("notice.html", text=view.notice, kind="plain") if view.notice else "",
            self._status: render(
                "status.html",
                phase="chatting" if view.running else "chat",
                text="Answering…" if view.running and not view.notice else "",
            ),
            self._stop: gr.update(visible=view.running),
            self._prompt: "",
            self._fresh: gr.update(visible=not view.running),
        }

    async def _chat(
        self,
        prompt: str,
        model: str,
        conversation_id: str,
        temperature: float,
        top_p: float,
        tokens: float,
        request: gr.Request,
    ) -> AsyncGenerator[Updates]:
        context = self._context
        try:
            name = name_of(context.fleet, model)
            sampling = read_sampling(temperature, top_p, tokens)
            views = context.arena.chat(prompt, context.voter(request), model, sampling, conversation_id or None)
            async with aclosing(changes(views, lambda view: self._show(view, name))) as frames:
                async for frame in frames:
                    yield frame
        except ArenaError as error:
            yield self._refuse(error)

    async def _stopping(self, conversation_id: str, request: gr.Request) -> Updates:
        try:
            await self._context.arena.stop(conversation_id, self._context.voter(request))
        except ArenaError as error:
            return self._refuse(error)
        return {self._stop: gr.update(visible=False)}

    def _refuse(self, error: ArenaError) -> Updates:
        self._context.refused(reason_of(error), "")
        return {self._notice: render("notice.html", text=str(error), kind="refused")}

    def _clear(self) -> Updates:
        return {
            **dict.fromkeys((self._conversation_id, self._heading, self._notice, self._status, self._prompt), ""),
            self._messages: [],
            self._hero: gr.update(visible=True),
            self._model: gr.update(visible=True),
            self._stop: gr.update(visible=False),
            self._fresh: gr.update(visible=False),
        }

    def _load(self) -> Updates:
        ready = ready_models(self._context.fleet)
        return {
            self._model: gr.update(choices=ready, value=ready[0][1] if ready else None),
            **readiness(self._readiness, self._waiting, bool(ready), "A chat needs one"),
        }
