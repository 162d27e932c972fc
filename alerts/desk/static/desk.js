"use strict";
// Times in the reader's zone, and pages that follow what happens. Nothing on them needs this script.

const language = document.documentElement.lang;
const clock = {hour: "2-digit", minute: "2-digit", hourCycle: "h23"};
const day = {month: "short", day: "numeric", ...clock};
const ofToday = new Intl.DateTimeFormat(language, clock);
const ofYear = new Intl.DateTimeFormat(language, day);
const older = new Intl.DateTimeFormat(language, {year: "numeric", ...day});

function localTimes(root) {
  const today = new Date();
  for (const element of root.querySelectorAll("time[datetime]")) {
    const at = new Date(element.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    element.title = at.toISOString().slice(0, 19).replace("T", " ") + " UTC";
    const style = at.toDateString() === today.toDateString() ? ofToday
      : at.getFullYear() === today.getFullYear() ? ofYear : older;
    element.textContent = style.format(at);
  }
}

// A part in which somebody is writing, or has chosen something, is left alone.
function inUse(part) {
  const focus = document.activeElement;
  if (focus && focus !== document.body && part.contains(focus)
      && focus.matches("input, select, textarea")) return true;
  for (const field of part.querySelectorAll("input:not([type=hidden]), textarea")) {
    if (field.value !== field.defaultValue) return true;
  }
  for (const option of part.querySelectorAll("option")) {
    if (option.selected !== option.defaultSelected && part.querySelector("option[selected]")) return true;
  }
  return false;
}

let left = false; // whether a part was left as it was
const served = new Map(); // the parts as the server sent them, before times were changed

function partsOf(root) {
  return [...root.querySelectorAll("main section[id]")];
}

function where(part) {
  const focus = document.activeElement;
  if (!focus || !part.contains(focus)) return null;
  if (focus.id) return "#" + CSS.escape(focus.id);
  const address = focus.getAttribute("href");
  return address ? `a[href="${CSS.escape(address)}"]` : null;
}

function take(page) {
  const fresh = partsOf(page);
  const names = (parts) => parts.map((part) => part.id).join();
  const present = partsOf(document);
  if (names(fresh) !== names(present) && !present.some(inUse)) {
    document.querySelector("main").replaceWith(page.querySelector("main"));
    remember();
  } else {
    for (const part of fresh) {
      const old = document.getElementById(part.id);
      if (!old || served.get(part.id) === part.innerHTML) continue;
      if (inUse(old)) { left = true; continue; }
      const focus = where(old);
      const open = [...old.querySelectorAll("details[open][id]")].map((each) => each.id);
      served.set(part.id, part.innerHTML);
      old.replaceWith(part);
      for (const id of open) document.getElementById(id)?.setAttribute("open", "");
      if (focus) part.querySelector(focus)?.focus({preventScroll: true});
      localTimes(part);
    }
  }
  document.title = page.title;
  document.getElementById("waiting").replaceWith(page.getElementById("waiting"));
  document.body.dataset.mark = page.body.dataset.mark || "";
}

function remember() {
  for (const part of partsOf(document)) served.set(part.id, part.innerHTML);
  localTimes(document);
}

const PAUSE = 2000; // ms at least between two fetches, however much happens
let busy = false;
let again = false;

async function refresh() {
  if (busy) { again = true; return; }
  busy = true;
  left = false;
  try {
    const answer = await fetch(location.href, {headers: {accept: "text/html"}});
    if (answer.redirected) location.reload(); // the session is over
    if (answer.ok) take(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch (error) {
    console.warn("not refreshed", error);
  } finally {
    setTimeout(() => {
      busy = false;
      if (again) { again = false; refresh(); }
    }, PAUSE);
  }
}

remember();
if (document.body.dataset.mark) {
  const events = new EventSource("/events");
  const tell = (state) => {
    const line = document.getElementById("live");
    if (line) line.textContent = line.dataset[state];
  };
  events.addEventListener("open", () => tell("on"));
  events.addEventListener("error", () => tell("off"));
  events.addEventListener("mark", (event) => {
    if (event.data !== document.body.dataset.mark) refresh();
  });
  // What was left alone while somebody wrote in it catches up afterwards.
  document.addEventListener("focusout", () => setTimeout(() => { if (left) refresh(); }, 0));
}
