// The browser's part of keys.py, which says what it is for.

const PAUSE = 1000; // milliseconds after the last stroke
const TICK = 250; // milliseconds; the text changes once a second

function clockFace(seconds) {
  const whole = Math.floor(Math.abs(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function isPlain(event) {
  const withModifier = event.ctrlKey || event.metaKey || event.altKey;
  return !withModifier && !["Tab", "Escape"].includes(event.key) && !(event.shiftKey && event.key === "Enter");
}

function nameOf(field) {
  const names = field.closest?.('[class*="course-typed-"]')?.className.match(/course-typed-(\S+)/);
  return names ? names[1] : null;
}

export default {
  render({ model, el }) {
    const view = () => el.closest(".course-view");
    const waiting = new Map(); // name of a text box -> [its element, timer]
    let inside = false; // whether the focus is in this view
    let began = performance.now();
    let over = false;

    el.classList.add("course-keys");
    const face = el.appendChild(document.createElement("span"));
    face.setAttribute("role", "timer");
    const how = el.appendChild(document.createElement("small"));
    how.className = "course-keys-how";
    const help = el.appendChild(document.createElement("small"));

    function tick() {
      if (el.closest(".jupyter-widgets-disconnected")) {
        clearInterval(ticking);
        how.textContent = "";
        help.textContent = model.get("gone");
        return;
      }
      const since = (performance.now() - began) / 1000;
      let anyLate = false;
      const lines = model.get("times").map(({ text, seconds, step, limit, late }) => {
        const now = seconds + step * since;
        const isLate = now < 0 || (limit !== null && now > limit);
        anyLate ||= isLate;
        return (isLate && late ? late : text).replace("{}", clockFace(now));
      });
      const line = lines.join(" · ");
      if (face.textContent !== line) face.textContent = line;
      face.classList.toggle("late", anyLate);
    }

    function write() {
      help.textContent = model.get("help");
      how.textContent = model.get("help") && model.get("how");
      const listens = model.get("wanted").length > 0;
      el.tabIndex = listens ? 0 : -1;
      for (const [attribute, value] of [["role", "group"], ["aria-label", model.get("help")]])
        if (listens) el.setAttribute(attribute, value);
        else el.removeAttribute(attribute);
    }

    function restart() {
      began = performance.now();
      tick();
    }

    function sendTyped() {
      for (const [name, [field, timer]] of waiting) {
        clearTimeout(timer);
        model.send({ typed: name, text: field.value });
      }
      waiting.clear();
    }

    function onKey(event) {
      if (!view()?.contains(event.target) || !isPlain(event)) return;
      if (event.target.matches("input, textarea, select")) {
        if (event.key !== "Enter" || event.isComposing || !nameOf(event.target)) return;
        waiting.set(nameOf(event.target), [event.target, 0]);
        sendTyped(); // before the key: it is what the key is about
        model.send({ key: "Enter" });
        return;
      }
      event.stopPropagation(); // before JupyterLab, which listens further down
      const onControl = event.target.closest("button, a, summary") && [" ", "Enter"].includes(event.key);
      if (onControl || event.repeat || !model.get("wanted").includes(event.key)) return;
      event.preventDefault();
      model.send({ key: event.key });
    }

    function onInput(event) {
      const name = view()?.contains(event.target) ? nameOf(event.target) : null;
      if (!name) return;
      clearTimeout(waiting.get(name)?.[1]);
      waiting.set(name, [event.target, setTimeout(sendTyped, PAUSE)]);
    }

    function onClick(event) {
      if (!view()?.contains(event.target)) return;
      sendTyped(); // before the click
      if (!view().contains(document.activeElement)) el.focus({ preventScroll: true });
    }

    function onFocus(event) {
      inside = Boolean(view()?.contains(event.target));
    }

    function onVisible() {
      if (document.hidden) sendTyped();
      else model.send({ shown: true }); // a computer that slept has let the times stand
    }

    function name(box) { // for whoever hears the page: ipywidgets gives text boxes an empty label, and 0 1 2 no row
      for (const control of box.querySelectorAll("input[title], button.widget-toggle-button[title]"))
        control.setAttribute("aria-label", control.title);
      for (const button of box.querySelectorAll("button.widget-toggle-button"))
        button.setAttribute("aria-pressed", String(button.classList.contains("mod-active")));
    }

    function onChange() {
      name(view());
      const focus = document.activeElement;
      const hidden = view().contains(focus) && (focus.offsetParent === null || focus.disabled);
      if (inside && (hidden || focus === document.body)) el.focus({ preventScroll: true });
    }

    const changes = new MutationObserver(onChange);
    function watch() { // the box is there once the widgets around this one are
      if (!view()) return over || requestAnimationFrame(watch);
      const attributeFilter = ["style", "disabled", "class", "title"];
      changes.observe(view(), { attributes: true, attributeFilter, childList: true, subtree: true });
      name(view());
    }

    const listeners = { keydown: onKey, input: onInput, click: onClick, focusin: onFocus, pagehide: sendTyped };
    for (const [kind, listener] of Object.entries(listeners)) window.addEventListener(kind, listener, true);
    document.addEventListener("visibilitychange", onVisible);
    model.on("change:times", restart);
    model.on("change:help change:wanted", write);
    const ticking = setInterval(tick, TICK);
    tick();
    write();
    watch();
    model.send({ shown: true });

    return () => {
      over = true;
      clearInterval(ticking);
      changes.disconnect();
      for (const [kind, listener] of Object.entries(listeners)) window.removeEventListener(kind, listener, true);
      document.removeEventListener("visibilitychange", onVisible);
      model.off("change:times", restart);
      model.off("change:help change:wanted", write);
      sendTyped();
    };
  },
};
