// What pages do better with a script than without: times that move on, parts that change, copying, choosing all.
// Nothing here is needed to read a page or to send a form.
"use strict";

(() => {
  // "3 min ago": as the server says it (html.rs).
  const relative = (agoMs) => {
    const ms = Math.abs(agoMs);
    if (ms < 1500) return agoMs >= 0 ? "just now" : "in a moment";
    const [value, unit] =
      ms < 6e4 ? [ms / 1e3, "s"] : ms < 36e5 ? [ms / 6e4, "min"] : ms < 864e5 ? [ms / 36e5, "h"] : [ms / 864e5, "d"];
    const span = `${Math.floor(value)} ${unit}`;
    return agoMs >= 0 ? `${span} ago` : `in ${span}`;
  };
  const moveTimes = () => {
    for (const time of document.querySelectorAll("time[datetime]")) {
      const text = relative(Date.now() - Date.parse(time.dateTime));
      if (time.textContent !== text) time.textContent = text;
    }
  };
  setInterval(moveTimes, 1000);

  // Makes an element be like another one, keeping what is alike: focus, ticks, open folds and the place of the reader.
  const morph = (from, to) => {
    for (const { name, value } of to.attributes) {
      if (from.getAttribute(name) !== value) from.setAttribute(name, value);
    }
    for (const { name } of [...from.attributes]) {
      if (!to.hasAttribute(name) && !(name === "open" && from.localName === "details") && name !== "hidden") {
        from.removeAttribute(name);
      }
    }
    morphChildren(from, to);
  };
  const morphChildren = (from, to) => {
    const byId = new Map();
    for (const child of from.children) if (child.id) byId.set(child.id, child);
    let at = from.firstChild;
    for (const wanted of [...to.childNodes]) {
      let found = wanted.id ? byId.get(wanted.id) : null;
      if (!found && at && !wanted.id && at.nodeName === wanted.nodeName && !at.id) found = at;
      if (!found) {
        from.insertBefore(wanted, at);
        continue;
      }
      if (found === at) at = at.nextSibling;
      else from.insertBefore(found, at);
      if (found.nodeType !== Node.ELEMENT_NODE) {
        if (found.nodeValue !== wanted.nodeValue) found.nodeValue = wanted.nodeValue;
      } else if (!found.isEqualNode(wanted)) morph(found, wanted);
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  };

  // The parts of this page as they change. A page that nobody looks at asks for nothing.
  const live = () => {
    const sign = document.getElementById("livesign");
    let source = null;
    const show = (text, isLost) => {
      sign.hidden = false;
      sign.classList.toggle("lost", isLost);
      if (sign.textContent !== text) sign.textContent = text;
    };
    const open = () => {
      source = new EventSource(document.body.dataset.live);
      source.addEventListener("part", (event) => {
        const { id, html } = JSON.parse(event.data);
        const part = document.getElementById(id);
        if (!part) return;
        // Within an element of the same name, since rows stand only in tables.
        const like = part.cloneNode(false);
        like.innerHTML = html;
        morphChildren(part, like);
        dress(part);
        moveTimes();
        show("live", false);
      });
      source.addEventListener("open", () => show("live", false));
      source.addEventListener("error", () => show("not live at this moment", true));
      source.addEventListener("ended", () => {
        source.close();
        show("ended: load the page again", true);
      });
    };
    const look = () => {
      if (document.hidden) {
        source?.close();
        source = null;
      } else if (!source) open();
    };
    document.addEventListener("visibilitychange", look);
    look();
  };

  const dress = (root) => {
    for (const button of root.querySelectorAll("[data-copy]")) button.hidden = false;
    for (const box of root.querySelectorAll("[data-all]")) box.hidden = false;
  };

  document.addEventListener("click", async (event) => {
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      const from = copy.parentElement.querySelector("input, pre");
      const text = from.value ?? from.textContent;
      try {
        await navigator.clipboard.writeText(text);
        copy.textContent = "Copied";
      } catch {
        from.select?.();
        copy.textContent = "Press Ctrl-C";
      }
      setTimeout(() => (copy.textContent = "Copy"), 2000);
    }
    // A button that is about its own row leaves the ticks of others alone.
    const alone = event.target.closest("[data-alone]");
    if (alone) for (const box of alone.form.querySelectorAll("input[name=pick]")) box.checked = false;
  });

  document.addEventListener("change", (event) => {
    const name = event.target.dataset?.all;
    if (!name) return;
    for (const box of event.target.form.querySelectorAll(`input[name="${name}"]`)) box.checked = event.target.checked;
  });

  // The key of a portal's link stands behind the #, which browsers keep from servers: it is sent as a form, once.
  const enter = document.getElementById("enter");
  if (enter && location.hash.startsWith("#key=")) {
    enter.elements.key.value = location.hash.slice(5);
    history.replaceState(null, "", location.pathname);
    enter.submit();
  }

  dress(document);
  // What was asked for by a button is seen without looking for it.
  document.getElementById("result")?.scrollIntoView({ block: "nearest" });
  if (document.body.hasAttribute("data-live")) live();
})();
