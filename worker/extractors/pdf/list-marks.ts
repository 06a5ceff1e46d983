// What a list's items begin with: bullets, and numbers or letters with a point or a bracket.

/** Private characters are those of fonts of signs that have no map to Unicode: Word's bullets. */
const BULLET = "[•▪●◦○■□–—*·‣✓✔✗❏❑❒❖➢➤\\p{Co}]";

const ITEM = new RegExp(`^(?:${BULLET}\\s*\\S|-\\s|\\(?(?:\\d{1,2}|\\p{L})[.)]\\s)`, "u");
const MARK = new RegExp(`^(?:${BULLET}|-|\\(?(?:\\d{1,2}|\\p{L}|[ivx]{1,5})[.)])$`, "u");

export const beginsItem = (text: string): boolean => ITEM.test(text);

/** The mark alone. */
export const isItemMark = (text: string): boolean => MARK.test(text);
