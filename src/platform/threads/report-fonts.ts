import { openSync, type Font } from 'fontkit';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** Latin, Greek, Cyrillic and Chinese; may be shipped (SIL Open Font License). */
export const FONT_FILES = {
  regular: require.resolve('@expo-google-fonts/noto-sans-sc/400Regular/NotoSansSC_400Regular.ttf'),
  semibold: require.resolve('@expo-google-fonts/noto-sans-sc/600SemiBold/NotoSansSC_600SemiBold.ttf'),
} as const;
export type FontName = keyof typeof FONT_FILES;

const MARK = '[?]';
/** They turn the direction of writing, join what belongs apart, or have no width: invisible, and able to change what a name seems to say. */
const INVISIBLE = /[\p{Cc}\p{Cf}]+/gu;

let font: Font | undefined;

/**
 * Text that the fonts have every character of: a run of others becomes one visible mark, never an empty box.
 *
 * @param seen  told when there was one
 */
export function printable(text: string, seen: () => void = () => undefined): string {
  // A TTF file holds one font.
  font ??= openSync(FONT_FILES.regular) as Font;
  let shown = '';
  for (const character of text.normalize('NFC').replaceAll(INVISIBLE, ' ')) {
    if (font.hasGlyphForCodePoint(character.codePointAt(0) ?? 0)) shown += character;
    else {
      seen();
      if (!shown.endsWith(MARK)) shown += MARK;
    }
  }
  return shown;
}
