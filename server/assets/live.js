// Keeps pages up to date. They are complete without it: it fetches the same page again when the
// server says that something changed and replaces what differs, appends to logs as they grow, lets
// durations tick and adds buttons for copying.
"use strict";

(() => {
  const main = document.getElementById("main");
  const indicator = document.getElementById("live");
  const MIN_PAUSE = 1000;

  // --- Times -----------------------------------------------------------------------------------

  const two = (number) => String(number).padStart(2, "0");

  function duration(seconds) {
    const [minutes, hours, days] = [60, 3600, 86400].map((unit) => Math.floor(seconds / unit));
    if (!minutes) return `${seconds}s`;
    if (!hours) return `${minutes}m ${two(seconds % 60)}s`;
    if (!days) return `${hours}h ${two(minutes % 60)}m`;
    return `${days}d ${two(hours % 24)}h`;
  }

  function ago(seconds) {
    const [minutes, hours, days] = [60, 3600, 86400].map((unit) => Math.floor(seconds / unit));
    if (!minutes) return "just now";
    if (!hours) return `${minutes} min ago`;
    if (!days) return `${hours} h ago`;
    return days === 1 ? "1 day ago" : `${days} days ago`;
  }

  // By the server's clock: this machine's may be wrong.
  let clockError = 0;

  function noteClock(response) {
    const server = Date.parse(response.headers.get("date") || "");
    if (!Number.isNaN(server)) clockError = server - Date.now();
  }

  const secondsSince = (text) =>
    Math.max(0, Math.floor((Date.now() + clockError - Date.parse(text)) / 1000));

  function write(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  function tick() {
    for (const element of document.querySelectorAll("[data-since]")) {
      write(element, duration(secondsSince(element.dataset.since)));
    }
    for (const element of document.querySelectorAll("time[data-ago]")) {
      write(element, ago(secondsSince(element.dateTime)));
    }
  }

  // --- Replacing what changed ------------------------------------------------------------------

  // Makes `old` equal to `fresh`, touching as little as possible: selections, focus, what is
  // unfolded and the place of the page stay.
  function morph(old, fresh) {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeType === Node.TEXT_NODE && fresh.nodeType === Node.TEXT_NODE) {
      old.data = fresh.data;
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE || old.nodeName !== fresh.nodeName) {
      old.replaceWith(fresh);
      return;
    }
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    }
    for (const { name, value } of [...fresh.attributes]) {
      if (name !== "open" && old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    if (old === document.activeElement && old.nodeName === "INPUT") return;
    const [mine, theirs] = [[...old.childNodes], [...fresh.childNodes]];
    theirs.forEach((node, position) => {
      if (position < mine.length) morph(mine[position], node);
      else old.append(node);
    });
    mine.slice(theirs.length).forEach((node) => node.remove());
  }

  function showPage(fresh) {
    document.title = fresh.title;
    for (const region of document.querySelectorAll("[data-live]")) {
      const replacement = fresh.getElementById(region.id);
      if (replacement) morph(region, replacement);
    }
    const [old, log] = [document.getElementById("log"), fresh.getElementById("log")];
    const attempt = (section) => section.querySelector("[data-attempt]")?.dataset.attempt;
    if (old && log && attempt(old) !== attempt(log)) {
      old.replaceWith(log);
      stopLog();
    } else if (old && log && !log.querySelector("[data-follow]")) {
      old.querySelector("[data-follow]")?.removeAttribute("data-follow");
    }
    tick();
    followLog();
  }

  let pending = null;
  let pause = MIN_PAUSE;
  let running = false;
  let again = false;

  async function refresh() {
    pending = null;
    if (running) {
      again = true;
      return;
    }
    running = true;
    const started = performance.now();
    try {
      const response = await fetch(location.href, { cache: "no-cache" });
      if (response.ok) {
        noteClock(response);
        showPage(new DOMParser().parseFromString(await response.text(), "text/html"));
      }
    } catch {
      // The server is away; the next event or poll tries again.
    }
    running = false;
    // A big page must keep neither the browser nor the server busy.
    pause = Math.max(MIN_PAUSE, 4 * (performance.now() - started));
    if (again) {
      again = false;
      refreshSoon();
    }
  }

  function refreshSoon() {
    if (pending === null) pending = setTimeout(refresh, pause);
  }

  // --- Events ----------------------------------------------------------------------------------

  let events = null;
  let poll = null;

  function say(text) {
    write(indicator, text);
    indicator.classList.toggle("on", text === "live");
  }

  function concernsThisPage(event) {
    if (!("onlyBuilds" in main.dataset) || event.build === null) return true;
    return document.querySelector(`[data-build="${Number(event.build)}"]`) !== null;
  }

  function connect() {
    if (main.dataset.events && !events) {
      events = new EventSource(main.dataset.events);
      events.onopen = () => {
        say("live");
        // What happened between the page and this connection.
        refreshSoon();
      };
      events.onmessage = (message) => {
        if (concernsThisPage(JSON.parse(message.data))) refreshSoon();
      };
      events.onerror = () => {
        say("reconnecting …");
        if (events && events.readyState === EventSource.CLOSED) {
          events = null;
          setTimeout(resume, 5000);
        }
      };
    }
    if (main.dataset.poll && !poll) {
      poll = setInterval(refreshSoon, Number(main.dataset.poll) * 1000);
    }
  }

  function disconnect() {
    events?.close();
    events = null;
    clearInterval(poll);
    poll = null;
    clearTimeout(pending);
    pending = null;
    stopLog();
    say("");
  }

  // --- The log ---------------------------------------------------------------------------------

  // Renders as the server does (views/log.rs): colours become classes, nothing else is obeyed.
  class Terminal {
    constructor(pre) {
      this.pre = pre;
      this.style = { b: false, f: false, u: false, c: 0 };
      this.line = document.createElement("span");
      this.returned = false;
      this.carry = "";
    }

    feed(text) {
      if (!this.line.parentNode) this.pre.append(this.line);
      text = this.carry + text;
      this.carry = "";
      const token =
        /\x1b\[([ -?]*)([@-~]?)|\x1b[\]P^_X][^\x07\x1b\x9c\n]*(?:\x07|\x9c|\x1b\\?|(?=\n))|\x1b[ -/]+[0-~]|\x1b[0-~]|\r\n|[\r\n\x1b]|[^\r\n\x1b]+/g;
      const cut = /(?:\x1b(?:\[[ -?]*|[\]P^_X][^\x07\x1b\x9c\n]*\x1b?|[ -/]*)?|\r)$/.exec(text);
      if (cut && cut[0].length < 4096) {
        this.carry = cut[0];
        text = text.slice(0, cut.index);
      }
      for (const match of text.matchAll(token)) {
        const [whole, parameters, final] = match;
        if (whole === "\n" || whole === "\r\n") this.newline();
        else if (whole === "\r") this.returned = true;
        else if (whole[0] !== "\x1b") this.print(whole);
        else if (final === "m") this.select(parameters);
      }
      while (this.pre.childNodes.length > 20000) this.pre.firstChild.remove();
    }

    print(text) {
      if (this.returned) {
        this.returned = false;
        this.line.textContent = "";
      }
      const shown = text.replace(
        /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
        (c) => {
          const code = c.charCodeAt(0);
          if (code < 0x20) return String.fromCharCode(0x2400 + code);
          return code === 0x7f ? "\u2421" : "\ufffd";
        },
      );
      const { b, f, u, c } = this.style;
      const classes = [b && "b", f && "f", u && "u", c && `c${c}`].filter(Boolean).join(" ");
      if (!classes) {
        this.line.append(shown);
        return;
      }
      const span = document.createElement("span");
      span.className = classes;
      span.textContent = shown;
      this.line.append(span);
    }

    newline() {
      this.returned = false;
      this.line.append("\n");
      this.line = document.createElement("span");
      this.pre.append(this.line);
    }

    select(parameters) {
      const codes = parameters.split(/[;:]/).map((code) => (/^\d+$/.test(code) ? Number(code) : 0));
      for (let at = 0; at < codes.length; at += 1) {
        const code = codes[at];
        const style = this.style;
        if (code === 0) this.style = { b: false, f: false, u: false, c: 0 };
        else if (code === 1) style.b = true;
        else if (code === 2) style.f = true;
        else if (code === 4) style.u = true;
        else if (code === 22) style.b = style.f = false;
        else if (code === 24) style.u = false;
        else if (code === 30 || code === 90) style.c = 8;
        else if (code === 37 || code === 39 || code === 97) style.c = 0;
        else if (code >= 31 && code <= 36) style.c = code - 30;
        else if (code >= 91 && code <= 96) style.c = code - 90;
        else if (code === 38 || code === 48) at += codes[at + 1] === 5 ? 2 : 4;
      }
    }
  }

  let reading = null;

  function stopLog() {
    reading?.abort();
    reading = null;
  }

  function followLog() {
    const box = document.querySelector("#log [data-follow]");
    if (!box || reading || document.hidden) return;
    reading = new AbortController();
    const pre = box.querySelector("pre");
    box.terminal ??= new Terminal(pre);
    box.decoder ??= new TextDecoder();
    readLog(box, reading);
  }

  async function readLog(box, controller) {
    try {
      const address = `${box.dataset.follow}&offset=${box.dataset.offset}`;
      const response = await fetch(address, { signal: controller.signal, cache: "no-store" });
      if (response.ok) {
        const reader = response.body.getReader();
        for (;;) {
          const { done, value } = await reader.read();
          if (done) break;
          box.dataset.offset = String(Number(box.dataset.offset) + value.length);
          box.terminal.feed(box.decoder.decode(value, { stream: true }));
        }
      }
    } catch {
      // Ended by this page, or the server is away.
    }
    if (reading !== controller) return;
    reading = null;
    // The attempt is over, or the connection broke: the page knows which.
    refreshSoon();
    setTimeout(followLog, 3000);
  }

  // --- Copying ---------------------------------------------------------------------------------

  function addCopyButtons() {
    if (!navigator.clipboard) return;
    for (const snippet of document.querySelectorAll("[data-copy]")) {
      const box = document.createElement("div");
      box.className = "with-copy";
      snippet.replaceWith(box);
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "Copy";
      button.addEventListener("click", async () => {
        try {
          await navigator.clipboard.writeText(`${snippet.textContent}\n`);
          button.textContent = "Copied";
        } catch {
          button.textContent = "Not allowed";
        }
        setTimeout(() => (button.textContent = "Copy"), 2000);
      });
      box.append(snippet, button);
    }
  }

  // --- Start -----------------------------------------------------------------------------------

  // Browsers open few connections per server: hidden pages give theirs back.
  function resume() {
    if (document.hidden) return;
    connect();
    followLog();
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      disconnect();
    } else {
      resume();
      refreshSoon();
    }
  });
  window.addEventListener("pagehide", disconnect);
  window.addEventListener("pageshow", (event) => event.persisted && resume());

  addCopyButtons();
  setInterval(tick, 1000);
  resume();
})();
