import { expect, test } from "vitest";
import { failureOf, readBytes } from "./testing/read-bytes.ts";

const read = (html: string) => readBytes("a.html", html);
const PROSE = "A sentence of some length, with commas, that says something about the matter at hand. ".repeat(
  4,
);

test("headings give the path, tables come row by row, code keeps its lines", async () => {
  const { segments, text } = await read(
    "<html><head><title>T</title></head><body><h1>One</h1><p>a  b</p><h2>Two</h2><table><tr><th>x<th>y<tr><td>1<td>2</table><pre>if a:\n  b</pre><ul><li>i<li>ii</ul>",
  );

  expect(segments.map((segment) => segment.section)).toEqual(["One", "One > Two"]);
  expect(text).toBe("One\n\na b\n\nTwo\n\nx | y\n1 | 2\n\nif a:\n  b\n\n- i\n- ii\n");
});

test("scripts, styles, navigation, footers and hidden parts are left out, and the share is said", async () => {
  const { text, extraction } = await read(
    `<body><script>evil()</script><style>p{}</style><nav><a href=/>Home</a></nav><div class="sidebar">Side</div><p hidden>Hid</p><div style="display: none">None</div><p>Kept</p><footer>Foot</footer>`,
  );

  expect(text).toBe("Kept\n");
  expect(extraction.decisions.join()).toMatch(/left out: navigation \(4 characters\)/);
});

test("of a page with much around it the main content stays", async () => {
  const links = Array.from({ length: 20 }, (_, at) => `<li><a href="/${at}">Link number ${at}</a></li>`).join(
    "",
  );
  const html = `<body><div id=top><ul>${links}</ul></div><div id=wrap><div class=entry><h1>Title</h1><p>${PROSE}</p><p>${PROSE}</p></div><div><p>Other stuff</p></div></div>`;

  const { text } = await read(html);

  expect(text).toContain("Title");
  expect(text).toContain("A sentence");
  expect(text).not.toContain("Link number");
});

test("a page without a clear main part is kept whole", async () => {
  const { text } = await read("<body><div><p>One thing</p></div><div><p>Another thing</p></div>");

  expect(text).toBe("One thing\n\nAnother thing\n");
});

test("a table that only lays out the page gives its blocks, not rows", async () => {
  const { text } = await read(
    "<body><table><tr><td></td><td><h1>Title</h1><p>Text<br>next</p></td></tr></table>",
  );

  expect(text).toBe("Title\n\nText\nnext\n");
});

test("the charset that the page declares is used", async () => {
  const bytes = Buffer.from('<html><meta charset="windows-1251"><p>\xcf\xf0\xe8\xe2\xe5\xf2</p>', "latin1");

  const { text } = await readBytes("a.html", bytes);

  expect(text).toBe("Привет\n");
});

test("20,000 nested elements do not end the reader", async () => {
  const { text } = await read(`<!doctype html>${"<div>".repeat(20_000)}needle`);

  expect(text).toBe("needle\n");
});

test("more nesting than any page has is refused", async () => {
  const html = `<!doctype html>${"<b>".repeat(40_001)}needle`;

  expect(await failureOf(read(html))).toBe("extract.too-large");
}, 60_000);

test("a page of scripts only is empty", async () => {
  expect(await failureOf(read("<html><script>run()</script></html>"))).toBe("extract.empty");
});

test("what stands after an unclosed comment or tag is not invented", async () => {
  const { text } = await read("<body><p>before</p><!-- never closed <p>after</p>");

  expect(text).toBe("before\n");
});

test("a page whose containers have misleading names is kept", async () => {
  const { text } = await read(
    `<body><div class="widget"><h1>Title</h1><p>${PROSE}</p></div><nav>Home</nav></body>`,
  );

  expect(text).toContain("A sentence");
  expect(text).not.toContain("Home");
});
