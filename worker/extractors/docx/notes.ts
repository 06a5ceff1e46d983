// Footnotes and endnotes of a DOCX by id; the lines that Word draws above them are left out.

import { attribute, type XmlEvents } from "../office/xml.ts";
import { createBodyReader, type DocxContext } from "./body.ts";

export type NoteReader = XmlEvents & { readonly texts: ReadonlyMap<string, string> };

export function createNoteReader(context: Omit<DocxContext, "notes" | "pages">): NoteReader {
  const texts = new Map<string, string>();
  let id: string | null = null;
  let parts: string[] = [];
  const body = createBodyReader(
    { ...context, notes: { footnotes: new Map(), endnotes: new Map() }, pages: null },
    {
      block(block) {
        if ("text" in block) parts.push(block.text);
      },
      part() {},
    },
  );
  return {
    texts,
    open(name, attributes) {
      if (name === "w:footnote" || name === "w:endnote")
        id = /^continuation|^separator/.test(attribute(attributes, "type") ?? "")
          ? null
          : attribute(attributes, "id");
      else body.open(name, attributes);
    },
    text: body.text,
    close(name) {
      body.close(name);
      if (name !== "w:footnote" && name !== "w:endnote") return;
      if (id !== null && parts.length > 0) texts.set(id, parts.join("\n"));
      parts = [];
    },
  };
}
