// Where a stretch without white space may be cut: between grapheme clusters, never inside one that fits.
// Every stretch handed in begins at a cluster's beginning, so a short slice is enough to be right.
import { isWhiteSpace } from "./boundary.ts";

const clusters = new Intl.Segmenter("und", { granularity: "grapheme" });

/** First look at a long cluster; doubled until its end is seen. */
const FIRST_LOOK = 64;

/**
 * The cluster edge at `wish`, else the nearest one before it; where the cluster at `start` reaches beyond
 * `wish`, its end. A cluster longer than `longest` UTF-16 units is cut there, between code points.
 * `start < wish < text.length`, and no white space lies between.
 */
export function edgeNear(text: string, start: number, wish: number, longest: number): number {
  if (isPlain(text.charCodeAt(wish - 1)) && isPlain(text.charCodeAt(wish))) return wish;
  const cluster = clusters.segment(text.slice(start, wish + 2)).containing(wish - start);
  if (cluster !== undefined && cluster.index > 0) return start + cluster.index;
  const end = Math.min(endOfCluster(text, start, longest), codePointEdge(text, start, start + longest));
  for (let at = wish; at < end; at++) if (isWhiteSpace(text.charCodeAt(at))) return at;
  return end;
}

function endOfCluster(text: string, start: number, longest: number): number {
  for (let size = FIRST_LOOK; ; size *= 2) {
    const slice = text.slice(start, codePointEdge(text, start, start + size));
    const length = clusters.segment(slice).containing(0)?.segment.length ?? slice.length;
    if (length < slice.length || start + slice.length >= text.length || size >= longest)
      return start + length;
  }
}

/** `wish`, or one unit off where that would cut a surrogate pair; always after `start`. */
export function codePointEdge(text: string, start: number, wish: number): number {
  if (wish >= text.length) return text.length;
  if ((text.charCodeAt(wish) & 0xfc00) !== 0xdc00 || (text.charCodeAt(wish - 1) & 0xfc00) !== 0xd800)
    return wish;
  return wish - 1 > start ? wish - 1 : wish + 1;
}

// Letters and signs that neither extend the character before them nor are extended by the one after them,
// when both are of this kind: most text is decided here, the segmenter is a hundred times slower.
function isPlain(code: number): boolean {
  return (
    (code > 32 && code < 127) ||
    (code >= 0xc0 && code <= 0x2af) ||
    (code >= 0x391 && code <= 0x482) ||
    (code >= 0x2010 && code <= 0x2027) ||
    (code >= 0x3001 && code <= 0x3029) ||
    (code >= 0x3041 && code <= 0x3096) ||
    (code >= 0x30a1 && code <= 0x30fc) ||
    (code >= 0x3400 && code <= 0x9fff) ||
    (code >= 0xac00 && code <= 0xd7a3) ||
    (code >= 0xff01 && code <= 0xff60)
  );
}
