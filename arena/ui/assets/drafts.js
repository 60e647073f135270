// What somebody is writing, or has asked and got no answer to, outlives a reload of the page: their own, or the one that
// follows a lost connection. An interrupted battle's challenge comes from the arena, which knows how the battle ended.
(() => {
  "use strict";
  const KEY = `arena-drafts:${window.location.pathname}`;
  const BOXES = ["challenge-box", "next-prompt", "chat-prompt"];
  const UNANSWERED = window.location.pathname === "/" ? ["queued"] : ["queued", "waiting", "streaming", "chatting"];
  const box = (id) => document.querySelector(`#${id} textarea`);

  const taken = () => {
    try {
      return JSON.parse(sessionStorage.getItem(KEY)) ?? {};
    } catch {
      return {}; // storage is refused in some frames
    }
  };

  const keep = (drafts) => {
    try {
      if (Object.keys(drafts).length) sessionStorage.setItem(KEY, JSON.stringify(drafts));
      else sessionStorage.removeItem(KEY);
    } catch {
      // the draft then lasts as long as the page
    }
  };

  const waiting = taken(); // for their boxes, of which some are drawn later than others
  const putBack = () => {
    for (const id of BOXES) {
      const place = box(id);
      if (!place || !(id in waiting)) continue;
      if (!place.value) {
        place.value = waiting[id];
        place.dispatchEvent(new Event("input", { bubbles: true }));
      }
      delete waiting[id];
    }
  };
  document.addEventListener("arena:drawn", putBack);

  const written = () =>
    Object.fromEntries(BOXES.filter((id) => box(id)?.value.trim()).map((id) => [id, box(id).value]));

  let sent = {};
  const note = () => {
    const now = written();
    if (Object.keys(now).length) sent = now;
  };
  document.addEventListener("click", note, true);
  document.addEventListener("keydown", (event) => event.key === "Enter" && note(), true);

  window.addEventListener("pagehide", () => {
    const phase = document.querySelector("#status .status")?.dataset.phase;
    keep({ ...waiting, ...(UNANSWERED.includes(phase) ? sent : {}), ...written() });
  });
})();
