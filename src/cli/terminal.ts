import { styleText } from 'node:util';

type Style = 'bold' | 'dim' | 'green' | 'red' | 'yellow' | 'cyan';
type Output = NodeJS.WriteStream;

/** Colours a text where the stream is a terminal that has colours; NO_COLOR switches them off. */
export function paint(style: Style, text: string, output: Output = process.stdout): string {
  return output.isTTY && output.hasColors() ? styleText(style, text) : text;
}

export interface Column<Row> {
  title: string;
  value: (row: Row) => string;
  align?: 'left' | 'right';
  style?: (row: Row) => Style | undefined;
}

/** A table with a ruled head; columns are as wide as what they hold. */
export function table<Row>(rows: readonly Row[], columns: readonly Column<Row>[], output: Output = process.stdout): string {
  const cells = rows.map((row) => columns.map((column) => column.value(row)));
  const widths = columns.map(({ title }, index) => Math.max(displayWidth(title), ...cells.map((line) => displayWidth(line[index] ?? ''))));
  const pad = (text: string, index: number): string => {
    const blank = ' '.repeat(Math.max(0, (widths[index] ?? 0) - displayWidth(text)));
    return columns[index]?.align === 'right' ? blank + text : text + blank;
  };
  const head = paint('bold', columns.map(({ title }, index) => pad(title, index)).join('  ').trimEnd(), output);
  const rule = widths.map((width) => '─'.repeat(width)).join('──');
  const body = rows.map((row, line) => columns
    .map((column, index) => {
      const text = pad(cells[line]?.[index] ?? '', index);
      const style = column.style?.(row);
      return style ? paint(style, text, output) : text;
    })
    .join('  ')
    .trimEnd());
  return [head, rule, ...body].join('\n');
}

/** Columns that a text takes: Chinese and full-width characters take two. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const character of text) width += /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/u.test(character) ? 2 : 1;
  return width;
}

/** Progress on standard error: a bar in a terminal, a plain line every few seconds elsewhere. */
export class ProgressBar {
  private readonly started = performance.now();
  private shownAt = -Infinity;
  private fraction = 0;
  private note = '';

  constructor(
    private readonly title: string,
    private readonly isQuiet = false,
    private readonly output: Output = process.stderr,
  ) {}

  /** @param fraction  0 to 1 */
  update(fraction: number, note = ''): void {
    this.fraction = Math.min(1, Math.max(0, fraction));
    this.note = note;
    const now = performance.now();
    if (this.isQuiet || now - this.shownAt < (this.output.isTTY ? 80 : 3_000)) return;
    // Work that is over at once needs no plain line.
    if (!this.output.isTTY && this.shownAt === -Infinity && now - this.started < 1_000) return;
    this.shownAt = now;
    this.draw();
  }

  /** Leaves the finished bar, or what `line` says, behind. */
  finish(line?: string): void {
    if (this.isQuiet) return;
    if (line === undefined) this.draw();
    else if (this.output.isTTY) this.output.write(`\r\u001b[2K${line}`);
    else this.output.write(line);
    if (this.output.isTTY || line !== undefined) this.output.write('\n');
  }

  private draw(): void {
    const percent = `${String(Math.floor(this.fraction * 100)).padStart(3)} %`;
    if (!this.output.isTTY) {
      this.output.write(`${this.title} ${percent} ${this.note}`.trimEnd() + '\n');
      return;
    }
    const width = Math.max(10, Math.min(32, (this.output.columns || 80) - this.title.length - this.note.length - 14));
    const full = Math.round(this.fraction * width);
    this.output.write(`\r\u001b[2K${this.title} ${paint('cyan', '█'.repeat(full), this.output)}${'░'.repeat(width - full)} ${percent} ${this.note}`.trimEnd());
  }
}

/** Lines that tell what has happened and how long each step took. */
export class Steps {
  private last = performance.now();
  private readonly begun = performance.now();
  readonly timings: { step: string; seconds: number }[] = [];

  constructor(
    private readonly isQuiet = false,
    private readonly output: Output = process.stderr,
  ) {}

  done(step: string, note = ''): void {
    const now = performance.now();
    const seconds = (now - this.last) / 1000;
    this.last = now;
    this.timings.push({ step, seconds: Math.round(seconds * 1000) / 1000 });
    if (!this.isQuiet) this.output.write(`${paint('green', '✓', this.output)} ${step.padEnd(28)} ${`${seconds.toFixed(1)} s`.padStart(7)}${note === '' ? '' : `  ${note}`}\n`);
  }

  get totalSeconds(): number {
    return (performance.now() - this.begun) / 1000;
  }
}

export function writeLine(text = ''): void {
  process.stdout.write(`${text}\n`);
}

export function writeJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}
