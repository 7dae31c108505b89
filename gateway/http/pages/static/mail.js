// Gives each message's frame the height of what is in it. Without this, frames scroll and can be drawn larger.
"use strict";

(() => {
  const TALLEST = 12000; // pixels; longer messages scroll in their frame

  const fit = (frame, page) => {
    const height = Math.min(page.body.scrollHeight + 2, TALLEST);
    if (height > 2 && Math.abs(frame.offsetHeight - height) > 1) frame.style.height = `${height}px`;
  };

  const watch = (frame) => {
    const page = frame.contentDocument;
    if (!page?.body || page.URL === "about:blank") return;
    fit(frame, page);
    new ResizeObserver(() => fit(frame, page)).observe(page.body);
  };

  const isFrame = (element) => element instanceof HTMLIFrameElement && element.classList.contains("mail-frame");

  // `load` does not bubble, but it can be caught on its way down, also for frames that come later.
  document.addEventListener("load", (event) => isFrame(event.target) && watch(event.target), true);
  for (const frame of document.querySelectorAll("iframe.mail-frame")) watch(frame);
})();
