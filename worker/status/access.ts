// Who may read more than "it lives": whoever has the token, and without one only this machine itself.
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";

export type Access = { readonly token: string | null; readonly loopback: boolean };

/** null when the request may read; otherwise the sentence that says what is missing. */
export function refuseReader(request: IncomingMessage, access: Access): string | null {
  if (access.token !== null) {
    return bears(request.headers.authorization, access.token)
      ? null
      : "Send the token of RAG_HTTP_TOKEN as: Authorization: Bearer <token>.";
  }
  // Decided by where we listen, not by who asks: behind a proxy on this machine everybody comes from loopback.
  if (!access.loopback)
    return "This server can be reached from other machines: set RAG_HTTP_TOKEN to read this page. /live, /ready and /metrics are open.";
  // A web page that has its own name point to 127.0.0.1 makes the reader's browser ask us under that name.
  if (!isLocalName(request.headers.host))
    return "Without RAG_HTTP_TOKEN this page is for http://127.0.0.1 and http://localhost only.";
  return null;
}

function bears(authorization: string | undefined, token: string): boolean {
  const given = /^Bearer +(.+)$/i.exec(authorization ?? "")?.[1];
  // Digests have one length, so that the time of the comparison tells neither the token nor its length.
  return timingSafeEqual(digest(given ?? ""), digest(token)) && given !== undefined;
}

const digest = (text: string) => createHash("sha256").update(text).digest();

function isLocalName(host: string | undefined): boolean {
  const name = (host ?? "").replace(/:\d+$/, "").toLowerCase();
  return name === "localhost" || name === "[::1]" || /^127(\.\d{1,3}){3}$/.test(name);
}
