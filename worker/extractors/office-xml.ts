// XML parts of an Office document as events with canonical names: `w:p` whatever prefix and whichever of the
// two namespaces (transitional or strict) the writer chose. No document type is ever honoured, no entity expanded.
import { Parser } from "htmlparser2";
import { Failure } from "../failure/failure.ts";

const MAX_DEPTH = 10_000;

/** Both forms of each namespace that is read, to the prefix the readers use. */
const NAMESPACES: readonly (readonly [RegExp, string])[] = [
  [/\/wordprocessingml\/(2006\/)?main$/, "w"],
  [/\/officeDocument\/(2006\/)?math$/, "m"],
  [/\/markup-compatibility\/2006$/, "mc"],
  [/\/officeDocument\/(2006\/)?relationships$/, "r"],
  [/\/package\/2006\/relationships$/, "rel"],
  [/purl\.org\/dc\/elements\/1\.1\/$/, "dc"],
];

export type XmlEvents = {
  open(name: string, attributes: Readonly<Record<string, string>>): void;
  close(name: string): void;
  text(text: string): void;
};

/** Attribute names are given with canonical prefixes too. Throws `extract.corrupt` when the part ends too early. */
export function createOfficeXmlReader(events: XmlEvents): { write(xml: string): void; end(): void } {
  const prefixes = new Map<string, string>();
  let depth = 0;
  let opened = false;
  let cut = false;
  const canonical = (name: string): string => {
    const colon = name.indexOf(":");
    const prefix = colon < 0 ? "" : name.slice(0, colon);
    const known = prefixes.get(prefix);
    return known === undefined ? name : `${known}:${name.slice(colon + 1)}`;
  };
  const learn = (attributes: Readonly<Record<string, string>>): void => {
    for (const name of Object.keys(attributes)) {
      if (name !== "xmlns" && !name.startsWith("xmlns:")) continue;
      const known = NAMESPACES.find(([uri]) => uri.test(attributes[name] ?? ""));
      if (known !== undefined) prefixes.set(name.slice(6), known[1]);
    }
  };
  const parser = new Parser(
    {
      onopentag(name, attributes) {
        learn(attributes);
        opened = true;
        depth += 1;
        if (depth > MAX_DEPTH) throw new Failure("extract.too-large", { facts: { depth } });
        const named: Record<string, string> = {};
        for (const key in attributes) named[key.includes(":") ? canonical(key) : key] = attributes[key] ?? "";
        events.open(canonical(name), named);
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

/** An attribute without regard to its prefix: strict writers leave `w:` out in places. */
export function attribute(attributes: Readonly<Record<string, string>>, name: string): string | null {
  return attributes[`w:${name}`] ?? attributes[name] ?? null;
}

/** OOXML booleans: present without a value means true. */
export function isOn(attributes: Readonly<Record<string, string>>): boolean {
  const value = attribute(attributes, "val");
  return value === null || !/^(0|false|off|none)$/i.test(value);
}
