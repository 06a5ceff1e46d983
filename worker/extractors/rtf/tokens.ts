// RTF bytes to tokens, in whatever pieces they come (RTF 1.9.1, "Syntax"). No library reads RTF as a stream in a way
// that keeps fonts and their code pages apart; the syntax is small.
export type RtfTokens = {
  openGroup(): void;
  closeGroup(): void;
  /** `\word` or `\word-12`; a control symbol such as `\~` is a word of that one sign. */
  control(word: string, parameter: number | null): void;
  /** Bytes of text in the code page that is set. */
  text(bytes: Buffer): void;
};

const OPEN = 0x7b;
const CLOSE = 0x7d;
const BACKSLASH = 0x5c;
const CR = 13;
const LF = 10;
/** Real control words have at most 32 letters, numbers ten digits. */
const MAX_WORD = 64;

type State = "text" | "backslash" | "word" | "number" | "hex" | "binary";

export function createRtfTokenizer(tokens: RtfTokens): { write(bytes: Buffer): void; end(): void } {
  let state: State = "text";
  let word = "";
  let digits = "";
  let binary = 0;

  const giveControl = (): void => {
    const parameter = digits === "" || digits === "-" ? null : Number(digits);
    state = "text";
    if (word === "bin" && parameter !== null && parameter > 0) {
      binary = parameter;
      state = "binary";
    } else tokens.control(word, parameter);
  };
  const startControl = (byte: number): void => {
    digits = "";
    if (isLetter(byte)) {
      word = String.fromCharCode(byte);
      state = "word";
    } else if (byte === 0x27) state = "hex";
    else {
      state = "text";
      // A line break behind a backslash ends a paragraph.
      tokens.control(byte === CR || byte === LF ? "par" : String.fromCharCode(byte), null);
    }
  };
  /** Gives false when the byte is not part of the control word and has to be looked at again. */
  const goOn = (byte: number): boolean => {
    if (state === "word" && isLetter(byte) && word.length < MAX_WORD) word += String.fromCharCode(byte);
    else if (state === "word" && byte === 0x2d && digits === "") {
      digits = "-";
      state = "number";
    } else if (isDigit(byte) && digits.length < 11) {
      digits += String.fromCharCode(byte);
      state = "number";
    } else {
      giveControl();
      // One space ends the word and is no text.
      return byte === 0x20;
    }
    return true;
  };
  const goOnHex = (byte: number): void => {
    digits += String.fromCharCode(byte);
    if (digits.length < 2) return;
    const code = Number.parseInt(digits, 16);
    state = "text";
    if (!Number.isNaN(code)) tokens.text(Buffer.from([code]));
  };
  const readText = (bytes: Buffer, from: number): number => {
    let end = from;
    while (end < bytes.length && !isMark(bytes[end] ?? 0)) end += 1;
    if (end > from) tokens.text(bytes.subarray(from, end));
    const mark = bytes[end];
    if (mark === OPEN) tokens.openGroup();
    else if (mark === CLOSE) tokens.closeGroup();
    else if (mark === BACKSLASH) state = "backslash";
    return end + 1;
  };

  return {
    write(bytes) {
      for (let at = 0; at < bytes.length; ) {
        const byte = bytes[at] ?? 0;
        if (state === "text") at = readText(bytes, at);
        else if (state === "binary") {
          const skipped = Math.min(binary, bytes.length - at);
          binary -= skipped;
          at += skipped;
          if (binary === 0) state = "text";
        } else if (state === "backslash") {
          startControl(byte);
          at += 1;
        } else if (state === "hex") {
          goOnHex(byte);
          at += 1;
        } else if (goOn(byte)) at += 1;
      }
    },
    end() {
      if (state === "word" || state === "number") giveControl();
    },
  };
}

function isMark(byte: number): boolean {
  return byte === OPEN || byte === CLOSE || byte === BACKSLASH || byte === CR || byte === LF || byte === 0;
}

function isLetter(byte: number): boolean {
  return (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x41 && byte <= 0x5a);
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}
