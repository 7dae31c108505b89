// The settings page works without this. It shows that work is under way, and follows what changes by itself.
"use strict";

(() => {
  const POLL_MS = 1000;
  const POLL_AT_MOST_MS = 10 * 60 * 1000;

  for (const form of document.querySelectorAll("form[data-busy]")) {
    form.addEventListener("submit", (event) => {
      const button = form.querySelector("button");
      if (button.getAttribute("aria-disabled") === "true") {
        event.preventDefault();
        return;
      }
      button.setAttribute("aria-disabled", "true");
      button.dataset.said = button.textContent;
      button.textContent = form.dataset.busy;
    });
  }

  // Back to a page from the browser's cache: its buttons work again.
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    for (const button of document.querySelectorAll("button[data-said]")) {
      button.textContent = button.dataset.said;
      button.removeAttribute("aria-disabled");
    }
  });

  const follow = (element, since) => {
    const address = element.dataset.poll;
    if (!address || Date.now() - since > POLL_AT_MOST_MS) return;
    setTimeout(async () => {
      let next = element;
      try {
        const answer = await fetch(address, { credentials: "same-origin" });
        if (answer.status === 401 || answer.status === 404) return;
        if (answer.ok) {
          const came = new DOMParser().parseFromString(await answer.text(), "text/html").body.firstElementChild;
          if (came && came.outerHTML !== element.outerHTML) {
            next = document.importNode(came, true);
            element.replaceWith(next);
          }
        }
      } catch {
        // Not reached now; the next look may.
      }
      follow(next, since);
    }, POLL_MS);
  };

  for (const element of document.querySelectorAll("[data-poll]")) follow(element, Date.now());

  document.getElementById("problems")?.focus();
})();
