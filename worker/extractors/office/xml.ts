// XML parts of Office and OpenDocument packages as events with canonical names: `w:p` whatever prefix and whichever
// of the two namespaces (transitional or strict) the writer chose. No document type is ever honoured, no entity
// expanded.
import { Parser } from "htmlparser2";
import { Failure } from "../../failure/failure.ts";

const MAX_DEPTH = 10_000;

/** All forms of each namespace that is read, to the prefix the readers use. */
const NAMESPACES: readonly (readonly [RegExp, string])[] = [
  [/\/wordprocessingml\/(2006\/)?main$/, "w"],
  [/\/presentationml\/(2006\/)?main$/, "p"],
  [/\/spreadsheetml\/(2006\/)?main$/, "x"],
  [/\/drawingml\/(2006\/)?main$/, "a"],
  [/\/drawingml\/(2006\/)?diagram$/, "dgm"],
  [/\/drawingml\/(2006\/)?chart$/, "c"],
  [/\/officeDocument\/(2006\/)?math$/, "m"],
  [/\/markup-compatibility\/2006$/, "mc"],
  [/\/officeDocument\/(2006\/)?relationships$/, "r"],
  [/\/package\/2006\/relationships$/, "rel"],
  [/purl\.org\/dc\/elements\/1\.1\/$/, "dc"],
  [/:opendocument:xmlns:manifest:1\.0$/, "manifest"],
  [/:opendocument:xmlns:office:1\.0$/, "office"],
  [/:opendocument:xmlns:text:1\.0$/, "text"],
  [/:opendocument:xmlns:table:1\.0$/, "table"],
  [/:opendocument:xmlns:drawing:1\.0$/, "draw"],
  [/:opendocument:xmlns:presentation:1\.0$/, "presentation"],
  [/:opendocument:xmlns:style:1\.0$/, "style"],
  [/:opendocument:xmlns:svg-compatible:1\.0$/, "svg"],
];

export type XmlAttributes = Readonly<Record<string, string>>;

export type XmlEvents = {
  open(name: string, attributes: XmlAttributes): void;
  close(name: string): void;
  text(text: string): void;
};

/** Attribute names are given with canonical prefixes too. Throws `extract.corrupt` when the part ends too early. */
export function createOfficeXmlReader(events: XmlEvents): { write(xml: string): void; end(): void } {
  const prefixes = new Map<string, string>();
  // A part repeats some hundred names a million times: each is put together once.
  const names = new Map<string, string>();
  let depth = 0;
  let opened = false;
  let cut = false;
  const canonical = (name: string): string => {
    const met = names.get(name);
    if (met !== undefined) return met;
    const colon = name.indexOf(":");
    const known = prefixes.get(colon < 0 ? "" : name.slice(0, colon));
    const made = known === undefined ? name : `${known}:${name.slice(colon + 1)}`;
    if (names.size < MAX_NAMES) names.set(name, made);
    return made;
  };
  const learn = (attribute: string, uri: string): void => {
    const known = NAMESPACES.find(([form]) => form.test(uri));
    if (known === undefined) return;
    prefixes.set(attribute.slice(6), known[1]);
    names.clear();
  };
  const parser = new Parser(
    {
      onopentag(name, attributes) {
        opened = true;
        depth += 1;
        if (depth > MAX_DEPTH) throw new Failure("extract.too-large", { facts: { depth } });
        for (const key in attributes) if (key.startsWith("xmlns")) learn(key, attributes[key] ?? "");
        events.open(canonical(name), withCanonicalNames(attributes, canonical));
      },
      onclosetag(name, implied) {
        depth -= 1;
        if (implied && depth === 0) cut = true;
        events.close(canonical(name));
      },
      ontext: (text) => events.text(text),
    },
    { xmlMode: true, decodeEntities: true },
  );
  return {
    write: (xml) => parser.write(xml),
    end() {
      parser.end();
      if (cut || !opened) throw new Failure("extract.corrupt", { facts: { format: "xml" } });
    },
  };
}

/** Hostile parts may invent names without end. */
const MAX_NAMES = 10_000;

function withCanonicalNames(attributes: XmlAttributes, canonical: (name: string) => string): XmlAttributes {
  for (const key in attributes) {
    if (!key.includes(":") || canonical(key) === key) continue;
    const named: Record<string, string> = {};
    for (const each in attributes)
      named[each.includes(":") ? canonical(each) : each] = attributes[each] ?? "";
    return named;
  }
  return attributes;
}

/** An attribute of WordprocessingML without regard to its prefix: strict writers leave `w:` out in places. */
export function attribute(attributes: XmlAttributes, name: string): string | null {
  return attributes[`w:${name}`] ?? attributes[name] ?? null;
}

/** OOXML booleans: present without a value means true. */
export function isOn(attributes: XmlAttributes): boolean {
  const value = attribute(attributes, "val");
  return value === null || !/^(0|false|off|none)$/i.test(value);
}
