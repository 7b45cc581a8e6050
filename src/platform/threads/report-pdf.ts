import PDFDocument from 'pdfkit';
import { filled, type ReportDocument, type ReportPicture, type ReportTable } from '../../imaging/report/document.js';
import { collected, PdfWriter, type Pdf, type TextStyle } from './pdf-writer.js';
import { fitReport, pictureSide, type ReportFit } from './report-fit.js';
import { FONT_FILES, nameLines } from './report-fonts.js';

/** A4, in points. */
const PAGE = { width: 595.28, height: 841.89 };
const MARGIN = 40;
const WIDTH = PAGE.width - 2 * MARGIN;
const FOOTER_TOP = PAGE.height - 52;
const COLOURS = { faint: '#51666c', line: '#c9d4d6', paper: '#f3f6f6', preliminary: '#8a5a00', final: '#0b6e4f', critical: '#a3201d', note: '#8a5a00' };
/** A row is never higher than a page. */
const CELL = { size: 8, padding: 3, lines: 12 };
const PICTURE_GAP = 8;
const MOST_PICTURES = 3;
/** Rows of a table that go before everything else. */
const FIRST_ROWS = 4;
/** Below pictures. */
const CAPTION = 24;
/** What developed over time, beside the table. */
const TREND = { width: WIDTH * 0.36, height: WIDTH * 0.18, gap: 10 };
/** Lines of a note on the first page; the web page has all of them. */
const NOTE_LINES = 3;

/**
 * A report as PDF: the first page has everything but the rows that it has no room for, which follow on further pages. For a thread: it
 * computes and draws. The same document gives the same bytes.
 *
 * @param madeAt  stands in the file's information, which says nothing of the patient
 */
export function drawReportPdf(report: ReportDocument, madeAt: Date): Promise<Buffer> {
  const pdf = new PDFDocument({
    size: 'A4', margin: 0, bufferPages: true, lang: report.language, displayTitle: true, pdfVersion: '1.7', autoFirstPage: true,
    info: { Title: report.title, Creator: 'HealthVision', Producer: 'HealthVision', CreationDate: madeAt, ModDate: madeAt },
  });
  for (const [name, file] of FONT_FILES) pdf.registerFont(name, file);
  const finished = collected(pdf);
  new ReportPages(pdf, report).draw();
  pdf.end();
  return finished;
}

function comparedWidth(hasTrend: boolean): number {
  return hasTrend ? WIDTH - TREND.width - TREND.gap : WIDTH;
}

/** Draws from the top to the bottom of a page; `y` is how far it has come. */
class ReportPages {
  private y = MARGIN;
  private readonly writer: PdfWriter;
  private fit: ReportFit = { side: 0, rows: 1, hasTrend: false };

  constructor(
    private readonly pdf: Pdf,
    private readonly report: ReportDocument,
  ) {
    this.writer = new PdfWriter(pdf);
  }

  draw(): void {
    const { report } = this;
    this.head();
    this.band();
    this.summary();
    this.warnings();
    const pictures = report.pictures.slice(0, MOST_PICTURES);
    const bottom = FOOTER_TOP - this.notesHeight() - 8;
    this.fit = fitReport(bottom - this.y, pictureSide(pictures.length, { width: WIDTH, gap: PICTURE_GAP, most: MOST_PICTURES }), {
      tables: report.tables.reduce((sum, table) => sum + this.tableHeight(table, FIRST_ROWS, WIDTH), 0), captions: pictures.length === 0 ? 0 : CAPTION, comparison: (choice) => this.comparisonHeight(choice),
    });
    const rest = this.tables(bottom - this.picturesHeight(pictures) - this.comparisonHeight(this.fit));
    this.pictures(pictures);
    rest.push(...this.comparison());
    this.notes();
    for (const table of rest) this.furtherPages(table);
    this.footers();
  }

  private head(): void {
    const { title, institution, status } = this.report;
    this.writer.put(title, MARGIN, this.y, { font: 'semibold', size: 16, width: WIDTH * 0.66, lines: 1 });
    this.writer.put(institution, MARGIN, this.y + 22, { size: 9, colour: COLOURS.faint, width: WIDTH * 0.66, lines: 1 });
    const colour = status.isFinal ? COLOURS.final : COLOURS.preliminary;
    const [left, width] = [MARGIN + WIDTH * 0.68, WIDTH * 0.32];
    this.pdf.roundedRect(left, this.y, width, 34, 4).lineWidth(1.2).stroke(colour);
    this.writer.put(status.text, left, this.y + 4, { font: 'semibold', size: 12, colour, width, align: 'center', lines: 1 });
    this.writer.put(status.explanation, left, this.y + 20, { size: 7, colour, width, align: 'center', lines: 1 });
    this.y += 44;
  }

