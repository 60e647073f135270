// What the pages do by themselves: names for screen readers, keys, and where the eye goes when something is finished.
(() => {
  "use strict";
  const $ = (selector) => document.querySelector(selector);
  const REGIONS = { "pane-a": "Model A", "pane-b": "Model B", reveal: "The reveal" };
  const KEYS = { a: "vote-model_a", b: "vote-model_b", t: "vote-tie", x: "vote-both_bad", n: "new-battle" };
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

  const live = document.createElement("div");
  live.className = "reader-only";
  live.setAttribute("aria-live", "polite");
  document.body.append(live);

  const set = (element, name, value) => {
    if (element && element.getAttribute(name) !== value) element.setAttribute(name, value);
  };

  // Gradio draws components without names of their own, and announces each piece of a streamed message.
  const label = () => {
    for (const [id, name] of Object.entries(REGIONS)) {
      const region = document.getElementById(id);
      set(region, "role", "region");
      set(region, "aria-label", name);
    }
    for (const log of document.querySelectorAll(".conversation [role=log]")) {
      set(log, "aria-live", "off");
      const letter = log.closest("#pane-a") ? "A" : log.closest("#pane-b") ? "B" : "";
      set(log, "aria-label", letter ? `Conversation with model ${letter}` : "Conversation");
    }
    for (const [key, id] of Object.entries(KEYS)) set(document.getElementById(id), "aria-keyshortcuts", key.toUpperCase());
  };

  // Bring an element into view and focus on one of its parts; false as long as they are not drawn.
  const show = (element, focus) => {
    if (!element || !focus) return false;
    const box = element.getBoundingClientRect();
    if (box.top < 0 || box.top > window.innerHeight * 0.6) {
      element.scrollIntoView({ behavior: calm.matches ? "auto" : "smooth", block: "start" });
    }
    focus.focus({ preventScroll: true });
    return true;
  };

  // The newest turn where there is an earlier one, else the top.
  const showTurn = () => {
    const turns = ["#pane-a", "#pane-b"].map((pane) => [...document.querySelectorAll(`${pane} .user-row`)].pop());
    const tops = turns.filter(Boolean).map((turn) => turn.getBoundingClientRect().top + window.scrollY);
    window.scrollTo({ top: tops.length ? Math.min(...tops) - 16 : 0 });
    return true;
  };

  // A chat's answer comes into view as it grows until its question stands at the top; from then on the reader leads.
  let led = false;
  for (const kind of ["wheel", "touchmove"]) window.addEventListener(kind, () => (led = true), { passive: true });
  const keepUp = () => {
    const question = [...document.querySelectorAll("#chat .user-row")].pop();
    if (!question || led) return;
    const hidden = $("#chat").getBoundingClientRect().bottom + 16 - $("#composer").getBoundingClientRect().top;
    const step = Math.min(hidden, question.getBoundingClientRect().top - 16);
    if (step > 0) window.scrollBy(0, step);
  };

  let phase = "idle";
  let entering = false;
  const ENTER = {
    idle: () => show($("#composer"), $("#composer textarea")),
    abandoned: () => show($("#composer"), $("#composer textarea")),
    waiting: showTurn,
    chatting: () => {
      led = false;
      return true;
    },
    revealed: () => show($("#reveal"), $(".verdict")),
    judging: () => {
      window.scrollTo({ top: 0 });
      $("#main")?.focus({ preventScroll: true });
      return true;
    },
  };

  const follow = () => {
    const status = $("#status .status");
    if (!status) return;
    if (live.textContent !== status.textContent) live.textContent = status.textContent;
    const now = status.dataset.phase;
    if (now === phase) return;
    phase = now;
    document.body.dataset.phase = now;
    entering = now in ENTER;
  };

  let scheduled = false;
  let goingOn = false;
  const changed = () => {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      label();
      follow();
      // The parts of a new phase are drawn one after the other: this is tried at each change until they are there.
      if (entering) entering = !ENTER[phase]();
      if (phase === "chatting") keepUp();
      if (goingOn) goingOn = !show($("#next"), $("#next textarea"));
      document.dispatchEvent(new Event("arena:drawn"));
    });
  };
  const root = $("gradio-app");
  if (root) new MutationObserver(changed).observe(root, { childList: true, subtree: true, characterData: true });
  changed();

  const typing = (target) =>
    target instanceof Element &&
    target.closest("input:not([type=radio]), textarea, select, [contenteditable=''], [contenteditable=true]");

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || event.repeat || event.isComposing) return;
    if (typing(event.target)) return;
    if (!document.dispatchEvent(new CustomEvent("arena:key", { detail: event, cancelable: true }))) {
      event.preventDefault();
      return;
    }
    const button = document.getElementById(KEYS[event.key.toLowerCase()] ?? "");
    if (!(button instanceof HTMLButtonElement) || button.disabled || !button.checkVisibility()) return;
    event.preventDefault();
    button.click();
  });

  // Whoever chose an answer to go on from writes next.
  document.addEventListener("click", (event) => {
    if (event.target instanceof Element && event.target.closest("#continue-a, #continue-b")) goingOn = true;
  });

  // No form in a model's text is ever sent.
  document.addEventListener(
    "submit",
    (event) => {
      if (event.target instanceof Element && event.target.closest(".conversation")) event.preventDefault();
    },
    true,
  );

  // One vote is enough: the others are out of reach until the answer is there.
  document.addEventListener("click", (event) => {
    const vote = event.target instanceof Element ? event.target.closest("#votes button") : null;
    if (!vote || vote.disabled) return;
    const bar = vote.closest("#votes");
    bar.classList.add("is-sent");
    vote.classList.add("is-chosen");
    window.setTimeout(() => {
      bar.classList.remove("is-sent");
      vote.classList.remove("is-chosen");
    }, 1500);
  });
})();
