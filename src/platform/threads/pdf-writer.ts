import type PDFDocument from 'pdfkit';
import { printable, type FontWeight } from './report-fonts.js';

export type Pdf = InstanceType<typeof PDFDocument>;

/** How a text is set; points. */
export interface TextStyle {
  font?: FontWeight;
  size?: number;
  colour?: string;
  /** Text breaks within it; without it, it stands on one line. */
  width?: number;
  align?: 'left' | 'right' | 'center';
  /** Longer text is cut, with an ellipsis. */
  lines?: number;
}

const INK = '#16262b';
const SIZE = 9;

/** Sets texts, each in a font that has it. */
export class PdfWriter {
  /** Whether a mark had to stand for what no font has. */
  lacked = false;

  constructor(private readonly pdf: Pdf) {}

  put(text: string, x: number, y: number, style: TextStyle): void {
    const { colour = INK, width, align, lines } = style;
    const shown = this.prepared(text, style);
    // pdfkit cuts by height.
    const limit = lines === undefined ? {} : { height: lines * this.pdf.currentLineHeight(true) + 0.5, ellipsis: true };
    this.pdf.fillColor(colour).text(shown, x, y, { ...(width !== undefined && { width }), ...(align && { align }), ...limit, lineBreak: width !== undefined });
  }

  /** The height that it takes. */
  measure(text: string, style: TextStyle & { width: number }): number {
    const { width, lines } = style;
    const height = this.pdf.heightOfString(this.prepared(text, style), { width });
    return lines === undefined ? height : Math.min(height, lines * this.pdf.currentLineHeight(true));
  }

  widthOf(text: string, font: FontWeight, size: number): number {
    return this.pdf.widthOfString(this.prepared(text, { font, size }));
  }

  /** The text as a font has it, with that font chosen. */
  private prepared(text: string, { font = 'regular', size = SIZE }: TextStyle): string {
    const { text: shown, fontOf, lacked } = printable(text);
    this.lacked ||= lacked;
    this.pdf.font(fontOf(font)).fontSize(size);
    return shown;
  }
}

/** All bytes of a document, once it has ended. */
export function collected(pdf: Pdf): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    pdf.on('data', (chunk: Buffer) => chunks.push(chunk));
    pdf.on('end', () => { resolve(Buffer.concat(chunks)); });
    pdf.on('error', reject);
  });
}