  /** The name over the whole width, the others in columns. */
  private band(): void {
    const [name, ...others] = this.report.band;
    const columns = 4;
    const cell = (WIDTH - 16) / columns;
    const names = nameLines(name?.value ?? '');
    const nameStyle = { font: 'semibold', size: 13, width: WIDTH - 16, lines: 2 } as const;
    const nameHeight = names.reduce((sum, line) => sum + this.writer.measure(line, nameStyle), 0);
    const style = { size: 9, width: cell - 6, lines: 2 };
    const rows = Array.from({ length: Math.ceil(others.length / columns) }, (_, row) => 18 + Math.max(...others.slice(row * columns, (row + 1) * columns).map(({ value }) => this.writer.measure(value, style))));
    const height = 24 + nameHeight + rows.reduce((sum, row) => sum + row, 0);
    this.pdf.roundedRect(MARGIN, this.y, WIDTH, height, 4).fill(COLOURS.paper);
    this.writer.put(name?.label ?? '', MARGIN + 8, this.y + 6, { size: 7, colour: COLOURS.faint });
    let nameTop = this.y + 15;
    for (const line of names) {
      this.writer.put(line, MARGIN + 8, nameTop, nameStyle);
      nameTop += this.writer.measure(line, nameStyle);
    }
    for (const [index, { label, value }] of others.entries()) {
      const [x, y] = [MARGIN + 8 + (index % columns) * cell, this.y + 19 + nameHeight + rows.slice(0, Math.floor(index / columns)).reduce((sum, row) => sum + row, 0)];
      this.writer.put(label, x, y, { size: 7, colour: COLOURS.faint, width: cell - 6, lines: 1 });
      this.writer.put(value, x, y + 9, style);
    }
    this.y += height + 10;
  }

  private summary(): void {
    const { title, text, critical } = this.report.summary;
    const textLeft = MARGIN + this.labelWidth(title, critical);
    this.writer.put(title, MARGIN, this.y + 3, { size: 8, colour: COLOURS.faint });
    if (critical !== undefined) {
      const width = this.writer.widthOf(critical, 'semibold', 8) + 10;
      const left = textLeft - width - 6;
      this.pdf.roundedRect(left, this.y, width, 15, 3).fill(COLOURS.critical);
      this.writer.put(critical, left, this.y + 2, { font: 'semibold', size: 8, colour: '#ffffff', width, align: 'center' });
    }
    const style = { font: 'semibold', size: 11, width: MARGIN + WIDTH - textLeft, lines: 2 } as const;
    this.writer.put(text, textLeft, this.y, style);
    this.y += Math.max(16, this.writer.measure(text, style)) + 8;
  }

  /** Where a reader looks first: below the sentence that says it all. */
  private warnings(): void {
    for (const warning of this.report.warnings) {
      const style = { font: 'semibold', size: 9, colour: COLOURS.preliminary, width: WIDTH - 10, lines: 2 } as const;
      const height = this.writer.measure(warning, style);
      this.pdf.rect(MARGIN, this.y, 3, height).fill(COLOURS.preliminary);
      this.writer.put(warning, MARGIN + 10, this.y, style);
      this.y += height + 8;
    }
  }

  private labelWidth(title: string, critical: string | undefined): number {
    return this.writer.widthOf(title, 'regular', 8) + 8 + (critical === undefined ? 0 : this.writer.widthOf(critical, 'semibold', 8) + 16);
  }

  /** As many rows as fit above `bottom`; gives what is left of the tables. */
  private tables(bottom: number): ReportTable[] {
    const rest: ReportTable[] = [];
    for (const [index, table] of this.report.tables.entries()) {
      // Tables that follow keep room for their first rows.
      const reserved = (this.report.tables.length - 1 - index) * 58;
      const shown = this.tableRows(table, bottom - reserved);
      if (shown < table.rows.length) rest.push({ ...table, rows: table.rows.slice(shown) });
    }
    return rest;
  }

