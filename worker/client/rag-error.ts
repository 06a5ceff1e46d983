// The one error the client throws: a stable code and a sentence.
export class RagError extends Error {
  override readonly name = "RagError";
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}
