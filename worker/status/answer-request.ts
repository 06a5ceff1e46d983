// Which part answers a request, and who may ask it. Everything here gives an answer; nothing throws.
import type { IncomingMessage, ServerResponse } from "node:http";
import { type Answer, type AnswerPost, refusal } from "../document/http-answer.ts";
import type { Log } from "../log/log.ts";
import { type Access, refuseReader } from "./access.ts";
import { answerAsset } from "./dashboard/assets.ts";
import type { EventStreams } from "./dashboard/events.ts";
import { jobFilter } from "./dashboard/job-filter.ts";
import type { Read } from "./dashboard/reads.ts";
import type { Page } from "./pages.ts";

export type Served = {
  readonly pages: ReadonlyMap<string, Page>;
  /** What a POST may be sent to by whoever has the token, by path. */
  readonly posts: ReadonlyMap<string, AnswerPost>;
  readonly events: EventStreams;
  readonly read: Read;
  readonly access: Access;
  readonly log: Log;
  /** More are connected than are served; the open pages still answer. */
  readonly isCrowded: () => boolean;
};

/** null when a stream has taken the response over. */
export async function answerRequest(
  request: IncomingMessage,
  response: ServerResponse,
  served: Served,
): Promise<Answer | null> {
  const { pages, posts, access, log } = served;
  const [path = "", query = ""] = (request.url ?? "").split(/\?(.*)/s, 2);
  if (served.isCrowded()) {
    response.shouldKeepAlive = false;
    if (pages.get(path)?.open !== true)
      return refusal(503, "http.busy", "Too many connections at once.", { "retry-after": "5" });
  }
  const post = posts.get(path);
  // A path that is read as well is also sent to: what is asked decides.
  if (post !== undefined && (request.method === "POST" || !isReadable(path)))
    return await answerPost(request, post, access);
  const page = pages.get(path);
  const asset = answerAsset(path, request.headers["if-none-match"]);
  if (request.method !== "GET" && request.method !== "HEAD")
    return page !== undefined || asset !== null || path === "/events" || isReadable(path)
      ? refusal(405, "http.method-not-allowed", "Only GET and HEAD.", { allow: "GET, HEAD" })
      : notFound(path, served);
  if (asset !== null) return asset;
  const refused = page?.open ? null : refuseReader(request, access);
  const mayNot = () =>
    refusal(401, "http.unauthorised", refused ?? "", {
      "www-authenticate": "Bearer",
    });
  if (page !== undefined) return refused === null ? await answerPage(page, path, log) : mayNot();
  if (path === "/events") {
    if (refused !== null) return mayNot();
    if (request.method === "HEAD") return { status: 200, type: "text/event-stream", body: "" };
    return served.events.open(request, response);
  }
  // Before it is said whether there is such a thing: a stranger learns nothing.
  if (isReadable(path) && refused !== null) return mayNot();
  const asked = new URLSearchParams(query);
  return refuseLooseFilter(path, asked) ?? (await served.read(path, asked, log)) ?? notFound(path, served);
}

/** Jobs are chosen by one parameter; whoever says a field of it beside it is told where it belongs. */
function refuseLooseFilter(path: string, query: URLSearchParams): Answer | null {
  const loose = path === "/jobs" && [...query.keys()].find((name) => Object.hasOwn(jobFilter.shape, name));
  if (!loose) return null;
  const example = `/jobs?filter=${encodeURIComponent('{"status":["failed"]}')}`;
  return refusal(
    400,
    "http.invalid-query",
    `${loose} is a field of the parameter filter, which is a JSON object: {"status":["failed"]}, sent as ${example}.`,
  );
}

const isReadable = (path: string) => /^\/(jobs|documents)(\/|$)/.test(path) && path !== "/jobs/actions";

const notFound = (path: string, { pages, posts }: Served) =>
  refusal(
    404,
    "http.not-found",
    `There is: ${[...READABLE, ...pages.keys(), ...posts.keys()].join(", ")}.` +
      (isReadable(path) ? " An ID is given whole, with all of its 36 characters." : ""),
  );

const READABLE = ["/", "/events", "/jobs", "/jobs/ID", "/documents/ID", "/documents/ID/chunks"];

async function answerPage(page: Page, path: string, log: Log): Promise<Answer> {
  try {
    return await page.answer();
  } catch (err) {
    log.error({ err, path }, "status page failed");
    return refusal(500, "unexpected", "This page could not be made; the reason is in the log.");
  }
}

async function answerPost(request: IncomingMessage, post: AnswerPost, access: Access): Promise<Answer> {
  if (request.method !== "POST")
    return refusal(405, "http.method-not-allowed", "Only POST.", { allow: "POST" });
  const refused = refuseReader(request, access);
  // Before the body is read: a stranger's costs us nothing.
  if (refused !== null) return refusal(401, "http.unauthorised", refused, { "www-authenticate": "Bearer" });
  return await post(request);
}
