// The Events tab works without this. It opens threads in place, and puts in what arrives while somebody reads.
"use strict";

(() => {
  const list = document.getElementById("threads");
  const base = list.dataset.base;
  const takesNew = "newest" in list.dataset;
  const said = document.getElementById("said");
  const live = document.getElementById("live");
  const liveWord = document.getElementById("live-word");

  const WORDS = {
    "reply.received": "A reply arrived in",
    "reply.automatic": "An automatic reply arrived in",
    "message.bounced": "A letter could not be delivered:",
    "message.delayed": "A letter is late:",
    "message.sent": "The letter was sent:",
    "message.failed": "The letter was not sent:",
    "message.needs_review": "A letter needs review:",
  };

  // Threads

  const fetchThread = async (id) => {
    const answer = await fetch(`${base}/threads/${encodeURIComponent(id)}/part`, { credentials: "same-origin" });
    if (answer.status === 404) return null;
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    return document.importNode(page.querySelector("article.thread"), true);
  };

  // Only messages that differ are replaced, so that nobody loses their place, their selection or a folded quote.
  const mergeMessages = (present, came) => {
    const box = present.querySelector(".messages");
    const fresh = came.querySelector(".messages");
    const known = new Map([...box.querySelectorAll("article.message")].map((one) => [one.id, one]));
    if (known.size === 0) {
      box.replaceChildren(...fresh.childNodes);
      return [];
    }
    const arrived = [];
    let before = null;
    for (const one of [...fresh.querySelectorAll("article.message")]) {
      const old = known.get(one.id);
      known.delete(one.id);
      let standing = old;
      if (!old) {
        standing = one;
        arrived.push(one);
      } else if (old.dataset.version !== one.dataset.version) {
        one.querySelector("details").open = old.querySelector("details").open;
        old.replaceWith(one);
        standing = one;
      }
      const place = before ? before.nextElementSibling : box.firstElementChild;
      if (standing !== place) box.insertBefore(standing, place);
      before = standing;
    }
    for (const gone of known.values()) gone.remove();
    return arrived;
  };

  const mergeThread = (present, came) => {
    const wasLoaded = !present.querySelector("details").dataset.load;
    const summary = present.querySelector("summary");
    if (summary.innerHTML !== came.querySelector("summary").innerHTML) {
      summary.replaceChildren(...came.querySelector("summary").childNodes);
    }
    present.className = came.className;
    present.dataset.rank = came.dataset.rank;
    present.dataset.subject = came.dataset.subject;
    return wasLoaded ? mergeMessages(present, came) : [present];
  };

  const placeThread = (thread) => {
    const others = [...list.querySelectorAll("article.thread")].filter((one) => one !== thread);
    const next = others.find((one) => one.dataset.rank < thread.dataset.rank) ?? null;
    if (thread.nextElementSibling === next && thread.isConnected) return;
    const focused = thread.contains(document.activeElement) ? document.activeElement : null;
    list.insertBefore(thread, next);
    focused?.focus({ preventScroll: true });
  };

  const highlight = (elements) => {
    for (const one of elements) {
      one.classList.remove("fresh");
      void one.offsetWidth; // begins the animation again
      one.classList.add("fresh");
    }
  };

  const announce = (type, subject) => {
    const words = WORDS[type];
    if (words) said.textContent = `${words} ${subject || "a thread without a subject"}`;
  };

  const refresh = async (id, type) => {
    const came = await fetchThread(id);
    const present = document.getElementById(id);
    if (!came) {
      present?.remove();
      return;
    }
    if (present) {
      const arrived = mergeThread(present, came);
      if (takesNew) placeThread(present);
      highlight(arrived);
    } else if (takesNew) {
      document.getElementById("empty")?.remove();
      placeThread(came);
      highlight([came]);
    } else {
      return;
    }
    announce(type, came.dataset.subject);
  };

  // One request per thread at a time; what comes meanwhile is asked for once more.
  const asked = new Map();
  const changed = async (id, type) => {
    if (asked.has(id)) {
      asked.set(id, type);
      return;
    }
    asked.set(id, null);
    let now = type;
    while (now !== null) {
      try {
        await refresh(id, now);
      } catch {
        setTimeout(changed, 3000, id, now);
      }
      now = asked.get(id);
      asked.set(id, null);
    }
    asked.delete(id);
  };

  // A thread is fetched when it is opened for the first time.
  list.addEventListener(
    "toggle",
    async (event) => {
      const details = event.target;
      const address = details.dataset?.load;
      if (!details.open || !address) return;
      const thread = details.closest("article.thread");
      try {
        const came = await fetchThread(thread.id);
        if (!came || !details.dataset.load) return;
        details.querySelector(".messages").replaceChildren(...came.querySelector(".messages").childNodes);
        delete details.dataset.load;
      } catch {
        // The link inside leads to the thread's own page.
      }
    },
    true,
  );

  // Everything on paper that was asked for on paper.
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll(".thread > details[open] .message > details:not([open])")];
    for (const one of opened) one.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const one of opened) one.open = false;
  });

  // The stream. It rests while nobody looks, and goes on from where it was.

  let seq = list.dataset.seq;
  let source = null;
  let retryMs = 2000;

  const setState = (state, word) => {
    live.hidden = false;
    live.className = `live ${state}`;
    liveWord.textContent = word;
  };

  const close = () => {
    source?.close();
    source = null;
  };

  const open = () => {
    if (source || document.hidden) return;
    source = new EventSource(`${base}/stream?after=${seq}`);
    source.addEventListener("open", () => {
      retryMs = 2000;
      setState("on", "Live");
    });
    source.addEventListener("thread", (event) => {
      if (event.lastEventId) seq = event.lastEventId;
      const { thread_id: id, type } = JSON.parse(event.data);
      changed(id, type);
    });
    source.addEventListener("error", async () => {
      setState("off", "Reconnecting…");
      if (source?.readyState !== EventSource.CLOSED) return;
      close();
      if (await isSignedOut()) {
        setState("off", "Signed out. Reload the page.");
        return;
      }
      setTimeout(open, retryMs);
      retryMs = Math.min(retryMs * 2, 30000);
    });
  };

  const isSignedOut = async () => {
    try {
      return (await fetch(location.href, { method: "HEAD", redirect: "manual" })).type === "opaqueredirect";
    } catch {
      return false;
    }
  };

  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", open);
  open();
})();
