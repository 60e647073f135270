// The Leaderboard's own behaviour: the view in the address, the search box, and pictures of what is shown.
(() => {
  "use strict";
  const NAMES = ["scope", "criterion", "tag", "language", "turns", "platform", "family", "by", "style"];
  const $ = (selector) => document.querySelector(selector);

  // ── the view: lists ↔ address → the hidden box that Gradio listens to ──

  const given = () => new URLSearchParams(window.location.search);
  let shown = window.location.search;

  const tell = () => {
    const box = $("#chosen-view textarea, #chosen-view input");
    if (!box || shown === window.location.search) return;
    shown = window.location.search;
    box.value = shown || "?";
    box.dispatchEvent(new Event("input", { bubbles: true }));
  };

  const go = (query) => {
    const search = query.toString();
    history.pushState(null, "", window.location.pathname + (search ? `?${search}` : ""));
    tell();
    reflect();
  };

  // Lists that are drawn anew show what the address says; the fold stays as the reader left it.
  let open = null;
  const reflect = () => {
    const query = given();
    for (const list of document.querySelectorAll("[data-filters] select")) list.value = query.get(list.name) ?? "";
    const fold = $("[data-fold]");
    if (!fold) return;
    fold.open = open ?? NAMES.some((name) => query.has(name));
  };

  document.addEventListener("change", (event) => {
    const form = event.target instanceof Element ? event.target.closest("[data-filters]") : null;
    if (!form) return;
    open = true;
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value) query.set(name, value);
    go(query);
  });
  document.addEventListener("submit", (event) => {
    if (event.target instanceof Element && event.target.closest("[data-filters]")) event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    if (target?.closest("[data-fold] > summary")) open = !target.closest("[data-fold]").open;
    if (!target?.closest("a[data-view]") || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    go(new URLSearchParams());
  });
  window.addEventListener("popstate", () => {
    tell();
    reflect();
  });

  // ── the search box: rows that do not hold the words are left out ──

  let words = "";
  const find = () => {
    const box = $("[data-search]");
    if (!box) return;
    if (document.activeElement !== box && box.value !== words) box.value = words;
    const table = document.getElementById(box.dataset.search);
    if (!table) return;
    const wanted = words.trim().toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const row of table.tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      const fits = wanted.every((word) => text.includes(word));
      if (row.hidden === fits) row.hidden = !fits;
      found += fits;
    }
    const told = $("[data-found]");
    if (!told) return;
    const sentence = wanted.length ? `${found} of ${table.tBodies[0].rows.length} rows` : "";
    if (told.textContent !== sentence) told.textContent = sentence;
    told.hidden = !sentence;
  };
  document.addEventListener("input", (event) => {
    if (!(event.target instanceof HTMLInputElement) || !event.target.matches("[data-search]")) return;
    words = event.target.value;
    find();
  });

  let scheduled = false;
  const changed = () => {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      reflect();
      find();
    });
  };
  for (const id of ["leaderboard-filters", "leaderboard"]) {
    const wait = () => {
      const part = document.getElementById(id);
      if (!part) return false;
      new MutationObserver(changed).observe(part, { childList: true, subtree: true });
      changed();
      return true;
    };
    if (wait()) continue;
    const drawn = new MutationObserver(() => wait() && drawn.disconnect());
    drawn.observe(document.body, { childList: true, subtree: true });
  }
})();
