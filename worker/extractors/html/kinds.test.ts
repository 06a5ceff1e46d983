// Kinds of pages as they are met: what each says has to be there, what stands around it has not.
import { expect, test } from "vitest";
import { readBytes } from "../testing/read-bytes.ts";

const SENTENCES = [
  "The museum opens its new wing this autumn, after nine years of building, with forty rooms of drawings.",
  "Its director says that the rooms were planned around daylight, which changes hourly, and not around the walls.",
  "Visitors who come before noon will find the upper floors nearly empty, and the café on the roof already open.",
];
const prose = (at = 0): string => `<p>${SENTENCES[at % SENTENCES.length]}</p>`;
const PROSE = [0, 1, 2].map(prose).join("");
const links = (count: number, word = "Section"): string =>
  Array.from({ length: count }, (_, at) => `<li><a href="/${word}/${at}">${word} ${at}</a></li>`).join("");
const page = (body: string, head = ""): string =>
  `<!doctype html><html><head><title>The Page</title>${head}</head><body>${body}</body></html>`;
const read = async (body: string, head = "") => await readBytes("page.html", page(body, head));
const expectAll = (text: string, wanted: readonly string[]): void => {
  for (const part of wanted) expect(text).toContain(part);
};

test("a blog post: the post with its heading stays; menu, shares, related posts, comments and footer go", async () => {
  const { text, segments } = await read(
    `<header class="site-header"><a href=/>Site name</a><nav><ul>${links(8)}</ul></nav></header>
     <div id="content"><article class="post"><h1>Opening</h1><div class="meta">by Ann</div>${PROSE}<h2>Later</h2>${PROSE}${PROSE}
     <div class="share-buttons"><a href="#">Tweet</a><a href="#">Mail</a></div></article>
     <div class="related-posts"><h3>You may like</h3><ul>${links(4, "Teaser")}</ul></div>
     <div id="comments"><h3>2 comments</h3><p>I went there yesterday with my sister and we both enjoyed it, thank you.</p></div></div>
     <div class="sidebar"><div class="widget"><h3>Tags</h3>${links(9, "Tag")}</div></div><footer>© Site</footer>`,
  );

  expectAll(text, ["Opening", ...SENTENCES, "Later"]);
  expect(text).not.toMatch(/Section 1|Tweet|Teaser|went there|Tag 3|©/);
  expect(segments.some(({ section }) => section === "Opening > Later")).toBe(true);
});

test("a news page whose headline stands outside of the text keeps it as the outermost heading", async () => {
  const { segments } = await readBytes(
    "a.html",
    `<title>Wing opens - The Daily</title><body><div class="hero"><h1>Wing opens</h1></div><div class="grid"><div class="story">${PROSE}<h2>Inside</h2>${PROSE}</div><div class="rail">${links(12)}</div></div>`,
  );

  expect(segments.map(({ section }) => section)).toEqual(["Wing opens", "Wing opens > Inside"]);
  expect(segments[0]?.content).toMatch(/^Wing opens\n\n/);
});

test("a documentation page: sidebar and table of contents go, code and its lines stay as written", async () => {
  const { text } = await read(
    `<div class="layout"><div class="docs-sidebar"><ul>${links(30)}</ul></div><main><nav class="toc"><a href="#a">Install</a></nav>
     <h1>Guide<a class="headerlink" href="#guide" title="Permalink">¶</a></h1>${PROSE}
     <h2 id="a"><a class="anchor" href="#a" aria-hidden="true"><svg><title>link</title></svg></a>Install</h2>
     <div class="highlight"><table class="highlighttable"><tr><td class="linenos"><div class="linenodiv"><pre>1\n2\n3</pre></div></td>
     <td class="code"><pre><span class="k">def</span> <span class="nf">f</span>():\n    <span class="k">return</span> 1\n\n</pre></td></tr></table></div>
     <pre><code><span class="line"><span class="line-number">1</span>if (a) {</span>\n<span class="line"><span class="line-number">2</span>  b();</span>\n}</code></pre></main></div>`,
  );

  expectAll(text, ["Guide\n\n", "Install\n\n", "def f():\n    return 1\n", "if (a) {\n  b();\n}"]);
  expect(text).not.toMatch(/Section 3|¶|link\b|1\n2\n3|1if/);
});

test("a wiki page: the infobox row by row, references stay; edit links and navigation boxes go", async () => {
  const { text, segments } = await read(
    `<div id="content"><h1>Museum</h1><div id="bodyContent"><div id="mw-content-text">
     <table class="infobox"><tr><th>Founded</th><td>1888</td></tr><tr><th>Rooms</th><td>40</td></tr></table>
     ${PROSE}<h2><span>History</span><span class="mw-editsection">[<a href="/e">edit</a>]</span></h2>${PROSE}
     <h2>References</h2><ol><li>Smith, <i>On Rooms</i>, 1901. <a href="x">doi</a></li></ol>
     <table class="navbox"><tr><td><ul>${links(20)}</ul></td></tr></table></div></div></div><div id="mw-navigation">${links(20)}</div>`,
  );

  expectAll(text, ["Founded | 1888\nRooms | 40", "1. Smith, On Rooms, 1901. doi"]);
  expect(text).not.toMatch(/edit|Section 7/);
  expect(segments.map(({ section }) => section)).toContain("Museum > History");
});

test("a forum: all posts stay, by whatever name they go", async () => {
  const post = (at: number): string =>
    `<div class="post comment"><div class="author">user${at}</div><div class="body">${prose(at)}</div></div>`;
  const { text } = await read(
    `<div class="topbar">${links(6)}</div><div id="topic"><h1>Which floor first?</h1><div class="comments">${[0, 1, 2, 3, 4, 5].map(post).join("")}</div></div>`,
  );

  expectAll(text, ["Which floor first?", ...SENTENCES, "user5"]);
});

