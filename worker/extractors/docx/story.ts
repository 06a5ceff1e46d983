// Where the reader of a DOCX stands in one line of text: the body, a note, a text box.
import type { Block } from "../cut-segments.ts";
import { createTableFolder, type TableFolder } from "../fold-tables.ts";
import { createFields, type DocxFields } from "./fields.ts";
import type { Paragraph } from "./paragraph.ts";

export type Story = {
  /** Not a text box. */
  readonly main: boolean;
  /** Where its blocks go. */
  readonly emit: (block: Block) => void;
  readonly folder: TableFolder;
  readonly fields: DocxFields;
  paragraph: Paragraph | null;
  /** A paragraph that runs on into the next one. */
  carried: Paragraph | null;
  /** Open tables; a row or cell whose deletion is accepted is passed over. `started`: the row has words. */
  readonly tables: { rowDeleted: boolean; cellDeleted: boolean; started: boolean }[];
  /** Notes of the open table: they follow it. */
  readonly notes: Block[];
  /** What the paragraph's style says, and what holds for the open run. */
  styleHidden: boolean;
  runHidden: boolean;
  runFont: string | null;
  /** An equation has just ended: a word that follows it stands apart. */
  afterMath: boolean;
};

export function createStory(main: boolean, emit: (block: Block) => void): Story {
  return {
    main,
    emit,
    folder: createTableFolder(emit),
    fields: createFields(),
    paragraph: null,
    carried: null,
    tables: [],
    notes: [],
    styleHidden: false,
    runHidden: false,
    runFont: null,
    afterMath: false,
  };
}
