// Who speaks: WebVTT voice tags and "Name:" at the beginning of a cue or utterance.

/** `<v Name>`, `<v.loud Name>`; the first voice of a cue. */
export function voiceOf(cue: string): string | null {
  const name = /<v(?:\.[^\s>]*)?[ \t]+([^>]{1,200})>/i.exec(cue)?.[1]?.trim();
  return name === undefined || name === "" ? null : decodeCueEntities(name);
}

/** Text without tags (`<i>`, `<c.red>`, `<00:01.000>`, SubRip's `<font>` and `{\an8}`) and entities. */
export function stripCueTags(cue: string): string {
  return decodeCueEntities(
    cue.replace(/<\/?[a-z0-9][^<>]{0,500}>/gi, "").replace(/\{\\[a-z][^{}]{0,100}\}/gi, ""),
  );
}

/**
 * `Speaker 1: text` and `JANE DOE: text`. A name is short, begins with a capital and holds no sentence;
 * times and addresses (`10:30`, `https:`) are none.
 */
export function splitSpeaker(text: string): { readonly speaker: string | null; readonly text: string } {
  const found =
    /^(?:[-–—>]+\s*)?\[?([\p{Lu}\p{Lo}][\p{L}\p{M}\p{N}.'’_-]*(?: [\p{L}\p{N}(][\p{L}\p{M}\p{N}.'’()_-]*){0,3})\]?:\s+(?=\S)/u.exec(
      text,
    );
  const speaker = found?.[1];
  if (found === null || speaker === undefined || speaker.length > 40) return { speaker: null, text };
  if (!isNameLike(speaker)) return { speaker: null, text };
  return { speaker, text: text.slice(found[0].length) };
}

/** Each word of a name begins with a capital, a digit or a particle; "Note", "Warning" and the like are labels. */
function isNameLike(speaker: string): boolean {
  if (/^(note|warning|example|http|https|question|answer|q|a|ps|nb|todo|tip|important)$/i.test(speaker))
    return false;
  return speaker
    .split(" ")
    .every((word) => /^[\p{Lu}\p{Lo}\p{N}(]/u.test(word) || /^(de|van|von|der|la|da|di|el|al)$/.test(word));
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  nbsp: " ",
  lrm: "",
  rlm: "",
  quot: '"',
};

function decodeCueEntities(text: string): string {
  return text.replace(/&(amp|lt|gt|nbsp|lrm|rlm|quot|#39);/g, (_, name: string) =>
    name === "#39" ? "'" : (ENTITIES[name] ?? ""),
  );
}
