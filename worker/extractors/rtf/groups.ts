// Groups of RTF and where their text goes. What is not known and marked `\*` is passed over, as the format asks of its
// readers; so are headers, pictures, comments and what is written twice for older readers.
export type Destination =
  | "body"
  | "skipped"
  | "fonts"
  | "styles"
  | "title"
  /** The number or bullet of a list item, as the writer drew it. */
  | "label"
  /** Two forms of one text: only the one in Unicode is read. */
  | "forms";

export type Group = {
  destination: Destination;
  hidden: boolean;
  deleted: boolean;
  font: number | null;
  /** How many characters stand in for one of Unicode. */
  substitutes: number;
  /** A footnote or text box: its paragraphs are apart from those around it. */
  apart: boolean;
  /** Nothing but `{` or `{\*` was met yet. */
  fresh: boolean;
  starred: boolean;
};

const DESTINATIONS: Readonly<Record<string, Destination>> = {
  fonttbl: "fonts",
  stylesheet: "styles",
  title: "title",
  listtext: "label",
  pntext: "label",
  upr: "forms",
  fldrslt: "body",
  result: "body",
  shptxt: "body",
  shpinst: "body",
  footnote: "body",
  ud: "body",
  nesttableprops: "body",
  shp: "body",
  do: "body",
  dptxbxtext: "body",
  field: "body",
};
const SKIPPED = new Set(
  (
    "colortbl info pict header headerl headerr headerf footer footerl footerr footerf fldinst annotation atnid atnauthor " +
    "atntime atnicn atnref shprslt nonesttables xe tc tcn rxe bkmkstart bkmkend object objdata listtable filetbl " +
    "listoverridetable revtbl rsidtbl generator themedata colorschememapping latentstyles datastore xmlnstbl pnseclvl " +
    "pn private1 template background ftnsep ftnsepc ftncn aftnsep aftnsepc aftncn falt panose sp mmathPr datafield"
  ).split(" "),
);
const APART = new Set(["footnote", "shptxt", "dptxbxtext"]);

export function createGroup(parent: Group | null): Group {
  if (parent === null)
    return {
      destination: "body",
      hidden: false,
      deleted: false,
      font: null,
      substitutes: 1,
      apart: false,
      fresh: true,
      starred: false,
    };
  const destination = parent.destination === "forms" ? "skipped" : parent.destination;
  return { ...parent, destination, apart: false, fresh: true, starred: false };
}

/** The first control word of a group may say where its text goes. Answers whether it did. */
export function chooseDestination(group: Group, word: string, parent: Group | null): boolean {
  const known = DESTINATIONS[word];
  // Word writes `\shpinst` with a star and everything else of a shape below it; a result of an object below `\object`.
  const revives = word === "ud" ? parent?.destination === "forms" : word === "result" || word === "title";
  if (known !== undefined && (group.destination !== "skipped" || revives)) {
    group.destination = known;
    group.apart = APART.has(word);
    return true;
  }
  if (SKIPPED.has(word) || (group.starred && known === undefined)) {
    if (group.destination === "body" || group.destination === "label") group.destination = "skipped";
    return SKIPPED.has(word) || group.starred;
  }
  return false;
}
