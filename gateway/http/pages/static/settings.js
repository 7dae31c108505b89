// The settings and the letters page work without this. It shows that work is under way, and follows what changes by itself.
"use strict";

(() => {
  const POLL_MS = 1000;
  const SLOW_POLL_MS = 10 * 1000;
  const SLOW_AFTER_MS = 10 * 60 * 1000;

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.dataset.busy) return;
    const button = form.querySelector("button");
    if (button.getAttribute("aria-disabled") === "true") {
      event.preventDefault();
      return;
    }
    button.setAttribute("aria-disabled", "true");
    button.dataset.said = button.textContent;
    button.textContent = form.dataset.busy;
  });

  // Back to a page from the browser's cache: its buttons work again.
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    for (const button of document.querySelectorAll("button[data-said]")) {
      button.textContent = button.dataset.said;
      button.removeAttribute("aria-disabled");
    }
  });

  // Who is about to press a button in there must not lose it.
  const isInUse = (element) => element.contains(document.activeElement) || element.querySelector("details[open]");

  const follow = (element, since) => {
    const address = element.dataset.poll;
    if (!address) return;
    const wait = Date.now() - since > SLOW_AFTER_MS ? SLOW_POLL_MS : POLL_MS;
    setTimeout(async () => {
      let next = element;
      if (document.hidden || isInUse(element)) {
        follow(element, since);
        return;
      }
      try {
        const answer = await fetch(address, { credentials: "same-origin" });
        if (answer.status === 401 || answer.status === 404) return;
        if (answer.ok) {
          const came = new DOMParser().parseFromString(await answer.text(), "text/html").body.firstElementChild;
          if (came && came.outerHTML !== element.outerHTML && !isInUse(element)) {
            next = document.importNode(came, true);
            element.replaceWith(next);
            // What it was about stands elsewhere on the page too; but nobody is to lose what they are typing.
            if (element.dataset.then === "reload" && !next.dataset.poll && !document.activeElement.matches("input, textarea")) {
              location.reload();
              return;
            }
          }
        }
      } catch {
        // Not reached now; the next look may.
      }
      follow(next, since);
    }, wait);
  };

  for (const element of document.querySelectorAll("[data-poll]")) follow(element, Date.now());

  document.getElementById("problems")?.focus();
})();
