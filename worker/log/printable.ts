// Text of others on a terminal. Without an import: `rag --help` loads it, and should not wait for a library.

/** No escape sequence, line break or change of direction from a title or a file name reaches the terminal. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what has to go.
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g, " ");
}