  private tableRows(table: ReportTable, bottom: number, width = WIDTH): number {
    this.tableHead(table, width);
    if (table.empty !== undefined) {
      this.writer.put(table.empty, MARGIN + CELL.padding, this.y + 2, { size: 9 });
      this.y += 18;
    }
    let shown = 0;
    for (const [index, row] of table.rows.entries()) {
      const height = this.rowHeight(table, row, width);
      const isLast = index === table.rows.length - 1;
      if (this.y + height + (isLast ? 0 : 14) > bottom) break;
      this.row(table, row, height, width);
      shown++;
    }
    if (shown < table.rows.length) {
      this.writer.put(filled(this.report.words.more, { count: table.rows.length - shown }), MARGIN + CELL.padding, this.y + 2, { font: 'semibold', size: CELL.size, colour: COLOURS.critical });
      this.y += 14;
    }
    this.y += 8;
    return shown;
  }

  /** With its first rows. */
  private tableHeight(table: ReportTable, rows: number, width: number): number {
    const shown = table.rows.slice(0, rows);
    return (table.title === '' ? 19 : 34) + (table.empty === undefined ? 0 : 18) + shown.reduce((sum, row) => sum + this.rowHeight(table, row, width), 0) + (table.rows.length > shown.length ? 14 : 0);
  }

  private tableHead({ title, columns }: ReportTable, width: number): void {
    if (title !== '') {
      this.writer.put(title, MARGIN, this.y, { font: 'semibold', size: 10, width: WIDTH, lines: 1 });
      this.y += 15;
    }
    let x = MARGIN;
    for (const { label, share } of columns) {
      this.writer.put(label, x + CELL.padding, this.y, { size: 7, colour: COLOURS.faint, width: share * width - 2 * CELL.padding, lines: 1 });
      x += share * width;
    }
    this.y += 11;
    this.pdf.moveTo(MARGIN, this.y).lineTo(MARGIN + width, this.y).lineWidth(0.8).stroke(COLOURS.faint);
  }

  private rowHeight({ columns }: ReportTable, { cells, isStrong }: ReportTable['rows'][number], width: number): number {
    const font = isStrong ? 'semibold' : 'regular';
    return 2 * CELL.padding + Math.max(...columns.map(({ share }, index) => this.writer.measure(cells[index] ?? '', { font, size: CELL.size, width: share * width - 2 * CELL.padding, lines: CELL.lines })));
  }

  private row({ columns }: ReportTable, { cells, isStrong }: ReportTable['rows'][number], height: number, width: number): void {
    let x = MARGIN;
    for (const [index, { share }] of columns.entries()) {
      this.writer.put(cells[index] ?? '', x + CELL.padding, this.y + CELL.padding, { font: isStrong ? 'semibold' : 'regular', size: CELL.size, width: share * width - 2 * CELL.padding, lines: CELL.lines });
      x += share * width;
    }
    this.y += height;
    this.pdf.moveTo(MARGIN, this.y).lineTo(MARGIN + width, this.y).lineWidth(0.4).stroke(COLOURS.line);
  }

  private picturesHeight(pictures: readonly ReportPicture[]): number {
    return pictures.length === 0 ? 0 : this.fit.side + CAPTION;
  }

  private pictures(pictures: readonly ReportPicture[]): void {
    const { side } = this.fit;
    for (const [index, picture] of pictures.entries()) {
      const x = MARGIN + index * (side + PICTURE_GAP);
      this.picture(picture, x, side);
      this.writer.put(picture.caption, x, this.y + side + 3, { size: 7.5, colour: COLOURS.faint, width: side, lines: 2 });
    }
    this.y += this.picturesHeight(pictures);
  }

  private picture({ bytes }: ReportPicture, x: number, side: number): void {
    this.pdf.rect(x, this.y, side, side).fill(bytes ? '#000000' : COLOURS.paper);
    if (bytes) this.pdf.image(Buffer.from(bytes), x, this.y, { fit: [side, side], align: 'center', valign: 'center' });
    else this.writer.put(this.report.words.noPicture, x + 8, this.y + side / 2 - 6, { size: 8, colour: COLOURS.faint, width: side - 16, align: 'center' });
  }

