// The console works without this, too: then "Look again" does. It brings the page up to date, stream by stream.
"use strict";

(() => {
  const EVERY_MS = 5 * 1000;
  const root = document.querySelector("[data-follow]");
  const lost = document.querySelector("[data-lost]");

  // Who is about to press a button must not lose it.
  const isInUse = (element) => element.contains(document.activeElement);

  const take = (came) => {
    for (const part of came.querySelectorAll("[data-part]")) {
      const here = root.querySelector(`[data-part="${part.dataset.part}"]`);
      if (here && here.outerHTML !== part.outerHTML && !isInUse(here)) {
        here.replaceWith(document.importNode(part, true));
      }
    }
  };

  const look = async () => {
    let isOver = false;
    if (!document.hidden) {
      try {
        const answer = await fetch(root.dataset.follow, { credentials: "same-origin" });
        isOver = answer.status === 401;
        if (answer.ok) take(new DOMParser().parseFromString(await answer.text(), "text/html").body);
        lost.hidden = answer.ok;
      } catch {
        lost.hidden = false;
      }
    }
    if (isOver) location.reload();
    else setTimeout(look, EVERY_MS);
  };
  setTimeout(look, EVERY_MS);
})();
