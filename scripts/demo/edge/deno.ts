// What the Edge Function needs of Deno, so that it is type-checked here. Not needed beside the real one.
export type DenoOfEdge = {
  readonly env: { get(name: string): string | undefined };
  serve(handler: (request: Request) => Promise<Response>): unknown;
};
