import { openSync, type Font } from 'fontkit';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

const WEIGHTS = { regular: '400Regular', semibold: '600SemiBold' } as const;
export type FontWeight = keyof typeof WEIGHTS;

/** In the order that they are asked in; all may be shipped (SIL Open Font License). */
const FAMILIES = [
  // Chinese, kana, and the Latin, Greek and Cyrillic of most texts.
  { name: 'chinese', folder: '@expo-google-fonts/noto-sans-sc', file: 'NotoSansSC' },
  // Latin, Greek and Cyrillic of every country.
  { name: 'latin', folder: '@expo-google-fonts/noto-sans', file: 'NotoSans' },
] as const;

interface Family {
  name: string;
  files: Readonly<Record<FontWeight, string>>;
  font: Font | undefined;
}

/** Those that are installed. */
const families: readonly Family[] = FAMILIES.flatMap(({ name, folder, file }) => {
  try {
    const pathOf = (weight: FontWeight): string => require.resolve(`${folder}/${WEIGHTS[weight]}/${file}_${WEIGHTS[weight]}.ttf`);
    return [{ name, files: { regular: pathOf('regular'), semibold: pathOf('semibold') }, font: undefined }];
  } catch {
    return [];
  }
});

/** Every font by the name that `Printable` goes by. */
export const FONT_FILES: readonly (readonly [name: string, path: string])[] = families.flatMap(({ name, files }) => [[`${name}-regular`, files.regular], [`${name}-semibold`, files.semibold]] as const);

export interface Printable {
  /** Text that the font has every character of. */
  text: string;
  fontOf: (weight: FontWeight) => string;
  /** Characters that no single font had together with the others; marks stand for them. */
  lacked: boolean;
}

const MARK = '[?]';
/** They turn the direction of writing, join what belongs apart, or have no width: invisible, and able to change what a name seems to say. */
const INVISIBLE = /[\p{Cc}\p{Cf}]+/gu;

/** A text in the first font that has all of it; else in the one that lacks least, with a visible mark for each run of what it lacks, never an empty box. */
export function printable(text: string): Printable {
  const clean = text.normalize('NFC').replaceAll(INVISIBLE, ' ');
  let best: Printable | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const family of families) {
    const { shown, lacking } = marked(clean, family);
    if (lacking < least) [best, least] = [{ text: shown, fontOf: (weight) => `${family.name}-${weight}`, lacked: lacking > 0 }, lacking];
    if (lacking === 0) break;
  }
  if (!best) throw new Error('No font is installed');
  return best;
}

function marked(text: string, family: Family): { shown: string; lacking: number } {
  // A TTF file holds one font.
  family.font ??= openSync(family.files.regular) as Font;
  let [shown, lacking] = ['', 0];
  for (const character of text) {
    if (family.font.hasGlyphForCodePoint(character.codePointAt(0) ?? 0)) shown += character;
    else {
      lacking++;
      if (!shown.endsWith(MARK)) shown += MARK;
    }
  }
  return { shown, lacking };
}

/** A name in several scripts on one line where one font has them all; else a line each. */
export function nameLines(name: string): string[] {
  return printable(name).lacked ? name.split(' · ') : [name];
}
