// pdf.js ships no types for the half of it that parses.
declare module "pdfjs-dist/legacy/build/pdf.worker.mjs" {
  export const WorkerMessageHandler: import("./load-parser.ts").Parser;
}
