// Sets the colour scheme before anything is painted. Gradio marks the body with its own idea of the scheme when it starts;
// this one wins: the visitor's choice, else the system's.
(() => {
  "use strict";
  const KEY = "arena-colours";
  const CHOICES = ["auto", "light", "dark"];
  const NAMES = { auto: "automatic", light: "light", dark: "dark" };
  const system = window.matchMedia("(prefers-color-scheme: dark)");

  const stored = () => {
    try {
      const choice = localStorage.getItem(KEY);
      return CHOICES.includes(choice) ? choice : "auto";
    } catch {
      return "auto"; // storage is refused in some frames
    }
  };

  let choice = stored();

  const apply = () => {
    const dark = choice === "dark" || (choice === "auto" && system.matches);
    document.documentElement.dataset.colours = choice;
    document.documentElement.style.colorScheme = dark ? "dark" : "light";
    if (document.body.classList.contains("dark") !== dark) document.body.classList.toggle("dark", dark);
    const button = document.querySelector("[data-theme-toggle]");
    if (button) {
      button.setAttribute("aria-label", `Colours: ${NAMES[choice]}`);
      button.title = `Colours: ${NAMES[choice]}`;
    }
  };

  apply();
  new MutationObserver(apply).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  system.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", apply);
  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element) || !event.target.closest("[data-theme-toggle]")) return;
    choice = CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length];
    try {
      localStorage.setItem(KEY, choice);
    } catch {
      // the choice then lasts as long as the page
    }
    apply();
  });
})();