  private comparisonHeight({ rows, hasTrend }: Pick<ReportFit, 'rows' | 'hasTrend'>): number {
    const { comparison } = this.report;
    if (!comparison) return 0;
    const shows = hasTrend && comparison.picture?.bytes != null;
    const table = comparison.table ? this.tableHeight({ ...comparison.table, title: '' }, rows, comparedWidth(shows)) : 0;
    return 25 + comparison.lines.reduce((sum, line) => sum + this.writer.measure(line, { size: 8, width: WIDTH, lines: 2 }) + 1, 0) + Math.max(table, shows ? TREND.height + 18 : 0);
  }

  /** The table, with how it developed beside it; gives the rows that it has no room for. */
  private comparison(): ReportTable[] {
    const { comparison } = this.report;
    if (!comparison) return [];
    const { title, lines, table, picture } = comparison;
    const end = this.y + this.comparisonHeight(this.fit);
    this.writer.put(title, MARGIN, this.y, { font: 'semibold', size: 10, width: WIDTH, lines: 1 });
    this.y += 15;
    for (const line of lines) this.paragraph(line, { size: 8, width: WIDTH, lines: 2 });
    this.y += 4;
    const trend = this.fit.hasTrend ? picture?.bytes : undefined;
    if (trend) {
      const left = MARGIN + WIDTH - TREND.width;
      this.pdf.image(Buffer.from(trend), left, this.y + 2, { fit: [TREND.width, TREND.height] });
      this.writer.put(picture?.caption ?? '', left, this.y + TREND.height + 5, { size: 7.5, colour: COLOURS.faint, width: TREND.width, lines: 1 });
    }
    // Its title is that of the section, which further pages need again.
    const shown = table ? this.tableRows({ ...table, title: '' }, end - 8, comparedWidth(trend != null)) : 0;
    this.y = end;
    return table && shown < table.rows.length ? [{ ...table, title, rows: table.rows.slice(shown) }] : [];
  }

  private notesHeight(): number {
    const lines = this.report.notes.flatMap((note) => note.lines);
    return this.report.notes.length * 17 + lines.reduce((sum, line) => sum + this.writer.measure(line, { size: 7.5, width: WIDTH, lines: NOTE_LINES }) + 1, 0) + 22;
  }

  private notes(): void {
    for (const { title, lines } of this.report.notes) {
      this.writer.put(title, MARGIN, this.y, { font: 'semibold', size: 9 });
      this.y += 13;
      for (const line of lines) this.paragraph(line, { size: 7.5, width: WIDTH, lines: NOTE_LINES });
      this.y += 4;
    }
    this.pdf.roundedRect(MARGIN, this.y, WIDTH, 18, 3).lineWidth(0.8).stroke(COLOURS.note);
    this.writer.put(this.report.disclaimer, MARGIN, this.y + 3, { font: 'semibold', size: 9, colour: COLOURS.note, width: WIDTH, align: 'center', lines: 1 });
    this.y += 22;
  }

  private furtherPages(table: ReportTable): void {
    let left = table;
    while (left.rows.length > 0) {
      this.pdf.addPage();
      this.y = MARGIN;
      const [name] = this.report.band;
      this.writer.put(`${this.report.title} · ${name?.value ?? ''}`, MARGIN, this.y, { size: 8, colour: COLOURS.faint, width: WIDTH, lines: 1 });
      this.y += 18;
      left = { ...left, rows: left.rows.slice(this.tableRows(left, FOOTER_TOP - 6)) };
    }
  }

  private footers(): void {
    const { count } = this.pdf.bufferedPageRange();
    for (let page = 0; page < count; page++) {
      this.pdf.switchToPage(page);
      this.pdf.moveTo(MARGIN, FOOTER_TOP).lineTo(MARGIN + WIDTH, FOOTER_TOP).lineWidth(0.4).stroke(COLOURS.line);
      const lines = [...(this.writer.lacked ? [this.report.words.unprintable] : []), ...this.report.footer];
      for (const [index, line] of lines.entries()) this.writer.put(line, MARGIN, FOOTER_TOP + 4 + index * 9, { size: 6, colour: COLOURS.faint, width: WIDTH - (index === 0 ? 70 : 0), lines: 1 });
      this.writer.put(filled(this.report.words.page, { page: page + 1, pages: count }), MARGIN + WIDTH - 70, FOOTER_TOP + 4, { size: 6, colour: COLOURS.faint, width: 70, align: 'right', lines: 1 });
    }
  }

  private paragraph(text: string, style: TextStyle & { width: number }): void {
    this.writer.put(text, MARGIN, this.y, style);
    this.y += this.writer.measure(text, style) + 1;
  }
}
