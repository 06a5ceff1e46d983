// What an element says about itself: whether its own markup or names speak for leaving its text out.
// Whether that is done is decided by html-main-content.ts, which knows how much the page would lose.
import type { HtmlElement } from "./elements.ts";

/** Why text is left out, in the words that `--explain` prints. */
export type Rule =
  | "advertising"
  | "breadcrumbs"
  | "comments"
  | "cookie notice"
  | "dialog"
  | "drawn formulas"
  | "edit links"
  | "footer"
  | "hidden"
  | "navigation"
  | "page header"
  | "related links"
  | "search"
  | "sharing"
  | "sidebar"
  | "sign-up";

export type Sign = {
  readonly rule: Rule;
  /**
   * `sure`: the markup itself says it (`<nav>`, `hidden`). `named`: a class or id says it, and hardly ever of
   * anything else. `perhaps`: a class or id that also names ordinary parts of a text.
   */
  readonly weight: "sure" | "named" | "perhaps";
};

const BY_TAG: Readonly<Record<string, Rule>> = {
  nav: "navigation",
  menu: "navigation",
  footer: "footer",
  aside: "sidebar",
  search: "search",
};
const BY_ROLE: Readonly<Record<string, Rule>> = {
  navigation: "navigation",
  menu: "navigation",
  menubar: "navigation",
  banner: "page header",
  contentinfo: "footer",
  complementary: "sidebar",
  "doc-toc": "navigation",
  search: "search",
  dialog: "dialog",
  alertdialog: "dialog",
};

const NAMED: readonly (readonly [Rule, string])[] = [
  [
    "navigation",
    "nav navbar navbox navigation subnav topnav mainnav globalnav leftnav sitenav nav navlist menu submenu mainmenu topmenu menubar navmenu skiplink skiplinks skipnav skipto catlinks",
  ],
  [
    "navigation",
    "pagination pager paginator pagenav paging postnav backtotop toctoggle tabbar localtoc pagetoc tocwrapper tableofcontents",
  ],
  [
    "sidebar",
    "sidebar sidebars leftbar rightbar leftcolumn rightcolumn sidecolumn sidecol rightrail leftrail rail sidenav",
  ],
  ["footer", "footer footers pagefooter sitefooter globalfooter colophon copyright copyrights imprint"],
  ["breadcrumbs", "breadcrumb breadcrumbs crumbs breadcrumbtrail"],
  [
    "cookie notice",
    "cookie cookies cookiebar cookiebanner cookieconsent cookienotice consent gdpr onetrust ccpa cmp",
  ],
  ["comments", "comments commentlist commentsection disqus disqusthread commentarea livefyre fbcomments"],
  [
    "sharing",
    "share sharing shares sharebar sharebuttons sharedaddy addthis addtoany addtoanybuttons sharethis socialshare sociallinks socialmedia socialbuttons socialbar shariff ssba a2akit",
  ],
  [
    "related links",
    "related relatedposts relatedlinks relatedarticles yarpp jprelatedposts outbrain taboola recirc recirculation crosslinks nextprev prevnext mostread mostpopular morestories readnext readmore upnext seealso suggestedposts youmaylike",
  ],
  [
    "advertising",
    "ad ads adsense adslot adunit adbox adwrapper adcontainer adplaceholder advert adverts advertisement advertisements advertising adsbygoogle sponsor sponsored sponsors dfp googlead",
  ],
  [
    "sign-up",
    "commentform respond addcomment postcomment newsletter newsletters signup subscribe subscription login signin loginform paywall optin mailinglist registerform",
  ],
  ["dialog", "modal popup popover lightbox offcanvas"],
  ["edit links", "mweditsection editsection vectordropdown mwjumplink"],
];
const PERHAPS: readonly (readonly [Rule, string])[] = [
  [
    "navigation",
    "toc tabs tab toolbar actions controls buttons switcher dropdown languages pageactions jump skip",
  ],
  ["page header", "masthead topbar banner header siteheader pageheader globalheader sitename logo branding"],
  ["sidebar", "widget widgets widgetarea side secondary supplementary"],
  ["footer", "foot bottom disclaimer legal"],
  ["sharing", "social follow followus tools print email rss feeds feed"],
  [
    "related links",
    "recommended recommendations recommendation popular trending more teaser teasers promo promos promotion promoted suggestions tags taglist tagcloud keywords categories topics archive archives next previous prev carousel slider hotlinks",
  ],
  ["sign-up", "cta donate donation support banner callout"],
  ["search", "search searchform searchbox searchbar"],
  ["comments", "comment reply replies"],
  ["cookie notice", "privacy notice"],
];

