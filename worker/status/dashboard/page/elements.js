// Elements from values, and a page brought up to date without losing focus, selection or scroll. Text is only ever
// set as text: nothing here takes markup.
const SVG = "http://www.w3.org/2000/svg";

const build = (element, attributes, children) => {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(
    ...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
};

/** An element with attributes; children are elements, texts, or null. */
export const h = (name, attributes, ...children) => build(document.createElement(name), attributes, children);

/** The same for a part of a drawing. */
export const svg = (name, attributes, ...children) =>
  build(document.createElementNS(SVG, name), attributes, children);

// What a person has set stays: a details that was opened, a field that was typed in.
const THEIRS = new Set(["open", "value", "checked"]);

/** Makes `old` like `fresh`, keeping every element that is still there. Keys (`data-key`) tell rows apart. */
export function morph(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  for (const { name } of [...old.attributes])
    if (!fresh.hasAttribute(name) && !THEIRS.has(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes)
    if (!THEIRS.has(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  // A progress bar's value is ours.
  if (fresh.localName === "progress") old.setAttribute("value", fresh.getAttribute("value") ?? "0");
  if (old.dataset?.theirs !== undefined) return;
  morphChildren(old, fresh);
}

function morphChildren(old, fresh) {
  const keyed = new Map();
  for (const child of old.children) if (child.dataset?.key) keyed.set(child.dataset.key, child);
  let at = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const kept = wanted.dataset?.key ? keyed.get(wanted.dataset.key) : at;
    if (kept && isAlike(kept, wanted)) {
      if (kept !== at) old.insertBefore(kept, at);
      else at = at.nextSibling;
      if (kept.nodeType === Node.TEXT_NODE) {
        if (kept.data !== wanted.data) kept.data = wanted.data;
      } else morph(kept, wanted);
    } else old.insertBefore(wanted, at);
  }
  while (at !== null) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

const isAlike = (one, other) =>
  one.nodeType === other.nodeType &&
  one.nodeName === other.nodeName &&
  (one.dataset?.key ?? "") === (other.dataset?.key ?? "");

/** Brings the children of `place` up to date. */
export function show(place, ...children) {
  const fresh = place.cloneNode(false);
  fresh.append(...children.flat(9).filter(Boolean));
  morph(place, fresh);
}

/** Says something for everybody, screen readers too, for a few seconds. */
export function say(text, kind = "good") {
  const place = document.querySelector("#said");
  const line = h("p", { class: kind }, text);
  place.replaceChildren(line);
  setTimeout(() => line.remove(), 8000);
}
