// Which paragraph styles are headings by their names, in the languages that word processors speak.

// As LibreOffice, WPS, Pages and translated templates call them.
const HEADING_NAMES = new RegExp(
  `^(?:${[
    "heading|header|überschrift|titre|título|titulo|titolo|encabezado|intestazione|cabeçalho|kop|rubrik|overskrift",
    "otsikko|fyrirsögn|nagłówek|nadpis|naslov|címsor|antraštė|virsraksts|pealkiri|titlu|başlık|tiêu đề|judul",
    "заголовок|заглавие|επικεφαλίδα|כותרת|عنوان|العنوان|标题|標題|見出し|제목",
  ].join("|")})\\s*([1-9])$`,
  "iu",
);
const TITLE_NAMES =
  /^(?:title|titel|titre|título|titulo|titolo|tytuł|заглавие|название|标题|標題|表題|제목)$/iu;

/** 0 for the title, 1 to 9; null: a style that is no heading by its name; undefined: the name does not tell. */
export function headingLevelOfName(name: string): number | null | undefined {
  if (TITLE_NAMES.test(name)) return 0;
  if (/^toc\b/i.test(name)) return null;
  const level = HEADING_NAMES.exec(name)?.[1];
  return level === undefined ? undefined : Number(level);
}
