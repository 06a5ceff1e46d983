// White space of a paragraph as a reader sees it.

/**
 * One space between words, at most one empty line between lines, none around. Hyphens that only say where a word may
 * be cut are taken out of it.
 */
export function tidyText(text: string): string {
  return text
    .replace(/\u00ad/g, "")
    .replace(/\v/g, "\n")
    .replace(/[^\S\n]+/g, " ")
    .replace(/(?: ?\n){3,}/g, "\n\n")
    .replace(/ ?\n ?/g, "\n")
    .trim();
}
