// The criteria beside the vote: their fold and for whom it stands open, their keys, their names for screen readers.
(() => {
  "use strict";
  const STORED = "arena-criteria";
  const ARROWS = { ArrowLeft: "model_a", ArrowRight: "model_b", ArrowUp: "tie", ArrowDown: "tie", Backspace: "", Delete: "" };

  const fold = () => document.getElementById("criteria-fold");
  const rows = () => [...document.querySelectorAll("#criteria .criterion")];
  const chosen = (row) => row.querySelector("input:checked");

  const remembered = () => {
    try {
      return localStorage.getItem(STORED) === "open";
    } catch {
      return false; // storage is refused in some frames; the criteria then start folded
    }
  };
  const remember = (used) => {
    try {
      localStorage.setItem(STORED, used ? "open" : "closed");
    } catch {
      // it then lasts as long as the page
    }
  };

  const set = (element, name, value) => {
    if (element && element.getAttribute(name) !== value) element.setAttribute(name, value);
  };
  const isOpen = () => document.body.dataset.criteria === "open";
  const open = (wanted) => {
    document.body.dataset.criteria = wanted ? "open" : "folded";
    set(fold(), "aria-expanded", String(wanted));
  };
  open(remembered());

  // Gradio draws a row as a set of single buttons that do not know of each other.
  document.addEventListener("arena:drawn", () => {
    set(fold(), "aria-expanded", String(isOpen()));
    set(fold(), "aria-controls", "criteria");
    set(fold(), "aria-keyshortcuts", "C");
    rows().forEach((row, place) => {
      set(row, "role", "radiogroup");
      set(row, "aria-label", row.querySelector("[data-testid=block-info]").textContent);
      set(row, "aria-keyshortcuts", String(place + 1));
    });
  });

  // On a phone the open criteria leave the foot of the screen: whoever opened them goes along.
  const stay = () => {
    const top = fold().getBoundingClientRect().top;
    if (top < 0 || top > window.innerHeight * 0.8) document.getElementById("ballot").scrollIntoView({ block: "start" });
  };
  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element) || !event.target.closest("#criteria-fold")) return;
    open(!isOpen());
    stay();
  });

  const pick = (row) => {
    open(true);
    (chosen(row) ?? row.querySelector("input")).focus();
    row.scrollIntoView({ block: "nearest" });
  };
  const rate = (row, value) => {
    const target = row.querySelector(`input[value="${value}"]`);
    target.focus();
    target.click();
  };

  document.addEventListener("arena:key", (asked) => {
    const event = asked.detail;
    if (!fold()?.checkVisibility()) return;
    const here = event.target instanceof Element ? event.target.closest("#criteria .criterion") : null;
    const picked = /^[1-9]$/.test(event.key) ? rows()[Number(event.key) - 1] : null;
    if (here && event.key in ARROWS) rate(here, ARROWS[event.key]);
    else if (picked) pick(picked);
    else if (event.key.toLowerCase() === "c") open(!isOpen());
    else return;
    asked.preventDefault();
  });

  // Open at the next visit for who used them for this vote.
  document.addEventListener(
    "click",
    (event) => {
      const vote = event.target instanceof Element ? event.target.closest("#votes button") : null;
      if (vote && !vote.disabled && fold()) remember(rows().some((row) => chosen(row)?.value));
    },
    true,
  );
})();
