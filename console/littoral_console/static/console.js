/* What a page does beside being read: ages that move on, polling that is polite, asking twice,
   copying. Without it everything can still be read and every form still works. */
"use strict";

document.documentElement.classList.add("scripts");

(() => {
  const UNITS = [[86400000, "d"], [3600000, "h"], [60000, "min"], [1000, "s"]];

  const age = (ms) => {
    const gone = Date.now() - ms;
    const unit = UNITS.find(([size]) => Math.abs(gone) >= size);
    if (!unit) return "now";
    const many = `${Math.floor(Math.abs(gone) / unit[0])} ${unit[1]}`;
    return gone > 0 ? `${many} ago` : `in ${many}`;
  };

  const say = (text) => {
    const said = document.getElementById("said");
    said.textContent = text;
    said.classList.add("shown");
    setTimeout(() => said.classList.remove("shown"), 2500);
  };

  setInterval(() => {
    for (const time of document.querySelectorAll("time[data-ms]")) {
      const text = age(Number(time.dataset.ms));
      if (time.textContent !== text) time.textContent = text;
    }
  }, 1000);

  // A part is not swapped while nobody looks, or while somebody selects text or fills in a field.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const live = event.target;
    if (live.id !== "live") return;
    const filling = live.contains(document.activeElement) && document.activeElement.matches("input, select");
    const chosen = document.getSelection();
    const selecting = chosen && !chosen.isCollapsed && live.contains(chosen.anchorNode);
    if (document.hidden || filling || selecting) event.preventDefault();
  });

  // A link that had the keyboard's focus has it again after the swap.
  let focused = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    const active = document.activeElement;
    focused = event.target.contains(active) && active.matches("a[href]") ? active.getAttribute("href") : null;
  });
  document.addEventListener("htmx:afterSettle", () => {
    if (focused === null) return;
    const link = [...document.querySelectorAll("#live a[href]")].find((a) => a.getAttribute("href") === focused);
    if (link) link.focus({ preventScroll: true });
    focused = null;
  });

  document.addEventListener("htmx:sendError", () => say("The console does not answer; trying again."));

  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.sure;
    if (question && !window.confirm(question)) event.preventDefault();
  });

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      say("Copied.");
    } catch {
      document.getSelection().selectAllChildren(source);
      say("Selected; copy it with your keyboard.");
    }
  });
})();
