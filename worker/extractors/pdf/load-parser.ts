// Loads the half of pdf.js that parses, with five of its statements rewritten on the way. Three because they cost a
// third of a document's CPU time where a page's letters are placed one by one; what they compute stays the same. Two
// because they take signs for letters and letters set apart for words. In a version of pdf.js that writes them
// otherwise they stay as they are, and a test says so.
import { registerHooks } from "node:module";
import type { Port } from "./loopback.ts";

export type Parser = { initializeFromPort(port: Port): void };

const FILE = "/pdfjs-dist/legacy/build/pdf.worker.mjs";

export const rewrites: readonly { readonly from: string; readonly to: string }[] = [
  {
    // Each state would be the prototype of the next one: no two of them are alike to V8 then, and each property of
    // each letter's state is looked up anew.
    from: "const clone = Object.assign(Object.create(this), this);\n    clone.textMatrix =",
    to: "const clone = Object.assign(new TextState(), this);\n    clone.textMatrix =",
  },
  {
    // All other matrices are plain lists; one kind more makes reading any of them slower.
    from: "class TextState {\n  ctm = new Float32Array(IDENTITY_MATRIX);",
    to: "class TextState {\n  ctm = IDENTITY_MATRIX.slice();",
  },
  {
    // A letter's place, asked for twice a letter: three matrices multiplied, of which the last is mostly zeros.
    from: "const tsm = [textState.fontSize * textState.textHScale, 0, 0, textState.fontSize, 0, textState.textRise];",
    to: `if (!font.isType3Font) {
        const { ctm, fontSize, textMatrix, textRise } = textState;
        const m0 = textMatrix[0], m1 = textMatrix[1], m2 = textMatrix[2], m3 = textMatrix[3];
        const c0 = ctm[0], c1 = ctm[1], c2 = ctm[2], c3 = ctm[3];
        const width = fontSize * textState.textHScale;
        const t0 = m0 * width, t1 = m1 * width, t2 = m2 * fontSize, t3 = m3 * fontSize;
        const t4 = m2 * textRise + textMatrix[4], t5 = m3 * textRise + textMatrix[5];
        return [c0 * t0 + c2 * t1, c1 * t0 + c3 * t1, c0 * t2 + c2 * t3, c1 * t2 + c3 * t3, c0 * t4 + c2 * t5 + ctm[4], c1 * t4 + c3 * t5 + ctm[5]];
      }
      const tsm = [textState.fontSize * textState.textHScale, 0, 0, textState.fontSize, 0, textState.textRise];`,
  },
  {
    // The names that Zapf Dingbats gives its signs stand in a table of their own. Without it a tick comes out as the
    // number 4 and a bullet as the letter l. Other fonts give those names to anything.
    from: "const glyphsUnicodeMap = getGlyphsUnicode();\n    for (const charcode in encoding) {",
    to: `const glyphsUnicodeMap = /Dingbats/i.test(properties.name) ? { ...getGlyphsUnicode(), ...getDingbatsGlyphsUnicode() } : getGlyphsUnicode();
    for (const charcode in encoding) {`,
  },
  {
    // A gap that the spacing of letters explains is no space: "TITLE PAGE" set wide came out as "T I T L E P A G E".
    // More than an em is a way to place signs apart, as in the columns of a form.
    from: "if (advanceX <= textOrientation * textContentItem.trackingSpaceMin) {",
    to: "if (advanceX <= textOrientation * (textContentItem.trackingSpaceMin + Math.min(Math.abs(textState.fontSize), Math.max(0, textState.charSpacing * textState.textHScale)))) {",
  },
];

let parser: Promise<Parser> | null = null;

/** Its code is loaded once for a process. */
export function loadParser(): Promise<Parser> {
  parser ??= load();
  return parser;
}

async function load(): Promise<Parser> {
  const hooks = registerHooks({
    load(url, context, next) {
      const loaded = next(url, context);
      const { source } = loaded;
      if (!url.endsWith(FILE) || source === undefined || source === null) return loaded;
      const code = typeof source === "string" ? source : Buffer.from(source as Uint8Array).toString();
      return { ...loaded, source: rewrite(code) };
    },
  });
  try {
    return (await import("pdfjs-dist/legacy/build/pdf.worker.mjs")).WorkerMessageHandler;
  } finally {
    hooks.deregister();
  }
}

function rewrite(code: string): string {
  return rewrites.reduce((written, { from, to }) => written.replace(from, () => to), code);
}