test("a product page without a sentence keeps its table, its terms and its price", async () => {
  const { text } = await read(
    `<nav>${links(9)}</nav><div class="product"><h1>Drill X2</h1><span class="price">49.90 €</span><dl><dt>Weight</dt><dd>1.4 kg</dd></dl>
     <table><thead><tr><th>Speed</th><th>Torque</th></tr></thead><tbody><tr><td>1</td><td>30 Nm</td></tr></tbody></table></div><footer>Imprint</footer>`,
  );

  expect(text).toBe("Drill X2\n\n49.90 €\n\nWeight\n1.4 kg\n\nSpeed | Torque\n1 | 30 Nm\n");
});

test("spans leave their cells empty, so that values stay under their headers", async () => {
  const { text } = await read(
    "<table><tr><th>Year<th>Month<th>Cost</tr><tr><td rowspan=2>2025<td>May<td>1</tr><tr><td>June<td>2</tr><tr><td colspan=2>Sum<td>3</tr></table>",
  );

  expect(text).toBe("Year | Month | Cost\n2025 | May | 1\n | June | 2\nSum |  | 3\n");
});

test("details, tab panels, accordion buttons and captions stay; templates, closed dialogs and form fields go", async () => {
  const { text } = await read(
    `<details><summary>Why?</summary><p>Because.</p></details><div role="tabpanel" hidden><p>npm install</p></div>
     <h3><button aria-expanded="false">When?</button></h3><figure><img src=a><figcaption>A wing</figcaption></figure>
     <template><p>tpl</p></template><div><template shadowrootmode="open"><p>shadow</p></template></div><dialog><p>closed</p></dialog>
     <select><option>opt</option></select><textarea>area</textarea><button>Buy</button><p aria-hidden="true">icon</p><p style="visibility:hidden">vis</p>`,
  );

  expectAll(text, ["Why?", "Because.", "npm install", "When?", "A wing", "shadow"]);
  expect(text).not.toMatch(/tpl|closed|opt|area|Buy|icon|vis/);
});

test("nested and numbered lists keep their depth and numbers", async () => {
  const { text } = await read(
    "<ol start=3><li>three<ul><li>inner</ul><li>four</ol><ul><li><p>a</p><p>b</p></ul>",
  );

  expect(text).toBe("3. three\n  - inner\n4. four\n- a\nb\n");
});

test("cookie notices, sign-up boxes and advertising go from a page made of nothing but divs", async () => {
  const { text } = await read(
    `<div class="wrap"><div class="menu-top">${"<div><a href=/x>Go</a></div>".repeat(8)}</div><div class="a1"><div class="t">Wing</div>
     ${SENTENCES.map((each) => `<div>${each}</div>`).join("")}</div><div class="ad-slot">Buy now</div></div>
     <div id="cookie-banner">We use cookies and other means to make this site better for everyone. <a href=/p>More</a></div><div class="newsletter-box">Get our letter</div>`,
  );

  expectAll(text, SENTENCES);
  expect(text).not.toMatch(/cookies|Buy now|letter|Go/);
});

test("a body that is hidden until a script shows it is read, and a container of a telling name is kept for its text", async () => {
  const { text } = await read(
    `<div class="sidebar-layout"><div class="main-with-footer">${PROSE}</div></div>`.replace("<div", "<div"),
  );
  const hidden = await readBytes(
    "a.html",
    `<html style="visibility:hidden"><body hidden><p>${SENTENCES[0]}</p></body></html>`,
  );

  expectAll(text, SENTENCES);
  expect(hidden.text).toContain(SENTENCES[0]);
});

test("what a shell without scripts says to browsers is not the page's text", async () => {
  const { text } = await read('<noscript>You need JavaScript.</noscript><div id="root"></div><p>Loading</p>');

  expect(text).toBe("Loading\n");
});

test("an unclosed head swallows nothing, and XML's way of closing a script neither where the file is XHTML", async () => {
  const unclosed = await readBytes("a.html", "<html><head><title>T</title><p>Said</p>");
  const xhtml = await readBytes(
    "a.html",
    '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><script src="a.js"/><title/></head><body><p>Said</p></body></html>',
  );

  expect([unclosed.text, xhtml.text]).toEqual(["Said\n", "Said\n"]);
});

test("a frameset is read by what it shows where there are no frames", async () => {
  const { text } = await readBytes(
    "a.html",
    `<html><frameset><frame src=a.html><noframes><body><h1>Old site</h1><p>See <a href=a.html>this &amp; that</a>.</p></body></noframes></frameset></html>`,
  );

  expect(text).toBe("Old site\n\nSee this & that.\n");
});

test("a list of links that is the page is kept", async () => {
  const { text } = await read(`<div class="list"><ul>${links(40, "Entry")}</ul></div>`);

  expectAll(text, ["Entry 0", "Entry 39"]);
});

test("one long cell does not cost a table its other rows, nor a long part the short ones beside it", async () => {
  const table = await read(
    `<table><tr><td>Size<td>40 rooms</tr><tr><td>About<td>${SENTENCES.join(" ").repeat(3)}</tr></table>`,
  );
  const parts = await read(`<div>Short opening.</div><div>${PROSE}</div><div>Ring 555-0100.</div>`);

  expectAll(table.text, ["Size | 40 rooms", "About"]);
  expectAll(parts.text, ["Short opening.", ...SENTENCES, "Ring 555-0100."]);
});
