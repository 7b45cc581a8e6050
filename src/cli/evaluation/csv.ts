/** Rows of a CSV text as fields by column name. Quotes may hold commas, line ends and doubled quotes. @see RFC 4180 */
export function parseCsv(text: string): Record<string, string>[] {
  const rows: string[][] = [];
  let row: string[] = [];
  let field = '';
  let isQuoted = false;
  for (let at = text.startsWith('\ufeff') ? 1 : 0; at < text.length; at++) {
    const character = text[at] ?? '';
    if (isQuoted) {
      if (character !== '"') field += character;
      else if (text[at + 1] === '"') { field += '"'; at++; }
      else isQuoted = false;
    } else if (character === '"') isQuoted = true;
    else if (character === ',' || character === '\n') {
      row.push(field.replace(/\r$/, ''));
      field = '';
      if (character === '\n') { rows.push(row); row = []; }
    } else field += character;
  }
  if (field !== '' || row.length > 0) rows.push([...row, field.replace(/\r$/, '')]);
  const [head = [], ...body] = rows;
  return body.filter((cells) => cells.some((cell) => cell !== '')).map((cells) => Object.fromEntries(head.map((name, index) => [name.trim(), (cells[index] ?? '').trim()])));
}