const signs = new Map<string, Sign>();
for (const [list, weight] of [
  [PERHAPS, "perhaps"],
  [NAMED, "named"],
] as const)
  for (const [rule, words] of list) for (const word of words.split(" ")) signs.set(word, { rule, weight });

/** Words after which a name speaks of something else: `has-sidebar`, `nav-open` set a state of their element. */
const STATE_BEFORE = new Set(
  "has have with no not without is js show shows hide toggle open enable enabled disable supports use uses use2 two one single".split(
    " ",
  ),
);
const STATE_AFTER = new Set(
  "open opened closed active enabled disabled visible layout ready loaded left right wide on off fixed sticky".split(
    " ",
  ),
);
/** Names of parts that a text is made of. */
const OWN = new Set(
  "article articlebody articlecontent body content entry entrycontent main maincontent post postbody postcontent story storybody text hentry markdown prose".split(
    " ",
  ),
);

/** Elements whose names say how they look, not what they are; and those that hold the whole page. */
const UNNAMED = new Set(
  "html body main article h1 h2 h3 h4 h5 h6 tr tbody thead a b i em strong code pre img".split(" "),
);

/** What MathJax 2 draws beside the script that holds the formula. */
const DRAWN = /(^|\s)MathJax(_Preview|_Display|_CHTML|_SVG|_SVG_Display)?(\s|$)/;

/** The strongest sign of an element, or null. `headed`: it stands inside an article, section or main part. */
export function signOf({ name, attributes }: HtmlElement, inside: boolean): Sign | null {
  if (name === "html" || name === "body") return null;
  if (isHidden(attributes)) return { rule: "hidden", weight: "sure" };
  if (DRAWN.test(attributes.class ?? "")) return { rule: "drawn formulas", weight: "sure" };
  const role = attributes.role ?? "";
  const said = BY_ROLE[role] ?? BY_TAG[name];
  if (said !== undefined && name !== "main" && name !== "article") {
    // The footer or aside of an article may be part of what it says.
    const own = inside && (name === "footer" || name === "aside");
    return { rule: said, weight: own ? "named" : "sure" };
  }
  if (name === "header") return inside ? null : { rule: "page header", weight: "perhaps" };
  if (name === "dialog")
    return attributes.open === undefined
      ? { rule: "hidden", weight: "sure" }
      : { rule: "dialog", weight: "named" };
  const named = signOfNames(`${attributes.class ?? ""} ${attributes.id ?? ""}`);
  if (named === null || (UNNAMED.has(name) && !(named.rule === "comments" && name === "article")))
    return null;
  return named;
}

/** Not shown, and not one click away: panels of tabs and accordions are what a reader opens. */
function isHidden(attributes: Readonly<Record<string, string>>): boolean {
  const { hidden, style = "", role, class: names = "" } = attributes;
  if (role === "tabpanel" || hidden === "until-found") return false;
  if (hidden !== undefined || attributes["aria-hidden"] === "true") return true;
  // What Wikipedia and KaTeX hide is the formula itself; what one sees is a picture of it.
  if (/math|katex|mml/i.test(names)) return false;
  return style !== "" && /(?:^|[;\s])(?:display\s*:\s*none|visibility\s*:\s*hidden)/i.test(style);
}

/** For texts that have no boilerplate (books, mails): only what is not shown is left out. */
export function hiddenRule({ attributes }: HtmlElement): Rule | null {
  return isHidden(attributes) ? "hidden" : null;
}

function signOfNames(names: string): Sign | null {
  if (names.length < 2) return null;
  const words = wordsOf(names);
  let best: Sign | null = null;
  let own = false;
  for (const [at, word] of words.entries()) {
    if (OWN.has(word)) own = true;
    if (STATE_BEFORE.has(words[at - 1] ?? "") || STATE_AFTER.has(words[at + 1] ?? "")) continue;
    const sign = signs.get(word) ?? signs.get(word + (words[at + 1] ?? " "));
    if (sign !== undefined && (best === null || (best.weight === "perhaps" && sign.weight === "named")))
      best = sign;
  }
  if (best === null || !own) return best;
  // `entry-footer`, `main-nav`: one part of the text speaks for it, so the name alone is no longer enough.
  return best.weight === "named" ? { rule: best.rule, weight: "perhaps" } : null;
}

/** `mainNav`, `main-nav` and `main_nav` are the same two words. */
function wordsOf(names: string): string[] {
  return names
    .slice(0, 1_000)
    .replace(/([a-z])([A-Z])/g, "$1-$2")
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== "");
}
