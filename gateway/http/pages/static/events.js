// The Events tab works without this. It opens threads in place, puts in what arrives while somebody reads, and sends
// replies without leaving the page. In an iframe there are no cookies: there the address, `base`, is the proof, and it
// is renewed while the page is open.
"use strict";

(() => {
  const list = document.getElementById("threads");
  const takesNew = "newest" in list.dataset;
  const hasReader = "reader" in list.dataset;
  const token = list.dataset.token;
  const said = document.getElementById("said");
  const live = document.getElementById("live");
  const liveWord = document.getElementById("live-word");
  const arrivals = document.getElementById("arrivals");
  let base = list.dataset.base;

  const WORDS = {
    "reply.received": "A reply arrived in",
    "reply.automatic": "An automatic reply arrived in",
    "message.bounced": "A letter could not be delivered:",
    "message.delayed": "A letter is late:",
    "message.sent": "The letter was sent:",
    "message.failed": "The letter was not sent:",
    "message.needs_review": "A letter needs review:",
    "message.cancelled": "The letter is cancelled:",
  };
  const UNREACHED = "The gateway cannot be reached now. What you wrote is kept here: press “Send reply” again in a moment. It is sent once, however often you press.";
  const OVER = "From this page it can be sent no more: it was open for too long, or the thread has moved. Copy what you wrote, and reload the page.";
  const SETTLE_MS = 2000;
  const LONGEST_SETTLE_MS = 30000;
  const READ_AFTER_MS = 800;

  const say = (text) => {
    said.textContent = "";
    setTimeout(() => (said.textContent = text), 50); // the same words again are read again
  };

  const threadPath = (id) => `${base}/threads/${encodeURIComponent(id)}`;

  const post = (path, fields) =>
    fetch(path, {
      method: "POST",
      credentials: "same-origin",
      headers: { accept: "application/json" },
      body: new URLSearchParams({ form_token: token, ...fields }),
    });

  // Threads

  const fetchThread = async (id) => {
    const answer = await fetch(`${threadPath(id)}/part`, { credentials: "same-origin" });
    if (answer.status === 404) return null;
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    return document.importNode(page.querySelector("article.thread"), true);
  };

  // What is moved keeps its state where the browser can do that; frames in it would load anew otherwise.
  const put = (parent, node, before) =>
    parent.moveBefore && node.isConnected ? parent.moveBefore(node, before) : parent.insertBefore(node, before);

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
      let place = before ? before.nextElementSibling : box.firstElementChild;
      if (place?.classList.contains("new-line") && place.nextElementSibling === standing) place = standing;
      if (standing !== place) put(box, standing, place);
      before = standing;
    }
    for (const gone of known.values()) gone.remove();
    const line = fresh.querySelector(".new-line");
    const first = line && arrived.find((one) => one.classList.contains("in"));
    if (first && !box.querySelector(".new-line")) box.insertBefore(line, first);
    return arrived;
  };

  const isWriting = (answer) => {
    const form = answer?.querySelector("form");
    return Boolean(form) && (form.elements.text.value.trim() !== "" || form.contains(document.activeElement));
  };

  const mergeFoot = (present, came) => {
    const foot = present.querySelector(".foot");
    const fresh = came.querySelector(".foot");
    if (!foot || !fresh) {
      foot?.remove();
      if (fresh) present.querySelector("details").append(fresh);
      wake(present);
      return;
    }
    const now = foot.querySelector(".now");
    if (now.innerHTML !== fresh.querySelector(".now").innerHTML && !now.contains(document.activeElement)) {
      now.replaceWith(fresh.querySelector(".now"));
    }
    const answer = foot.querySelector("details.answer");
    const offered = fresh.querySelector("details.answer");
    if (isWriting(answer)) {
      answer.querySelector(".newer").hidden = offered?.dataset.original === answer.dataset.original;
      return;
    }
    const hadFocus = answer?.contains(document.activeElement);
    if (answer && offered) offered.open = answer.open;
    foot.querySelector(".acts").replaceWith(fresh.querySelector(".acts"));
    if (hadFocus) foot.querySelector(".answer > summary")?.focus({ preventScroll: true });
    wake(present);
  };

  const mergeThread = (present, came) => {
    const wasLoaded = !("load" in present.querySelector("details").dataset);
    const summary = present.querySelector("summary");
    const fresh = came.querySelector("summary");
    if (summary.innerHTML !== fresh.innerHTML) summary.replaceChildren(...fresh.childNodes);
    present.className = came.className;
    for (const name of ["rank", "subject", "seq", "moving"]) {
      if (name in came.dataset) present.dataset[name] = came.dataset[name];
      else delete present.dataset[name];
    }
    if (!wasLoaded) return [present];
    const arrived = mergeMessages(present, came);
    mergeFoot(present, came);
    return arrived;
  };

  const placeThread = (thread) => {
    const others = [...list.querySelectorAll("article.thread")].filter((one) => one !== thread);
    const next = others.find((one) => one.dataset.rank < thread.dataset.rank) ?? null;
    if (thread.nextElementSibling === next && thread.isConnected) return;
    const focused = thread.contains(document.activeElement) ? document.activeElement : null;
    put(list, thread, next);
    focused?.focus({ preventScroll: true });
  };

  // Reading in peace: whatever is put in above, what stands before somebody's eyes stays there.

  // What is in a closed thread has a box, too, in some browsers: as if it were open, over what stands below it.
  const OPEN = "article.thread > details[open]";
  const readingAt = () => {
    for (const one of list.querySelectorAll(`${OPEN} article.message, ${OPEN} .foot`)) {
      const box = one.getBoundingClientRect();
      if (box.height > 0 && box.bottom > 0) return box.top < innerHeight ? one : null;
    }
    return null;
  };

  const inPeace = (change) => {
    const anchor = document.activeElement?.closest?.(".answer") ?? readingAt();
    const before = anchor?.getBoundingClientRect().top;
    change();
    if (anchor?.isConnected) window.scrollBy({ top: anchor.getBoundingClientRect().top - before, behavior: "instant" });
  };

  const aboveTheView = new Set();
  const showArrivals = () => {
    for (const one of aboveTheView) {
      if (!one.isConnected || one.getBoundingClientRect().bottom > 8) aboveTheView.delete(one);
    }
    const number = aboveTheView.size;
    arrivals.hidden = number === 0;
    arrivals.textContent = number === 1 ? "↑ Something new above" : `↑ ${number} threads changed above`;
  };
  arrivals.addEventListener("click", () => {
    const [first] = [...aboveTheView].sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top);
    first?.scrollIntoView({ block: "start" });
    first?.querySelector("summary")?.focus({ preventScroll: true });
  });
  addEventListener("scroll", showArrivals, { passive: true });

  const highlight = (elements) => {
    for (const one of elements) {
      one.classList.remove("fresh");
      void one.offsetWidth; // begins the animation again
      one.classList.add("fresh");
      const thread = one.closest("article.thread");
      if (one.getBoundingClientRect().bottom <= 8) aboveTheView.add(thread);
    }
    showArrivals();
  };

  const announce = (type, subject) => {
    const words = WORDS[type];
    if (words) say(`${words} ${subject || "a thread without a subject"}`);
  };

  const refresh = async (id, type) => {
    const came = await fetchThread(id);
    const present = document.getElementById(id);
    if (!came) {
      inPeace(() => present?.remove());
      return;
    }
    if (!present && !takesNew) return;
    let arrived = [];
    inPeace(() => {
      if (present) {
        arrived = mergeThread(present, came);
        if (takesNew && type !== null) placeThread(present);
      } else {
        document.getElementById("empty")?.remove();
        // The first is opened, as the page would; beside others a new one waits to be opened.
        came.querySelector("details").open = list.querySelector("article.thread") === null;
        placeThread(came);
        wake(came);
        arrived = [came];
      }
    });
    highlight(arrived);
    const thread = present ?? came;
    settle(thread);
    watchForReading(thread);
    if (type !== null) announce(type, thread.dataset.subject);
  };

  // One request per thread at a time; what comes meanwhile is asked for once more.
  const asked = new Map();
  const changed = async (id, type) => {
    if (asked.has(id)) {
      asked.set(id, { type });
      return;
    }
    asked.set(id, null);
    let now = { type };
    while (now !== null) {
      try {
        await refresh(id, now.type);
      } catch {
        setTimeout(changed, 3000, id, now.type);
      }
      now = asked.get(id);
      asked.set(id, null);
    }
    asked.delete(id);
  };

  // A letter on its way changes in steps of which the stream tells only some: look again until it has settled.
  const looks = new Map();
  const settle = (thread) => {
    if (!("moving" in thread.dataset)) {
      looks.delete(thread.id);
      return;
    }
    const look = looks.get(thread.id) ?? { wait: SETTLE_MS / 2, timer: 0 };
    clearTimeout(look.timer);
    look.wait = Math.min(look.wait * 2, LONGEST_SETTLE_MS);
    look.timer = setTimeout(() => (document.hidden ? settle(thread) : changed(thread.id, null)), look.wait);
    looks.set(thread.id, look);
  };

  // What was read

  const markRead = async (thread) => {
    if (!thread.classList.contains("unread")) return;
    try {
      const answer = await post(`${threadPath(thread.id)}/read`, { seq: thread.dataset.seq });
      if (!answer.ok) return;
      thread.classList.remove("unread");
      thread.querySelector(".chip.new")?.remove();
    } catch {
      // It stays unread; the next look may tell.
    }
  };

  const timers = new Map();
  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      clearTimeout(timers.get(target));
      timers.delete(target);
      if (!isIntersecting) continue;
      timers.set(target, setTimeout(() => {
        if (document.hidden) return;
        seen.unobserve(target);
        markRead(target.closest("article.thread"));
      }, READ_AFTER_MS));
    }
  });
  const watchForReading = (thread) => {
    if (!hasReader || !thread.classList.contains("unread")) return;
    const last = thread.querySelector(".messages > article.message:last-of-type");
    if (!last) return;
    seen.unobserve(last);
    seen.observe(last);
  };

  // A thread is fetched when it is opened for the first time.
  list.addEventListener(
    "toggle",
    async (event) => {
      const details = event.target;
      const thread = details.parentElement;
      if (!details.open || !thread?.classList.contains("thread")) return;
      if (!("load" in details.dataset)) {
        watchForReading(thread);
        return;
      }
      try {
        const came = await fetchThread(thread.id);
        if (!came || !("load" in details.dataset)) return;
        delete details.dataset.load;
        thread.dataset.seq = came.dataset.seq;
        details.querySelector(".messages").replaceWith(came.querySelector(".messages"));
        mergeFoot(thread, came);
        watchForReading(thread);
      } catch {
        // The link inside leads to the thread's own page.
      }
    },
    true,
  );

  // Replies. What is being written outlives a reload, where the browser lets a page keep anything.

  const draftKey = (form) => `selma-reply:${form.closest("article.thread").id}`;
  const drafts = {
    get: (form) => {
      try {
        return JSON.parse(sessionStorage.getItem(draftKey(form)) ?? "null");
      } catch {
        return null;
      }
    },
    set: (form, draft) => {
      try {
        if (draft) sessionStorage.setItem(draftKey(form), JSON.stringify(draft));
        else sessionStorage.removeItem(draftKey(form));
      } catch {
        // Not in this frame, then.
      }
    },
  };
  const draftOf = (form, tried) => ({
    text: form.elements.text.value,
    key: form.elements.key.value,
    original: form.elements.original.value,
    tried,
  });

  // A draft that was sent without an answer keeps its key: sent again, it is the same letter.
  const wake = (scope) => {
    for (const form of scope.querySelectorAll("form.reply")) {
      const draft = drafts.get(form);
      if (!draft || form.elements.text.value) continue;
      form.elements.text.value = draft.text;
      if (draft.tried) {
        form.elements.key.value = draft.key;
        form.elements.original.value = draft.original;
        form.dataset.tried = "";
      }
      form.closest("details").open = true;
    }
  };

  const complain = (form, words) => {
    const problem = form.querySelector(".problem");
    problem.hidden = words === null;
    problem.querySelector("span").textContent = words ?? "";
    const text = form.elements.text;
    if (words === null) {
      text.removeAttribute("aria-invalid");
      text.removeAttribute("aria-describedby");
    } else {
      text.setAttribute("aria-invalid", "true");
      text.setAttribute("aria-describedby", problem.id);
    }
  };

  list.addEventListener("input", (event) => {
    const form = event.target.closest("form.reply");
    if (form && event.target.name === "text") {
      const written = form.elements.text.value;
      drafts.set(form, written ? draftOf(form, "tried" in form.dataset) : null);
    }
  });

  const send = async (form) => {
    const thread = form.closest("article.thread");
    const button = form.querySelector("button.primary");
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    button.textContent = "Sending…";
    complain(form, null);
    form.dataset.tried = "";
    drafts.set(form, draftOf(form, true));
    try {
      const fields = Object.fromEntries(new FormData(form));
      const answer = await post(`${threadPath(thread.id)}/replies`, fields);
      const told = await answer.json().catch(() => null);
      if (answer.ok && told) {
        finish(form, told.key);
        await changed(thread.id, null);
        say("Your reply is in the outbox.");
        document.getElementById(told.message_id)?.scrollIntoView({ block: "nearest" });
      } else {
        complain(form, told?.problem ?? (answer.status >= 500 ? UNREACHED : OVER));
      }
    } catch {
      complain(form, UNREACHED);
    }
    button.removeAttribute("aria-disabled");
    button.textContent = "Send reply";
  };

  const finish = (form, key) => {
    drafts.set(form, null);
    form.elements.text.value = "";
    form.elements.key.value = key;
    delete form.dataset.tried;
    form.querySelector(".newer").hidden = true;
    const answer = form.closest("details");
    answer.open = false;
    answer.querySelector("summary").focus({ preventScroll: true });
  };

  const act = async (form) => {
    const thread = form.closest("article.thread");
    const what = form.dataset.act;
    try {
      const answer = await post(`${threadPath(thread.id)}/${what}`, Object.fromEntries(new FormData(form)));
      if (answer.ok && what === "unread") {
        for (const one of thread.querySelectorAll("article.message")) seen.unobserve(one);
        thread.querySelector("details").open = false;
        thread.querySelector("summary").focus();
      }
      if (answer.status === 409) say("It has left already and can no longer be cancelled.");
    } catch {
      say("The gateway cannot be reached now.");
    }
    // The form goes; whoever came by keyboard stays near.
    if (what !== "unread") (thread.querySelector(".answer > summary") ?? thread.querySelector("summary")).focus({ preventScroll: true });
    changed(thread.id, null);
  };

  list.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("form.reply, form[data-act]")) return;
    event.preventDefault();
    if (form.matches("form.reply")) send(form);
    else act(form);
  });

  // Everything on paper that was asked for on paper.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...list.querySelectorAll(".thread > details:not([data-load]):not([open]), .message > details:not([open])")];
    for (const one of opened) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of opened) one.open = false;
  });

  // An embedded page's address is good for a while, and is renewed while the page is open.

  const rebase = (next) => {
    for (const one of document.querySelectorAll("[href], [action]")) {
      const name = one.hasAttribute("href") ? "href" : "action";
      const value = one.getAttribute(name);
      if (value.startsWith(base)) one.setAttribute(name, next + value.slice(base.length));
    }
    base = next;
    try {
      const here = location.pathname;
      const rest = here.slice(here.indexOf("/events") + "/events".length);
      history.replaceState(null, "", next + rest + location.search + location.hash);
    } catch {
      // Then a reload asks SELMA for a new link.
    }
  };

  const renew = async () => {
    try {
      const answer = await post(`${base}/renew`, {});
      if (answer.status === 410) {
        close();
        setState("off", "Over. Reload the page of SELMA.");
        return;
      }
      const told = await answer.json();
      rebase(told.base);
      keepGoing(told.good_for_s);
    } catch {
      setTimeout(renew, 15000);
    }
  };
  const keepGoing = (seconds) => setTimeout(renew, Math.max(5, seconds / 2) * 1000);

  // The stream. It rests while nobody looks, and goes on from where it was.

  let seq = list.dataset.seq;
  let source = null;
  let retryMs = 2000;

  const setState = (state, word) => {
    live.hidden = false;
    live.className = `live ${state}`;
    if (liveWord.textContent !== word) liveWord.textContent = word;
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
        setState("off", "keptGoing" in list.dataset ? "Over. Reload the page of SELMA." : "Signed out. Reload the page.");
        return;
      }
      setTimeout(open, retryMs);
      retryMs = Math.min(retryMs * 2, 30000);
    });
  };

  const isSignedOut = async () => {
    try {
      const answer = await fetch(base, { method: "HEAD", redirect: "manual" });
      return answer.type === "opaqueredirect" || answer.status === 410;
    } catch {
      return false;
    }
  };

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return close();
    open();
    for (const thread of list.querySelectorAll("article.thread.unread")) watchForReading(thread);
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);

  wake(list);
  for (const thread of list.querySelectorAll("article.thread")) settle(thread);
  for (const thread of list.querySelectorAll(".thread.unread > details[open]")) watchForReading(thread.parentElement);
  if (list.dataset.goodFor) {
    list.dataset.keptGoing = "";
    keepGoing(Number(list.dataset.goodFor));
  }
  open();
})();
